"""The zip that Gradescope takes as an autograder: dynalab itself, the keys, and two scripts.

It needs no package index for dynalab, and grades with exactly the version that made it.
"""

from __future__ import annotations

import zipfile
from importlib import metadata
from pathlib import Path

import dynalab

SETUP = """#!/usr/bin/env bash
set -e
apt-get update
apt-get install -y python3 python3-venv
python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
    echo 'dynalab needs Python 3.11 or newer: choose a base image of Ubuntu 24.04 or newer' >&2
    exit 1
}
python3 -m venv /opt/dynalab
/opt/dynalab/bin/python -m pip install -r /autograder/source/requirements.txt
"""

RUN = """#!/usr/bin/env bash
cd /autograder
export PYTHONPATH=/autograder/source/package
/opt/dynalab/bin/python -P -m dynalab.cli grade /autograder/submission --solutions /autograder/source/solutions \\
    --gradescope /autograder/results/results.json --out /autograder/results/more
"""

EXTRAS = ("", "lab", "views")
NOT_PACKED = {"__pycache__", "notebooks", "exercises"}
_WHEN = (2007, 10, 14, 0, 0, 0)
"""The same zip from the same content."""


def write_zip(solutions: Path, target: Path) -> Path:
    """Write the zip with these solutions as its keys; the path written."""
    target.parent.mkdir(parents=True, exist_ok=True)
    package = Path(dynalab.__file__).parent
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in (("setup.sh", SETUP), ("run_autograder", RUN)):
            entry = zipfile.ZipInfo(name, date_time=_WHEN)
            entry.external_attr = 0o755 << 16
            archive.writestr(entry, text)
        _add(archive, "requirements.txt", "\n".join(requirements()).encode() + b"\n")
        for path in sorted(solutions.glob("*.ipynb")):
            _add(archive, f"solutions/{path.name}", path.read_bytes())
        for path in sorted(package.rglob("*")):
            inside = path.relative_to(package)
            if path.is_file() and not NOT_PACKED & set(inside.parts):
                _add(archive, f"package/dynalab/{inside.as_posix()}", path.read_bytes())
    return target


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    entry = zipfile.ZipInfo(name, date_time=_WHEN)
    entry.compress_type = zipfile.ZIP_DEFLATED
    archive.writestr(entry, content)


def requirements() -> list[str]:
    """What grading needs beside dynalab, as pip reads it."""
    found = []
    for line in metadata.requires("dynalab") or []:
        what, _, condition = (part.strip() for part in line.partition(";"))
        extra = condition.partition("extra ==")[2].strip(" '\"")
        if extra in EXTRAS and not what.startswith("dynalab"):
            found.append(what)
    return found
