"""Widgets over clusters and views, for a notebook.

Each name is loaded when it is first asked for, so that a picture without a notebook needs no widgets.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dynalab.panels.replay import Replay as Replay
    from dynalab.panels.workbench import Workbench as Workbench
    from dynalab.panels.workbench import panel as panel

#: {public name: the module it lives in}
_HOME = {"Replay": "replay", "Workbench": "workbench", "panel": "workbench"}

__all__ = [*sorted(_HOME)]  # noqa: PLE0604 - all strings; ruff cannot see through the table


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"dynalab.panels has no name {name!r}; dir(dynalab.panels) lists them")
    return getattr(import_module(f"dynalab.panels.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
