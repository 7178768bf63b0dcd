"""The mark: how far a store had acknowledged, in which mode, on which boot of the machine (paper 6.1).

Theory of operation.
After every commit the store writes one small mark, without syncing it.
When a store is opened, the mark and what was found are compared (`what_is_missing`):

    the process ended, the machine did not      the mark is exact, in both modes
    the machine ended, mode durable             the mark may be old; what it tells was synced before it was written
    the machine ended, mode buffered            the mark says nothing: the last commits may be gone
    the store was closed                        log and mark were synced: the mark is exact

So a log that ends before its mark has lost something that was acknowledged,
and a torn record behind the mark was never acknowledged: nothing that it says has left the process,
neither an answer nor a message, because effects wait for the commit.

Rule 1: whenever it is not certain that everything acknowledged is there, something is missing.
Rule 2: that stays written in the mark until the node has made a fresh incarnation durable;
else a second crash, before that, would hide the loss.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import NamedTuple
from zlib import crc32

from dynalab.disk import files

_LAYOUT = struct.Struct(">8s???QQ36s")
_CRC = struct.Struct(">I")
_MAGIC = b"DYNAMARK"

INCARNATION = "incarnation"
"""The name under which a node keeps its incarnation in its store (rule 2)."""


class Mark(NamedTuple):
    """What one mark says.

    Attributes:
        boot: of the machine, when it was written.
        durable: the mode: every commit was synced before it was marked.
        clean: the store was closed, everything synced.
        complete: False while a loss was found and no fresh incarnation taken.
        generation, position: of the log's file and its length; other engines count commits in `position`.
    """

    boot: str
    durable: bool
    clean: bool = False
    complete: bool = True
    generation: int = 0
    position: int = 0


class MarkFile:
    """The file that holds the mark; overwritten in place, small enough to be never half written by a killed process.

    Args:
        path: of the file; made when it is not there.
        durable: the mode from now on.

    Attributes:
        found: the mark of the last run; None without one.
        readable: False when there is one that cannot be read.
        lossy: a loss is known, and no fresh incarnation is durable since (rule 2).
    """

    def __init__(self, path: Path, durable: bool) -> None:
        self.path = path
        self.found, self.readable = self._read()
        self.lossy = False
        self._durable = durable
        self._boot = files.boot_id()
        self._incarnation_found: object = None
        self._file = path.open("r+b" if path.exists() else "w+b", buffering=0)

    def _read(self) -> tuple[Mark | None, bool]:
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return None, True
        try:
            magic, durable, clean, complete, generation, position, boot = _LAYOUT.unpack_from(data)
            (crc,) = _CRC.unpack_from(data, _LAYOUT.size)
        except struct.error:
            return None, False
        if magic != _MAGIC or crc != crc32(data[: _LAYOUT.size]):
            return None, False
        return Mark(boot.rstrip(b"\0").decode(), durable, clean, complete, generation, position), True

    def begin(self, lossy: bool, incarnation: object) -> None:
        """The store was read: whether something is missing, and the incarnation that was found in it."""
        self.lossy = lossy
        self._incarnation_found = incarnation

    def write(
        self, position: int, incarnation: object, generation: int = 0, clean: bool = False, synced: bool = False
    ) -> None:
        """Overwrite the mark, after everything up to `position` is as durable as the mode promises.

        Args:
            position: see `Mark`.
            incarnation: that is in the store now; a fresh one settles a loss.
            generation: see `Mark`.
            clean: the store is being closed.
            synced: wait until the device has the mark.
        """
        self.lossy = self.lossy and incarnation == self._incarnation_found
        fields = (self._durable, clean, not self.lossy, generation, position, self._boot.encode())
        data = _LAYOUT.pack(_MAGIC, *fields)
        self._file.seek(0)
        files.write_all(self._file, data + _CRC.pack(crc32(data)))
        if synced:
            files.sync(self._file)

    def close(self) -> None:
        """Release the file; fine when already done."""
        self._file.close()


def what_is_missing(mark: Mark, reached: int) -> list[str]:
    """Why something acknowledged may not be there any more, in words; empty: all of it is.

    Args:
        mark: as found.
        reached: the position up to which the store can be read now.
    """
    exact = mark.clean or mark.boot == files.boot_id()
    missing = []
    if reached < mark.position:
        missing.append(f"acknowledged up to {mark.position}, readable up to {reached}")
    if not mark.durable and not exact:
        missing.append("the machine restarted before buffered writes were synced")
    if not mark.complete:
        missing.append("an earlier start found a loss, and no fresh incarnation was taken since")
    return missing
