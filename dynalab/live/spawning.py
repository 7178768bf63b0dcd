"""The keeper where the system cannot fork: it starts an interpreter for every node (see `keeper`).

The same orders, the same notices, the same end; slower to start and larger in memory, because nothing is shared.
Threads are fine here: one for each node waits for its end.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from threading import Lock, Thread
from typing import IO

from dynalab.live import folder
from dynalab.live.frames import Bear, Ended, Hand, Open, Order, Started, framed, notify, read_frame, read_order


class SpawningKeeper:
    """Starts nodes by `subprocess`; run it in the main thread of a process of its own.

    Args:
        notices: descriptor to write notices to; the nodes write to it, too.
    """

    def __init__(self, notices: int) -> None:
        self._notices = notices
        self._folder: Path | None = None
        self._lock: folder.Lock | None = None
        self._paths: tuple[str, ...] = ()
        #: {node: its present process}
        self._children: dict[str, subprocess.Popen[bytes]] = {}
        self._burials: list[Thread] = []
        self._telling = Lock()

    def run(self) -> None:
        """Obey until standard input ends; then kill every node and remove the runtime folder."""
        try:
            while (frame := read_frame(sys.stdin.buffer)) is not None:
                self._obey(read_order(frame))
        finally:
            self._clear_up()

    def _obey(self, order: Order) -> None:
        if isinstance(order, Bear):
            self._bear(order)
        elif isinstance(order, Hand):
            for node in order.nodes:
                self._give(node, order.content)
        else:
            self._open(order)

    def _open(self, order: Open) -> None:
        self._folder = Path(order.folder)
        self._lock = folder.Lock(self._folder)
        self._paths = order.paths

    def _bear(self, order: Bear) -> None:
        with Path(order.log).open("ab") as log:
            child = subprocess.Popen(
                [sys.executable, "-P", "-m", "dynalab.live.process"],
                stdin=subprocess.PIPE,
                stdout=self._notices,
                stderr=log,
                env=os.environ | {"PYTHONPATH": os.pathsep.join([*filter(None, sys.path), *self._paths])},
            )
        self._children[order.node] = child
        self._tell(Started(order.node, order.run, child.pid))
        burial = Thread(target=self._bury, args=(order, child), daemon=True)
        burial.start()
        self._burials.append(burial)
        self._give(order.node, order.spec)

    def _give(self, node: str, content: bytes) -> None:
        """On a thread of its own, because a paused node does not read."""
        pipe = self._children[node].stdin
        assert pipe is not None
        Thread(target=_pour, args=(pipe, framed(content)), daemon=True).start()

    def _bury(self, order: Bear, child: subprocess.Popen[bytes]) -> None:
        status = child.wait()
        self._tell(Ended(order.node, order.run, status))

    def _tell(self, notice: Started | Ended) -> None:
        with self._telling:
            try:
                notify(self._notices, notice)
            except OSError:
                return  # Nobody listens any more: standard input is about to end.

    def _clear_up(self) -> None:
        for child in self._children.values():
            child.kill()
        for burial in self._burials:
            burial.join()
        if self._lock is not None and self._folder is not None:
            self._lock.close()
            shutil.rmtree(self._folder, ignore_errors=True)


def _pour(pipe: IO[bytes], content: bytes) -> None:
    try:
        pipe.write(content)
        pipe.flush()
    except OSError:
        return  # The node has ended; its burial tells.


def main() -> None:
    """Keep a cluster, by starting interpreters."""
    notices = os.dup(1)
    os.dup2(2, 1)
    SpawningKeeper(notices).run()


if __name__ == "__main__":
    main()
