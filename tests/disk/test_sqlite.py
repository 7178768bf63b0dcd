"""SQLite files that were damaged."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from dynalab.disk.sqlite import FILE
from tests.disk.rig import SQLITE, record


def _filled(folder: Path, count: int = 300) -> Path:
    store = SQLITE.open(folder)
    for number in range(count):
        store.put(b"key-%d" % number, record("x" * 200))
    store.commit()
    store.close()
    return folder / FILE


def test_a_changed_value_is_found(tmp_path: Path) -> None:
    """SQLite itself would not notice a flipped bit in a value; the checksum does."""
    path = _filled(tmp_path / "s")
    with sqlite3.connect(path) as database:
        (value,) = database.execute("SELECT value FROM bytes WHERE name = ?", (b"kkey-7",)).fetchone()
        changed = value[:50] + bytes([value[50] ^ 1]) + value[51:]
        database.execute("UPDATE bytes SET value = ? WHERE name = ?", (changed, b"kkey-7"))
    database.close()
    store = SQLITE.open(tmp_path / "s")
    assert (store.complete, len(store)) == (False, 299)
    assert "key-7" in store.damage[0]
    assert store.get(b"key-8") == record("x" * 200)
    store.close()


def test_a_value_damaged_meanwhile_is_an_error_not_an_absence(tmp_path: Path) -> None:
    """A record that turns unreadable while the store is open is an error of the device."""
    path = _filled(tmp_path / "s")
    store = SQLITE.open(tmp_path / "s")
    with sqlite3.connect(path) as database:
        database.execute("UPDATE bytes SET value = ? WHERE name = ?", (b"junk", b"kkey-7"))
    database.close()
    with pytest.raises(OSError, match="damaged"):
        store.get(b"key-7")
    store.close()


@pytest.mark.parametrize("junk", [b"no database at all", b""])
def test_a_file_that_is_no_database_is_set_aside(junk: bytes, tmp_path: Path) -> None:
    """What cannot be read is kept aside, and the store begins empty and incomplete."""
    path = _filled(tmp_path / "s")
    path.write_bytes(junk * 100)
    store = SQLITE.open(tmp_path / "s")
    assert (store.complete, len(store)) == (False, 0)
    store.put(b"cart", record("milk"))
    store.close()
    again = SQLITE.open(tmp_path / "s")
    assert (again.complete, again.get(b"cart")) == (False, record("milk"))
    again.close()


def test_what_is_readable_of_a_damaged_file_is_kept(tmp_path: Path) -> None:
    """A file with a ruined page: records before it are carried over, and the loss is named."""
    path = _filled(tmp_path / "s")
    data = bytearray(path.read_bytes())
    place = len(data) * 3 // 4 // 4096 * 4096
    data[place : place + 4096] = b"\xa5" * 4096
    path.write_bytes(data)
    store = SQLITE.open(tmp_path / "s")
    assert not store.complete
    assert FILE in store.damage[0]
    assert (tmp_path / "s" / f"damaged-{FILE}").exists()
    assert all(store.get(key) == record("x" * 200) for key in sorted(store.keys()))
    store.close()
