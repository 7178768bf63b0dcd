"""The RocksDB engine: a log-structured merge tree, for more keys than memory holds (paper 5).

Needs the package rocksdict (``dynalab[disk]``).
Durable: every batch is synced.  Buffered: RocksDB writes its log to the system and syncs it when it likes.

Rule 1: a database that does not open is repaired by RocksDB's own means, and the loss is named.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from errno import EIO
from itertools import takewhile
from pathlib import Path

from rocksdict import Options, Rdict, WriteBatch, WriteOptions

FOLDER = "rocks"


class RocksTable:
    """`dynalab.disk.table.Table` in one RocksDB folder.

    Args:
        folder: where RocksDB's own folder is, or will be.
        durable: sync every batch.
    """

    def __init__(self, folder: Path, durable: bool) -> None:
        self.damage: list[str] = []
        self._path = str(folder / FOLDER)
        self._writing = WriteOptions()
        self._writing.sync = durable
        with _as_os_error():
            self._database = self._open()

    def _open(self) -> Rdict:
        options = Options(raw_mode=True)
        options.create_if_missing(True)
        try:
            return Rdict(self._path, options)
        except Exception as error:  # The binding raises nothing narrower.
            if "lock" in str(error).lower():
                raise
            self.damage.append(f"RocksDB had to be repaired: {error}")
        Rdict.repair(self._path, options)
        return Rdict(self._path, options)

    def get(self, name: bytes) -> bytes | None:
        with _as_os_error():
            value: bytes | None = self._database.get(name)
        return value

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        with _as_os_error():
            items: Iterator[tuple[bytes, bytes]] = iter(self._database.items(from_key=prefix))  # type: ignore[arg-type]
            yield from takewhile(lambda item: item[0].startswith(prefix), items)

    def write(self, changes: Mapping[bytes, bytes | None]) -> None:
        batch = WriteBatch(raw_mode=True)
        for name, value in changes.items():
            if value is None:
                batch.delete(name)
            else:
                batch.put(name, value)
        with _as_os_error():
            self._database.write(batch, self._writing)

    def sync(self) -> None:
        with _as_os_error():
            self._database.flush_wal(True)

    def close(self) -> None:
        with _as_os_error():
            self._database.close()


@contextmanager
def _as_os_error() -> Iterator[None]:
    """What RocksDB cannot do, the device could not do; the binding raises plain exceptions."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise OSError(EIO, f"RocksDB: {error}") from error
