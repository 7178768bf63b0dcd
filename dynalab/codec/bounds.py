"""Bounds of decoded values, compiled once per type from the annotations of the core (`Bound`).

Theory of operation.
The core says types and bounds; msgspec checks both while it parses, in C, if it is told in its own words.
`bounded` translates: a named tuple becomes the plain tuple of its fields, each with its range or length.
Whoever decodes strangers' bytes first lets a decoder of the bounded type judge them, then builds the real values.
(Parsing twice costs a third of checking the built values in Python.)

Rule 1: everything that can be long or large has a bound: a field without its own gets its type's (`_DEFAULTS`),
and a type this module does not know is refused when it compiles.
Rule 2: nothing is optional: every field is there, in its place, so equal values are equal bytes.
Rule 3: where the core is loose for a student's convenience, the table `_NESTED` here is strict.
"""

from __future__ import annotations

from collections.abc import Mapping
from sys import float_info
from types import GenericAlias, NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from msgspec import Meta

from dynalab.core.clock import SEAL_BYTES, Context, Dot
from dynalab.core.config import KEY_BYTES_MAX
from dynalab.core.messages import Bound, Counter, Key, Micros, NodeId, Value
from dynalab.core.store import Hint
from dynalab.core.version import Siblings, Version

ITEMS_MAX = 10_000
"""Clock entries, versions, or dots of one key; items of an inner collection without a bound of its own."""

Actor = Annotated[str, Bound(1, 128)]
Clock = Annotated[dict[Actor, Counter], Bound(0, ITEMS_MAX)]
Touches = Annotated[dict[Actor, Micros], Bound(0, ITEMS_MAX)]
Dots = Annotated[tuple[Dot, ...], Bound(0, ITEMS_MAX)]

_NESTED: dict[type, dict[str, Any]] = {
    # An empty actor is `NO_DOT`, of a version that never met a coordinator.
    Dot: {"actor": Annotated[str, Bound(0, 128)], "counter": Counter},
    Context: {"entries": Clock, "dots": Dots, "seal": Annotated[bytes, Bound(0, SEAL_BYTES)]},
    Version: {"value": Value, "clock": Clock, "wall_us": Micros, "touched": Touches},
    Siblings: {"clock": Clock, "versions": Annotated[tuple[Version, ...], Bound(0, ITEMS_MAX)], "dots": Dots},
    Hint: {"home": NodeId, "key": Key},
}

_DEFAULTS: dict[Any, Bound] = {
    str: Bound(0, 128),
    bytes: Bound(0, KEY_BYTES_MAX),
    int: Bound(-(2**63), 2**63 - 1),
}
_COLLECTION_DEFAULT = Bound(0, ITEMS_MAX)


class WireError(ValueError):
    """These bytes are not what they should be, or not within its bounds; or this value cannot become bytes."""


def bounded(hint: Any) -> Any:
    """The type, in msgspec's words, of exactly the values that `hint` and its `Bound` allow.

    Args:
        hint: a type as annotated, with or without `Bound`; named tuples may nest.

    Raises:
        TypeError: nothing here bounds this type.

    >>> bounded(Annotated[bytes, Bound(1, 16)])
    typing.Annotated[bytes, msgspec.Meta(min_length=1, max_length=16)]
    """
    kind, bound = _parts(hint)
    if hasattr(kind, "_fields"):
        return _fields(kind)
    if kind is bool:
        return bool
    if kind is float:
        return Annotated[float, Meta(ge=-float_info.max, le=float_info.max)]  # Neither infinite nor NaN.
    if kind is int:
        bound = bound or _DEFAULTS[int]
        return Annotated[int, Meta(ge=bound.low, le=bound.high)]
    if kind in (str, bytes):
        return _lengthy(kind, bound or _DEFAULTS[kind])
    if _is_optional_bytes(kind):
        # A view: a value of 1 MiB is judged without being copied.
        return _lengthy(memoryview, bound or _DEFAULTS[bytes]) | None
    return _collection(kind, bound or _COLLECTION_DEFAULT)


def _parts(hint: Any) -> tuple[Any, Bound | None]:
    """The bare type, and its bound if it has one."""
    if get_origin(hint) is not Annotated:
        return hint, None
    kind, *metadata = get_args(hint)
    bounds = [data for data in metadata if isinstance(data, Bound)]
    return kind, bounds[-1] if bounds else None


def _lengthy(kind: Any, bound: Bound) -> Any:
    return Annotated[kind, Meta(min_length=bound.low, max_length=bound.high)]


def _is_optional_bytes(kind: Any) -> bool:
    return get_origin(kind) in (UnionType, Union) and set(get_args(kind)) == {bytes, NoneType}


def _fields(kind: Any) -> Any:
    """A named tuple as the plain tuple of its bounded fields."""
    hints = get_type_hints(kind, include_extras=True) | _NESTED.get(kind, {})
    return GenericAlias(tuple, tuple(bounded(hints[name]) for name in kind._fields))


def _collection(kind: Any, bound: Bound) -> Any:
    """A tuple or dict with its items bounded; a fixed tuple has the length it has."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is tuple and arguments[1:] == (Ellipsis,):
        return _lengthy(GenericAlias(tuple, (bounded(arguments[0]), Ellipsis)), bound)
    if origin is tuple:
        return GenericAlias(tuple, tuple(map(bounded, arguments)))
    if origin in (dict, Mapping):
        return _lengthy(GenericAlias(dict, tuple(map(bounded, arguments))), bound)
    raise TypeError(f"nothing here bounds a {kind!r}")
