"""The command line: what it says, and the exit code it ends with."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any
from urllib.error import URLError
from urllib.request import urlopen

import pytest

import dynalab
from dynalab.cli import COMMANDS, lab, main
from dynalab.course import story

if TYPE_CHECKING:
    from pathlib import Path


def test_the_demo_tells_its_story_and_ends_well(capsys: pytest.CaptureFixture[str]) -> None:
    """`dynalab demo --sim` shows every step and exits 0."""
    assert main(["demo", "--sim"]) == 0
    said = capsys.readouterr().out
    assert f"{len(story.STEPS)} of {len(story.STEPS)} steps showed what they claim" in said
    assert '>>> cluster.partition("AB|CDE")' in said


def test_the_demo_can_be_read_by_programs(capsys: pytest.CaptureFixture[str]) -> None:
    """With --json there is one object and nothing else."""
    assert main(["demo", "--sim", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["complete"] is True
    assert [step["step"] for step in told["steps"]] == [step.title for step in story.STEPS]


def test_a_demo_that_fails_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A step that does not show its claim: exit code 1, and its name in the last line."""
    broken = story.Step("Impossible", "It cannot hold.", "2 + 2", lambda _: story.claim(False, "2 + 2 is 5") or "")
    monkeypatch.setattr(story, "STEPS", (story.STEPS[0], broken, *story.STEPS[1:]))
    assert main(["demo", "--sim"]) == 1
    said = capsys.readouterr().out
    assert "NOT SHOWN: 2 + 2 is 5" in said
    assert said.rstrip().endswith("Failed: Impossible.")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself_with_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`--help` has a sentence and examples that begin with the command, and exits 0."""
    with pytest.raises(SystemExit) as ended:
        main([command, "--help"])
    assert ended.value.code == 0
    assert f"examples:\n  dynalab {command}" in capsys.readouterr().out


@pytest.mark.parametrize("arguments", [[], ["dmeo"], ["demo", "--seed", "x"], ["lab", "--port", "-1"]])
def test_what_is_not_understood_is_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong command line exits 2 and says what is wrong on the error stream."""
    try:
        code = main(arguments)
    except SystemExit as ended:
        code = ended.code
    assert code == 2
    assert "dynalab" in capsys.readouterr().err


def test_the_version_is_the_package_s(capsys: pytest.CaptureFixture[str]) -> None:
    """`--version` prints the version of the package."""
    with pytest.raises(SystemExit):
        main(["--version"])
    assert capsys.readouterr().out == f"dynalab {dynalab.__version__}\n"


def test_help_is_quick_to_load() -> None:
    """The command line loads neither a world nor a drawing library to explain itself."""
    heavy = {"zmq", "numpy", "matplotlib", "dynalab.sim.cluster", "dynalab.live.cluster"}
    program = f"import sys, dynalab.cli; dynalab.cli.parser(); print(sorted(set(sys.modules) & {heavy!r}))"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert finished.stdout.strip() == "[]"


# --- what goes wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--minutes", "-1"], "--minutes must be above 0"),
        (["--minutes", "nan"], "--minutes must be above 0"),
        (["--clients", "0"], "--clients must be from 1 to 64; got 0"),
        (["--faults", "-1"], "--faults must be from 0 to 16; got -1"),
        (["--report", "/nowhere/at/all.json"], "/nowhere/at is none"),
    ],
)
def test_torture_refuses_what_cannot_be(arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Nonsense ends with 2 and a reason, before any process is started."""
    assert main(["torture", *arguments]) == 2
    assert says in capsys.readouterr().err


def test_a_missing_file_is_named_without_numbers(capsys: pytest.CaptureFixture[str]) -> None:
    """The system's own error number says nothing to a person."""
    assert main(["up", "nowhere.toml"]) == 1
    assert capsys.readouterr().err == "dynalab up: nowhere.toml: No such file or directory\n"


def test_results_that_cannot_be_written_are_refused_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The folder is made before anything is measured."""
    (tmp_path / "file").write_text("here", encoding="utf-8")
    assert main(["experiment", "all", "--out", str(tmp_path / "file" / "results")]) == 1
    said = capsys.readouterr().err
    assert "Not a directory" in said
    assert "%" not in said, "nothing was measured"


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"])
@pytest.mark.parametrize(("command", "code"), [(["put", "cart", "milk"], 2), (["get", "cart"], 1)])
def test_an_answer_that_breaks_off_leaves_a_write_unknown(
    answer: bytes, command: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """A node that dies between request and answer: a put exits 2, nobody knows; a get exits 1, nothing was changed."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def break_off() -> None:
            connection, _ = listening.accept()
            with connection:
                connection.recv(65_536)
                connection.sendall(answer)

        server = threading.Thread(target=break_off)
        server.start()
        assert main([*command, "--url", f"http://127.0.0.1:{listening.getsockname()[1]}"]) == code
        server.join()
    assert "broke off" in capsys.readouterr().err


# --- lab --------------------------------------------------------------------------------------------------------------


def test_a_clone_works_in_itself(root_dir: Path) -> None:
    """In a clone, the repository's own notebooks are opened."""
    assert lab.workplace(None) == (root_dir, "notebooks/00-tour.ipynb")


def test_elsewhere_notebooks_are_copied_once(tmp_path: Path) -> None:
    """A work folder gets the front page and every notebook; a second call overwrites nothing that a student changed."""
    folder, page = lab.workplace(tmp_path / "work")
    assert (folder / page).is_file()
    assert (folder / "README.md").is_file()
    (folder / page).write_text("mine", encoding="utf-8")
    lab.workplace(tmp_path / "work")
    assert (folder / page).read_text(encoding="utf-8") == "mine"


def test_an_installation_without_notebooks_says_so(tmp_path: Path) -> None:
    """Nothing to copy is an error with a remedy, not an empty folder."""
    with pytest.raises(FileNotFoundError, match=r"no notebooks .*install dynalab again"):
        lab.copy_new(tmp_path / "none", tmp_path / "work")
    assert not (tmp_path / "work").exists()


def test_the_lab_serves_the_tour(tmp_path: Path, root_dir: Path) -> None:
    """`dynalab lab` becomes a JupyterLab that serves the tour, and that ends when this process is told to end.

    It needs no console script and no installation: this Python, and the package these tests import.
    """
    command = [sys.executable, "-m", "dynalab.cli", "lab", "--no-browser", "--port", "0", "--folder", "work"]
    folders = {"JUPYTER_CONFIG_DIR": "config", "JUPYTER_DATA_DIR": "data", "JUPYTER_RUNTIME_DIR": "runtime"}
    environment = os.environ | {name: str(tmp_path / folder) for name, folder in folders.items()}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(root_dir), os.environ.get("PYTHONPATH"))))
    lab_process = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        address = _address(lab_process)
        assert "/lab/tree/00-tour.ipynb?token=" in address
        served = _answer(address.replace("/lab/tree/", "/files/"), lab_process)
        assert json.load(served)["nbformat"] == 4
    finally:
        lab_process.terminate()
        lab_process.communicate()
    assert lab_process.returncode == 0


def _address(server: subprocess.Popen[str]) -> str:
    """The address it prints, with a token in it; an end without one fails with all it said."""
    said = []
    for line in server.stdout:
        said.append(line)
        if line.strip().startswith("http://127.0.0.1"):
            return line.strip()
    raise AssertionError("it ended without an address:\n" + "".join(said))


def _answer(address: str, server: subprocess.Popen[str]) -> Any:
    """JupyterLab prints its address a moment before it listens, and nothing says when it does."""
    while True:
        try:
            return urlopen(address)
        except URLError:
            assert server.poll() is None, "the server has ended"
            time.sleep(0.05)


def test_jupyterlab_starts_on_the_tour(tmp_path: Path) -> None:
    """The command opens the tour in the folder, with the asked port, and a browser only if wanted."""
    command = lab.lab_command(tmp_path, "00-tour.ipynb", 8890, no_browser=True)
    assert command[:3] == [sys.executable, "-m", "jupyterlab"]
    assert {
        f"--ServerApp.root_dir={tmp_path}",
        "--port=8890",
        "--no-browser",
        "--LabApp.default_url=/lab/tree/00-tour.ipynb",
    } <= set(command)
    assert "--no-browser" not in lab.lab_command(tmp_path, "00-tour.ipynb", 8890, no_browser=False)
