"""The keeper of one cluster: it bears the nodes' processes, buries them, and leaves nothing behind.

Theory of operation.
The owner of a cluster starts one keeper, and gives it orders over its standard input.
Where the system can fork, the keeper loads everything a node needs once, and forks a node per order:
a node then starts in milliseconds and shares most of its memory with the others.
Elsewhere it starts an interpreter per node (`spawning`).

    owner ──stdin──▶ keeper ──stdin──▶ node A, node B, ...
      ▲                 │                 │
      └─────stdout──────┴─────────────────┘     notices: started, ready, failed, halted, ended

When its standard input ends, its owner is gone or done:
it kills every node, the paused ones too, removes the runtime folder, and ends.

Rule 1: no socket, no ZeroMQ context and no thread before a fork; a forked child would inherit half of each.
Rule 2: children are buried at once; a zombie would hold up whoever waits for it.
"""

from __future__ import annotations

import gc
import os
import resource
import selectors
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from dynalab.disk import log
from dynalab.live import process
from dynalab.live.folder import Lock
from dynalab.live.frames import Bear, Ended, FrameBuffer, Halted, Hand, Open, Order, Started, framed, notify, read_order

PARENT_CHECK_S = 1.0
"""How often to look whether the owner still lives.

Its end closes our standard input, unless another child of it holds the other end open.
"""

LOADED = (process, log)
"""What every node needs: loaded here once, shared by all."""

FILES = 65_536
"""Descriptors a process may have; one of a higher number cannot exist."""

_PR_SET_PDEATHSIG = 1
_PIECE = 1 << 16


class Child:
    """One node's process, and the pipe to its standard input."""

    def __init__(self, node: str, run: int, pid: int, pipe: int) -> None:
        self.node = node
        self.run = run
        self.pid = pid
        self.pipe = pipe
        #: bytes that did not fit into the pipe yet
        self.unsent = b""


class Keeper:
    """The loop of the forking keeper.

    Args:
        orders: descriptor to read orders from.
        notices: descriptor to write notices to.
    """

    def __init__(self, orders: int, notices: int) -> None:
        self._orders = orders
        self._notices = notices
        self._owner = os.getppid()
        self._frames = FrameBuffer()
        self._folder: Path | None = None
        self._lock: Lock | None = None
        #: {process id: Child}
        self._children: dict[int, Child] = {}
        self._ending = False
        self._selector = selectors.DefaultSelector()
        self._selector.register(orders, selectors.EVENT_READ)
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_read, False)
        os.set_blocking(self._wake_write, False)
        self._selector.register(self._wake_read, selectors.EVENT_READ)

    def run(self) -> None:
        """Obey and bury until the owner is gone; then clear up."""
        self._watch_signals()
        try:
            while not self._ending:
                self._turn()
        except BrokenPipeError:
            pass  # Nobody hears our notices any more: the owner is gone.
        finally:
            self._clear_up()

    def _watch_signals(self) -> None:
        signal.set_wakeup_fd(self._wake_write)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._end)
        for ignored in (signal.SIGINT, signal.SIGHUP):
            signal.signal(ignored, signal.SIG_IGN)

    def _end(self, *_: object) -> None:
        self._ending = True

    def _turn(self) -> None:
        for key, _ in self._selector.select(PARENT_CHECK_S):
            if key.fd == self._orders:
                self._hear()
            elif key.fd == self._wake_read:
                os.read(self._wake_read, _PIECE)
            else:
                self._pour(key.data)
        self._bury()
        if os.getppid() != self._owner:
            self._ending = True

    # Orders ------------------------------------------------------------------------------------

    def _hear(self) -> None:
        piece = os.read(self._orders, _PIECE)
        if not piece:
            self._ending = True
        for frame in self._frames.add(piece):
            self._obey(read_order(frame))

    def _obey(self, order: Order) -> None:
        if isinstance(order, Bear):
            self._bear(order)
        elif isinstance(order, Hand):
            for child in [child for child in self._children.values() if child.node in order.nodes]:
                self._give(child, framed(order.content))
        else:
            self._open(order)

    def _open(self, order: Open) -> None:
        self._folder = Path(order.folder)
        self._lock = Lock(self._folder)
        sys.path[:] = [*sys.path, *(path for path in order.paths if path not in sys.path)]

    def _bear(self, order: Bear) -> None:
        orders, pipe = os.pipe()
        keeper = os.getpid()
        pid = os.fork()
        if pid == 0:
            _live(orders, self._notices, Path(order.log), keeper)
        os.close(orders)
        os.set_blocking(pipe, False)
        child = Child(order.node, order.run, pid, pipe)
        self._children[pid] = child
        notify(self._notices, Started(order.node, order.run, pid))
        self._give(child, framed(order.spec))

    def _give(self, child: Child, content: bytes) -> None:
        child.unsent += content
        self._pour(child)

    def _pour(self, child: Child) -> None:
        """Write what the pipe takes; a paused node takes the rest when it runs again."""
        try:
            while child.unsent:
                child.unsent = child.unsent[os.write(child.pipe, child.unsent[:_PIECE]) :]
        except BlockingIOError:
            pass  # The selector says when there is room again.
        except BrokenPipeError:
            child.unsent = b""  # It has ended; its burial comes next.
        watched = child.pipe in self._selector.get_map()
        if child.unsent and not watched:
            self._selector.register(child.pipe, selectors.EVENT_WRITE, child)
        elif watched and not child.unsent:
            self._selector.unregister(child.pipe)

    # Children ----------------------------------------------------------------------------------

    def _bury(self) -> None:
        """Hear of every child that was halted, went on, or ended."""
        while self._children:
            pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
            if pid == 0:
                return
            child = self._children[pid]
            if os.WIFSTOPPED(status) or os.WIFCONTINUED(status):
                notify(self._notices, Halted(child.node, child.run, os.WIFSTOPPED(status)))
            else:
                self._forget(child)
                notify(self._notices, Ended(child.node, child.run, os.waitstatus_to_exitcode(status)))

    def _forget(self, child: Child) -> None:
        del self._children[child.pid]
        if child.pipe in self._selector.get_map():
            self._selector.unregister(child.pipe)
        os.close(child.pipe)

    def _clear_up(self) -> None:
        """Kill and bury every node, then remove the runtime folder."""
        for pid in self._children:
            os.kill(pid, signal.SIGKILL)  # Not yet buried, so the number is still the child's.
        for child in list(self._children.values()):
            os.waitpid(child.pid, 0)
            self._forget(child)
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)


def _live(orders: int, notices: int, log: Path, keeper: int) -> None:
    """Become a node; never returns."""
    status = 1
    try:
        _be_born(orders, notices, log, keeper)
        status = process.main(os.fdopen(0, "rb", closefd=False), 3)
    finally:
        os._exit(status)  # The keeper's own clearing up is not the child's to do.


def _be_born(orders: int, notices: int, log: Path, keeper: int) -> None:
    """Keep nothing of the keeper's but its memory: descriptors, signals and fate are the node's own."""
    signal.set_wakeup_fd(-1)
    for name in (signal.SIGCHLD, signal.SIGTERM, signal.SIGHUP):
        signal.signal(name, signal.SIG_DFL)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    for source, target in ((orders, 0), (output, 1), (output, 2), (notices, 3)):
        os.dup2(source, target)
    os.closerange(4, FILES)  # Other nodes' pipes above all: they must end when the keeper does.
    _die_with(keeper)


def _die_with(keeper: int) -> None:
    """Linux: if even the keeper is killed, its nodes go with it, the paused ones too."""
    if _prctl is not None:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != keeper:
        os._exit(0)


def _load_prctl() -> Callable[[int, int], int] | None:
    if not sys.platform.startswith("linux"):
        return None
    import ctypes

    prctl: Callable[[int, int], int] = ctypes.CDLL(None).prctl
    return prctl


_prctl = _load_prctl()


def allow_many_files() -> None:
    """As many descriptors as the system grants: strangers' half-open connections must not use them up."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if most == resource.RLIM_INFINITY else min(FILES, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, most))


def main() -> None:
    """Keep a cluster, by forking."""
    allow_many_files()
    notices = os.dup(1)
    os.dup2(2, 1)
    gc.collect()
    gc.freeze()  # What is loaded now is never collected, so a child's collector does not copy its pages.
    Keeper(0, notices).run()


if __name__ == "__main__":
    main()
