"""The notebooks: short pages of short cells, stored small, that run from top to bottom in both worlds."""

from __future__ import annotations

import base64
import os
import re
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import nbformat
import pytest

from dynalab.course.source import Source
from dynalab.course.stored import tidied

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
PAGES = sorted((ROOT / "notebooks").glob("*.ipynb"))
FRONT = ROOT / "notebooks" / "README.md"

PNG_BYTES_MAX = 100_000
TEXT_MAX = 4_000
CODE_LINES_MAX, CODE_LINES_MEDIAN = 15, 5
WORDS = range(500, 901)
PICTURES = range(2, 6)


@pytest.fixture(params=PAGES, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    """Each notebook in turn."""
    return request.param


@pytest.fixture
def page(path: Path) -> Any:
    """Its content."""
    return nbformat.read(path, as_version=4)


def _cells(page: Any, kind: str) -> list[Any]:
    return [cell for cell in page.cells if cell.cell_type == kind]


def _outputs(page: Any) -> Iterator[Any]:
    for cell in _cells(page, "code"):
        yield from cell.outputs


def _pictures(page: Any) -> list[bytes]:
    return [
        base64.b64decode(output.data["image/png"]) for output in _outputs(page) if "image/png" in output.get("data", {})
    ]


def test_there_is_a_tour() -> None:
    """The first page is the one that `dynalab lab` opens."""
    assert PAGES[0].name == "00-tour.ipynb"


def test_the_front_page_leads_to_every_page() -> None:
    """The core path and the electives are told apart; minutes, sections and points are those of the pages."""
    rows = re.findall(r"^\| \[(.+)\]\((.+)\) \|(.*)\|$", FRONT.read_text(encoding="utf-8"), re.MULTILINE)
    assert [link for _, link, _ in rows] == [path.name for path in PAGES]
    core, electives = FRONT.read_text(encoding="utf-8").split("\n## Electives")
    for title, link, rest in rows:
        assert link in (core if link < "06" else electives)
        opening = nbformat.read(ROOT / "notebooks" / link, as_version=4).cells[0].source
        assert f"# {title.replace(' ', ' - ', 1)}" in opening
        minutes = re.search(r"(\d+) minutes", opening)
        assert minutes is not None
        assert minutes[1] in re.findall(r"\d+", rest.rpartition("|")[0])
        exercise = ROOT / "exercises" / link
        if exercise.exists():
            told = re.search(r"About (\d+) minutes, (\d+) points", exercise.read_text(encoding="utf-8"))
            assert told is not None
            assert rest.rpartition("|")[2].split(", ") == [f" {told[1]}", f"{told[2]} "]


def test_a_page_can_be_read_in_one_sitting(page: Any) -> None:
    """500 to 900 words, 8 to 20 code cells, and at least as much prose between them."""
    prose, code = _cells(page, "markdown"), _cells(page, "code")
    assert sum(len(cell.source.split()) for cell in prose) in WORDS
    assert 8 <= len(code) <= 20
    assert len(prose) >= len(code)


def test_code_cells_are_short(page: Any) -> None:
    """No code cell is longer than 15 lines, and half of them have at most 5."""
    lengths = [len(cell.source.splitlines()) for cell in _cells(page, "code")]
    assert max(lengths) <= CODE_LINES_MAX
    assert median(lengths) <= CODE_LINES_MEDIAN


def test_readers_predict_before_they_run(page: Any) -> None:
    """A page asks for predictions, has a check that states its rule, a way to play on, and a recap."""
    prose = "\n".join(cell.source for cell in _cells(page, "markdown"))
    assert prose.count("**Predict**") >= 3
    assert prose.count("> **Try**") >= 1
    for heading in ("# ", "\n## Where it breaks", "\n## Recap", "\n## Next"):
        assert heading in prose
    checks = [cell.source for cell in _cells(page, "code") if cell.source.startswith('"""Check: ')]
    assert checks
    assert all("assert " in check for check in checks)


def test_pictures_are_few_and_small(page: Any) -> None:
    """2 to 5 pictures, each a PNG of at most 100 kB; no SVG, which would be compared letter by letter."""
    pictures = _pictures(page)
    assert len(pictures) in PICTURES
    assert max(map(len, pictures)) <= PNG_BYTES_MAX
    assert not [output for output in _outputs(page) if "image/svg+xml" in output.get("data", {})]


def test_pages_are_stored_tidily(page: Any) -> None:
    """As `dynalab.course.stored` stores them: no widget state, each picture once, no machine's metadata."""
    assert tidied(page) == page


def test_outputs_are_stored_and_short(page: Any) -> None:
    """Every cell was run, none failed, in order; texts are short and name no folder of a machine."""
    counts = [cell.execution_count for cell in _cells(page, "code")]
    assert counts == list(range(1, len(counts) + 1))
    for output in _outputs(page):
        assert output.output_type != "error"
        shown = output.get("text", "") + output.get("data", {}).get("text/plain", "")
        assert len(shown) <= TEXT_MAX
        assert not re.search(r"(?<![\w.])/(?:root|home|tmp|usr|Users)/|0x[0-9a-f]{8}", shown)


def test_what_may_differ_from_run_to_run_is_tagged(page: Any) -> None:
    """A cell's output is either compared or said to be ignored; nothing is left to chance."""
    for cell in _cells(page, "code"):
        tags = set(cell.metadata.get("tags", []))
        assert len(tags & {"nbval-check-output", "nbval-ignore-output"}) == 1, cell.source


# On processes `make test` runs every cell already: it collects the notebooks themselves.
@pytest.mark.parametrize("world", ["sim", pytest.param("live", marks=[pytest.mark.live, pytest.mark.slow])])
def test_every_page_runs_in_both_worlds(path: Path, world: str) -> None:
    """Every cell runs and shows what is stored, on processes and, by one switch, in the simulation."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--no-header"]
    command += ["--nbval", "--nbval-current-env", "--nbval-cell-timeout=60", str(path)]
    environment = os.environ | {"DYNALAB_WORLD": world, "PYTHONPATH": str(ROOT)}
    finished = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT, env=environment)
    assert finished.returncode == 0, finished.stdout[-4000:]
    assert re.search(r"\d+ passed", finished.stdout)


def test_code_that_a_page_shows_is_the_code_as_it_is(page: Any) -> None:
    """What `show_source` has stored on a page is what it would show now: pages are not retyped, and do not age."""
    names: dict[str, Any] = {}
    for cell in _cells(page, "code"):
        imports = re.findall(r"^(?:from [\w.]+ )?import [\w., ]+$", cell.source, re.MULTILINE)
        exec("\n".join(imports), names)
        shown = re.search(r"^show_source\(([\w.]+)\)$", cell.source, re.MULTILINE)
        if shown and cell.outputs:
            assert cell.outputs[-1].data["text/plain"] == repr(Source(eval(shown[1], names)))
