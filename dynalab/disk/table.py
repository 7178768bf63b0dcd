"""A storage engine over any ordered table of bytes: what SQLite, RocksDB and Redis have in common (paper 5).

Theory of operation.
The paper's nodes choose their engine; what an engine must offer to be chosen is `Table`: five methods over bytes.
Everything else is here: names, checksums, staging, undo, hints by home, remembered requests, and the mark.

    k + key               a record
    h + length + key + home   a hint
    m + name              a small value
    q + request           a remembered request id
    n                     the number of the last commit

Changes are staged in memory; `commit` hands them to the table as one batch, all or nothing, and then moves the mark.

Rule 1: every value carries a CRC32 over its name and itself: a flipped bit is a loss that is known, not a wrong answer.
Rule 2: when a store is opened every value is read once; what cannot be read is damage, and the store is not complete.
Rule 3: a table that knows fewer commits than the mark has lost some (`dynalab.disk.mark`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from errno import EIO
from pathlib import Path
from struct import Struct
from typing import Any, Protocol
from zlib import crc32

from dynalab.codec.record import (
    KeyPut,
    MetaPut,
    RequestSeen,
    WireError,
    decode_meta,
    decode_record,
    encode_meta,
    encode_record,
)
from dynalab.core.store import REQUESTS_REMEMBERED, Hint, Record, weight
from dynalab.disk import files
from dynalab.disk.durations import Durations
from dynalab.disk.mark import INCARNATION, MarkFile, what_is_missing

_CRC = Struct(">I")
_LENGTH = Struct(">H")
_NUMBER = Struct(">Q")

COMMITS = b"n"
DAMAGE_LINES_MAX = 100


class Table(Protocol):
    """Bytes by name, in the order of the names; raises OSError when it cannot do what it is asked."""

    damage: list[str]
    """What was found broken when the table was opened, in words."""

    def get(self, name: bytes) -> bytes | None:
        """The value of `name`, or None."""

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """All names that begin with `prefix`, and their values, sorted; nobody writes meanwhile."""

    def write(self, changes: Mapping[bytes, bytes | None]) -> None:
        """Set values, and remove the names whose value is None: all of it or nothing, as durable as the mode says."""

    def sync(self) -> None:
        """Make everything written durable."""

    def close(self) -> None:
        """Release files and connections."""


class TableStore:
    """The port `dynalab.core.store.Store` over a `Table`.

    Args:
        table: opened, and used by nobody else.
        folder: for the mark.
        lock: of the folder; released when the store is closed.
        durable: whether the table syncs every batch.
        complete: False when an empty table means that everything was lost.
        compress_bytes: see `Config.compress_bytes`.

    Attributes:
        complete: False when something acknowledged may be missing.
        damage: what is missing, or was unreadable, in words.
    """

    def __init__(
        self,
        table: Table,
        folder: Path,
        lock: files.FolderLock,
        durable: bool,
        complete: bool,
        compress_bytes: int = 0,
    ) -> None:
        self._table = table
        self._lock = lock
        self._durable = durable
        self._compress_bytes = compress_bytes
        #: {name: value, None when removed} since the last commit
        self._staged: dict[bytes, bytes | None] = {}
        #: (name, what was staged for it before, `_NOTHING` when nothing was) since the event began
        self._undo: list[tuple[bytes, Any]] = []
        #: {request id: (number, dot)}, oldest first, numbers rising
        self._requests: dict[str, tuple[int, tuple[str, int]]] = {}
        self._request_number = 0
        #: {key: {hint name: bytes of its values}}
        self._hint_weights: dict[bytes, dict[bytes, int]] = {}
        self._count = 0
        self._commits = 0
        self._sync_next = False
        self.commits = Durations()
        self._closed = False
        self.damage = list(table.damage)
        self._take_stock()
        self._mark = MarkFile(folder / "mark", durable)
        empty = not self._commits and self._mark.found is None and self._mark.readable
        self.damage += self._losses(empty)
        self.complete = not self.damage and (complete or not empty)
        self._mark.begin(not self.complete, self.meta(INCARNATION))
        self._write_mark(synced=True)

    # Opening -----------------------------------------------------------------------------------

    def _take_stock(self) -> None:
        """Read everything once: count, remember what is kept in memory, and stage the removal of what is damaged."""
        for name, value in self._table.scan(b""):
            try:
                self._notice(name, None, value)
            except WireError as error:
                self._staged[name] = None
                self.damage[DAMAGE_LINES_MAX:] = [f"{name!r:.80}: {error}"]
        self._sort_requests()
        self._request_number = max((number for number, _ in self._requests.values()), default=0)

    def _losses(self, empty: bool) -> list[str]:
        if self._mark.found is not None:
            return what_is_missing(self._mark.found, self._commits)
        return [] if empty else ["the mark is gone or damaged: what was acknowledged is not known"]

    def _notice(self, name: bytes, old: bytes | None, new: bytes | None) -> None:
        """Keep what is known of the table in memory up with a change."""
        kind = name[:1]
        value = None if new is None else _opened(name, new)
        if kind == b"k":
            self._count += (new is not None) - (old is not None)
        elif kind == b"h":
            weights = self._hint_weights.setdefault(_hint_key(name), {})
            weights.pop(name, None)
            if value is not None:
                weights[name] = weight(value.record.siblings)
            elif not weights:
                del self._hint_weights[_hint_key(name)]
        elif kind == b"q":
            self._requests.pop(name[1:].decode(), None)
            if value is not None:
                number, seen = value
                self._requests[seen.request] = (number, (seen.actor, seen.counter))
        elif name == COMMITS:
            self._commits = int(value or 0)

    def _sort_requests(self) -> None:
        self._requests = dict(sorted(self._requests.items(), key=lambda item: item[1][0]))

    # Records -----------------------------------------------------------------------------------

    def get(self, key: bytes) -> Record | None:
        found: KeyPut | None = self._read(b"k" + key)
        return None if found is None else found.record

    def put(self, key: bytes, record: Record) -> None:
        self._stage(b"k" + key, encode_record(KeyPut(key, record), self._compress_bytes))

    def forget(self, key: bytes) -> None:
        self._stage(b"k" + key, None)

    def keys(self) -> Iterator[bytes]:
        return (name[1:] for name, _ in self._scan(b"k"))

    def __len__(self) -> int:
        return self._count

    # Hints -------------------------------------------------------------------------------------

    def hint(self, home: str, key: bytes) -> Hint | None:
        found: Hint | None = self._read(_hint_name(home, key))
        return found

    def put_hint(self, hint: Hint) -> None:
        self._stage(_hint_name(hint.home, hint.key), encode_record(hint, self._compress_bytes))

    def drop_hint(self, home: str, key: bytes) -> None:
        self._stage(_hint_name(home, key), None)

    def hints(self, home: str | None = None) -> list[Hint]:
        held: list[Hint] = [_opened(name, value) for name, value in self._scan(b"h")]
        return sorted((hint for hint in held if home in (None, hint.home)), key=lambda hint: hint.kept_us)

    def hints_of(self, key: bytes) -> list[Hint]:
        return [self._read(name) for name in sorted(self._hint_weights.get(key, ()))]

    def hint_bytes(self) -> int:
        return sum(sum(weights.values()) for weights in self._hint_weights.values())

    # Small values and requests -----------------------------------------------------------------

    def meta(self, name: str, default: Any = None) -> Any:
        found: MetaPut | None = self._read(b"m" + name.encode())
        return default if found is None else decode_meta(found.value)

    def put_meta(self, name: str, value: Any) -> None:
        self._stage(b"m" + name.encode(), encode_meta(name, value))

    def seen(self, request: str) -> tuple[str, int] | None:
        found = self._requests.get(request)
        return None if found is None else found[1]

    def remember(self, request: str, dot: tuple[str, int]) -> None:
        self._request_number += 1
        seen = encode_record(RequestSeen(request, *dot))
        self._stage(b"q" + request.encode(), _NUMBER.pack(self._request_number) + seen)
        if len(self._requests) > REQUESTS_REMEMBERED:
            self._stage(b"q" + next(iter(self._requests)).encode(), None)

    # Staging -----------------------------------------------------------------------------------

    def _raw(self, name: bytes) -> bytes | None:
        return self._staged[name] if name in self._staged else self._table.get(name)

    def _read(self, name: bytes) -> Any:
        """The value of `name`; a damaged one is an error of the device, never an absent key."""
        value = self._raw(name)
        try:
            return None if value is None else _opened(name, value)
        except WireError as error:
            raise OSError(EIO, f"the stored value of {name!r:.80} is damaged: {error}") from None

    def _scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Names and values as staged, sorted."""
        if not self._staged:
            return self._table.scan(prefix)
        names: dict[bytes, bytes | None] = dict(self._table.scan(prefix))
        names.update((name, value) for name, value in self._staged.items() if name.startswith(prefix))
        return iter(sorted((name, value) for name, value in names.items() if value is not None))

    def _stage(self, name: bytes, body: bytes | None) -> None:
        old, new = self._raw(name), None if body is None else _sealed(name, body)
        self._undo.append((name, self._staged.get(name, _NOTHING)))
        self._staged[name] = new
        self._notice(name, old, new)

    def begin(self) -> None:
        self._undo.clear()

    def rollback(self) -> None:
        for name, before in reversed(self._undo):
            now = self._raw(name)
            if before is _NOTHING:
                del self._staged[name]
            else:
                self._staged[name] = before
            self._notice(name, now, self._raw(name))
        self._undo.clear()
        self._sort_requests()

    # Commit ------------------------------------------------------------------------------------

    def commit(self) -> None:
        if self._staged:
            began_ns = time.perf_counter_ns()
            number = self._commits + 1
            self._table.write({**self._staged, COMMITS: _sealed(COMMITS, _NUMBER.pack(number))})
            self._commits = number
            if self._sync_next:
                self._table.sync()
                self._sync_next = False
            self._write_mark()
            self._staged.clear()
            self.commits.add(time.perf_counter_ns() - began_ns)
        self._undo.clear()

    def sync_next(self) -> None:
        """The next commit is synced in the buffered mode, too."""
        self._sync_next = not self._durable

    def _write_mark(self, clean: bool = False, synced: bool = False) -> None:
        self._mark.write(self._commits, self.meta(INCARNATION), clean=clean, synced=synced)

    def close(self) -> None:
        """Commit, sync, say so in the mark, and release everything; fine when already closed.

        Raises:
            OSError: the commit failed; everything is released all the same.
        """
        if self._closed:
            return
        self._closed = True
        try:
            self.commit()
            self._table.sync()
            self._write_mark(clean=True, synced=True)
        finally:
            self._table.close()
            self._mark.close()
            self._lock.release()


def open_table(
    make: Callable[[Path, bool], Table], folder: Path, durable: bool, complete: bool = True, compress_bytes: int = 0
) -> TableStore:
    """The store over the table that `make(folder, durable)` opens.

    Args:
        make: a class of tables.
        folder: of the store alone; made when it is not there.
        durable: sync every batch.
        complete: False when an empty table means that everything was lost.
        compress_bytes: see `Config.compress_bytes`.

    Raises:
        StoreInUse: another process has it open.
        OSError: the folder, or what the table needs, cannot be used.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = files.FolderLock(folder)
    try:
        return TableStore(make(folder, durable), folder, lock, durable, complete, compress_bytes)
    except BaseException:
        lock.release()
        raise


_NOTHING = object()


def _hint_name(home: str, key: bytes) -> bytes:
    return b"h" + _LENGTH.pack(len(key)) + key + home.encode()


def _hint_key(name: bytes) -> bytes:
    start = 1 + _LENGTH.size
    return name[start : start + _LENGTH.unpack_from(name, 1)[0]]


def _sealed(name: bytes, body: bytes) -> bytes:
    return _CRC.pack(crc32(body, crc32(name))) + body


def _opened(name: bytes, value: bytes) -> Any:
    """What was sealed: a record, of a request its number and the record, of `COMMITS` a number."""
    body = value[_CRC.size :]
    if len(value) < _CRC.size or _CRC.unpack_from(value)[0] != crc32(body, crc32(name)):
        raise WireError("the checksum is wrong")
    if name == COMMITS:
        return _NUMBER.unpack(body)[0]
    if name[:1] == b"q":
        return _NUMBER.unpack_from(body)[0], decode_record(body[_NUMBER.size :])
    return decode_record(body)
