"""The workbench as a web page of its own, for a projector: what ``dynalab demo --web`` shows.

Theory of operation.
Voila runs a small notebook, shows its output alone, and hides its code; the page is the workbench in full width.
Each page has a kernel and a cluster of its own, which end when it is closed or loaded again.
Notebook, template and connection files lie in a folder of their own, and go with the server.
The server runs in a session of its own: a Ctrl-C is for us, and we end it, in one way whatever the signal.

Voila's own template asks another host for a font of icons; ours, which extends it, does not.

Rule: the page is served on this machine only, and asks no other host for anything.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

WORLDS = ("live", "sim")
THEMES = ("light", "dark")
NOTEBOOK = "workbench.ipynb"

_CODE = {
    "live": "from dynalab import Cluster\n\ncluster = Cluster({nodes}, close_after_ms=0)\ncluster.panel(big=True)",
    "sim": "from dynalab import Simulation\n\nsim = Simulation({nodes}, seed={seed})\nsim.panel(big=True)",
}


TEMPLATE = "dynalab"

STOP_S = 20
"""A server that has not ended so long after it was asked to is ended."""

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


def notebook_of(nodes: int = 5, world: str = "live", seed: int = 7) -> dict[str, Any]:
    """The notebook that the page is made of.

    Args:
        nodes: of the cluster, 1 to 100.
        world: ``live`` processes, or the ``sim``ulation.
        seed: of the simulation.

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
        "source": _CODE[world].format(nodes=nodes, seed=seed),
    }
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return {"cells": [cell], "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}


def command_of(notebook: Path, port: int, browser: bool = True, theme: str = "light") -> list[str]:
    """The command that serves a notebook as a page.

    Raises:
        ModuleNotFoundError: Voila is not installed; the text says how to get it.
    """
    if find_spec("voila") is None:
        raise ModuleNotFoundError('the web page needs Voila, and it is not installed: pip install "dynalab[lab]"')
    command = [sys.executable, "-m", "voila", str(notebook), f"--port={port}", "--Voila.port_retries=0"]
    command += ["--Voila.ip=127.0.0.1", f"--Voila.connection_dir_root={notebook.parent}", f"--theme={theme}"]
    command += ["--strip_sources=True", "--show_tracebacks=True", f"--template={TEMPLATE}"]
    return command if browser else [*command, "--no-browser"]


def serve(
    nodes: int = 5,
    world: str = "live",
    port: int = 8866,
    browser: bool = True,
    *,
    seed: int = 7,
    theme: str = "light",
    told: Callable[[str], object] = print,
    run: Callable[[Sequence[str], Path], int] | None = None,
) -> int:
    """Serve the workbench until Ctrl-C or another signal to end; answers the exit code, 0 after a signal.

    Args:
        nodes: of the cluster.
        world: ``live`` or ``sim``.
        port: on 127.0.0.1, 0 to 65535; 0: chosen by the system.
        browser: whether to open one.
        seed: of the simulation.
        theme: ``light`` or ``dark``.
        told: hears where the page is, as soon as it can be opened, and what the server complains about.
        run: runs a command with a folder on Jupyter's path; None: as a process that is waited for.

    Raises:
        ValueError: an argument is out of its range.
        ModuleNotFoundError: Voila is not installed.
        OSError: the port is taken.
    """
    if not isinstance(port, int) or isinstance(port, bool) or not 0 <= port <= 65535:
        raise ValueError(f"port must be an integer from 0 to 65535; got {port!r}")
    if theme not in THEMES:
        raise ValueError(f"theme is one of {', '.join(THEMES)}; got {theme!r}")
    content = json.dumps(notebook_of(nodes, world, seed))
    with tempfile.TemporaryDirectory(prefix="dynalab-web-") as name:
        folder = Path(name)
        notebook = folder / NOTEBOOK
        notebook.write_text(content, encoding="utf-8")
        write_template(folder)
        command = command_of(notebook, free_port(port), browser, theme)
        return run(command, folder) if run else _waited_for(command, folder, told)


def free_port(port: int) -> int:
    """This port of 127.0.0.1 if it is free; 0: one that is.

    Raises:
        OSError: somebody listens there.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            raise OSError(f"port {port} of 127.0.0.1 cannot be used ({error.strerror}); choose another one") from error
        return int(probe.getsockname()[1])


def write_template(folder: Path) -> None:
    """Put our page template where Voila finds it, with `folder` on Jupyter's path."""
    template = folder / "voila" / "templates" / TEMPLATE
    template.mkdir(parents=True)
    for name, text in _TEMPLATE_FILES.items():
        (template / name).write_text(text, encoding="utf-8")


def _waited_for(command: Sequence[str], folder: Path, told: Callable[[str], object]) -> int:
    """Run a server until it ends, or we are asked to end it."""
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("JUPYTER_PATH")]))
    with _signals_raise():
        process = subprocess.Popen(
            command,
            env={**os.environ, "JUPYTER_PATH": path},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        try:
            _relay(process.stderr or (), told)
            return process.wait()
        except KeyboardInterrupt:
            _end(process)
            return 0
        finally:
            if process.stderr:
                process.stderr.close()


@contextmanager
def _signals_raise() -> Iterator[None]:
    """Whoever ends us by a signal interrupts us as Ctrl-C does, so that nothing is left behind."""

    def interrupt(_number: int, _frame: object) -> None:
        raise KeyboardInterrupt

    names = [name for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    if threading.current_thread() is not threading.main_thread():
        names = []  # Signals are the main thread's.
    known = {getattr(signal, name): signal.getsignal(getattr(signal, name)) for name in names}
    heard = {number: handler for number, handler in known.items() if handler is not signal.SIG_IGN}
    for number in heard:
        signal.signal(number, interrupt)
    try:
        yield
    finally:
        for number, handler in heard.items():
            signal.signal(number, handler)


def _relay(lines: Iterable[str], told: Callable[[str], object]) -> None:
    """Tell where the page is, once it can be opened, and all that is more than information."""
    informs = False
    for line in lines:
        if line.startswith("http://"):
            told(f"The workbench is at {line.strip()} - Ctrl-C ends it.")
            continue
        if line.startswith("["):
            informs = not re.match(r"\[\w+\] (WARNING|ERROR|CRITICAL) ", line)
        if not informs:
            told(line.rstrip())


def _end(process: subprocess.Popen[str]) -> None:
    """End a server: it ends its kernels, and they their clusters."""
    process.terminate()
    try:
        process.wait(STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
