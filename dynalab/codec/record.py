"""What a storage engine writes, as bytes, and bytes from a disk as records or nothing.

Theory of operation.
A record on disk is like a message on the wire: one byte for the version of this format,
one byte for the record's place in `RECORDS`, and its fields as one msgpack array within bounds.
A log keeps changes, so there is a record for everything that `core.store.Store` can stage;
other engines keep `Record`, `Hint` and `MetaPut` as values.
Where the cluster wants it, the fields of a large record are packed (`codec.packing`).
A **batch** is what one commit made durable: an array of records, all or nothing.

Rule 1: what could not be read again is not written: encoding judges its own bytes by the bounds of decoding.
Rule 2: `decode_record` and `decode_batch` answer values within their bounds or raise `WireError`;
a disk is a stranger too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, NamedTuple

import msgspec

from dynalab.codec.bounds import Actor, WireError, readers
from dynalab.codec.packing import PACKED, packed, unpacked
from dynalab.core.messages import Bound, Counter, Key, NodeId, RequestId
from dynalab.core.store import Hint, Record

__all__ = ["RECORDS", "VERSION", "WireError", "decode_batch", "decode_record", "encode_batch", "encode_record"]

VERSION = 1

META_DEPTH_MAX = 16
"""Lists and dicts inside each other in a `MetaPut`."""

Blob = Annotated[bytes, Bound(0, 64 * 1024 * 1024)]


class KeyPut(NamedTuple):
    """`Store.put`."""

    key: Key
    record: Record


class KeyForgotten(NamedTuple):
    """`Store.forget`."""

    key: Key


class HintDropped(NamedTuple):
    """`Store.drop_hint`."""

    home: NodeId
    key: Key


class MetaPut(NamedTuple):
    """`Store.put_meta`; the value is the msgpack of built-in values."""

    name: Annotated[str, Bound(1, 128)]
    value: Blob


class RequestSeen(NamedTuple):
    """`Store.remember`."""

    request: RequestId
    actor: Actor
    counter: Counter


class End(NamedTuple):
    """A snapshot is whole: so many records came before this one."""

    records: Counter


RECORDS: tuple[type, ...] = (Record, Hint, KeyPut, KeyForgotten, HintDropped, MetaPut, RequestSeen, End)
"""Every record; the place in this tuple is its number on disk. `Hint` is `Store.put_hint`."""


def _plain(value: object) -> object:
    """A clock that a student's part built is a mapping, though not a dict."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a {type(value).__name__} has no place in a record")


_encode = msgspec.msgpack.Encoder(enc_hook=_plain).encode

#: by the record's number
_READERS = readers(RECORDS)
_HEADS: dict[type, bytes] = {kind: bytes([VERSION, number]) for number, kind in enumerate(RECORDS)}
_JUDGES = dict(zip(RECORDS, _READERS, strict=True))

_read_batch = msgspec.msgpack.Decoder(list[memoryview]).decode

_UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError, TypeError)
_UNSAYABLE = (TypeError, ValueError, OverflowError, RecursionError)


def encode_record(record: Any, compress_bytes: int = 0) -> bytes:
    """The bytes of one of `RECORDS`; with `compress_bytes`, those of a record as long as that are packed.

    Raises:
        WireError: it is none of them, or holds what could not be read again.
    """
    kind = type(record)
    if kind not in _HEADS:
        raise WireError(f"{kind.__name__} is not a record of a store")
    try:
        fields = _encode(record)
        _JUDGES[kind](fields)
    except _UNSAYABLE as error:
        raise WireError(f"{kind.__name__} cannot be stored: {error}") from error
    head, smaller = _HEADS[kind], packed(fields, compress_bytes) if compress_bytes else None
    return head + fields if smaller is None else bytes([VERSION | PACKED, head[1]]) + smaller


def decode_record(data: bytes | memoryview) -> Any:
    """The record in `data`.

    Raises:
        WireError: another version, an unknown record, wrong types, or a field out of its bounds.

    >>> decode_record(encode_record(KeyForgotten(b"cart")))
    KeyForgotten(key=b'cart')
    """
    if len(data) < 2 or data[0] & ~PACKED != VERSION or data[1] >= len(_READERS):
        raise WireError(f"a record begins with version {VERSION} and its kind; got {bytes(data[:2])!r}")
    fields = unpacked(data[2:]) if data[0] & PACKED else data[2:]
    try:
        return _READERS[data[1]](fields)
    except _UNREADABLE as error:
        raise WireError(f"{RECORDS[data[1]].__name__}: {error}") from None


def encode_batch(records: Sequence[bytes]) -> bytes:
    """The encoded records of one commit, in the order they were staged, as one payload."""
    return _encode(records)


def decode_batch(data: bytes | memoryview) -> list[Any]:
    """The records of one commit.

    Raises:
        WireError: a part of it is no record; then none of it counts.

    >>> decode_batch(encode_batch([encode_record(KeyForgotten(b"cart")), encode_record(End(1))]))
    [KeyForgotten(key=b'cart'), End(records=1)]
    """
    try:
        parts = _read_batch(data)
    except _UNREADABLE as error:
        raise WireError(f"a batch is an array of records: {error}") from None
    return [decode_record(part) for part in parts]


# --- small values -----------------------------------------------------------------------------------------------------


def encode_meta(name: str, value: Any) -> bytes:
    """The record of a small value of built-in types; tuples become lists."""
    try:
        blob = _encode(value)
    except _UNSAYABLE as error:
        raise WireError(f"{name} cannot be stored: {error}") from error
    decode_meta(blob)
    return encode_record(MetaPut(name, blob))


def decode_meta(blob: bytes) -> Any:
    """The value in `MetaPut.value`: None, bool, int, float, str, bytes, lists and dicts.

    Raises:
        WireError: it holds anything else, or is nested deeper than `META_DEPTH_MAX`.

    >>> decode_meta(decode_record(encode_meta("seeds", ("A", "B"))).value)
    ['A', 'B']
    """
    try:
        value = msgspec.msgpack.decode(blob)
    except _UNREADABLE as error:
        raise WireError(f"a small value cannot be read: {error}") from None
    _judge_plain(value, META_DEPTH_MAX)
    return value


def _judge_plain(value: Any, depth: int) -> None:
    if depth == 0:
        raise WireError(f"a small value is nested deeper than {META_DEPTH_MAX}")
    if isinstance(value, dict):
        for key, item in value.items():
            _judge_plain(key, 1)
            _judge_plain(item, depth - 1)
    elif isinstance(value, list):
        for item in value:
            _judge_plain(item, depth - 1)
    elif value is not None and type(value) not in (bool, int, float, str, bytes):
        raise WireError(f"a small value holds a {type(value).__name__}")
