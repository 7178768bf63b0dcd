"""The owner's end of the keeper: start it, give it orders, hear its notices (see `keeper`).

The only place where code becomes bytes: a student's parts go to the owner's own children, over their standard input.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from io import BytesIO
from pathlib import Path
from threading import Lock, Thread
from types import CodeType
from typing import Any

from dynalab.core.config import Parts
from dynalab.live.folder import LOGS
from dynalab.live.frames import Bear, Failed, Hand, Notice, Open, Order, order_frame, read_frame, read_notice
from dynalab.live.spec import PartsFrame, Spec, encode

PACKAGE = Path(__file__).parent.parent
END_S = 10
"""How long a keeper may take to kill and bury its nodes."""

KEEPER = "dynalab.live.keeper" if hasattr(os, "fork") else "dynalab.live.spawning"


def pickled(parts: Parts) -> bytes:
    """A student's parts for the nodes; empty when nothing is replaced."""
    if not parts.given():
        return b""
    import cloudpickle

    class KeepsFileNames(cloudpickle.Pickler):  # type: ignore[misc]
        """Newer ones of cloudpickle call every file ``<dynamic-code>``: a traceback could not show its lines."""

        dispatch_table = cloudpickle.Pickler.dispatch_table.new_child()

    plainly = KeepsFileNames.dispatch_table[CodeType]

    def reduced(code: CodeType) -> tuple[Any, ...]:
        make, arguments = plainly(code)
        return code_of_file, (code.co_filename, make, *arguments)

    KeepsFileNames.dispatch_table[CodeType] = reduced
    written = BytesIO()
    KeepsFileNames(written).dump(parts)
    return written.getvalue()


def code_of_file(name: str, make: Callable[..., CodeType], *arguments: Any) -> CodeType:
    """Code that knows in which file it was written: what a node makes of `pickled` code."""
    return make(*arguments).replace(co_filename=name)


class KeeperHandle:
    """One running keeper.

    Args:
        folder: the runtime folder; the keeper removes it at the end.
        on_notice: gets every notice, on a thread of this object.
        module: which keeper to run.
    """

    def __init__(self, folder: Path, on_notice: Callable[[Notice], None], module: str = KEEPER) -> None:
        self._folder = folder
        self._on_notice = on_notice
        self._writing = Lock()
        self._process = self._start(module)
        self._order(Open(str(folder), tuple(path for path in sys.path if path)))
        self._listener = Thread(target=self._listen, name="dynalab-keeper", daemon=True)
        self._listener.start()

    def _start(self, module: str) -> subprocess.Popen[bytes]:
        paths = [str(PACKAGE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
        with (self._folder / LOGS / "keeper.log").open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-P", "-m", module],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
            )

    @property
    def pid(self) -> int:
        """The keeper's process id."""
        return self._process.pid

    def bear(self, spec: Spec) -> None:
        """Start a process for a node."""
        self._order(Bear(spec.node, spec.run, str(self.log(spec.node)), encode(spec)))

    def hand(self, nodes: Sequence[str], number: int, parts: bytes) -> None:
        """Pass new parts to these nodes."""
        self._order(Hand(tuple(nodes), encode(PartsFrame(number, parts))))

    def log(self, node: str) -> Path:
        """Where a node's output goes; the keeper's own for ``keeper``."""
        return self._folder / LOGS / f"node-{node}.log"

    def _order(self, order: Order) -> None:
        assert self._process.stdin is not None
        with self._writing:
            self._process.stdin.write(order_frame(order))
            self._process.stdin.flush()

    def _listen(self) -> None:
        """Until the keeper and all nodes are gone; waiting for the keeper then leaves no zombie."""
        assert self._process.stdout is not None
        with self._process.stdout as notices:
            while (frame := read_frame(notices)) is not None:
                self._on_notice(read_notice(frame))
        status = self._process.wait()
        self._on_notice(Failed("", 0, f"the keeper ended with status {status}"))

    def close(self) -> None:
        """Let the keeper kill its nodes and remove the runtime folder; wait until it has."""
        with self._writing:
            if self._process.stdin is not None and not self._process.stdin.closed:
                with contextlib.suppress(BrokenPipeError):  # It was gone already.
                    self._process.stdin.close()
        self._process.wait(END_S)
        self._listener.join(END_S)
