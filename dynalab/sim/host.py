"""One simulated computer: its node, its disk, its timers, and what waits while it is stopped."""

from __future__ import annotations

from typing import Any

from dynalab.core.config import Config
from dynalab.core.node import Node
from dynalab.sim.disk import SimDisk

EPOCH_US = 1_192_320_000_000_000
"""The wall clock when virtual time is 0: 14 October 2007, 00:00 UTC, the first day of SOSP 2007."""

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
        epoch_us: what its wall clock said when virtual time was 0.
    """

    __slots__ = ("config", "disk", "epoch_us", "held", "name", "node", "state", "timers")

    def __init__(self, name: str, config: Config, node: Node, disk: SimDisk) -> None:
        self.name = name
        self.config = config
        self.node = node
        self.disk = disk
        self.state = UP
        self.timers: dict[str, int] = {}
        self.held: list[tuple[Any, ...]] = []
        self.epoch_us = EPOCH_US
