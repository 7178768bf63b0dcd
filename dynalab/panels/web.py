"""The workbench as a web page of its own, for a projector: what ``dynalab demo --web`` shows.

Theory of operation.
Voila runs a small notebook, shows its output alone, and hides its code; the page is the workbench in full width.
The notebook is written to a folder of its own, and goes with the server.

Voila's own template asks another host for a font of icons; ours, which extends it, does not.

Rule: the page is served on this machine only, and asks no other host for anything.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

WORLDS = ("live", "sim")
NOTEBOOK = "workbench.ipynb"

_CODE = {
    "live": "from dynalab import Cluster\n\ncluster = Cluster({nodes})\ncluster.panel()",
    "sim": "from dynalab import Simulation\n\nsim = Simulation({nodes}, seed=7)\nsim.panel()",
}


TEMPLATE = "dynalab"

_TEMPLATE_FILES = {
    "conf.json": '{"base_template": "lab"}',
    "index.html.j2": """\
{%- extends 'voila/templates/lab/index.html.j2' -%}
{% import "spinner.macro.html.j2" as spinner %}
{%- block notebook_css -%}
{% if frontend == "voila" %}{{ resources.include_js("static/voila-style.js") }}{% endif %}
{{ spinner.css() }}
<style>.jp-mod-noOutputs.jp-mod-noInput { display: none; }</style>
{{ super.super() }}
{%- endblock notebook_css -%}
""",
}


def notebook_of(nodes: int = 5, world: str = "live") -> dict[str, Any]:
    """The notebook that the page is made of.

    Args:
        nodes: of the cluster, 1 to 100.
        world: ``live`` processes, or the ``sim``ulation.

    Raises:
        ValueError: an argument is out of its range.
    """
    if world not in WORLDS:
        raise ValueError(f"world is one of {', '.join(WORLDS)}; got {world!r}")
    if not isinstance(nodes, int) or isinstance(nodes, bool) or not 1 <= nodes <= 100:
        raise ValueError(f"nodes must be an integer from 1 to 100; got {nodes!r}")
    cell: dict[str, Any] = {
        "cell_type": "code",
        "id": "workbench",
        "metadata": {},
        "execution_count": None,
        "outputs": [],
        "source": _CODE[world].format(nodes=nodes),
    }
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return {"cells": [cell], "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def command_of(notebook: Path, port: int, browser: bool) -> list[str]:
    """The command that serves a notebook as a page.

    Raises:
        ModuleNotFoundError: Voila is not installed; the text says how to get it.
    """
    if find_spec("voila") is None:
        raise ModuleNotFoundError("the web page needs Voila, and it is not installed: pip install voila")
    command = [sys.executable, "-m", "voila", str(notebook), f"--port={port}", "--Voila.ip=127.0.0.1"]
    command += ["--strip_sources=True", "--show_tracebacks=True", f"--template={TEMPLATE}"]
    return command if browser else [*command, "--no-browser"]


def serve(
    nodes: int = 5,
    world: str = "live",
    port: int = 8866,
    browser: bool = True,
    run: Callable[[Sequence[str], Path], int] | None = None,
) -> int:
    """Serve the workbench until the server is stopped (Ctrl-C); answers the server's exit code.

    Args:
        nodes: of the cluster.
        world: ``live`` or ``sim``.
        port: on 127.0.0.1, 0 to 65535; 0: chosen by the system.
        browser: whether to open one.
        run: runs a command with a folder on Jupyter's path; None: as a process that is waited for.

    Raises:
        ValueError: an argument is out of its range.
        ModuleNotFoundError: Voila is not installed.
    """
    if not isinstance(port, int) or isinstance(port, bool) or not 0 <= port <= 65535:
        raise ValueError(f"port must be an integer from 0 to 65535; got {port!r}")
    content = json.dumps(notebook_of(nodes, world))
    with tempfile.TemporaryDirectory(prefix="dynalab-web-") as folder:
        notebook = Path(folder) / NOTEBOOK
        notebook.write_text(content, encoding="utf-8")
        write_template(Path(folder))
        return (run or _waited_for)(command_of(notebook, port, browser), Path(folder))


def write_template(folder: Path) -> None:
    """Put our page template where Voila finds it, with `folder` on Jupyter's path."""
    template = folder / "voila" / "templates" / TEMPLATE
    template.mkdir(parents=True)
    for name, text in _TEMPLATE_FILES.items():
        (template / name).write_text(text, encoding="utf-8")


def _waited_for(command: Sequence[str], folder: Path) -> int:
    """Run a server; a Ctrl-C is the usual end of one."""
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("JUPYTER_PATH")]))
    process = subprocess.Popen(command, env={**os.environ, "JUPYTER_PATH": path})
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.terminate()
        process.wait()
        return 0
