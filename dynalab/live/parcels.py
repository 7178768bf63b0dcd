"""Several messages as one frame: what is said to one peer in one turn travels together.

Theory of operation.
A frame costs a system call, an encryption and a wake-up on both sides, however little is in it.
So a speaker collects what it has for each peer, and sends it as one frame when its turn ends, or when it is enough.
Within a frame, messages of one kind that follow each other are a **run**:
their fields, one after the other, are the items of one msgpack array,
so the hearer reads a whole run with one call (`wire.decode_run`).

    frame = version (1 byte), run, run, ...
    run   = kind (1), length of the marks (4), length of the fields (4), array of so many (1 + 4), fields ..., marks

Marks are there when the speaker records what it does: the numbers of its `send` events and each message's length.

Rule 1: messages keep their order; none waits beyond the turn in which it was said.
Rule 2: a frame that does not add up ends in a run of the kind `NONSENSE`, which no reader accepts.
Rule 3: what is no plain array of fields, a packed message or one of the control line, is a run alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from dynalab.codec.bounds import WireError
from dynalab.codec.packing import PACKED
from dynalab.codec.wire import ARRAY, ARRAY_BYTES, ARRAY_MARK, VERSION
from dynalab.core.quick import maker

HEADER = Struct(">BLLBL")
"""Before each run: its kind, the lengths of its marks and of its fields; then the head of the array of fields."""

CONTROL_KIND = 0xFE
"""An order of the control line, its answer, or news; the mark is the order's number."""

NONSENSE = 0xFF
"""What cannot be taken apart."""

PARCEL_BYTES = 64 * 1024
"""A frame that has grown so long leaves at once."""

PARCEL_MESSAGES_MAX = 1_024
"""A frame with more messages does not add up."""

VIEWED_BYTES = 2_048
"""Of a frame so long its runs are views; of a shorter one copies, which are made sooner."""

FRAME_BYTES_OVER = PARCEL_BYTES + PARCEL_MESSAGES_MAX * (HEADER.size + 16)
"""What a frame may hold besides one long message: all that was in it before, and headers and marks of all."""

_size = HEADER.size
_pack, _unpack = HEADER.pack, HEADER.unpack_from
_pack_first = Struct(">B" + HEADER.format[1:]).pack

_Numbers = list[Annotated[int, Meta(ge=0, le=2**63 - 1)]]
_mark = msgspec.msgpack.Encoder().encode
_read_marks = msgspec.msgpack.Decoder(tuple[_Numbers, _Numbers]).decode
_split = msgspec.msgpack.Decoder(list[msgspec.Raw]).decode


class Run(NamedTuple):
    """Messages of one kind, as they travelled.

    Attributes:
        kind: their number on the wire (`wire.MESSAGES`), packed or not; `CONTROL_KIND` or `NONSENSE`.
        many: how many they are.
        array: their fields as one msgpack array; behind its head (`ARRAY_BYTES`) whatever else stands alone.
        numbers, sizes: of each, when the speaker records: the number of its `send` event, and its length.
    """

    kind: int
    many: int
    array: bytes | memoryview
    numbers: Sequence[int] = ()
    sizes: Sequence[int] = ()

    @property
    def alone(self) -> bytes | memoryview:
        """The content of a message that is a run alone."""
        return self.array[ARRAY_BYTES:]

    @property
    def number(self) -> int:
        """The number of a message that is a run alone; 0: it has none."""
        return self.numbers[0] if self.numbers else 0

    def apart(self) -> list[Run]:
        """Each message as a run of its own.

        Raises:
            WireError: nobody can say where one ends.
        """
        try:
            fields = _split(self.array)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise WireError(f"a run cannot be taken apart: {error}") from None
        head, alone = ARRAY.pack(ARRAY_MARK, 1), []
        for raw, number in zip(map(bytes, fields), self.numbers or [0] * len(fields), strict=True):
            alone.append(Run(self.kind, 1, head + raw, (number,), (len(raw),)))
        return alone

    def lengths(self) -> Sequence[int]:
        """The length of each message, also when the speaker did not say."""
        if self.sizes:
            return self.sizes
        if self.many == 1:  # What is packed, and stands alone for that, is no array.
            return [len(self.array) - ARRAY_BYTES]
        return [len(bytes(raw)) for raw in _split(self.array)]


_made_run, _TORN = maker(Run), Run(NONSENSE, 1, b"")
_BEGINNING = bytes([VERSION])


Said = tuple[int, bytes, int]
"""A message: its kind, its fields (`wire.encode_fields`), and the number of its `send` event or of an order."""


class Parcel:
    """What one peer is to hear, until it is sent.

    Attributes:
        said: the messages, in order.

    >>> parcel = Parcel()
    >>> parcel.add(7, b"milk", 1), parcel.add(7, b"tea", 2)
    (False, False)
    >>> [(run.kind, bytes(run.array[5:]), run.numbers) for run in runs(parcel.frame())]
    [(7, b'milktea', [1, 2])]
    """

    __slots__ = ("_size", "said")

    def __init__(self) -> None:
        self.said: list[Said] = []
        self._size = 0

    def add(self, kind: int, fields: bytes, number: int = 0) -> bool:
        """One message more; answers whether it is time to send."""
        said = self.said
        said.append((kind, fields, number))
        self._size = size = self._size + len(fields)
        return size >= PARCEL_BYTES or len(said) >= PARCEL_MESSAGES_MAX

    def take(self) -> tuple[bytes, list[Said]]:
        """All of it as one frame, and as it was said; the parcel is as new then."""
        frame, said = self.frame(), self.said
        self.said, self._size = [], 0
        return frame, said

    def frame(self) -> bytes:
        """All of it as one frame."""
        if len(self.said) == 1:
            ((kind, fields, number),) = self.said
            if not number:  # The usual one, when there is little to do.
                return _pack_first(VERSION, kind, 0, len(fields), ARRAY_MARK, 1) + fields
        pieces = [_BEGINNING]
        run: list[Said] = []
        for message in self.said:
            kind = message[0]
            if run and (kind != run[0][0] or kind >= PACKED):
                pieces += _pieces(run)
                run = []
            run.append(message)
        return b"".join(pieces + _pieces(run))


def _pieces(said: list[Said]) -> list[bytes]:
    """The pieces of a run."""
    (kind, *_), fields, numbers = zip(*said, strict=True)
    marks = _mark((numbers, list(map(len, fields)))) if any(numbers) else b""
    return [_pack(kind, len(marks), sum(map(len, fields)), ARRAY_MARK, len(fields)), *fields, marks]


def runs(frame: bytes) -> list[Run]:
    """The runs of a frame that may come from anyone.

    >>> parcel = Parcel()
    >>> parcel.add(7, b"milk")
    False
    >>> [run.kind == NONSENSE for run in runs(parcel.frame()[:-1])]
    [True]
    """
    end, place, left = len(frame), 1, PARCEL_MESSAGES_MAX
    if end < 2 or frame[0] != VERSION:
        return [_TORN]
    found: list[Run] = []
    view = frame if end < VIEWED_BYTES else memoryview(frame)
    while place < end:
        begin = place + _size
        if begin > end:
            return [*found, _TORN]
        kind, marks_length, length, array, count = _unpack(frame, place)
        marks = begin + length
        place = marks + marks_length
        left -= count
        if place > end or array != ARRAY_MARK or not count or left < 0:
            return [*found, _TORN]
        if kind >= PACKED and (count != 1 or kind == NONSENSE):
            return [*found, _TORN]
        run = _made_run((kind, count, view[begin - ARRAY_BYTES : marks], (), ()))
        if marks_length:
            marked = _marked(run, view[marks:place])
            if marked is None:
                return [*found, _TORN]
            run = marked
        found.append(run)
    return found


def _marked(run: Run, marks: bytes | memoryview) -> Run | None:
    """A run with its marks; None: they are untrue."""
    try:
        numbers, sizes = _read_marks(marks)
    except msgspec.MsgspecError:
        return None
    if not len(numbers) == len(sizes) == run.many or sum(sizes) != len(run.array) - ARRAY_BYTES:
        return None
    return _made_run((*run[:3], numbers, sizes))
