"""One simulated computer: its node, its disk, its timers, and what waits while it is stopped."""

from __future__ import annotations

from typing import Any

from dynalab.core.config import Config
from dynalab.core.node import Node
from dynalab.sim.disk import SimDisk

UP, CRASHED, PAUSED = "up", "crashed", "paused"


class Host:
    """The place a node runs at.

    Attributes:
        name: of the node.
        config: the cluster's settings, with what was said of this node when it joined.
        node: the running node; after a crash the one that was running.
        disk: what survives a crash.
        state: `UP`, `CRASHED` or `PAUSED`.
        timers: ``{name: token of the latest setting}``.
        held: entries of the heap that came due while the node was paused, in order.
        skew_us: by how much its wall clock is wrong.
    """

    __slots__ = ("config", "disk", "held", "name", "node", "skew_us", "state", "timers")

    def __init__(self, name: str, config: Config, node: Node, disk: SimDisk) -> None:
        self.name = name
        self.config = config
        self.node = node
        self.disk = disk
        self.state = UP
        self.timers: dict[str, int] = {}
        self.held: list[tuple[Any, ...]] = []
        self.skew_us = 0
