"""One trace event as one line for people: what transcripts, tables and ShiViz logs read aloud."""

from __future__ import annotations

from typing import Any

from dynalab.core.trace import TraceEvent

TEXT_MAX = 120
"""Characters of one shown value."""

_ARROWS = {"send": "->", "receive": "<-", "drop": "-x"}


def sentence(event: TraceEvent, with_node: bool = True) -> str:
    """What happened, on one line, without the time.

    Values longer than `TEXT_MAX` characters are cut; details stand in the order they were noted.

    >>> sentence(TraceEvent(1, 0, "A", "send", "ReplicaPut", "B", b"cart", detail={"hops": 1}))
    "A -> B ReplicaPut 'cart' hops=1"
    >>> sentence(TraceEvent(2, 0, "B", "suspect", peer="C", detail={"why": "silent"}), with_node=False)
    'suspect C why=silent'
    """
    words = [event.node] if with_node else []
    if event.kind in _ARROWS:
        words += [_ARROWS[event.kind], event.peer, event.message]
    else:
        words += [event.kind, event.message, event.peer]
    words += [shown(event.key, quoted=True)] if event.key else []
    words += [f"{name}={shown(value)}" for name, value in event.detail.items()]
    return " ".join(word for word in words if word)


def shown(value: Any, quoted: bool = False) -> str:
    """A value on one line: text as it is, bytes as text where they are text, collections in brackets.

    >>> shown({"A": 1, "who": [b"milk", None]})
    "{A: 1, who: ['milk', none]}"
    """
    text = _shown(value, quoted)
    return text if len(text) <= TEXT_MAX else text[: TEXT_MAX - 3] + "..."


def _shown(value: Any, quoted: bool) -> str:
    if value is None:
        return "none"
    if isinstance(value, bytes):
        return repr(_text(value)) if quoted else _one_line(_text(value))
    if isinstance(value, str):
        return repr(value) if quoted else _one_line(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_shown(name, False)}: {_shown(item, True)}" for name, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_shown(item, isinstance(item, bytes)) for item in value) + "]"
    return _one_line(str(value))


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return "0x" + value.hex()


def _one_line(text: str) -> str:
    return text if text.isprintable() else repr(text)[1:-1]
