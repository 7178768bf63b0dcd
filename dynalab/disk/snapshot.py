"""Snapshots: everything a store keeps, written in slices beside its running log.

Theory of operation.
A log only grows; a snapshot lets the older part of it go.
Writing one at once would stop the node for as long as it takes, so it is written in slices, one after each commit.
While it grows, the log grows too: a new generation of the log begins *before* the snapshot's first slice.
A slice tells the state of that moment; changes after it are in the log, which is replayed over the snapshot.

Rule 1: a snapshot has its final name only when it is whole and synced: written beside, synced, renamed, folder synced.
Rule 2: older generations go only after that.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from dynalab.codec.record import End, encode_batch, encode_record
from dynalab.disk import files
from dynalab.disk.frames import frame

SLICE_BYTES = 64 * 1024
_RECORDS_PER_FRAME = 256


class SnapshotWriter:
    """One snapshot in the making.

    Args:
        records: everything the store keeps, encoded; asked for as slices are written.
        folder: where.
        generation: of the log that began with this snapshot.
    """

    def __init__(self, records: Iterator[bytes], folder: Path, generation: int) -> None:
        self.generation = generation
        self._path = folder / f"snapshot-{generation}"
        self._partial = folder / f"snapshot-{generation}.partial"
        self._file = self._partial.open("wb", buffering=0)
        self._records = records
        self._count = 0
        self.bytes = 0

    def write_slice(self, at_least: int = 0) -> bool:
        """Write about `SLICE_BYTES` more, or `at_least` so many; True when the snapshot is whole and in its place."""
        goal = self.bytes + max(SLICE_BYTES, at_least)
        while self.bytes < goal:
            batch = list(islice(self._records, _RECORDS_PER_FRAME))
            if not batch:
                self._finish()
                return True
            self._append(batch)
        return False

    def _append(self, batch: list[bytes]) -> None:
        data = frame(encode_batch(batch), self.bytes)
        files.write_all(self._file, data)
        self.bytes += len(data)
        self._count += len(batch)

    def _finish(self) -> None:
        self._append([encode_record(End(self._count))])
        files.sync(self._file)
        self._file.close()
        self._partial.replace(self._path)
        files.sync_folder(self._path.parent)

    def abandon(self) -> None:
        """Drop an unfinished snapshot; the log has everything."""
        self._file.close()
        self._partial.unlink(missing_ok=True)
