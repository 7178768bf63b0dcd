"""Several messages as one frame: what is said to one peer in one turn travels together.

Theory of operation.
A frame costs a system call, an encryption and a wake-up on both sides, however little is in it.
So a speaker collects what it has for each peer, and sends it as one frame when its turn ends, or when it is enough.

    frame = message, message, ...        message = number (8 bytes), length of the payload (4 bytes), payload

Rule 1: messages keep their order; none waits beyond the turn in which it was said.
Rule 2: a frame that does not add up ends in an empty message, which no reader of payloads accepts.
"""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct

HEADER = Struct(">QL")
"""Before each payload: the sender's number of the `send` event, or of an order on the control line; and the length."""

PARCEL_BYTES = 64 * 1024
"""A frame that has grown so long leaves at once."""

PARCEL_MESSAGES_MAX = 1_024
"""A frame with more messages does not add up."""

_size = HEADER.size
_pack, _unpack = HEADER.pack, HEADER.unpack_from


class Parcel:
    """What one peer is to hear, until it is sent.

    >>> parcel = Parcel()
    >>> parcel.add(7, b"milk"), parcel.add(8, b"tea")
    (False, False)
    >>> [(number, bytes(payload)) for number, payload in messages(parcel.frame())]
    [(7, b'milk'), (8, b'tea')]
    """

    __slots__ = ("_pieces", "size")

    def __init__(self) -> None:
        #: header, payload, header, payload, ...
        self._pieces: list[bytes] = []
        self.size = 0

    def add(self, number: int, payload: bytes) -> bool:
        """One message more; answers whether it is time to send."""
        length = len(payload)
        self._pieces += (_pack(number, length), payload)
        self.size += _size + length
        return self.size >= PARCEL_BYTES or len(self._pieces) >= 2 * PARCEL_MESSAGES_MAX

    def frame(self) -> bytes:
        """All of it as one frame."""
        return b"".join(self._pieces)

    def numbers(self) -> list[int]:
        """The numbers of its messages, in order."""
        return [_unpack(header)[0] for header in self._pieces[::2]]

    def __len__(self) -> int:
        return len(self._pieces) // 2


def framed(number: int, payload: bytes) -> bytes:
    """A frame of one message."""
    return _pack(number, len(payload)) + payload


def messages(frame: bytes) -> Iterator[tuple[int, memoryview]]:
    """``(number, payload)`` of the messages in a frame that may come from anyone.

    >>> [(number, bytes(payload)) for number, payload in messages(framed(7, b"milk")[:-1])]
    [(7, b'')]
    """
    view = memoryview(frame)
    place, end = 0, len(frame)
    for _ in range(PARCEL_MESSAGES_MAX):
        if end - place < _size:
            break
        number, length = _unpack(frame, place)
        place += _size + length
        if place > end:
            yield number, view[end:]
            return
        yield number, view[place - length : place]
        if place == end:
            return
    yield 0, view[end:]
