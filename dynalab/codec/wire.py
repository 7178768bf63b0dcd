"""Messages as bytes, and bytes from strangers as messages or nothing.

Theory of operation.
A message on the wire is one byte for the version of this format, one byte for the message's place in
`core.messages.MESSAGES`, and its fields as one msgpack array.
Decoding bounds the whole before it reads; then one pass judges types, lengths, counts and numbers (`codec.bounds`),
and a second one builds the message.
Where the sender's cluster wants it, the fields of a large message are packed (`codec.packing`).

Rule 1: `decode` answers a message within its bounds or raises `WireError`; never anything else.
Rule 2: equal messages are equal bytes, in any process.

DEPARTS: the paper's nodes speak Java NIO channels and do not say their format (5).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from dynalab.codec.bounds import WireError, bounded
from dynalab.codec.packing import PACKED, packed, unpacked
from dynalab.core.messages import MESSAGES, Message

__all__ = ["MESSAGE_BYTES_MAX", "VERSION", "WireError", "decode", "encode"]

VERSION = 2
"""The first byte of every message; another version is refused, not guessed at."""

MESSAGE_BYTES_MAX = 128 * 1024 * 1024
"""No message is longer: room for a key with 100 siblings (`Config.max_siblings`) of 1 MiB each."""


def _plain(value: object) -> object:
    """A clock that a student's part built is a mapping, though not a dict."""
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a {type(value).__name__} has no place in a message")


_encode_fields = msgspec.msgpack.Encoder(enc_hook=_plain).encode

_HEADS: dict[type, bytes] = {kind: bytes([VERSION, number]) for number, kind in enumerate(MESSAGES)}

#: (name, judge, build) by the message's number
_READERS: tuple[tuple[str, Callable[[Any], Any], Callable[[Any], Any]], ...] = tuple(
    (kind.__name__, msgspec.msgpack.Decoder(bounded(kind)).decode, msgspec.msgpack.Decoder(kind).decode)
    for kind in MESSAGES
)


def encode(message: Message, compress_bytes: int = 0) -> bytes:
    """The bytes of `message`; with `compress_bytes`, those of a message as long as that are packed.

    Raises:
        WireError: it is not one of `MESSAGES`, holds what msgpack cannot say, or is too long.

    >>> from dynalab.core.messages import Ping
    >>> encode(Ping(7))[2:].hex()
    '9107'
    """
    try:
        head, fields = _HEADS[type(message)], _encode_fields(message)
    except KeyError:
        raise WireError(f"{type(message).__name__} is not a message of the protocol") from None
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise WireError(f"{type(message).__name__} cannot be sent: {error}") from error
    if len(fields) > MESSAGE_BYTES_MAX - len(head):
        raise WireError(f"{type(message).__name__} has {len(fields)} bytes; at most {MESSAGE_BYTES_MAX} are sent")
    smaller = packed(fields, compress_bytes) if compress_bytes else None
    return head + fields if smaller is None else bytes([VERSION | PACKED, head[1]]) + smaller


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
    if data[1] >= len(_READERS):
        raise WireError(f"there are {len(_READERS)} kinds of messages; got number {data[1]}")
    name, judge, build = _READERS[data[1]]
    fields = unpacked(data[2:]) if data[0] & PACKED else data[2:]
    try:
        judge(fields)
        return build(fields)
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise WireError(f"{name}: {error}") from None
