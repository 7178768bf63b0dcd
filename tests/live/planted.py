"""A keeper whose nodes have planted faults, set off by keys: run it as `Cluster(..., keeper="tests.live.planted")`."""

from __future__ import annotations

from typing import Any

from dynalab.core.node import Node
from dynalab.core.store import MemoryStore
from dynalab.live import keeper

BUG = b"bug"
BROKEN_DISK = b"broken disk"


def with_a_bug(handle: Any) -> Any:
    def handle_or_fail(self: Node, event: Any, now_us: int, wall_us: int) -> Any:
        if getattr(getattr(event, "message", None), "key", b"") == BUG:
            raise ArithmeticError("a planted bug")
        return handle(self, event, now_us, wall_us)

    return handle_or_fail


def on_a_broken_disk(commit: Any) -> Any:
    def commit_or_fail(self: MemoryStore) -> None:
        if self.get(BROKEN_DISK) is not None:
            raise OSError(28, "No space left on device")
        commit(self)

    return commit_or_fail


if __name__ == "__main__":
    Node.handle = with_a_bug(Node.handle)  # type: ignore[method-assign]
    MemoryStore.commit = on_a_broken_disk(MemoryStore.commit)  # type: ignore[method-assign]
    keeper.main()
