"""How notebooks are stored: run, small, and without a trace of the machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError

from dynalab.course.stored import WIDGET, run_and_store, tidied

if TYPE_CHECKING:
    from pathlib import Path

BUNDLE = {"image/png": "aGk=", "text/html": "<img/>", "text/plain": "<Picture>", WIDGET: {"model_id": "1"}}
SHOW = f"""
from IPython.display import display
display({BUNDLE!r}, raw=True, metadata={{"image/png": {{"width": 7}}}})
"""


def _page(path: Path, *cells: str) -> None:
    page = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    page.cells[0].metadata = {"tags": ["nbval-ignore-output"], "collapsed": True}
    page.metadata = {"widgets": {"state": {}}, "kernelspec": {"name": "mine", "display_name": "Mine"}}
    nbformat.write(page, path)


def test_a_page_is_run_and_stored_tidily(tmp_path: Path) -> None:
    """Outputs are stored, a picture once; widget state, odd metadata and the machine's kernel name are not."""
    path = tmp_path / "page.ipynb"
    _page(path, SHOW, "1 + 1")
    run_and_store(path)
    page = nbformat.read(path, as_version=4)
    assert sorted(page.cells[0].outputs[0].data) == ["image/png", "text/plain"]
    assert page.cells[0].outputs[0].metadata == {}
    assert page.cells[0].metadata == {"tags": ["nbval-ignore-output"]}
    assert page.cells[1].outputs[0].data["text/plain"] == "2"
    assert page.metadata.kernelspec.name == "python3"
    assert "widgets" not in page.metadata


def test_tidying_twice_is_tidying_once(tmp_path: Path) -> None:
    """A stored page is its own tidy form, and tidying leaves what it was given alone."""
    path = tmp_path / "page.ipynb"
    _page(path, "1 + 1")
    page = nbformat.read(path, as_version=4)
    once = tidied(page)
    assert tidied(once) == once
    assert "widgets" in page.metadata


def test_a_page_that_fails_is_not_stored(tmp_path: Path) -> None:
    """When a cell raises, the file stays as it was."""
    path = tmp_path / "page.ipynb"
    _page(path, "1 / 0")
    before = path.read_bytes()
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        run_and_store(path)
    assert path.read_bytes() == before
