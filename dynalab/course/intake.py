"""What was handed in: files, folders and zips of many students, and the roster that says whose they are.

    submissions/ann.ipynb            ann
    submissions/ann_03-quorums.ipynb ann: what stands before the first ``_``
    submissions/ann/03-quorums.ipynb ann
    submissions/class.zip            unpacked, then as above

A roster is a CSV file with the columns ``file`` and ``student``,
and, for a Canvas gradebook, whatever of ``ID``, ``SIS User ID``, ``SIS Login ID`` and ``Section`` there is.
"""

from __future__ import annotations

import csv
import zipfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from dynalab.course.transplant import BYTES_MAX, Key, chosen_key

ZIP_FILES_MAX = 2_000
CANVAS_COLUMNS = ("ID", "SIS User ID", "SIS Login ID", "Section")


@dataclass
class Roster:
    """Who is who.

    Attributes:
        students: ``{file or folder name: student}``.
        canvas: ``{student: {column: value}}``.
    """

    students: dict[str, str] = field(default_factory=dict)
    canvas: dict[str, dict[str, str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Submission:
    """One notebook of one student, for one exercise."""

    path: Path
    student: str
    key: Key


def roster_of(path: Path | None) -> Roster:
    """The roster in a CSV file; an empty one without a file.

    Raises:
        ValueError: it lacks a column.
    """
    roster = Roster()
    if path is None:
        return roster
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.DictReader(file)
        missing = {"file", "student"} - set(reader.fieldnames or ())
        if missing:
            raise ValueError(f"the roster {path.name} lacks the column {min(missing)!r}")
        for row in reader:
            roster.students[row["file"].strip()] = row["student"].strip()
            roster.canvas[row["student"].strip()] = {name: row.get(name) or "" for name in CANVAS_COLUMNS}
    return roster


def submissions(place: Path, keys: list[Key], roster: Roster, unpacked: Path) -> tuple[list[Submission], list[str]]:
    """All that was handed in, sorted, and what could not be taken.

    Args:
        place: a notebook, a zip, or a folder of those.
        keys: the exercises.
        roster: whose files they are.
        unpacked: an empty folder for the content of zips.
    """
    odd: list[str] = []
    found: dict[tuple[str, str], Submission] = {}
    for path, name in _notebooks(place, unpacked, odd):
        key = chosen_key(path, keys)
        student = _student(name, roster)
        if key is None:
            odd.append(f"{name}: belongs to no exercise that is graded here")
        elif (student, key.name) in found:
            odd.append(f"{name}: another notebook of {student} for {key.name}; the first one counts")
        else:
            found[student, key.name] = Submission(path, student, key)
    return [found[each] for each in sorted(found)], odd


def _notebooks(place: Path, unpacked: Path, odd: list[str]) -> list[tuple[Path, PurePosixPath]]:
    """``(path, name under the place)`` of every notebook."""
    if not place.exists():
        raise FileNotFoundError(f"there is nothing at {place}")
    paths = sorted(place.rglob("*")) if place.is_dir() else [place]
    found = []
    for path in paths:
        name = PurePosixPath(path.relative_to(place).as_posix() if place.is_dir() else path.name)
        hidden = any(part.startswith((".", "__MACOSX")) for part in name.parts)
        if path.is_symlink():
            odd.append(f"{name}: a link is not followed")
        elif path.suffix == ".ipynb" and path.is_file() and not hidden:
            found.append((path, name))
        elif path.suffix == ".zip" and path.is_file() and not hidden:
            found += _unpacked(path, name, unpacked / f"zip{len(list(unpacked.iterdir()))}", odd)
    return found


def _unpacked(path: Path, name: PurePosixPath, target: Path, odd: list[str]) -> list[tuple[Path, PurePosixPath]]:
    """The notebooks of a zip, under names of ours: what an archive says of paths is never followed."""
    target.mkdir()
    found = []
    try:
        with zipfile.ZipFile(path) as archive:
            members = [each for each in archive.infolist() if each.filename.endswith(".ipynb")][:ZIP_FILES_MAX]
            for number, member in enumerate(members):
                if member.file_size > BYTES_MAX or "__MACOSX" in member.filename:
                    odd.append(f"{name}/{member.filename}: too large, or not a student's")
                    continue
                inside = PurePosixPath(member.filename)
                copy = target / f"{number}-{inside.name}"
                copy.write_bytes(archive.read(member))
                found.append(
                    (copy, inside if len(inside.parts) > 1 or len(members) > 1 else name.with_suffix(".ipynb"))
                )
    except (zipfile.BadZipFile, RuntimeError, OSError, NotImplementedError) as error:
        odd.append(f"{name}: cannot be unpacked: {error}")
    return found


def _student(name: PurePosixPath, roster: Roster) -> str:
    """Whose file it is: by the roster, by its folder, by the beginning of its name."""
    for known in (name.as_posix(), name.name, name.stem, name.stem.split("_")[0], *reversed(name.parts[:-1])):
        if known in roster.students:
            return roster.students[known]
    if len(name.parts) > 1:
        return name.parts[-2]
    return name.stem.split("_")[0] or name.stem
