"""Frames on pipes: how a cluster's owner, its keeper and its nodes speak before a socket exists.

A frame is four bytes of length, big-endian, and as many bytes.
Notices go up one pipe that the keeper and all nodes share:
each is written in one call and is shorter than a pipe promises to keep whole, so they never mix.
"""

from __future__ import annotations

import os
import select
from typing import IO

import msgspec

FRAME_MAX = 256 * 1024 * 1024
"""A frame carries a node's orders, or the parts of a student with all they refer to."""

NOTICE_MAX = min(getattr(select, "PIPE_BUF", 512), 4096)
"""Bytes of a notice, its length included."""

_LENGTH = 4


def framed(content: bytes) -> bytes:
    """`content` with its length before it.

    >>> framed(b"ab").hex()
    '000000026162'
    """
    if len(content) > FRAME_MAX:
        raise ValueError(f"a frame has at most {FRAME_MAX:,} bytes; this one has {len(content):,}")
    return len(content).to_bytes(_LENGTH, "big") + content


def read_frame(pipe: IO[bytes]) -> bytes | None:
    """The next frame; None when the other end is closed, also in the middle of a frame."""
    head = pipe.read(_LENGTH)
    if len(head) < _LENGTH:
        return None
    length = int.from_bytes(head, "big")
    if length > FRAME_MAX:
        raise ValueError(f"a frame announces {length:,} bytes; at most {FRAME_MAX:,} are read")
    content = pipe.read(length)
    return content if len(content) == length else None


class FrameBuffer:
    """Frames out of pieces of any size, for a reader that must not wait."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def add(self, piece: bytes) -> list[bytes]:
        """All frames that are whole now."""
        self._bytes += piece
        frames = []
        while (end := self._end_of_frame()) is not None:
            frames.append(bytes(self._bytes[_LENGTH:end]))
            del self._bytes[:end]
        return frames

    def _end_of_frame(self) -> int | None:
        if len(self._bytes) < _LENGTH:
            return None
        end = _LENGTH + int.from_bytes(self._bytes[:_LENGTH], "big")
        return end if len(self._bytes) >= end else None


# Notices: from the keeper and the nodes to the owner ---------------------------------------------


class Started(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """The keeper started the `run`-th process of a node."""

    node: str
    run: int
    pid: int


class Ready(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """A node listens at `endpoint`."""

    node: str
    run: int
    endpoint: str


class Failed(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """A node, or the keeper (then `node` is empty), cannot go on, and why."""

    node: str
    run: int
    text: str


class Halted(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """A node's process was stopped by a signal (`halted`), or continued."""

    node: str
    run: int
    halted: bool


class Ended(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """A node's process is gone; `status` is its exit code, or minus the signal that ended it."""

    node: str
    run: int
    status: int


Notice = Started | Ready | Failed | Halted | Ended

read_notice = msgspec.msgpack.Decoder(Notice).decode
_encode = msgspec.msgpack.Encoder().encode


def notify(descriptor: int, notice: Notice) -> None:
    """Write a notice whole; a closed pipe raises BrokenPipeError."""
    frame = framed(_encode(notice))
    if len(frame) > NOTICE_MAX and isinstance(notice, Failed):
        shorter = notice.text[: NOTICE_MAX // 8]
        frame = framed(_encode(Failed(notice.node, notice.run, shorter)))
    assert len(frame) <= NOTICE_MAX, notice
    os.write(descriptor, frame)


# Orders: from the owner to the keeper ------------------------------------------------------------


class Open(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """The first order: what the keeper keeps.

    Attributes:
        folder: the runtime folder, removed at the end.
        paths: the owner's module search path, so that parts find what they import.
    """

    folder: str
    paths: tuple[str, ...]


class Bear(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """Start a process for `node`, its output into the file `log`, `spec` as its first frame."""

    node: str
    run: int
    log: str
    spec: bytes


class Hand(msgspec.Struct, tag=True, array_like=True, frozen=True):
    """Pass `content` to the standard input of these nodes."""

    nodes: tuple[str, ...]
    content: bytes


Order = Open | Bear | Hand

read_order = msgspec.msgpack.Decoder(Order).decode


def order_frame(order: Order) -> bytes:
    """The bytes of an order on the keeper's standard input."""
    return framed(_encode(order))
