"""The workbench as a page of its own."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest

from dynalab.panels import web


@pytest.mark.parametrize("world", web.WORLDS)
def test_the_page_is_a_valid_notebook(world: str) -> None:
    """What Voila is given is a notebook of one cell that shows a panel, and its code compiles."""
    notebook = nbformat.from_dict(web.notebook_of(3, world))
    nbformat.validate(notebook)
    compile(notebook.cells[0].source, "cell", "exec")


def test_serving_uses_a_folder_that_goes_with_it() -> None:
    """Notebook and template lie in one temporary folder, on this machine's own address, and go when it ends."""
    seen: list[Path] = []

    def run(command: list[str], folder: Path) -> int:
        seen.append(folder)
        assert "--Voila.ip=127.0.0.1" in command
        assert "--no-browser" in command
        assert (folder / web.NOTEBOOK).exists()
        assert "cdn" not in (folder / "voila" / "templates" / web.TEMPLATE / "index.html.j2").read_text()
        return 5

    assert web.serve(port=0, browser=False, run=run) == 5
    assert not seen[0].exists()


@pytest.mark.parametrize("wrong", [{"nodes": 0}, {"nodes": True}, {"world": "cloud"}, {"port": -1}, {"port": 65536}])
def test_nonsense_is_refused_before_anything_starts(wrong: dict) -> None:
    """A wrong argument is a ValueError that names it, and no server runs."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        web.serve(**wrong, run=lambda command, folder: pytest.fail("started"))


def test_without_voila_the_text_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing Voila is said by name, with the way to get it."""
    monkeypatch.setattr(web, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="pip install voila"):
        web.serve(run=lambda command, folder: 0)
