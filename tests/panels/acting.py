"""A panel without a browser: what it would send is kept, and what a view would ask is asked."""

from __future__ import annotations

from typing import Any

from dynalab import Simulation
from dynalab.panels import Workbench, panel


class Acted:
    """A panel and what it sent."""

    def __init__(self, target: Any, **options: Any) -> None:
        self.panel: Workbench = panel(target, **options)
        self.sent: list[dict[str, Any]] = []
        self.panel.send = lambda content, buffers=None: self.sent.append(content)

    def ask(self, word: str, **content: Any) -> None:
        """What a view's message does."""
        self.panel._hear(self.panel, {"ask": word, **content}, [])

    def verb(self, verb: str, **arguments: Any) -> dict[str, Any]:
        """What a control does; answers the last line."""
        self.ask("verb", verb=verb, arguments=arguments)
        return self.panel.lines[-1]

    def flights(self) -> list[list[Any]]:
        """All flights told so far."""
        return [flight for content in self.sent for flight in content.get("batch", {}).get("flights", [])]

    def last(self, kind: str) -> Any:
        """The last message of a kind."""
        return next(content[kind] for content in reversed(self.sent) if kind in content)


def acted(nodes: int = 5, seed: int = 7, **settings: Any) -> Acted:
    """The panel of a new simulation."""
    return Acted(Simulation(nodes, seed=seed, **settings))
