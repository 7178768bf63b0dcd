"""`dynalab lab`: JupyterLab on the tour."""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import dynalab

HELP = "open JupyterLab on the tour"
EXAMPLES = (
    "dynalab lab                          in a clone: its notebooks; else: a copy in ./dynalab-lab",
    "dynalab lab --folder ~/dynamo        work in this folder",
    "dynalab lab --no-browser --port 8890",
)

START = "00-tour.ipynb"
WORK_FOLDER = "dynalab-lab"
AT_HOME = (
    "--LabApp.news_url=",
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    "--LabApp.extension_manager=readonly",
)
"""JupyterLab asks nobody outside: a classroom may be offline."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("--folder", type=Path, help="copy the notebooks here and work there; nothing is overwritten")
    parser.add_argument("--no-browser", action="store_true", help="only print the address")
    parser.add_argument("--port", type=int, default=8888, help="the first port to try (default: 8888)")


def run(options: argparse.Namespace) -> int:
    """Become JupyterLab; where a process cannot become another one, start it and return its exit code."""
    from dynalab.cli import FAILED, NOT_UNDERSTOOD

    if not 0 <= options.port <= 65_535:
        print(f"dynalab lab: --port must be from 0 to 65535; got {options.port}", file=sys.stderr)
        return NOT_UNDERSTOOD
    if find_spec("jupyterlab") is None:
        print('dynalab lab: JupyterLab is not installed; pip install "dynalab[lab]"', file=sys.stderr)
        return FAILED
    root, page = workplace(options.folder)
    print(f"dynalab lab: {page} in {root}; Ctrl-C ends it", flush=True)
    command = lab_command(root, page, options.port, options.no_browser)
    if os.name == "posix":  # JupyterLab takes this process over, and so every signal meant for it.
        os.execv(command[0], command)  # noqa: S606 - no shell is wanted
    return subprocess.run(command, check=False).returncode


def lab_command(root: Path, page: str, port: int, no_browser: bool) -> list[str]:
    """The command that starts JupyterLab in `root`, on `page`."""
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={root}", f"--port={port}"]
    command += [f"--LabApp.default_url=/lab/tree/{page}", *AT_HOME]
    if hasattr(os, "geteuid") and os.geteuid() == 0:  # As in most containers.
        command += ["--allow-root"]
    return command + (["--no-browser"] if no_browser else [])


def workplace(folder: Path | None) -> tuple[Path, str]:
    """Where to work, and the tour's path in there: a clone itself, or a folder with a copy of the notebooks."""
    home = Path(dynalab.__file__).parent
    clone = home.parent
    if folder is None and (clone / "pyproject.toml").is_file() and (clone / "notebooks" / START).is_file():
        return clone, f"notebooks/{START}"
    packaged = home / "notebooks"
    source = packaged if packaged.is_dir() else clone / "notebooks"
    target = (folder or Path(WORK_FOLDER)).expanduser().resolve()
    copy_new(source, target)
    if (home / "exercises").is_dir():
        copy_new(home / "exercises", target / "exercises")
    return target, START


def copy_new(source: Path, target: Path) -> None:
    """Copy what `target` does not have yet: a student's own work is never overwritten.

    Raises:
        OSError: there is nothing to copy, or the folder cannot be written.
    """
    if not source.is_dir():
        raise FileNotFoundError(f"this installation has no notebooks at {source}; install dynalab again")
    for path in sorted([*source.rglob("*.ipynb"), *source.rglob("README.md")]):
        copy = target / path.relative_to(source)
        if not copy.exists() and ".ipynb_checkpoints" not in path.parts:
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)
