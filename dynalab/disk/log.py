"""The log engine: everything in memory, and every commit appended to a log before it counts (paper 5, 6.1).

Theory of operation.
Reads are those of the in-memory engine.  Every staged change is also encoded; `commit` writes all changes of a batch
of events as one frame with one write, and in the durable mode one sync: group commit.
An acknowledgement leaves the node only after that, and so does every message that tells of the change.
When the log has grown, a snapshot is written beside it and the older log goes (`dynalab.disk.snapshot`).
Opening reads snapshot and log again (`dynalab.disk.recovery`).

What a crash costs:

    durable     nothing that was acknowledged, whatever crashed
    buffered    nothing when the process crashed, for the system holds what was written;
                up to the last `BUFFERED_WRITES` or so when the machine did, but nothing up to the last `sync_next`

Rule 1: one commit is one frame: it is there as a whole, or not at all.
Rule 2: a torn tail is dropped and costs nothing: it lies behind the mark, so nothing of it was acknowledged,
no message told of it, and the counters it used were seen by nobody (`dynalab.disk.mark`).
Rule 3: damage elsewhere, or a log shorter than its mark, is a loss: what is readable is kept, `damage` names it,
and `complete` is False, at every opening until a fresh incarnation is durable.
Rule 4: after a failed sync the store accepts nothing more, for the system may have dropped what it could not write.

DEPARTS: the paper offers Berkeley DB, MySQL and a memory buffer (5); ours is small enough to read.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any

from dynalab.codec.record import (
    HintDropped,
    KeyForgotten,
    KeyPut,
    RequestSeen,
    decode_meta,
    decode_record,
    encode_batch,
    encode_meta,
    encode_record,
)
from dynalab.core.store import Hint, MemoryStore, Record
from dynalab.disk import files
from dynalab.disk.durations import Durations
from dynalab.disk.frames import frame
from dynalab.disk.mark import INCARNATION, MarkFile, what_is_missing
from dynalab.disk.recovery import Records, generations, recover
from dynalab.disk.snapshot import SnapshotWriter

LOG_BYTES = 8 * 1024 * 1024
"""A log longer than this, and than twice the last snapshot, is replaced by a new snapshot."""

BUFFERED_WRITES = 1_000
"""In the buffered mode the device is asked to catch up after so many writes; the paper's buffer has 1,000 (6.1)."""


class LogStore(MemoryStore):
    """A storage engine on a folder of its own.

    Args:
        folder: made when it is not there.
        durability: ``durable`` syncs every commit, ``buffered`` now and then (6.1).
        recovery: the part that reads logs: ``records(log: bytes) -> list[bytes]``.
        complete: False when an empty folder means that everything was lost.
        log_bytes: see `LOG_BYTES`.
        compress_bytes: see `Config.compress_bytes`.

    Attributes:
        complete: False when something acknowledged may be missing.
        damage: what is missing, or was unreadable, in words.
        commits, syncs: how long commits took, and the waits for the device in them.

    Raises:
        StoreInUse: another process has this store open.
        PartFailed: the part `recovery` answered what is no list of commits.
        OSError: the folder cannot be used.
    """

    def __init__(
        self,
        folder: Path | str,
        durability: str = "durable",
        recovery: Records | None = None,
        complete: bool = True,
        log_bytes: int = LOG_BYTES,
        compress_bytes: int = 0,
    ) -> None:
        if durability not in ("durable", "buffered"):
            raise ValueError(f"durability of a log is durable or buffered; got {durability!r}")
        super().__init__(complete)
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.durable = durability == "durable"
        self.damage: list[str] = []
        self._log_bytes = log_bytes
        self._compress_bytes = compress_bytes
        #: encoded changes since the last commit; from `_event` on, those of the current event
        self._staged: list[bytes] = []
        self._event = 0
        self._unsynced_writes = 0
        self._sync_next = False
        self._background = files.BackgroundSync()
        self.commits = Durations()
        self.syncs = Durations()
        self._snapshot: SnapshotWriter | None = None
        self._broken: OSError | None = None
        self._closed = False
        self._lock = files.FolderLock(self.folder)
        try:
            self._open(recovery, complete)
        except BaseException:
            self._lock.release()
            raise

    # Staging: the in-memory engine does it, and the change is remembered ----------------------

    def put(self, key: bytes, record: Record) -> None:
        self._staged.append(encode_record(KeyPut(key, record), self._compress_bytes))
        super().put(key, record)

    def forget(self, key: bytes) -> None:
        self._staged.append(encode_record(KeyForgotten(key)))
        super().forget(key)

    def put_hint(self, hint: Hint) -> None:
        self._staged.append(encode_record(hint, self._compress_bytes))
        super().put_hint(hint)

    def drop_hint(self, home: str, key: bytes) -> None:
        self._staged.append(encode_record(HintDropped(home, key)))
        super().drop_hint(home, key)

    def put_meta(self, name: str, value: Any) -> None:
        """See `Store.put_meta`; tuples become lists at once, as they will be after a restart."""
        data = encode_meta(name, value)
        self._staged.append(data)
        self.sync_next()
        super().put_meta(name, decode_meta(decode_record(data).value))

    def remember(self, request: str, dot: tuple[str, int]) -> None:
        self._staged.append(encode_record(RequestSeen(request, *dot)))
        super().remember(request, dot)

    def begin(self) -> None:
        super().begin()
        self._event = len(self._staged)

    def sync_next(self) -> None:
        """The next commit is synced in the buffered mode, too."""
        self._sync_next = True

    def rollback(self) -> None:
        super().rollback()
        del self._staged[self._event :]

    # Commit ------------------------------------------------------------------------------------

    def commit(self) -> None:
        """One frame, one write, and in the durable mode one sync.

        Raises:
            OSError: it is not sure to be durable, so nothing of it may be acknowledged, and the node must end;
                the log has all of it or nothing.
        """
        if self._broken is not None:
            raise OSError(self._broken.errno, f"an earlier commit failed: {self._broken}") from self._broken
        if self._staged:
            began_ns = time.perf_counter_ns()
            data = frame(encode_batch(self._staged), self._length)
            self._append(data)
            self._write_mark()
            self._unsynced_writes += len(self._staged)
            self._staged.clear()
            self._event = 0
            try:
                self._shorten(len(data))
            except OSError as error:
                self._broken = error  # Between two generations there is no log to append to.
                raise
            self.commits.add(time.perf_counter_ns() - began_ns)
        super().commit()

    def _append(self, data: bytes) -> None:
        try:
            files.write_all(self._log, data)
        except OSError:
            os.truncate(self._log.fileno(), self._length)  # Half a frame is of no use to anyone.
            self._log.seek(self._length)
            raise
        try:
            self._sync()
        except OSError as error:
            self._broken = error
            raise
        self._length += len(data)

    def _sync(self) -> None:
        """Sync in the durable mode; in the buffered one now and then, but membership and incarnation at once."""
        if self.durable or self._sync_next:
            self._sync_next = False
            self._unsynced_writes = 0
            began_ns = time.perf_counter_ns()
            files.sync(self._log)
            self.syncs.add(time.perf_counter_ns() - began_ns)
        elif self._unsynced_writes >= BUFFERED_WRITES:
            self._unsynced_writes = 0
            self._background.start(self._log)

    def _write_mark(self, clean: bool = False, synced: bool = False) -> None:
        self._mark.write(self._length, self.meta(INCARNATION), self._generation, clean, synced)

    # Generations -------------------------------------------------------------------------------

    def _shorten(self, written: int) -> None:
        """Begin a new generation when the log has grown, or write the next slice of the one begun."""
        if self._snapshot is None:
            if self._length + self._older_bytes <= max(self._log_bytes, 2 * self._snapshot_bytes):
                return
            self._begin_generation()
        assert self._snapshot is not None
        if self._snapshot.write_slice(2 * written):
            self._finish_generation()

    def _begin_generation(self) -> None:
        """A new log first, then the snapshot: what changes meanwhile is in the log."""
        self._background.wait()
        files.sync(self._log)
        self._log.close()
        self._older_bytes += self._length
        self._open_log(self._generation + 1, 0)
        self._write_mark()
        self._snapshot = SnapshotWriter(self._everything(), self.folder, self._generation)

    def _finish_generation(self) -> None:
        assert self._snapshot is not None
        self._snapshot_bytes = self._snapshot.bytes
        self._snapshot = None
        self._older_bytes = 0
        self._remove_older(self._generation)

    def _remove_older(self, generation: int) -> None:
        for kind in ("log", "snapshot"):
            for number in generations(self.folder, kind):
                if number < generation:
                    (self.folder / f"{kind}-{number}").unlink()

    def _everything(self) -> Iterator[bytes]:
        """All that is kept, as records, each as it is when it is asked for."""
        for name, value in list(self._meta.items()):
            yield encode_meta(name, value)
        for key in list(self._records):
            if (record := self.get(key)) is not None:
                yield encode_record(KeyPut(key, record), self._compress_bytes)
        for home, key in [(hint.home, hint.key) for hint in self.hints()]:
            if (hint := self.hint(home, key)) is not None:
                yield encode_record(hint, self._compress_bytes)
        for request, dot in list(self._requests.items()):
            yield encode_record(RequestSeen(request, *dot))

    # Opening and closing -----------------------------------------------------------------------

    def _open(self, recovery: Records | None, complete: bool) -> None:
        """Recover, judge what is missing, and begin to append."""
        for partial in self.folder.glob("*.partial"):
            partial.unlink()  # A snapshot that was never finished; the log has everything.
        found = recover(self.folder, recovery)
        self._mark = MarkFile(self.folder / "mark", self.durable)
        self.damage = found.damage + self._losses(found.lengths, found.base)
        vars(self).update(vars(found.memory))
        fresh = not found.lengths and not found.base and self._mark.found is None and self._mark.readable
        self.complete = not self.damage and (complete or not fresh)
        self._mark.begin(not self.complete, self.meta(INCARNATION))
        self._snapshot_bytes = found.snapshot_bytes
        newest = max(found.lengths, default=found.base)
        self._older_bytes = sum(length for number, length in found.lengths.items() if number != newest)
        self._open_log(newest, found.lengths.get(newest, 0))
        self._write_mark(synced=True)
        if found.damage:
            self._set_damaged_aside()
        self._remove_older(found.base)

    def _losses(self, lengths: dict[int, int], base: int) -> list[str]:
        """What the mark knows to be missing."""
        mark = self._mark.found
        if mark is None:
            unmarked = bool(lengths) or not self._mark.readable
            return ["the mark is gone or damaged: what was acknowledged is not known"] if unmarked else []
        if mark.generation < base:
            return what_is_missing(mark, mark.position)  # A whole snapshot has everything of that generation.
        return what_is_missing(mark, lengths.get(mark.generation, 0))

    def _open_log(self, generation: int, length: int) -> None:
        """Append to this log from `length` on; what is behind is a torn tail, and goes."""
        path = self.folder / f"log-{generation}"
        self._log: IO[bytes] = path.open("r+b" if path.exists() else "w+b", buffering=0)
        self._log.truncate(length)
        self._log.seek(length)
        self._generation, self._length = generation, length
        files.sync(self._log)
        files.sync_folder(self.folder)

    def _set_damaged_aside(self) -> None:
        """Write down what was readable as a new generation; keep the damaged files for whoever wants to look."""
        self._begin_generation()
        assert self._snapshot is not None
        while not self._snapshot.write_slice():
            continue
        for kind in ("log", "snapshot"):
            for number in generations(self.folder, kind):
                if number < self._generation:
                    path = self.folder / f"{kind}-{number}"
                    path.replace(path.with_name(f"damaged-{kind}-{number}"))
        self._finish_generation()

    def close(self) -> None:
        """Commit, sync, say so in the mark, and release the files; fine when already closed.

        Raises:
            OSError: the commit failed; the files are released all the same.
        """
        if self._closed:
            return
        self._closed = True
        try:
            self.commit()
            self._background.wait()
            files.sync(self._log)
            self._write_mark(clean=True, synced=True)
        finally:
            if self._snapshot is not None:
                self._snapshot.abandon()
            self._log.close()
            self._mark.close()
            self._lock.release()
