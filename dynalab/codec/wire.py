"""Messages as bytes, and bytes from strangers as messages or nothing.

Theory of operation.
A message by itself is one byte for the version of this format, one byte for the message's place in
`core.messages.MESSAGES`, and its fields as one msgpack array.
Decoding bounds the whole before it reads; then one pass builds the message and judges types, lengths, counts and
numbers on the way (`codec.bounds`).
Between processes, messages of one kind travel as a run: their fields as one array, read with one call.
Where the sender's cluster wants it, the fields of a large message are packed (`codec.packing`).

Rule 1: `decode` answers a message within its bounds or raises `WireError`; never anything else.
Rule 2: equal messages are equal bytes, in any process.

DEPARTS: the paper's nodes speak Java NIO channels and do not say their format (5).
"""

from __future__ import annotations

from collections.abc import Mapping
from struct import Struct

import msgspec

from dynalab.codec.bounds import WireError, readers
from dynalab.codec.packing import PACKED, packed, unpacked
from dynalab.core.messages import MESSAGES, Message

__all__ = ["MESSAGE_BYTES_MAX", "VERSION", "WireError", "decode", "decode_run", "encode", "encode_fields"]

VERSION = 3
"""The first byte of every message and every frame; another version is refused, not guessed at."""

MESSAGE_BYTES_MAX = 128 * 1024 * 1024
"""No message is longer: room for a key with 100 siblings (`Config.max_siblings`) of 1 MiB each."""

FIELDS_BYTES_MAX = MESSAGE_BYTES_MAX - 16
"""What goes before the fields has room."""


ARRAY, ARRAY_MARK = Struct(">BL"), 0xDD
"""The head of the msgpack array that a run is: the mark, and how many items."""

ARRAY_BYTES = ARRAY.size


def _plain(value: object) -> object:
    """A clock that a student's part built is a mapping, though not a dict."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a {type(value).__name__} has no place in a message")


_encode_fields = msgspec.msgpack.Encoder(enc_hook=_plain).encode

_NUMBERS: dict[type, int] = {kind: number for number, kind in enumerate(MESSAGES)}

#: by the message's number
_READERS = readers(MESSAGES)

#: of a run, by the number of its messages
_RUN_READERS = readers(MESSAGES, of_lists=True)

_UNREADABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)


def encode(message: Message, compress_bytes: int = 0) -> bytes:
    """The bytes of `message`; with `compress_bytes`, those of a message as long as that are packed.

    Raises:
        WireError: it is not one of `MESSAGES`, holds what msgpack cannot say, or is too long.

    >>> from dynalab.core.messages import Ping
    >>> encode(Ping(7))[2:].hex()
    '9107'
    """
    kind, fields = encode_fields(message, compress_bytes)
    return bytes([VERSION | kind & PACKED, kind & ~PACKED]) + fields


def encode_fields(message: Message, compress_bytes: int = 0) -> tuple[int, bytes]:
    """``(kind, fields)`` of `message`, as it travels in a run; the kind has the bit `PACKED` when the fields are.

    Raises:
        WireError: as `encode`.
    """
    try:
        kind, fields = _NUMBERS[type(message)], _encode_fields(message)
    except KeyError:
        raise WireError(f"{type(message).__name__} is not a message of the protocol") from None
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise WireError(f"{type(message).__name__} cannot be sent: {error}") from error
    if len(fields) > FIELDS_BYTES_MAX:
        raise WireError(f"{type(message).__name__} has {len(fields)} bytes; at most {FIELDS_BYTES_MAX} are sent")
    smaller = packed(fields, compress_bytes) if compress_bytes else None
    return (kind, fields) if smaller is None else (kind | PACKED, smaller)


def decode(data: bytes | memoryview) -> Message:
    """The message in `data`, which may come from anyone.

    Raises:
        WireError: another version, an unknown message, wrong types, or a field out of its bounds; the text says which.

    >>> from dynalab.core.messages import Ping
    >>> decode(memoryview(encode(Ping(7))))
    Ping(number=7)
    """
    if not 2 <= len(data) <= MESSAGE_BYTES_MAX:
        raise WireError(f"a message has 2 to {MESSAGE_BYTES_MAX} bytes; got {len(data)}")
    if data[0] & ~PACKED != VERSION:
        raise WireError(f"the format's version is {VERSION}; got {data[0]}")
    kind = data[1]
    if kind >= len(_READERS):
        raise WireError(f"there are {len(_READERS)} kinds of messages; got number {kind}")
    fields = unpacked(data[2:]) if data[0] & PACKED else data[2:]
    try:
        return _READERS[kind](fields)
    except _UNREADABLE as error:
        raise WireError(f"{MESSAGES[kind].__name__}: {error}") from None


def decode_run(kind: int, array: bytes | memoryview) -> list[Message]:
    """The messages of one kind whose fields are the items of `array`, which may come from anyone.

    Raises:
        WireError: one of them is refused, as by `decode`, so all are.

    >>> from dynalab.core.messages import MESSAGES, Ping
    >>> decode_run(MESSAGES.index(Ping), bytes.fromhex("dd00000002 9107 9108"))
    [Ping(number=7), Ping(number=8)]
    """
    if len(array) > MESSAGE_BYTES_MAX:
        raise WireError(f"a run has at most {MESSAGE_BYTES_MAX} bytes; got {len(array)}")
    if kind >= PACKED:
        kind, array = kind & ~PACKED, ARRAY.pack(ARRAY_MARK, 1) + unpacked(array[ARRAY_BYTES:])
    if kind >= len(_RUN_READERS):
        raise WireError(f"there are {len(MESSAGES)} kinds of messages; got number {kind}")
    try:
        messages: list[Message] = _RUN_READERS[kind](array)
    except _UNREADABLE as error:
        raise WireError(f"{MESSAGES[kind].__name__}: {error}") from None
    return messages
