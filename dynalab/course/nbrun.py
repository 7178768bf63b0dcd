"""One run of a notebook by nbval in a forked process, with its kernel forked as well.

Theory of operation.
A kernel takes most of its time to load what a kernel needs.
So before pytest starts anything, this process forks the kernel that is going to be:
it waits, with everything loaded and nothing begun, until nbval asks jupyter_client for a kernel.

Rule 1: the kernel is forked before there is a thread or a socket here.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from threading import Lock
from time import monotonic, sleep
from typing import Any

import ipykernel.ipkernel
import ipykernel.kernelapp
import ipykernel.zmqshell
import IPython.core.completer
import nbval.plugin
import pytest
from jupyter_client.provisioning import local_provisioner

import dynalab.course.check
import dynalab.course.plugin
import dynalab.live.cluster
import dynalab.sim.cluster
from dynalab.course.jail import leave

NEEDED = (IPython.core.completer, ipykernel.ipkernel, ipykernel.zmqshell, nbval.plugin)
NEEDED_BY_CHECKS = (dynalab.course.check, dynalab.course.plugin, dynalab.live.cluster, dynalab.sim.cluster)
"""Loaded once, before a run is forked."""

KERNEL_MODULE = "ipykernel_launcher"
_POLL_S = 0.01


class Unborn:
    """A kernel that waits to be asked for, and then looks to jupyter_client as a process it has started."""

    stdin = stdout = stderr = None

    def __init__(self) -> None:
        asked, self._ask = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._ask)
            leave(lambda: _kernel(asked))
        os.setpgid(self.pid, 0)  # A group of its own before anybody can ask for its group.
        os.close(asked)
        self.returncode: int | None = None
        self._waiting = Lock()

    def launched(self, command: Sequence[str], cwd: str | None = None, env: Any = None, **_: Any) -> Unborn:
        """What `jupyter_client.launcher.launch_kernel` does: the kernel of this command, started."""
        arguments = list(command[command.index(KERNEL_MODULE) + 1 :])
        wanted = {"arguments": arguments, "cwd": str(cwd or Path.cwd()), "environment": dict(env or os.environ)}
        os.write(self._ask, json.dumps(wanted).encode())
        os.close(self._ask)
        return self

    def poll(self) -> int | None:
        """The exit code, when it has ended."""
        with self._waiting:
            if self.returncode is None:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                self.returncode = os.waitstatus_to_exitcode(status) if pid else None
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, once it has ended.

        Raises:
            TimeoutExpired: it has not, in time.
        """
        end = None if timeout is None else monotonic() + timeout
        while (code := self.poll()) is None:
            if end is not None and monotonic() > end:
                raise subprocess.TimeoutExpired(KERNEL_MODULE, timeout or 0)
            sleep(_POLL_S)
        return code

    def send_signal(self, number: int) -> None:
        """Signal the kernel, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)


def _kernel(asked: int) -> int:
    """Wait to be asked for, then be a kernel."""
    pieces = []
    while piece := os.read(asked, 1 << 16):
        pieces.append(piece)
    os.close(asked)
    if not pieces:
        return 0
    wanted = json.loads(b"".join(pieces))
    os.chdir(wanted["cwd"])
    os.environ.clear()
    os.environ.update(wanted["environment"])
    nowhere = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(nowhere, number)
    ipykernel.kernelapp.IPKernelApp.launch_instance(wanted["arguments"])
    return 0


def run(arguments: Sequence[str]) -> int:
    """Run pytest with these arguments; the one kernel it starts is forked from here."""
    kernel = Unborn()
    local_provisioner.launch_kernel = kernel.launched  # type: ignore[attr-defined, assignment]  # replaced
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"  # The ones a run needs are named.
    sys.argv = ["pytest", *arguments]
    return int(pytest.main(list(arguments)))
