"""A saved trace, looked at without any cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dynalab.codec.trace import Trace
from dynalab.panels.still import bundle_of


class Replay:
    """A saved trace and its panel.

    Attributes:
        trace: the trace.
    """

    def __init__(self, trace: Trace) -> None:
        self.trace = trace

    def panel(self, **options: Any) -> Any:
        """The workbench of this trace."""
        from dynalab.panels.workbench import panel

        return panel(self.trace, **options)

    def __repr__(self) -> str:
        return f"<Replay of {self.trace!r}>"

    def _repr_mimebundle_(self, **_: Any) -> Any:
        return bundle_of(self.trace)


def replay(path: str | Path) -> Replay:
    """A saved trace: ``dynalab.replay("x.trace").panel()``.

    Raises:
        OSError, ValueError: see `Trace.load`.
    """
    return Replay(Trace.load(path))
