"""Several messages as one frame: what is said to one peer in one turn travels together.

Theory of operation.
A frame costs a system call, an encryption and a wake-up on both sides, however little is in it.
So a speaker collects what it has for each peer, and sends it as one frame when its turn ends, or when it is enough.
Within a frame, messages of one kind that follow each other are a **run**:
their fields, one after the other, are the items of one msgpack array,
so the hearer judges and builds a whole run with one call (`wire.decode_run`).

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

FRAME_BYTES_OVER = PARCEL_BYTES + PARCEL_MESSAGES_MAX * (HEADER.size + 16)
"""What a frame may hold besides one long message: all that was in it before, and headers and marks of all."""

_size = HEADER.size
_pack, _unpack = HEADER.pack, HEADER.unpack_from

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
    array: memoryview
    numbers: Sequence[int] = ()
    sizes: Sequence[int] = ()

    @property
    def alone(self) -> memoryview:
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
            alone.append(Run(self.kind, 1, memoryview(head + raw), (number,), (len(raw),)))
        return alone

    def lengths(self) -> Sequence[int]:
        """The length of each message, also when the speaker did not say."""
        if self.sizes:
            return self.sizes
        if self.many == 1:  # What is packed, and stands alone for that, is no array.
            return [len(self.array) - ARRAY_BYTES]
        return [len(bytes(raw)) for raw in _split(self.array)]


_TORN = Run(NONSENSE, 1, memoryview(b""))
_BEGINNING = bytes([VERSION])


class Parcel:
    """What one peer is to hear, until it is sent.

    >>> parcel = Parcel()
    >>> parcel.add(7, b"milk", 1), parcel.add(7, b"tea", 2)
    (False, False)
    >>> [(run.kind, bytes(run.array[5:]), run.numbers) for run in runs(parcel.frame())]
    [(7, b'milktea', [1, 2])]
    """

    __slots__ = ("_begun", "_kind", "_numbers", "_pieces", "size")

    def __init__(self) -> None:
        #: what the frame is made of; the last run's head is still empty
        self._pieces: list[bytes] = [_BEGINNING]
        #: the run that goes on: its kind, and how many pieces and messages were there before it
        self._kind = NONSENSE
        self._begun = (0, 0)
        #: of all messages
        self._numbers: list[int] = []
        self.size = 0

    def add(self, kind: int, fields: bytes, number: int = 0) -> bool:
        """One message more; answers whether it is time to send."""
        numbers = self._numbers
        if kind != self._kind or kind >= PACKED:
            self._end_run()
            self._begun = (len(self._pieces), len(numbers))
            self._kind = kind
            self._pieces.append(b"")
        self._pieces.append(fields)
        numbers.append(number)
        self.size += len(fields)
        return self.size >= PARCEL_BYTES or len(numbers) >= PARCEL_MESSAGES_MAX

    def _end_run(self) -> None:
        """Put the head before the run that goes on, and its marks behind it."""
        place, before = self._begun
        if not place:
            return
        sizes = list(map(len, self._pieces[place + 1 :]))
        marks = b""
        if any(self._numbers[before:]):
            marks = _mark((self._numbers[before:], sizes))
            self._pieces.append(marks)
        self._pieces[place] = _pack(self._kind, len(marks), sum(sizes), ARRAY_MARK, len(sizes))
        self._begun, self.size = (0, 0), self.size + _size

    def frame(self) -> bytes:
        """All of it as one frame; nothing can be added any more."""
        self._end_run()
        return b"".join(self._pieces)

    def numbers(self) -> list[int]:
        """The numbers of its messages, in order."""
        return self._numbers

    def __len__(self) -> int:
        return len(self._numbers)


def runs(frame: bytes) -> list[Run]:
    """The runs of a frame that may come from anyone.

    >>> parcel = Parcel()
    >>> parcel.add(7, b"milk")
    False
    >>> [run.kind == NONSENSE for run in runs(parcel.frame()[:-1])]
    [True]
    """
    found: list[Run] = []
    if len(frame) < 2 or frame[0] != VERSION:
        return [_TORN]
    view, place, end, left = memoryview(frame), 1, len(frame), PARCEL_MESSAGES_MAX
    while place < end:
        run, place = _run_at(view, place, end)
        left -= run.many
        if left < 0 or run.kind == NONSENSE:
            found.append(_TORN)
            break
        found.append(run)
    return found


def _run_at(view: memoryview, place: int, end: int) -> tuple[Run, int]:
    """The run that begins at `place`, and where the next one begins."""
    if end - place < _size:
        return _TORN, end
    kind, marks_length, length, array, count = _unpack(view, place)
    begin = place + _size
    marks = begin + length
    after = marks + marks_length
    if after > end or array != ARRAY_MARK or not count or (kind >= PACKED and count != 1):
        return _TORN, end
    fields = view[begin - ARRAY_BYTES : marks]
    if not marks_length:
        return Run(kind, count, fields), after
    try:
        numbers, sizes = _read_marks(view[marks:after])
    except msgspec.MsgspecError:
        return _TORN, end
    if len(numbers) != count or len(sizes) != count or sum(sizes) != length:
        return _TORN, end
    return Run(kind, count, fields, numbers, sizes), after
