"""Values of any annotated type of the core, within its bounds: what round-trip and fuzz tests feed on."""

from __future__ import annotations

from collections.abc import Mapping
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

from hypothesis import strategies as st

from dynalab.codec.bounds import _COLLECTION_DEFAULT, _DEFAULTS, _NESTED, _parts
from dynalab.core.messages import MESSAGES, Bound

#: Longer values than these teach a round trip nothing.
LENGTH_MAX = 24
ITEMS_MAX = 4


def values_of(hint: Any) -> st.SearchStrategy[Any]:
    """Any value that `hint` and its `Bound` allow, kept short."""
    kind, bound = _parts(hint)
    if hasattr(kind, "_fields"):
        return _named_tuples(kind)
    if kind is bool:
        return st.booleans()
    if kind is float:
        return st.floats(allow_nan=False, allow_infinity=False)
    if kind is int:
        limits = bound or _DEFAULTS[int]
        return st.integers(limits.low, limits.high)
    if kind is str:
        limits = _short(bound or _DEFAULTS[str])
        return st.text(st.characters(exclude_categories=["Cs"]), min_size=limits.low, max_size=limits.high)
    if kind is bytes:
        limits = _short(bound or _DEFAULTS[bytes])
        return st.binary(min_size=limits.low, max_size=limits.high)
    if get_origin(kind) in (UnionType, Union):
        return st.none() | st.binary(max_size=LENGTH_MAX)
    return _collections(kind, bound or _COLLECTION_DEFAULT)


def _short(bound: Bound) -> Bound:
    return Bound(bound.low, min(bound.high, max(bound.low, LENGTH_MAX)))


def _named_tuples(kind: Any) -> st.SearchStrategy[Any]:
    hints = get_type_hints(kind, include_extras=True) | _NESTED.get(kind, {})
    return st.tuples(*(values_of(hints[field]) for field in kind._fields)).map(kind._make)


def _collections(kind: Any, bound: Bound) -> st.SearchStrategy[Any]:
    origin, arguments = get_origin(kind), get_args(kind)
    most = min(bound.high, ITEMS_MAX)
    if origin is tuple and arguments[1:] == (Ellipsis,):
        return st.lists(values_of(arguments[0]), min_size=bound.low, max_size=most).map(tuple)
    if origin is tuple:
        return st.tuples(*map(values_of, arguments))
    assert origin in (dict, Mapping), kind
    return st.dictionaries(*map(values_of, arguments), max_size=most)


def messages() -> st.SearchStrategy[Any]:
    """Any message of the protocol."""
    return st.sampled_from(MESSAGES).flatmap(_named_tuples)
