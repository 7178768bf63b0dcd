"""What stands in for a panel where there is no kernel: words always, a picture where the views are installed.

A notebook on a web page, in an e-mail or in print shows this.

Rule: equal clusters give equal words, whatever time it is.
"""

from __future__ import annotations

import base64
from html import escape
from typing import Any

from dynalab.core.errors import DynalabError
from dynalab.panels.subject import FILE, Subject


def bundle_of(target: Any) -> Any:
    """What a bare ``cluster`` shows in a notebook: its panel; elsewhere, and without widgets, its words.

    Returns:
        ``{mime type: content}``, or that and its metadata.
    """
    words = {"text/plain": repr(target)}
    if not in_a_notebook():
        return words
    try:
        from dynalab.panels.workbench import panel
    except ImportError:
        return words
    shown, metadata = panel(target)._repr_mimebundle_()
    return {**shown, **words}, metadata


def in_a_notebook() -> bool:
    """Whether a kernel, and so perhaps a browser, is there to show a widget."""
    try:
        from IPython import get_ipython
    except ImportError:
        return False
    return getattr(get_ipython(), "kernel", None) is not None


def still_of(subject: Subject) -> dict[str, Any]:
    """``{mime type: content}``: text, and a picture or, without matplotlib, a table."""
    said: dict[str, Any] = {"text/plain": text_of(subject)}
    if subject.kind == FILE:
        return said
    picture = picture_of(subject)
    return {**said, **({"image/png": picture} if picture is not None else {"text/html": table_of(subject)})}


def text_of(subject: Subject) -> str:
    """The nodes and their states, on one line each; no time, no count that would change by itself."""
    if subject.kind == FILE:
        return f"the workbench of {subject.target!r}"
    config = subject.target.config
    states = subject.target.states()
    head = f"the workbench of {len(states)} nodes, N={config.n} R={config.r} W={config.w}"
    return "\n".join([head, *(f"  {node}: {state}" for node, state in states.items())])


def table_of(subject: Subject) -> str:
    """The same as an HTML table."""
    rows = "".join(
        f"<tr><td>{escape(node)}</td><td>{escape(state)}</td></tr>" for node, state in subject.target.states().items()
    )
    return f"<table><tr><th>node</th><th>state</th></tr>{rows}</table>"


def picture_of(subject: Subject) -> str | None:
    """The ring as a PNG in base64; None where it cannot be drawn."""
    try:
        from dynalab.views.picture import png_of
        from dynalab.views.ring_drawing import draw_ring
    except ImportError:
        return None
    try:
        return base64.b64encode(png_of(draw_ring(subject.target))).decode()
    except DynalabError:
        return None
