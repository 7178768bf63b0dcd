from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynalab.codec.record import (
    META_DEPTH_MAX,
    RECORDS,
    End,
    KeyForgotten,
    KeyPut,
    RequestSeen,
    WireError,
    decode_batch,
    decode_meta,
    decode_record,
    encode_batch,
    encode_meta,
    encode_record,
)
from dynalab.core.store import Hint, Record
from dynalab.core.version import Siblings, Version
from tests.codec.strategies import values_of

MILK = Record(Siblings().put("A", b"milk", None), "A")

records = st.sampled_from(RECORDS).flatmap(values_of)


@pytest.mark.parametrize("kind", RECORDS, ids=lambda kind: kind.__name__)
def test_every_record_survives_the_disk(kind: type) -> None:
    """A record read is the record written: equal and of the same type."""

    @given(values_of(kind))
    def survives(record: Any) -> None:
        read = decode_record(encode_record(record))
        assert type(read) is kind
        assert read == record

    survives()


@given(st.lists(records, max_size=5))
def test_a_batch_keeps_its_order(batch: list[Any]) -> None:
    """What one commit wrote comes back whole and in order."""
    assert decode_batch(encode_batch([encode_record(record) for record in batch])) == batch


@given(records, st.data())
def test_damaged_records_are_noticed_or_harmless(record: Any, data: st.DataObject) -> None:
    """A cut record is WireError; one with flipped bits is WireError or another record within bounds."""
    whole = encode_record(record)
    with pytest.raises(WireError):
        decode_record(whole[: data.draw(st.integers(0, len(whole) - 1))])
    damaged = bytearray(whole)
    place = data.draw(st.integers(0, len(whole) * 8 - 1))
    damaged[place // 8] ^= 1 << place % 8
    try:
        read = decode_record(bytes(damaged))
    except WireError:
        return
    assert decode_record(encode_record(read)) == read


@given(st.binary(max_size=200))
def test_random_bytes_are_no_records(data: bytes) -> None:
    """Random bytes read as a record, as a batch or as a small value answer a value or WireError."""
    for read in (decode_record, decode_batch, decode_meta):
        try:
            read(data)
        except WireError as error:
            assert str(error)  # noqa: PT017 - most runs end here; that each says why is the rule.


@pytest.mark.parametrize(
    "record",
    [
        KeyForgotten(b""),
        KeyForgotten(bytes(1025)),
        KeyPut(b"k", Record(Siblings({"A": 2**53}))),
        KeyPut(b"k", Record(Siblings({"A": 1}, (Version("text", {"A": 1}),)))),
        KeyPut(b"k", Record(Siblings(), "A" * 129)),
        Hint("", b"k", MILK, 0),
        Hint("B", b"k", MILK, 2**63),
        RequestSeen("r", "A", -1),
        End(2**80),
        ("no", "record"),
    ],
    ids=repr,
)
def test_what_could_not_be_read_is_not_written(record: Any) -> None:
    """A record out of its bounds is refused when it is written, not lost when it is read."""
    with pytest.raises(WireError):
        encode_record(record)


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False) | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text() | st.integers(0, 9), inner, max_size=4),
    max_leaves=10,
)


@given(plain)
def test_small_values_survive(value: Any) -> None:
    """Built-in values, nested, come back equal."""
    assert decode_meta(decode_record(encode_meta("name", value)).value) == value


def _nested(depth: int) -> list[Any]:
    return [_nested(depth - 1)] if depth else []


@pytest.mark.parametrize(
    "value",
    [object(), 2**80, "\ud800", _nested(META_DEPTH_MAX), bytes(65 * 1024 * 1024), datetime(2007, 10, 14, tzinfo=UTC)],
    ids=["object", "huge", "surrogate", "deep", "large", "time"],
)
def test_small_values_are_plain(value: Any) -> None:
    """What is not a small built-in value is refused when it is written."""
    with pytest.raises(WireError):
        encode_meta("name", value)


def test_extensions_are_not_plain() -> None:
    """msgpack's extensions are refused when they are read."""
    with pytest.raises(WireError, match="holds a"):
        decode_meta(msgspec.msgpack.encode([msgspec.msgpack.Ext(1, b"")]))
