"""Recovery: from the files of a log store back to what the node had kept (paper 5).

Theory of operation.
A store is generations of two files: ``log-3`` has the commits since generation 3 began,
``snapshot-3`` has everything up to then.  A snapshot is written beside the running log (`dynalab.disk.snapshot`),
so what it holds may already be newer than its beginning; replaying ``log-3`` over it ends in the same state,
because a record says what is, not what changed.

    newest whole snapshot-G, then log-G, log-G+1, ... in order

Rule 1: one commit is one frame: all of it is replayed, or nothing.
Rule 2: what is damaged is skipped and named; what is readable is kept.  A lost record is never an absent key:
the store says that it is not complete.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from dynalab.codec.record import (
    End,
    HintDropped,
    KeyForgotten,
    KeyPut,
    MetaPut,
    RequestSeen,
    WireError,
    decode_batch,
    decode_meta,
)
from dynalab.core.errors import PartFailed
from dynalab.core.store import Hint, MemoryStore
from dynalab.disk.frames import read_frames

Records = Callable[[bytes], list[bytes]]
"""The part `recovery`: the payloads that survive in the bytes of one log."""

DAMAGE_LINES_MAX = 100


class Recovered(NamedTuple):
    """What the files of a store still say.

    Attributes:
        memory: replicas, hints, small values and request ids.
        base: the generation of the snapshot that was used, 0 without one.
        lengths: ``{generation: readable bytes of its log}``, ascending, from `base` on.
        damage: what is lost or unreadable, in words.
        torn: bytes of the unfinished write at the end of the newest log.
        snapshot_bytes: size of the snapshot that was used.
    """

    memory: MemoryStore
    base: int
    lengths: dict[int, int]
    damage: list[str]
    torn: int
    snapshot_bytes: int


class _Recovery:
    """One reading of one folder."""

    def __init__(self, folder: Path, part: Records | None) -> None:
        self.folder = folder
        self.part = part
        self.memory = MemoryStore()
        self.damage: list[str] = []
        self.torn = 0

    def read(self) -> Recovered:
        base = self._read_snapshots()
        logs = [number for number in generations(self.folder, "log") if number >= base]
        if logs or base:
            missing = sorted(set(range(base, max([base, *logs]) + 1)) - set(logs))
            self.damage += [f"log-{number} is gone" for number in missing]
        lengths = {number: self._read_log(number, newest=number == logs[-1]) for number in logs}
        path = self.folder / f"snapshot-{base}"
        size = path.stat().st_size if path.exists() else 0
        return Recovered(self.memory, base, lengths, self.damage[:DAMAGE_LINES_MAX], self.torn, size)

    def _read_snapshots(self) -> int:
        """Apply the newest whole snapshot; without one, what can be read of the damaged ones."""
        numbers = generations(self.folder, "snapshot")
        for number in reversed(numbers):
            memory, wrong = _snapshot(self.folder / f"snapshot-{number}")
            if not wrong:
                self.memory = memory
                return number
            self.damage.append(wrong)
            self.memory = memory if len(memory) >= len(self.memory) else self.memory
        return numbers[0] if numbers else 0

    def _read_log(self, number: int, newest: bool) -> int:
        """Replay one log; answers the length up to which it is good."""
        name = f"log-{number}"
        data = (self.folder / name).read_bytes()
        frames = read_frames(data)
        self.damage += [f"{name}: bytes {start} to {end} are damaged" for start, end in frames.damaged]
        if frames.torn and newest:
            self.torn = frames.torn
        elif frames.torn:
            self.damage.append(f"{name}: the last {frames.torn} bytes are damaged")
        payloads = frames.payloads if self.part is None else self._ask_part(name, data, frames.payloads)
        for place, payload in enumerate(payloads):
            try:
                replay(self.memory, decode_batch(payload))
            except WireError as error:
                self.damage.append(f"{name}: commit {place} cannot be read: {error}")
        return frames.end

    def _ask_part(self, name: str, data: bytes, own: list[bytes]) -> list[bytes]:
        """The answer of the part `recovery`, once it is sure to be one."""
        assert self.part is not None
        answer = self.part(data)
        if not isinstance(answer, list) or not all(isinstance(payload, bytes) for payload in answer):
            raise PartFailed(f"the part recovery must answer a list of bytes for {name}; it answered {answer!r:.200}")
        for place, payload in enumerate(answer):
            try:
                decode_batch(payload)
            except WireError as error:
                raise PartFailed(
                    f"the part recovery answered, as commit {place} of {name}, no commit: {error}"
                ) from None
        if answer != own:
            self.damage.append(
                f"{name}: the part recovery found {len(answer)} commits, dynalab finds {len(own)}, not equal"
            )
        return answer


def recover(folder: Path, part: Records | None = None) -> Recovered:
    """Read a store's files; changes nothing.

    Args:
        folder: of the store.
        part: replaces the reading of logs; its answer is checked and compared.

    Raises:
        PartFailed: the part answered what is no list of commits.
        OSError: a file cannot be read.
    """
    return _Recovery(folder, part).read()


def generations(folder: Path, kind: str) -> list[int]:
    """The numbers of the files ``kind-number`` in a folder, ascending."""
    numbers = (path.name.removeprefix(f"{kind}-") for path in folder.glob(f"{kind}-*"))
    return sorted(int(number) for number in numbers if number.isdecimal())


def _snapshot(path: Path) -> tuple[MemoryStore, str]:
    """What a snapshot holds, and what is wrong with it; empty when it is whole."""
    memory = MemoryStore()
    frames = read_frames(path.read_bytes())
    count = 0
    ended = False
    try:
        for payload in frames.payloads:
            batch = decode_batch(payload)
            ended = batch == [End(count)]
            count += len(batch)
            replay(memory, batch)
    except WireError as error:
        return memory, f"{path.name} cannot be read: {error}"
    whole = ended and not frames.damaged and not frames.torn
    return memory, "" if whole else f"{path.name} is damaged: {count} records of it are readable"


def replay(memory: MemoryStore, batch: list[Any]) -> None:
    """Carry out the records of one commit."""
    memory.begin()
    for record in batch:
        _REPLAY[type(record)](memory, record)
    memory.commit()


_REPLAY: dict[type, Callable[[MemoryStore, Any], None]] = {
    KeyPut: lambda memory, record: memory.put(record.key, record.record),
    KeyForgotten: lambda memory, record: memory.forget(record.key),
    Hint: lambda memory, record: memory.put_hint(record),
    HintDropped: lambda memory, record: memory.drop_hint(record.home, record.key),
    MetaPut: lambda memory, record: memory.put_meta(record.name, decode_meta(record.value)),
    RequestSeen: lambda memory, record: memory.remember(record.request, (record.actor, record.counter)),
    End: lambda memory, record: None,  # noqa: ARG005 - it counts; it changes nothing.
}
