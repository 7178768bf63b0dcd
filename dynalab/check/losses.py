"""What a judge must excuse: writes whose every copy was wiped before anybody could pass it on.

Theory of operation.
An acknowledgement names the nodes that had stored the write.
While one of them keeps its memory, the write must survive.
When all of them were wiped, or lost an unflushed tail in a crash, the write may be gone, and so may what it replaced.
Every successful `settle` puts a write on all homes of its key, so from then on all of those would have to be wiped.

A hint that nobody could deliver within `hint_ttl_ms` is dropped, so a write of which there were only hints may
be gone, too (a trace shows it; histories alone do not).

Rule 1: the excuse needs every node; one that still remembers ends it.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, NamedTuple

from dynalab.check.history import OK, History, Operation
from dynalab.core.clock import Dot

Homes = Callable[[str], Sequence[str]]
"""The home nodes of a key, by its text."""


def crash_forgets(config: Any) -> bool:
    """Whether a crash costs a node its memory, or an unflushed tail of it, by the settings."""
    return bool(config.storage == "memory" or config.durability != "durable")


class Loss(NamedTuple):
    """At this place in the order of things, this node forgot; or, for node '', all homes agreed."""

    order: int
    node: str


class Losses:
    """The moments at which nodes forgot, and whom that excuses.

    Args:
        history: its faults say who was wiped and when, and when the cluster was settled.
        homes: the homes of a key; None when unknown: then only acknowledgements say who held a write.
        in_a_crash: a crash loses memory too, see `crash_forgets`.
        extinct: of a run with a complete trace: the writes that no node knew any more (knowledge.py); nothing
            else is excused then.
    """

    def __init__(
        self,
        history: History,
        homes: Homes | None = None,
        in_a_crash: bool = False,
        extinct: Collection[tuple[str, Dot]] | None = None,
    ) -> None:
        self.extinct = extinct
        self.homes = homes
        self.losses = [
            Loss(fault.order, fault.node)
            for fault in history.faults
            if fault.wiped or (in_a_crash and fault.verb.startswith("crash"))
        ]
        self._timeline = sorted([*self.losses, *(Loss(note.order, "") for note in history.settled)])

    def excuse(self, operation: Operation, dot: Dot | None) -> bool:
        """Whether every node that is known to have stored this write, as `dot`, forgot it.

        Without a trace an unacknowledged write has no known holders: any later loss excuses it.
        """
        if self.extinct is not None:
            return (operation.key, dot) in self.extinct
        if operation.outcome != OK:
            return any(loss.order > operation.began for loss in self.losses)
        #: {node: home it stood in for, or ""}
        holders = dict.fromkeys(operation.nodes, "") | dict(operation.hinted)
        for order, node in self._timeline:
            if order < operation.began:
                continue
            if node:  # a stand-in may have handed its copy on to the home before that one forgot
                holders = {holder: home for holder, home in holders.items() if node not in (holder, home)}
            elif operation.ended < order and self.homes is not None:
                holders = dict.fromkeys(self.homes(operation.key), "")
            if not holders:
                return True
        return False
