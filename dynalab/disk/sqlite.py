"""The SQLite engine: a file that a student can open with any SQLite browser (paper 5).

Theory of operation.
One table of names and values under `dynalab.disk.table`, in SQLite's write-ahead mode.
Durable: every commit is synced (``synchronous=FULL``).
Buffered: SQLite syncs only when it moves its log into the file (``synchronous=NORMAL``).

Rule 1: a damaged file is set aside, what is readable of it is carried over, and the loss is named.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from errno import EIO
from pathlib import Path

FILE = "store.sqlite"


class SqliteTable:
    """`dynalab.disk.table.Table` in one SQLite file.

    Args:
        folder: where the file is, or will be.
        durable: sync every batch.
    """

    def __init__(self, folder: Path, durable: bool) -> None:
        self.damage: list[str] = []
        self._path = folder / FILE
        self._durable = durable
        saved = self._set_damaged_aside() if self._path.exists() else {}
        with _as_os_error():
            self._open()
        if saved:
            self.write(saved)

    def _open(self) -> None:
        self._database = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        self._database.execute("PRAGMA journal_mode=WAL")
        self._database.execute(f"PRAGMA synchronous={'FULL' if self._durable else 'NORMAL'}")
        self._database.execute("CREATE TABLE IF NOT EXISTS bytes (name BLOB PRIMARY KEY, value BLOB) WITHOUT ROWID")

    def _set_damaged_aside(self) -> Mapping[bytes, bytes | None]:
        """What can be saved of a damaged file; nothing when it is sound."""
        saved: dict[bytes, bytes | None] = {}
        try:
            with closing(sqlite3.connect(self._path)) as database:
                (verdict,) = database.execute("PRAGMA quick_check(1)").fetchone()
                if verdict == "ok":
                    return {}
                self.damage.append(f"{FILE} is damaged: {verdict}")
                saved.update(database.execute("SELECT name, value FROM bytes"))
        except sqlite3.DatabaseError as error:
            self.damage.append(f"{FILE} cannot be read: {error}")
        for suffix in ("", "-wal", "-shm"):
            path = self._path.with_name(FILE + suffix)
            if path.exists():
                path.replace(path.with_name(f"damaged-{FILE}{suffix}"))
        return saved

    def get(self, name: bytes) -> bytes | None:
        with _as_os_error():
            row = self._database.execute("SELECT value FROM bytes WHERE name = ?", (name,)).fetchone()
        return None if row is None else row[0]

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        with _as_os_error():
            yield from self._database.execute(
                "SELECT name, value FROM bytes WHERE name >= ? AND name < ? ORDER BY name",
                (prefix, prefix + b"\xff" * 2048),
            )

    def write(self, changes: Mapping[bytes, bytes | None]) -> None:
        kept = [(name, value) for name, value in changes.items() if value is not None]
        removed = [(name,) for name, value in changes.items() if value is None]
        with _as_os_error():
            self._database.execute("BEGIN IMMEDIATE")
            try:
                self._database.executemany("INSERT OR REPLACE INTO bytes VALUES (?, ?)", kept)
                self._database.executemany("DELETE FROM bytes WHERE name = ?", removed)
                self._database.execute("COMMIT")
            except sqlite3.Error:
                if self._database.in_transaction:
                    self._database.execute("ROLLBACK")
                raise

    def sync(self) -> None:
        with _as_os_error():
            self._database.execute("PRAGMA wal_checkpoint(FULL)")

    def close(self) -> None:
        self._database.close()


@contextmanager
def _as_os_error() -> Iterator[None]:
    """What SQLite cannot do, the device could not do."""
    try:
        yield
    except sqlite3.Error as error:
        raise OSError(EIO, f"SQLite: {error}") from error
