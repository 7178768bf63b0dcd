"""The workbench as a page of its own."""

from __future__ import annotations

import socket
from pathlib import Path

import nbformat
import pytest

from dynalab.cli import main
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
        assert not any("port=0" in argument for argument in command), "the address is known before it is told"
        return 5

    assert web.serve(port=0, browser=False, run=run) == 5
    assert not seen[0].exists()


@pytest.mark.parametrize(
    "wrong", [{"nodes": 0}, {"nodes": True}, {"world": "cloud"}, {"port": -1}, {"port": 65536}, {"theme": "pink"}]
)
def test_nonsense_is_refused_before_anything_starts(wrong: dict) -> None:
    """A wrong argument is a ValueError that names it, and no server runs."""
    with pytest.raises(ValueError, match=next(iter(wrong))):
        web.serve(**wrong, run=lambda command, folder: pytest.fail("started"))


def test_without_voila_the_text_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing Voila is said by name, with the way to get it."""
    monkeypatch.setattr(web, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match="pip install"):
        web.serve(run=lambda command, folder: 0)


def test_the_command_line_says_what_is_wrong(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong argument, a taken port and a missing Voila each end `dynalab demo --web` with a sentence and a code."""
    assert main(["demo", "--web", "--nodes", "0"]) == 2
    assert "nodes must be" in capsys.readouterr().err
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main(["demo", "--web", "--port", str(port)]) == 1
    assert f"port {port}" in capsys.readouterr().err
    monkeypatch.setattr(web, "find_spec", lambda name: None)
    assert main(["demo", "--web", "--port", "0"]) == 1
    assert 'pip install "dynalab[lab]"' in capsys.readouterr().err


def test_only_the_address_and_complaints_are_told() -> None:
    """Of what the server says, people hear where the page is, warnings and tracebacks."""
    told: list[str] = []
    said = ["[Voila] It runs at:", "http://127.0.0.1:81/", "[Voila] WARNING | odd", "  and more", "[Voila] so", "so"]
    web._relay([f"{line}\n" for line in said], told.append)
    assert told == ["The workbench is at http://127.0.0.1:81/ - Ctrl-C ends it.", "[Voila] WARNING | odd", "  and more"]


def test_the_page_has_the_asked_seed() -> None:
    """`--seed` reaches the simulation of the page."""
    assert "seed=11" in web.notebook_of(3, "sim", 11)["cells"][0]["source"]
