"""Frames: how the payloads of a log stand in its file, and which of them survived.

Theory of operation.
A log is frames, one after the other, with nothing between:

    4 bytes   magic         b"DYNA"
    1 byte    version       1
    4 bytes   length        of the payload, most significant byte first
    8 bytes   offset        of this frame in its file
    4 bytes   CRC32         of the 17 bytes above and the payload
    length    payload       the records of one commit

A frame is good when magic, version, offset, length and CRC are.
After a bad one the reader looks for the next good one: what follows damage is not lost with it.
The offset keeps a frame that somebody stored as a *value* from being taken for one of the log.

Rule 1: bad bytes with a good frame after them are **damage**: something that was written is lost.
Rule 2: bad bytes at the very end are a **torn tail**: a write that did not finish.
Whether it may have been acknowledged, the reader cannot know; `dynalab.disk.mark` does.
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple
from zlib import crc32

MAGIC = b"DYNA"
VERSION = 1
PAYLOAD_BYTES_MAX = 2**31

_FIELDS = Struct(">4sBIQ")
_CRC = Struct(">I")
HEADER_BYTES = _FIELDS.size + _CRC.size


class Frames(NamedTuple):
    """What was read of one file.

    Attributes:
        payloads: of the good frames, in order.
        end: where the last good frame ends; 0 when there is none.
        damaged: ``(from, to)`` of bad bytes that have a good frame after them.
        torn: how many bytes follow the last good frame.
    """

    payloads: list[bytes]
    end: int
    damaged: list[tuple[int, int]]
    torn: int


def frame(payload: bytes, offset: int) -> bytes:
    """One frame, to be written at `offset` of its file.

    Raises:
        OSError: the payload is too long for a frame.

    >>> read_frames(frame(b"milk", 0) + frame(b"tea", 25)).payloads
    [b'milk', b'tea']
    """
    if len(payload) > PAYLOAD_BYTES_MAX:
        raise OSError(f"one commit has {len(payload)} bytes; at most {PAYLOAD_BYTES_MAX} fit a frame")
    fields = _FIELDS.pack(MAGIC, VERSION, len(payload), offset)
    return fields + _CRC.pack(crc32(payload, crc32(fields))) + payload


def records(log: bytes) -> list[bytes]:
    """The payloads that survived: dynalab's own answer to the part `recovery`."""
    return read_frames(log).payloads


def read_frames(log: bytes) -> Frames:
    """All good frames of a file, and what is wrong with the rest."""
    view = memoryview(log)
    payloads: list[bytes] = []
    damaged: list[tuple[int, int]] = []
    end = 0
    start: int | None = _next_good(log, view, 0)
    while start is not None:
        if start > end:
            damaged.append((end, start))
        payload = _payload_at(view, start)
        assert payload is not None
        payloads.append(bytes(payload))
        end = start + HEADER_BYTES + len(payload)
        start = _next_good(log, view, end)
    return Frames(payloads, end, damaged, len(log) - end)


def _next_good(log: bytes, view: memoryview, start: int) -> int | None:
    """The place of the first good frame at `start` or after it."""
    while start != -1:
        if _payload_at(view, start) is not None:
            return start
        start = log.find(MAGIC, start + 1)
    return None


def _payload_at(view: memoryview, start: int) -> memoryview | None:
    """The payload of the frame at `start`, None when that is no good frame."""
    body = start + HEADER_BYTES
    if body > len(view):
        return None
    magic, version, length, offset = _FIELDS.unpack_from(view, start)
    if magic != MAGIC or version != VERSION or offset != start or body + length > len(view):
        return None
    (crc,) = _CRC.unpack_from(view, start + _FIELDS.size)
    payload = view[body : body + length]
    return payload if crc == crc32(payload, crc32(view[start : start + _FIELDS.size])) else None
