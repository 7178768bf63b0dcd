"""What a panel is about: a live cluster, a simulation, or a saved trace, behind one face.

Rule: only the public verbs of a cluster are used, so whatever has them can be shown.
"""

from __future__ import annotations

from bisect import bisect_right
from contextlib import suppress
from typing import Any

from dynalab.core.errors import DynalabError
from dynalab.core.trace import TraceEvent

SIM, LIVE, FILE = "sim", "live", "file"


class Subject:
    """One cluster, simulation or trace.

    Args:
        target: it.
        name: what a notebook calls it; None: found out.
        kind: of it; None: found out.

    Attributes:
        kind: ``sim``, ``live`` or ``file``.
        name: the variable to write code lines with.
    """

    def __init__(self, target: Any, name: str | None = None, kind: str | None = None) -> None:
        self.target = target
        self.kind = kind or kind_of(target)
        self.name = name or variable_of(target) or {SIM: "sim", LIVE: "cluster", FILE: "trace"}[self.kind]

    @property
    def closed(self) -> bool:
        """Whether it has ended."""
        return bool(getattr(self.target, "closed", False))

    @property
    def now_us(self) -> int:
        """Its own time: virtual, or since the start of the cluster."""
        if self.kind == SIM:
            return int(self.target.now_ms * 1000 + 0.5)
        return int(self.target[-1].time_us) if self.kind == FILE and len(self.target) else 0

    @property
    def gaps(self) -> int:
        """How many events are known to be missing in its trace."""
        return self.target.gaps if self.kind == FILE else 0

    def events_since(self, seq: int) -> list[TraceEvent]:
        """The trace events with a greater seq, in order."""
        if self.kind == SIM:
            events: list[TraceEvent] = self.target.events[seq:]
            return events
        trace = self.target if self.kind == FILE else self.target.trace
        start = bisect_right(trace, seq, key=lambda event: event.seq)
        return list(trace[start:])

    def inspections(self, full: bool = False) -> dict[str, dict[str, Any]]:
        """What every running node tells of itself; one that went down in between has no say."""
        return self.inspections_of([node for node, state in self.target.states().items() if state == "up"], full)

    def inspections_of(self, nodes: list[str], full: bool = True) -> dict[str, dict[str, Any]]:
        """What these nodes tell of themselves, those of them that can."""
        seen = {}
        for node in nodes:
            with suppress(DynalabError):
                seen[node] = self.target.inspect(node, full)
        return seen

    def log_tail(self, node: str, lines: int) -> list[str]:
        """The last lines a node has written."""
        text: str = self.target.logs(node, lines)
        return text.splitlines()[-lines:]


def kind_of(target: Any) -> str:
    """Which kind of thing this is, by what it can do."""
    if hasattr(target, "to_shiviz"):
        return FILE
    return SIM if hasattr(target, "step") and hasattr(target, "seed") else LIVE


def variable_of(target: Any) -> str:
    """The name that the notebook's user has given it, so that code lines can be copied; empty: none."""
    with suppress(ImportError):
        from IPython import get_ipython

        shell = get_ipython()
        if shell is not None:
            named = [name for name, value in shell.user_ns.items() if value is target]
            return next((name for name in named if not name.startswith("_")), "")
    return ""
