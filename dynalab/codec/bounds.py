"""Readers of msgpack, compiled once per type from the annotations of the core and their bounds (`Bound`).

Theory of operation.
The core says types and bounds; msgspec checks both while it builds the values, in C, if it is told in its own words.
`readers` translates, and answers what reads strangers' bytes: the value within all its bounds, or an error.
msgspec learns the fields of a named tuple from its class, once, when the reader is made.
There the core's own words stand, so other ones are shown in their place just then (`_own_words`).

Rule 1: everything that can be long or large has a bound: a field without its own gets its type's (`_DEFAULTS`),
and a type this module does not know is refused when it compiles.
Rule 2: nothing is optional: every field is there, in its place, so equal values are equal bytes.
Rule 3: where the core is loose for a student's convenience, the table `_NESTED` here is strict.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from sys import float_info
from types import GenericAlias, NoneType, UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from msgspec import Meta, msgpack

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


Reader = Callable[[bytes | memoryview], Any]
"""What answers the value in these bytes, within all its bounds, or raises `msgspec.MsgspecError`."""

_Shown = dict[type, dict[str, Any]]
"""``{named tuple: {field: type}}``, the types in msgspec's words."""


def readers(hints: Iterable[Any], of_lists: bool = False) -> list[Reader]:
    """A reader for each of these types.

    Args:
        hints: types as annotated, with or without `Bound`; named tuples may nest.
        of_lists: read lists of such values; how long they may be is for the caller to say.

    Raises:
        TypeError: nothing here bounds one of them.

    >>> (read,) = readers([Dot])
    >>> read(bytes.fromhex("92 a141 07"))
    Dot(actor='A', counter=7)
    >>> read(bytes.fromhex("92 a141 ff"))
    Traceback (most recent call last):
    msgspec.ValidationError: Expected `int` >= 0 - at `$[1]`
    """
    shown: _Shown = {}
    types = [bounded(hint, shown) for hint in hints]
    if of_lists:
        types = [GenericAlias(list, (kind,)) for kind in types]
    with _own_words(shown):
        return [msgpack.Decoder(kind).decode for kind in types]


@contextmanager
def _own_words(shown: _Shown) -> Iterator[None]:
    """While this lasts, named tuples have the types in `shown`, and no defaults: so msgspec demands every field.

    It keeps what it learned at the class, and in the readers made here. From the class that is taken away again:
    whoever else reads these types is told what the core says.
    """
    names = ("__annotations__", "_field_defaults", "__msgspec_cache__")
    kept = {kind: {name: vars(kind)[name] for name in names if name in vars(kind)} for kind in shown}
    own: dict[str, Any]
    try:
        for kind, fields in shown.items():
            _put(kind, names, {"__annotations__": fields, "_field_defaults": {}})
        yield
    finally:
        for kind, own in kept.items():
            _put(kind, names, own)
            assert "__annotations__" in own, f"where does this Python keep the annotations of {kind.__name__}?"


def _put(kind: type, names: Iterable[str], own: Mapping[str, Any]) -> None:
    """Let a class have of these attributes just its `own`."""
    for name in names:
        if name in own:
            setattr(kind, name, own[name])
        elif name in vars(kind):
            delattr(kind, name)


def bounded(hint: Any, shown: _Shown) -> Any:
    """The type, in msgspec's words, of exactly the values that `hint` and its `Bound` allow.

    A named tuple remains itself; `shown` gets its fields.

    Raises:
        TypeError: nothing here bounds this type.

    >>> bounded(Annotated[bytes, Bound(1, 16)], {})
    typing.Annotated[bytes, msgspec.Meta(min_length=1, max_length=16)]
    """
    kind, bound = _parts(hint)
    if hasattr(kind, "_fields"):
        if kind not in shown:
            hints = get_type_hints(kind, include_extras=True) | _NESTED.get(kind, {})
            shown[kind] = {name: bounded(hints[name], shown) for name in kind._fields}
        return kind
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
        return _lengthy(bytes, bound or _DEFAULTS[bytes]) | None
    return _collection(kind, bound or _COLLECTION_DEFAULT, shown)


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


def _collection(kind: Any, bound: Bound, shown: _Shown) -> Any:
    """A tuple or dict with its items bounded; a fixed tuple has the length it has."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin not in (tuple, dict, Mapping):
        raise TypeError(f"nothing here bounds a {kind!r}")
    if origin is tuple and arguments[1:] == (Ellipsis,):
        return _lengthy(GenericAlias(tuple, (bounded(arguments[0], shown), Ellipsis)), bound)
    items = tuple(bounded(argument, shown) for argument in arguments)
    if origin is tuple:
        return GenericAlias(tuple, items)
    return _lengthy(GenericAlias(dict, items), bound)
