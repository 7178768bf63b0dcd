"""How a cluster begins: names of nodes, and settings that fit them.

Both worlds found a cluster from the same words, so the words are checked in one place.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from dynalab.core.config import Config, Parts
from dynalab.core.errors import InvalidSetting

NODES_MAX = 1_000
NAME_LENGTH_MAX = 64
_RESERVED = ("cluster", "client")
_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def node_names(nodes: int | Iterable[str]) -> tuple[str, ...]:
    """The names of the founding nodes: A, B, C ... for a number, or those of a list.

    Raises:
        InvalidSetting: no node, above 1,000, a name that is not allowed or is given twice.

    >>> node_names(3), node_names(28)[-1]
    (('A', 'B', 'C'), 'AB')
    """
    if isinstance(nodes, int) and not isinstance(nodes, bool):
        if not 1 <= nodes <= NODES_MAX:
            raise InvalidSetting(f"a cluster has 1 to {NODES_MAX} nodes; got {nodes}")
        return tuple(_letters(number) for number in range(nodes))
    if isinstance(nodes, (str, bytes, bool)) or not isinstance(nodes, Iterable):
        raise InvalidSetting(f"name the nodes by a number, or by a list of names; got {nodes!r:.80}")
    names = tuple(checked_name(name) for name in nodes)
    twice = [name for place, name in enumerate(names) if name in names[:place]]
    if twice:
        raise InvalidSetting(f"two nodes cannot both be called {twice[0]!r}")
    if not 1 <= len(names) <= NODES_MAX:
        raise InvalidSetting(f"a cluster has 1 to {NODES_MAX} nodes; got {len(names)} names")
    return names


def checked_name(name: str) -> str:
    """`name`, if a node may be called so.

    Raises:
        InvalidSetting: not 1 to 64 letters, digits, ``_``, ``-`` or ``.``, or a word the trace uses itself.

    >>> checked_name("ann-2")
    'ann-2'
    """
    if not isinstance(name, str) or not 1 <= len(name) <= NAME_LENGTH_MAX or not all(map(_may_be_in_a_name, name)):
        raise InvalidSetting(
            f"a node's name has 1 to {NAME_LENGTH_MAX} letters, digits, '_', '-' or '.'; got {name!r:.80}"
        )
    if name in _RESERVED:
        raise InvalidSetting(f"a node cannot be called {name!r}: the trace means something else by it")
    return name


def founded_config(
    names: Iterable[str],
    n: int | None = None,
    r: int | None = None,
    w: int | None = None,
    config: Config | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Config:
    """The settings of a cluster of these nodes.

    N, R and W that nobody named shrink to fit a small cluster; R and W that nobody named shrink to fit N.
    The number of key ranges that nobody named grows to fit a large one.

    Raises:
        InvalidSetting: a setting is unknown or out of its range, or N was named and there are fewer nodes,
            or fewer key ranges than nodes.

    >>> founded_config(["A", "B"]).n
    2
    """
    count = len(tuple(names))
    named = {name: value for name, value in (("n", n), ("r", r), ("w", w)) if value is not None}
    base = config or Config()
    if not isinstance(base, Config):
        raise InvalidSetting(f"config takes Config(...); got {config!r:.80}")
    try:
        fitted = base.with_(**{**_fitting(base, count, named, free=config is None), **_as_text(settings or {})})
    except (ValueError, TypeError) as error:
        raise InvalidSetting(str(error)) from None
    if fitted.n > count:
        raise InvalidSetting(f"n={fitted.n} replicas need as many nodes; the cluster has {count}")
    if fitted.strategy != 1 and fitted.partitions < count:
        raise InvalidSetting(
            f"{count} nodes cannot share partitions={fitted.partitions} key ranges; give at least {count}"
        )
    return fitted


def _as_text(settings: Mapping[str, Any]) -> Mapping[str, Any]:
    """The settings, with `data_dir` as text when it came as a path."""
    path = getattr(settings.get("data_dir"), "__fspath__", None)
    return settings if path is None else {**settings, "data_dir": path()}


def checked_parts(parts: Parts | None) -> Parts:
    """`parts`, or none at all.

    Raises:
        InvalidSetting: something else was given.
    """
    if not isinstance(parts, Parts | None):
        raise InvalidSetting(f"parts takes Parts(...); got {parts!r:.80}")
    return parts or Parts()


def _fitting(base: Config, count: int, named: Mapping[str, Any], free: bool) -> dict[str, Any]:
    """N, R and W: as named; else, when `free`, what the defaults and the cluster's size allow."""
    if not free:
        return dict(named)
    copies = named.get("n", base.n if {"r", "w"} & named.keys() else min(base.n, count))
    small = {name: min(getattr(base, name), copies) for name in ("r", "w") if isinstance(copies, int)}
    return {"n": copies, "partitions": _partitions_for(count, base.partitions), **small, **named}


def _partitions_for(count: int, usual: int) -> int:
    """Key ranges for so many nodes, where nobody named a number: at least four for each (6.2, "Q >> S")."""
    while usual < 4 * count:
        usual *= 2
    return usual


def _may_be_in_a_name(character: str) -> bool:
    return character.isascii() and (character.isalnum() or character in "_-.")


def _letters(number: int) -> str:
    """The spreadsheet's names: A to Z, AA, AB ..."""
    letters = _ALPHABET[number % 26]
    return letters if number < 26 else _letters(number // 26 - 1) + letters
