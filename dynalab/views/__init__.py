"""Still pictures of values and traces: networkx graphs, and matplotlib drawings of them.

Each name is loaded when it is first asked for, and with a drawing matplotlib.
networkx is slow to load and comes with the first graph that is made:
a ring without cuts, bars and lines are drawn without it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dynalab.views import colours as colours
    from dynalab.views.chart import draw_bars as draw_bars
    from dynalab.views.chart import draw_lines as draw_lines
    from dynalab.views.merkle_drawing import difference_graph as difference_graph
    from dynalab.views.merkle_drawing import draw_difference as draw_difference
    from dynalab.views.messages import message_graph as message_graph
    from dynalab.views.picture import Picture as Picture
    from dynalab.views.picture import show as show
    from dynalab.views.ring import ring_graph as ring_graph
    from dynalab.views.ring_drawing import draw_ring as draw_ring
    from dynalab.views.timeline import draw_timeline as draw_timeline
    from dynalab.views.version_drawing import draw_versions as draw_versions
    from dynalab.views.versions import version_graph as version_graph

#: {public name: the module it lives in}; no module may be called like a name of another, it would hide it
_HOME = {
    "Picture": "picture",
    "difference_graph": "merkle_drawing",
    "draw_bars": "chart",
    "draw_difference": "merkle_drawing",
    "draw_lines": "chart",
    "draw_ring": "ring_drawing",
    "draw_timeline": "timeline",
    "draw_versions": "version_drawing",
    "message_graph": "messages",
    "ring_graph": "ring",
    "show": "picture",
    "version_graph": "versions",
}

__all__ = [*sorted(_HOME), "colours"]  # noqa: PLE0604 - all strings; ruff cannot see through the table


def __getattr__(name: str) -> Any:
    if name == "colours":
        return import_module("dynalab.views.colours")
    if name not in _HOME:
        raise AttributeError(f"dynalab.views has no name {name!r}; dir(dynalab.views) lists them")
    return getattr(import_module(f"dynalab.views.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return list(__all__)
