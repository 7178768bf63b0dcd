from __future__ import annotations

import math
import tracemalloc
import zlib
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynalab.codec import wire
from dynalab.codec.bounds import ITEMS_MAX, readers
from dynalab.codec.packing import PACKED, UNPACKED_MAX
from dynalab.codec.wire import MESSAGE_BYTES_MAX, WireError, decode, encode
from dynalab.core.clock import COUNTER_MAX, Context, Dot, VectorClock
from dynalab.core.config import VALUE_BYTES_MAX
from dynalab.core.messages import (
    MESSAGES,
    ClientPut,
    Gossip,
    KeysGetDone,
    Member,
    Ping,
    ReplicaGet,
    ReplicaPut,
    ReplicaPutDone,
)
from dynalab.core.version import Siblings, Version
from tests.codec.strategies import messages, values_of

CORPUS = Path(__file__).parent / "corpus"

MILK = Siblings().put("A", b"milk", None)
PUT = ReplicaPut("alice-1", b"cart", MILK)


def _raw(message: Any) -> bytes:
    """The bytes of any named tuple that calls itself a message, whether or not it is within its bounds."""
    return bytes([wire.VERSION, MESSAGES.index(type(message))]) + msgspec.msgpack.encode(message)


# --- round trips ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
def test_every_message_survives_the_wire(kind: type) -> None:
    """A message decoded is the message encoded: equal, of the same type, and the same bytes again."""

    @given(values_of(kind))
    def survives(message: Any) -> None:
        data = encode(message)
        heard = decode(data)
        assert type(heard) is kind
        assert heard == message
        assert encode(heard) == data

    survives()


def test_what_is_nested_keeps_its_type() -> None:
    """Contexts, dots, siblings and versions arrive as themselves, with their methods."""
    heard = decode(encode(ClientPut("r", b"k", b"v", (Context({"A": 1}, (Dot("A", 3),)),), False, 3, 2, 2, 0)))
    assert heard.contexts[0].covers(Dot("A", 3))
    assert decode(encode(PUT)).siblings.values == [b"milk"]


def test_a_view_decodes_like_bytes() -> None:
    """The transport need not copy a frame before decoding it, and the message does not hold on to the frame."""
    frame = bytearray(encode(PUT))
    heard = decode(memoryview(frame))
    frame[:] = bytes(len(frame))
    assert heard == PUT
    assert type(heard.siblings.versions[0].value) is bytes


def test_a_vector_clock_travels_as_its_counters() -> None:
    """A clock that a student's part built as a VectorClock arrives as the same counters."""
    version = Version(b"v", VectorClock({"A": 2}), Dot("A", 2))
    heard = decode(encode(ReplicaPut("r", b"k", Siblings({"A": 2}, (version,)))))
    assert heard.siblings.versions[0].clock == {"A": 2}


# --- what cannot be sent ----------------------------------------------------------------------------------------------


class Stranger(NamedTuple):
    """Not of the protocol."""

    number: int


@pytest.mark.parametrize(
    "message",
    [Stranger(1), None, Ping(2**80), ReplicaGet("\ud800", b"k"), ReplicaGet(object(), b"k")],
    ids=["stranger", "none", "huge", "surrogate", "object"],
)
def test_what_is_no_message_is_not_sent(message: Any) -> None:
    """Encoding what the protocol cannot say is a WireError that names the message."""
    with pytest.raises(WireError, match=type(message).__name__):
        encode(message)


def test_a_message_too_long_is_not_sent() -> None:
    """More bytes than any receiver takes are refused by the sender already."""
    value = bytes(MESSAGE_BYTES_MAX)
    with pytest.raises(WireError, match="at most"):
        encode(ReplicaPut("r", b"k", Siblings({"A": 1}, (Version(value, {"A": 1}),))))


# --- bounds -----------------------------------------------------------------------------------------------------------


def _put(**changes: Any) -> ReplicaPut:
    return PUT._replace(siblings=MILK._replace(**changes))


def _version(**changes: Any) -> ReplicaPut:
    return _put(versions=(MILK.versions[0]._replace(**changes),))


MANY = {f"A~{number}": 1 for number in range(ITEMS_MAX + 1)}

OUT_OF_BOUNDS = {
    "empty key": PUT._replace(key=b""),
    "long key": PUT._replace(key=bytes(1025)),
    "empty request": PUT._replace(request=""),
    "long request": PUT._replace(request="r" * 129),
    "long home": PUT._replace(home="h" * 129),
    "negative counter": _put(clock={"A": -1}),
    "large counter": _put(clock={"A": COUNTER_MAX + 1}),
    "empty actor": _put(clock={"": 1}),
    "long actor": _put(clock={"A" * 129: 1}),
    "many actors": _put(clock=MANY),
    "many dots": _put(dots=tuple(Dot(actor, counter) for actor, counter in MANY.items())),
    "large dot": _put(dots=(Dot("A", 2**60),)),
    "many versions": _put(versions=MILK.versions * (ITEMS_MAX + 1)),
    "long value": _version(value=bytes(VALUE_BYTES_MAX + 2)),
    "text value": _version(value="milk"),
    "listed value": _version(value=[b"milk"]),
    "large counter in a version": _version(clock={"A": 2**53}),
    "many actors in a version": _version(clock=MANY),
    "far wall time": _version(wall_us=2**63 - 1),
    "long touched actor": _version(touched={"A" * 129: 1}),
    "long seal": ClientPut("r", b"k", None, (Context({}, (), bytes(17)),), False, 3, 2, 2, 0),
    "large counter in a context": ClientPut("r", b"k", None, (Context({"A": 2**53}),), False, 3, 2, 2, 0),
    "many contexts": ClientPut("r", b"k", None, (Context(),) * 5, False, 3, 2, 2, 0),
    "large quorum": ClientPut("r", b"k", None, (), False, 17, 2, 2, 0),
    "negative timeout": ClientPut("r", b"k", None, (), False, 3, 2, -1, 0),
    "nameless member": Gossip(b"", (Member(1, "", "up"),)),
    "infinite weight": Gossip(b"", (Member(1, "A", "up", math.inf),)),
    "weight that is no number": Gossip(b"", (Member(1, "A", "up", math.nan),)),
    "negative epoch": Gossip(b"", (Member(-1, "A", "up"),)),
    "long history": Gossip(b"", (Member(1, "A", "up"),) * 10_001),
    "long key in a dict": KeysGetDone("e", {bytes(1025): MILK}),
    "deep inside a dict": KeysGetDone("e", {b"k": MILK._replace(clock={"A": 2**53})}),
    "number for a flag": ReplicaPutDone("r", 1),
    "text for bytes": ReplicaGet("r", "k"),
    "fraction for a counter": Ping(1.5),
}


@pytest.mark.parametrize("message", OUT_OF_BOUNDS.values(), ids=OUT_OF_BOUNDS.keys())
def test_a_field_out_of_its_bounds_is_refused(message: Any) -> None:
    """Every length, count and number has a bound, however deep it stands, and the error names the message."""
    with pytest.raises(WireError, match=type(message).__name__):
        decode(_raw(message))


@pytest.mark.parametrize(
    "message",
    [
        PUT._replace(key=bytes(1024)),
        _put(clock={"A" * 128: COUNTER_MAX}),
        _put(clock={f"A~{number}": 1 for number in range(ITEMS_MAX)}),
        _version(value=bytes(VALUE_BYTES_MAX + 1)),
        _version(value=b""),
        _version(value=None),
    ],
    ids=["key", "actor", "clock", "value", "empty", "tombstone"],
)
def test_the_bounds_themselves_are_allowed(message: Any) -> None:
    """A bound is inclusive."""
    assert decode(encode(message)) == message


def test_a_type_without_bounds_does_not_compile() -> None:
    """Nobody can add a field to a message that nothing bounds."""
    for hint in (Any, list[int], object, set[str], str | int):
        with pytest.raises(TypeError, match="nothing here bounds"):
            readers([hint])


@pytest.mark.parametrize("kind", MESSAGES, ids=lambda kind: kind.__name__)
def test_every_field_is_there_and_none_besides(kind: Any) -> None:
    """Where the core has a default for a field, a message without it is refused all the same; so is one field more."""

    @settings(max_examples=10)
    @given(values_of(kind))
    def is_refused(message: Any) -> None:
        for fields in ([*message, 0], list(message)[:-1]):
            with pytest.raises(WireError):
                decode(bytes([wire.VERSION, MESSAGES.index(kind)]) + msgspec.msgpack.encode(fields))

    is_refused()


@pytest.mark.parametrize("inner", [Siblings({}, ()), Version(b"v", {}), Context(), Dot("A", 1), Member(1, "A", "up")])
def test_what_is_nested_has_all_its_fields_too(inner: Any) -> None:
    """The same, for the named tuples inside of messages: `readers` tells of each what the messages' readers know."""
    (read,) = readers([type(inner)])
    assert read(msgspec.msgpack.encode(inner)) == inner
    for fields in ([*inner, 0], list(inner)[:-1]):
        with pytest.raises(msgspec.ValidationError):
            read(msgspec.msgpack.encode(fields))


def test_a_reader_leaves_no_trace_at_the_class() -> None:
    """What a reader was told instead of the core's own words is known to that reader only."""
    before = dict(vars(Version)), dict(vars(Context))
    readers([Siblings, Context])
    assert (dict(vars(Version)), dict(vars(Context))) == before
    assert "__msgspec_cache__" not in before[0]
    assert Version(b"v", {}).touched == {}
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(("", -1)), type=Dot) == Dot("", -1)


# --- strangers --------------------------------------------------------------------------------------------------------

HEAD = bytes([wire.VERSION, MESSAGES.index(ReplicaPut)])

NONSENSE = {
    "nothing": b"",
    "a version alone": HEAD[:1],
    "no fields": HEAD,
    "version 0": b"\x00" + encode(PUT)[1:],
    "version 255": b"\xff" + encode(PUT)[1:],
    "unknown message": bytes([wire.VERSION, len(MESSAGES)]) + encode(PUT)[2:],
    "trailing byte": encode(PUT) + b"\x00",
    "field too many": HEAD + msgspec.msgpack.encode([*PUT, None]),
    "field too few": HEAD + msgspec.msgpack.encode(list(PUT)[:-1]),
    "map for an array": HEAD + msgspec.msgpack.encode(PUT._asdict()),
    "not UTF-8": HEAD + b"\x95\xa2\xff\xfe\xc4\x01k\x93\x80\x90\x90\xa0\xc2",
    "deep arrays": HEAD + b"\x91" * 100_000,
    "deep maps": HEAD + b"\x81\xa1a" * 100_000,
    "announces 4 GiB": HEAD + b"\x95\xdb\xff\xff\xff\xff",
    "announces 4 G entries": HEAD + b"\x95\xa1r\xc4\x01k\x93\xdf\xff\xff\xff\xff",
    "extension": HEAD + b"\x95\xd4\x01\x00\xc4\x01k\x93\x80\x90\x90\xa0\xc2",
    "telnet": b"GET / HTTP/1.1\r\n\r\n",
    "a pickle": b"\x80\x04\x95\x1a\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94\x93\x94.",
}


@pytest.mark.parametrize("data", NONSENSE.values(), ids=NONSENSE.keys())
def test_nonsense_is_refused(data: bytes) -> None:
    """What is not a message raises WireError, and nothing else (S43)."""
    with pytest.raises(WireError):
        decode(data)


def test_an_oversize_message_is_refused_unread() -> None:
    """The whole is bounded before a parser sees it (S46)."""
    with pytest.raises(WireError, match="bytes"):
        decode(memoryview(HEAD + bytes(MESSAGE_BYTES_MAX)))


def _message_or_refused(data: bytes) -> None:
    """Decoding never raises anything but WireError; what is accepted is a message that can be sent on."""
    try:
        message = decode(data)
    except WireError:
        return
    assert decode(encode(message)) == message


@given(st.binary(max_size=300))
def test_random_bytes_are_refused(data: bytes) -> None:
    """Whatever arrives, the decoder answers a message or WireError."""
    _message_or_refused(data)


@given(st.integers(0, len(MESSAGES) - 1), st.binary(max_size=300))
def test_random_fields_are_refused(number: int, fields: bytes) -> None:
    """A right head on random fields answers a message or WireError."""
    _message_or_refused(bytes([wire.VERSION, number]) + fields)


@given(messages(), st.data())
def test_truncated_messages_are_refused(message: Any, data: st.DataObject) -> None:
    """No strict beginning of a message is a message."""
    whole = encode(message)
    length = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises(WireError):
        decode(whole[:length])


@given(messages(), st.data())
def test_flipped_bits_are_harmless(message: Any, data: st.DataObject) -> None:
    """A message with flipped bits is another message within bounds, or WireError."""
    damaged = bytearray(encode(message))
    for place in data.draw(st.lists(st.integers(0, len(damaged) * 8 - 1), min_size=1, max_size=8)):
        damaged[place // 8] ^= 1 << place % 8
    _message_or_refused(bytes(damaged))


plain = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=8) | st.binary(),
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=20,
)


@given(st.sampled_from(MESSAGES), st.data())
def test_fields_of_wrong_types_are_refused(kind: Any, data: st.DataObject) -> None:
    """Well-formed msgpack with anything in place of the fields answers a message or WireError."""
    count = len(kind._fields)
    fields = data.draw(st.lists(plain, min_size=count, max_size=count))
    _message_or_refused(bytes([wire.VERSION, MESSAGES.index(kind)]) + msgspec.msgpack.encode(fields))


# --- the kept corpus --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", sorted(CORPUS.glob("message-*.hex")), ids=lambda path: path.stem)
def test_messages_of_the_corpus_are_read(path: Path) -> None:
    """Fields that this version of the format once sent are still read, and still sent; only numbers may move."""
    kind = next(kind for kind in MESSAGES if path.stem == f"message-{kind.__name__}")
    data = bytes([wire.VERSION, MESSAGES.index(kind)]) + bytes.fromhex(path.read_text())[2:]
    assert type(decode(data)) is kind
    assert encode(decode(data)) == data


@pytest.mark.parametrize("path", sorted(CORPUS.glob("nonsense-*.hex")), ids=lambda path: path.stem)
def test_nonsense_of_the_corpus_is_refused(path: Path) -> None:
    """Bytes that were once refused stay refused."""
    with pytest.raises(WireError):
        decode(bytes.fromhex(path.read_text()))


def test_the_corpus_is_there() -> None:
    """The corpus holds messages to read and nonsense to refuse."""
    assert len(list(CORPUS.glob("message-*.hex"))) >= 5
    assert len(list(CORPUS.glob("nonsense-*.hex"))) >= 10


# --- packed messages --------------------------------------------------------------------------------------------------

CARTS = b'["milk", "tea", "bread"], ' * 200


def _large(value: bytes = CARTS) -> ReplicaPut:
    return PUT._replace(siblings=Siblings().put("A", value, None))


@given(messages(), st.integers(1, 2_000))
def test_a_packed_message_is_the_same_message(message: Any, compress_bytes: int) -> None:
    """Whatever is packed arrives as it was; no message becomes longer by it."""
    data = encode(message, compress_bytes)
    assert decode(data) == message
    assert len(data) <= len(encode(message))


def test_only_what_is_large_and_becomes_smaller_is_packed() -> None:
    """Short messages, and those that zlib cannot shorten, travel as they are; so does everything by default."""
    assert encode(_large()) == encode(_large(), len(encode(_large())))
    assert len(encode(_large(), 1_000)) * 10 < len(encode(_large()))
    noise = _large(Random(7).randbytes(5_000))
    assert encode(noise, 1_000) == encode(noise)


def test_a_bomb_does_not_go_off() -> None:
    """A few kilobytes that would unpack to a gigabyte are refused after a little more than one value's worth (S46)."""
    head = bytes([wire.VERSION | PACKED, MESSAGES.index(ReplicaPut)])
    squeeze = zlib.compressobj(9)
    bomb = head + b"".join(squeeze.compress(bytes(1 << 20)) for _ in range(64)) + squeeze.flush()
    assert len(bomb) < 100_000
    tracemalloc.start()
    with pytest.raises(WireError, match="exceed"):
        decode(bomb)
    assert tracemalloc.get_traced_memory()[1] < 4 * UNPACKED_MAX
    tracemalloc.stop()


@pytest.mark.parametrize("cut", [2, 3, 20, -1])
def test_a_packed_message_that_is_damaged_is_refused(cut: int) -> None:
    """Cut off anywhere, with something behind it, or with a bit turned: a WireError."""
    data = encode(_large(), 100)
    for damaged in (data[:cut], data + b"\x00", data[:cut] + bytes([data[cut] ^ 1]) + data[cut:][1:]):
        with pytest.raises(WireError):
            decode(damaged)


@given(st.integers(0, len(MESSAGES) - 1), st.binary(max_size=300))
def test_random_packed_fields_are_refused(number: int, fields: bytes) -> None:
    """Packed nonsense answers a message or WireError, like any other."""
    _message_or_refused(bytes([wire.VERSION | PACKED, number]) + zlib.compress(fields))
    _message_or_refused(bytes([wire.VERSION | PACKED, number]) + fields)


def test_the_largest_value_is_packed_and_a_longer_message_is_not() -> None:
    """One value of 1 MiB is within the bound of unpacking; two of them go as they are, and both arrive."""
    one = _large(bytes(VALUE_BYTES_MAX))
    two = PUT._replace(siblings=one.siblings.put("B", bytes(VALUE_BYTES_MAX), None))
    assert len(encode(one, 1)) < 10_000
    assert encode(two, 1) == encode(two)
    assert decode(encode(one, 1)) == one
