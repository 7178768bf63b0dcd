"""The log engine under damage: torn tails, flipped bits, lost files, failed writes, crashes between any steps."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynalab.codec.record import KeyPut, decode_batch, encode_batch, encode_record
from dynalab.core.errors import PartFailed
from dynalab.disk import files, log
from dynalab.disk.frames import HEADER_BYTES, frame, read_frames, records
from dynalab.disk.log import LogStore
from dynalab.disk.mark import MarkFile
from dynalab.disk.recovery import generations
from tests.disk.rig import contents, crash, hint, record


def _three_commits(folder: Path, durability: str = "durable") -> list[Any]:
    """A store with three commits, left open as by a killed process; answers its contents and mark after each."""
    store = LogStore(folder, durability)
    states = []
    for text in ("milk", "tea", "coffee"):
        store.put(text.encode(), record(text))
        store.put_hint(hint("B", text.encode(), text))
        store.commit()
        states.append((contents(store), (folder / "mark").read_bytes(), (folder / "log-0").read_bytes()))
    store._lock.release()
    return states


def _opened(folder: Path, mark: bytes, data: bytes, durability: str = "durable") -> LogStore:
    """A store whose only files are this mark and this log."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    (folder / "mark").write_bytes(mark)
    (folder / "log-0").write_bytes(data)
    return LogStore(folder, durability)


# --- torn tails -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("durability", ["durable", "buffered"])
def test_a_torn_record_that_nobody_was_told_of_costs_nothing(durability: str, tmp_path: Path) -> None:
    """Cut at any byte of a commit that was not acknowledged, the log is what it was before, and complete (S24)."""
    _, (before, mark, two), (_, _, three) = _three_commits(tmp_path / "s", durability)
    for length in range(len(two), len(three)):
        store = _opened(tmp_path / "torn", mark, three[:length], durability)
        assert (store.complete, store.damage, contents(store)) == (True, [], before)
        store.close()
    store = _opened(tmp_path / "torn", mark, three[:-1], durability)
    store.put(b"after", record("the crash"))
    store.close()
    again = LogStore(tmp_path / "torn", durability)
    assert (again.complete, again.get(b"after"), len(again)) == (True, record("the crash"), 3)
    again.close()


@pytest.mark.parametrize("durability", ["durable", "buffered"])
def test_a_torn_record_that_was_acknowledged_is_a_loss(durability: str, tmp_path: Path) -> None:
    """Cut at any byte of an acknowledged commit, the log is what it was before, and says that something is missing."""
    _, (before, _, two), (_, mark, three) = _three_commits(tmp_path / "s", durability)
    for length in range(len(two), len(three)):
        store = _opened(tmp_path / "torn", mark, three[:length], durability)
        assert (store.complete, contents(store)) == (False, before)
        assert store.damage == [f"acknowledged up to {len(three)}, readable up to {len(two)}"]
        store.close()


def test_a_torn_tail_after_a_reboot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the machine ended: a torn durable log is complete, a torn buffered one is not."""
    for durability, complete in (("durable", True), ("buffered", False)):
        monkeypatch.setattr(files, "boot_id", lambda: "monday")
        _, (before, mark, two), (_, _, three) = _three_commits(tmp_path / durability, durability)
        monkeypatch.setattr(files, "boot_id", lambda: "tuesday")
        store = _opened(tmp_path / "torn", mark, three[: len(two) + 5], durability)
        assert (store.complete, contents(store)) == (complete, before)
        store.close()


def test_one_commit_is_all_or_nothing(tmp_path: Path) -> None:
    """Of a batch of changes in one commit, a torn log keeps none."""
    store = LogStore(tmp_path / "s")
    marked = (tmp_path / "s" / "mark").read_bytes()
    for number in range(20):
        store.put(b"%d" % number, record("x"))
    store.commit()
    data = (tmp_path / "s" / "log-0").read_bytes()
    store.close()
    torn = _opened(tmp_path / "torn", marked, data[:-1])
    assert (len(torn), torn.complete) == (0, True)
    torn.close()


# --- damage in the middle ---------------------------------------------------------------------------------------------


def test_a_flipped_bit_in_an_older_record_is_found(tmp_path: Path) -> None:
    """Whatever byte of an older commit is wrong: it is detected, named, and every other commit is kept (S24)."""
    (_, _, one), (_, _, two), (after, mark, three) = _three_commits(tmp_path / "s")
    for place in range(len(one), len(two)):
        data = bytearray(three)
        data[place] ^= 1 << place % 8
        store = _opened(tmp_path / "bad", mark, bytes(data))
        assert not store.complete
        assert store.damage == [f"log-0: bytes {len(one)} to {len(two)} are damaged"]
        assert sorted(store.keys()) == [b"coffee", b"milk"]
        assert store.get(b"coffee") == after["records"][b"coffee"]
        store.close()


def test_damage_is_carried_over_once(tmp_path: Path) -> None:
    """What was readable becomes a new generation; the damaged files stay aside; a fresh incarnation ends the matter."""
    (_, _, one), _, (_, mark, three) = _three_commits(tmp_path / "s")
    data = bytearray(three)
    data[len(one) + HEADER_BYTES] ^= 1
    store = _opened(tmp_path / "bad", mark, bytes(data))
    names = {path.name for path in store.folder.iterdir()}
    assert names == {"damaged-log-0", "snapshot-1", "log-1", "mark", "lock"}
    assert (store.folder / "damaged-log-0").read_bytes() == data
    store.put_meta("incarnation", "A~fresh")
    store.close()
    again = LogStore(tmp_path / "bad")
    assert (again.complete, again.damage, sorted(again.keys())) == (True, [], [b"coffee", b"milk"])
    again.close()


def test_a_log_inside_a_value_is_not_the_log(tmp_path: Path) -> None:
    """Who stores a log as a value, and then loses that commit, does not get its contents as the node's own."""
    _, _, (_, _, three) = _three_commits(tmp_path / "s")
    store = LogStore(tmp_path / "t")
    store.put(b"copy", record(""))
    store.put(b"copy", record(three.decode("latin-1")))
    store.commit()
    end = (tmp_path / "t" / "log-0").stat().st_size
    store.put(b"later", record("kept"))
    store.commit()
    mark, data = (tmp_path / "t" / "mark").read_bytes(), bytearray((tmp_path / "t" / "log-0").read_bytes())
    store.close()
    data[HEADER_BYTES] ^= 1
    again = _opened(tmp_path / "bad", mark, bytes(data))
    assert list(again.keys()) == [b"later"]
    assert again.damage == [f"log-0: bytes 0 to {end} are damaged"]
    again.close()


def test_a_good_frame_of_nonsense_is_damage(tmp_path: Path) -> None:
    """A frame whose checksum is right and whose payload is no commit is named and skipped."""
    _, _, (_, mark, three) = _three_commits(tmp_path / "s")
    store = _opened(tmp_path / "bad", mark, three + frame(b"nonsense", len(three)))
    assert (len(store), store.complete) == (3, False)
    assert "commit 3 cannot be read" in store.damage[0]
    store.close()


# --- frames -----------------------------------------------------------------------------------------------------------

payloads = st.lists(st.binary(max_size=40) | st.just(b"DYNA" * 5), max_size=5)


def _framed(parts: list[bytes]) -> bytes:
    data = b""
    for part in parts:
        data += frame(part, len(data))
    return data


@given(payloads)
def test_frames_are_read_as_written(parts: list[bytes]) -> None:
    """A sound log has no damage and no torn tail."""
    data = _framed(parts)
    assert read_frames(data) == (parts, len(data), [], 0)
    assert records(data) == parts


@given(payloads, st.binary(max_size=60))
def test_noise_after_the_frames_is_a_torn_tail(parts: list[bytes], noise: bytes) -> None:
    """Bytes that make no frame at the end are counted, not read."""
    data = _framed(parts)
    assert read_frames(data + noise) == (parts, len(data), [], len(noise))


@given(payloads, st.data())
def test_damage_loses_only_what_it_hits(parts: list[bytes], data: st.DataObject) -> None:
    """Wrong bytes anywhere: every frame they do not touch is read, and no other is made up."""
    log_bytes = bytearray(_framed(parts))
    starts = [sum(HEADER_BYTES + len(part) for part in parts[:place]) for place in range(len(parts) + 1)]
    places = data.draw(st.sets(st.integers(0, max(0, len(log_bytes) - 1)), max_size=4)) if log_bytes else set()
    for place in places:
        log_bytes[place] ^= 0x55
    hit = {number for number in range(len(parts)) if any(starts[number] <= p < starts[number + 1] for p in places)}
    found = read_frames(bytes(log_bytes))
    assert found.payloads == [part for number, part in enumerate(parts) if number not in hit]
    assert bool(found.damaged or found.torn) == bool(hit)


@given(st.binary(max_size=200))
def test_random_bytes_are_no_frames(noise: bytes) -> None:
    """Noise is a torn tail of its own length."""
    assert read_frames(noise) == ([], 0, [], len(noise))


def test_a_commit_too_long_for_a_frame_is_an_os_error(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What does not fit is not written."""
    monkeypatch.setattr("dynalab.disk.frames.PAYLOAD_BYTES_MAX", 10)
    store = LogStore(tmp_path / "s")
    store.put(b"cart", record("milk"))
    with pytest.raises(OSError, match="at most 10"):
        store.commit()
    assert (tmp_path / "s" / "log-0").stat().st_size == 0


# --- snapshots --------------------------------------------------------------------------------------------------------


def _work(store: LogStore, rounds: int) -> None:
    for number in range(rounds):
        store.put(b"key-%d" % (number % 50), record(f"{number} " + "x" * 40))
        if number % 7 == 0:
            store.put_hint(hint("B", b"key-%d" % (number % 5), str(number), number))
        if number % 11 == 0:
            store.forget(b"key-%d" % (number % 50))
        if number % 13 == 0:
            store.remember(f"r{number}", ("A", number))
            store.put_meta("history", [number])
        store.commit()


def test_a_grown_log_becomes_a_snapshot(tmp_path: Path) -> None:
    """The files stay in proportion to what is kept, however much was written, and nothing is lost by it."""
    store = LogStore(tmp_path / "s", log_bytes=2_000)
    _work(store, 600)
    kept = contents(store)
    names = [path.name for path in store.folder.iterdir()]
    assert generations(store.folder, "snapshot")[0] >= 2
    assert sum(path.stat().st_size for path in store.folder.iterdir()) < 60_000, names
    assert store.seen("r13") == ("A", 13)
    again = LogStore(crash(store.folder), log_bytes=2_000)
    assert (again.complete, again.damage, contents(again)) == (True, [], kept)
    assert again.seen("r13") == ("A", 13)
    again.close()
    store.close()


def test_a_snapshot_in_slices_is_right(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Changes made while a snapshot grows win over what it says; a crash meanwhile falls back on the older one."""
    monkeypatch.setattr("dynalab.disk.snapshot.SLICE_BYTES", 1)
    monkeypatch.setattr("dynalab.disk.snapshot._RECORDS_PER_FRAME", 3)
    store = LogStore(tmp_path / "s", log_bytes=3_000)
    growing = 0
    for number in range(300):
        store.put(b"key-%d" % (number * 7 % 60), record(f"{number} " + "x" * 30))
        if number % 5 == 0:
            store.forget(b"key-%d" % (number * 3 % 60))
        store.commit()
        growing += store._snapshot is not None
        if number % 3 == 0:
            again = LogStore(crash(store.folder), log_bytes=3_000)
            assert (again.complete, contents(again)) == (True, contents(store))
            again.close()
    assert growing > 20
    store.close()


def test_a_crash_between_any_two_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At every moment of commits and snapshots a crash leaves a complete store with all that was acknowledged."""
    acked: dict[str, Any] = {}
    left: list[tuple[Path, dict[str, Any]]] = []

    def photographed(step: Any) -> Any:
        def taken(*arguments: Any) -> Any:
            if acked:
                left.append((crash(store.folder), dict(acked)))
            return step(*arguments)

        return taken

    store = LogStore(tmp_path / "s", log_bytes=1_500)
    for name in ("sync", "sync_folder", "write_all"):
        monkeypatch.setattr(files, name, photographed(getattr(files, name)))
    monkeypatch.setattr(LogStore, "_remove_older", photographed(LogStore._remove_older))
    for number in range(40):
        store.put(b"key-%d" % (number % 9), record(f"{number} " + "x" * 50))
        store.commit()
        acked = contents(store)
    monkeypatch.undo()
    assert len(left) > 100
    for folder, state in left:
        again = LogStore(folder)
        assert (again.complete, again.damage) == (True, [])
        known = contents(again)["records"]
        assert all(_number(known[key]) >= _number(kept) for key, kept in state["records"].items())
        again.close()
        shutil.rmtree(folder)
    store.close()


def _number(kept: Any) -> int:
    return int(kept.siblings.values[0].split()[0])


def _with_snapshot(folder: Path) -> dict[str, Any]:
    store = LogStore(folder, log_bytes=1_000)
    _work(store, 60)
    while store._snapshot is not None:
        store.commit()
    state = contents(store)
    store.close()
    return state


@pytest.mark.parametrize("place", [0, 30, -30, -1])
def test_a_damaged_snapshot_is_a_loss(place: int, tmp_path: Path) -> None:
    """A snapshot with one wrong byte: what is readable of it is kept, with the log, and the loss is named."""
    state = _with_snapshot(tmp_path / "s")
    (number,) = generations(tmp_path / "s", "snapshot")
    path = tmp_path / "s" / f"snapshot-{number}"
    data = bytearray(path.read_bytes())
    data[place] ^= 1
    path.write_bytes(data)
    store = LogStore(tmp_path / "s")
    assert not store.complete
    assert path.name in store.damage[0]
    assert all(state["records"][key] == store.get(key) for key in sorted(store.keys()) if key in state["records"])
    assert (tmp_path / "s" / f"damaged-{path.name}").read_bytes() == data
    store.close()


@pytest.mark.parametrize("kind", ["log", "snapshot"])
def test_a_lost_file_is_a_loss(kind: str, tmp_path: Path) -> None:
    """A log or a snapshot that is gone is noticed, and the rest is kept."""
    _with_snapshot(tmp_path / "s")
    (number,) = generations(tmp_path / "s", kind)
    (tmp_path / "s" / f"{kind}-{number}").unlink()
    store = LogStore(tmp_path / "s")
    assert not store.complete
    assert any(f"{name} is gone" in line for line in store.damage for name in ("log-0", f"log-{number}"))
    store.close()


def test_all_files_lost_but_the_mark(tmp_path: Path) -> None:
    """The mark alone knows that there was something."""
    _with_snapshot(tmp_path / "s")
    for path in [*(tmp_path / "s").glob("log-*"), *(tmp_path / "s").glob("snapshot-*")]:
        path.unlink()
    store = LogStore(tmp_path / "s")
    assert (store.complete, len(store)) == (False, 0)
    store.close()


def test_an_unfinished_snapshot_is_swept(tmp_path: Path) -> None:
    """What a crash left of a snapshot in the making is removed."""
    LogStore(tmp_path / "s").close()
    (tmp_path / "s" / "snapshot-9.partial").write_bytes(b"half")
    store = LogStore(tmp_path / "s")
    assert store.complete
    assert not list((tmp_path / "s").glob("*.partial"))
    store.close()


# --- group commit -----------------------------------------------------------------------------------------------------


class Counted:
    """Counts the calls of functions of `dynalab.disk.files`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
        self.counts = dict.fromkeys(names, 0)
        for name in names:
            monkeypatch.setattr(files, name, self._counting(name, getattr(files, name)))

    def _counting(self, name: str, function: Any) -> Any:
        def counted(*arguments: Any) -> Any:
            self.counts[name] += 1
            return function(*arguments)

        return counted


def test_a_commit_is_one_write_and_one_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many events a batch had, the durable mode writes once (and its mark), and syncs once (6.1)."""
    store = LogStore(tmp_path / "s")
    counted = Counted(monkeypatch, "sync", "write_all")
    for number in range(500):
        store.begin()
        store.put(b"%d" % number, record("x"))
    store.commit()
    assert counted.counts == {"sync": 1, "write_all": 2}
    store.commit()
    assert counted.counts == {"sync": 1, "write_all": 2}
    monkeypatch.undo()
    store.close()


def test_a_buffered_store_syncs_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The buffered mode writes every commit, and asks the device to catch up after a thousand writes (6.1)."""
    store = LogStore(tmp_path / "s", "buffered")
    counted = Counted(monkeypatch, "sync")
    for number in range(log.BUFFERED_WRITES):
        store.put(b"%d" % (number % 10), record("x"))
        store.commit()
    assert counted.counts["sync"] == 0
    store.put(b"one more", record("x"))
    store.commit()
    store._background.wait()
    assert counted.counts["sync"] == 1
    monkeypatch.undo()
    store.close()


def test_a_buffered_store_syncs_what_it_is_asked_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One durable write among buffered ones: that commit waits for the device, the next one does not (6.1)."""
    store = LogStore(tmp_path / "s", "buffered")
    counted = Counted(monkeypatch, "sync")
    for number in range(4):
        store.put(b"%d" % number, record("x"))
        if number == 1:
            store.sync_next()
        store.commit()
        assert counted.counts["sync"] == (number >= 1)
    assert store.syncs.told()["count"] == 1
    monkeypatch.undo()
    store.close()


# --- when the device fails --------------------------------------------------------------------------------------------


def _failing(*_: Any) -> None:
    raise OSError(errno.EIO, "the device is on fire")


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit that is half written is taken back, and may be tried again."""
    store = LogStore(tmp_path / "s")
    store.put(b"cart", record("milk"))
    store.commit()
    before = (tmp_path / "s" / "log-0").read_bytes()

    def half(file: Any, data: bytes) -> None:
        file.write(data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "no space left on device")

    monkeypatch.setattr(files, "write_all", half)
    store.put(b"wish", record("tea"))
    with pytest.raises(OSError, match="no space"):
        store.commit()
    assert (tmp_path / "s" / "log-0").read_bytes() == before
    monkeypatch.undo()
    left = LogStore(crash(tmp_path / "s"))
    assert (left.complete, list(left.keys())) == (True, [b"cart"])
    left.close()
    store.commit()
    again = LogStore(crash(tmp_path / "s"))
    assert list(again.keys()) == [b"cart", b"wish"]
    again.close()
    store.close()


def test_after_a_failed_sync_nothing_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sync that failed may succeed the next time without having written: so there is no next time."""
    store = LogStore(tmp_path / "s")
    store.put(b"cart", record("milk"))
    with monkeypatch.context() as broken:
        broken.setattr(files, "sync", _failing)
        with pytest.raises(OSError, match="on fire"):
            store.commit()
    with pytest.raises(OSError, match="an earlier commit failed"):
        store.commit()
    with pytest.raises(OSError, match="an earlier commit failed"):
        store.close()
    LogStore(tmp_path / "s").close()


@pytest.mark.parametrize("step", ["sync", "sync_folder"])
def test_a_snapshot_that_fails_loses_nothing(step: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When no new generation can begin the store stops, and the next opening finds every commit."""
    store = LogStore(tmp_path / "s", "buffered", log_bytes=1_000)
    monkeypatch.setattr(files, step, _failing)
    with pytest.raises(OSError, match="on fire"):
        _work(store, 100)
    kept = contents(store)
    with pytest.raises(OSError, match="an earlier commit failed"):
        store.close()
    monkeypatch.undo()
    again = LogStore(tmp_path / "s")
    assert (again.complete, contents(again)) == (True, kept)
    again.close()


def test_a_failed_background_sync_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The buffered mode reports at the next occasion what failed beside it."""
    monkeypatch.setattr(log, "BUFFERED_WRITES", 1)
    store = LogStore(tmp_path / "s", "buffered")
    with monkeypatch.context() as broken:
        broken.setattr(files, "sync", _failing)
        for _ in range(2):
            store.put(b"cart", record("milk"))
            store.commit()
        assert store._background._thread is not None
        store._background._thread.join()
    store.put(b"cart", record("tea"))
    with pytest.raises(OSError, match="an earlier sync failed"):
        store.commit()
    with pytest.raises(OSError, match="earlier"):
        store.close()


def test_a_folder_that_cannot_be_used_is_an_os_error(tmp_path: Path) -> None:
    """Where no folder can be made there is no store."""
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="file"):
        LogStore(tmp_path / "file" / "s")


def test_only_disk_modes_are_modes_of_a_log() -> None:
    """A log is durable or buffered."""
    with pytest.raises(ValueError, match="durable or buffered"):
        LogStore("nowhere", "memory")


# --- the part `recovery` ----------------------------------------------------------------------------------------------


def test_a_replaced_reader_reads_the_log(tmp_path: Path) -> None:
    """A student's reader gets the bytes of the log, and what it answers is replayed."""
    state = _three_commits(tmp_path / "s")[-1][0]
    asked: list[bytes] = []

    def reader(data: bytes) -> list[bytes]:
        asked.append(data)
        return records(data)

    store = LogStore(tmp_path / "s", recovery=reader)
    assert (store.complete, contents(store), len(asked)) == (True, state, 1)
    store.close()


def test_a_reader_that_loses_commits_is_found_out(tmp_path: Path) -> None:
    """A reader that stops too early costs data, so the store is not complete."""
    _three_commits(tmp_path / "s")
    store = LogStore(tmp_path / "s", recovery=lambda data: records(data)[:1])
    assert (store.complete, list(store.keys())) == (False, [b"milk"])
    assert store.damage == ["log-0: the part recovery found 1 commits, dynalab finds 3, not equal"]
    store.close()


def test_a_reader_that_makes_up_commits_is_found_out(tmp_path: Path) -> None:
    """A reader whose answer is well formed and not in the log is believed, and reported."""
    _three_commits(tmp_path / "s")
    invented = encode_batch([encode_record(KeyPut(b"invented", record("x")))])
    store = LogStore(tmp_path / "s", recovery=lambda data: [*records(data), invented])
    assert (store.complete, len(store)) == (False, 4)
    store.close()


@pytest.mark.parametrize("answer", [None, b"bytes", ["text"], [b"no commit"], (b"",), [bytearray()]], ids=repr)
def test_a_reader_that_answers_nonsense_fails(answer: Any, tmp_path: Path) -> None:
    """What is no list of commits is refused by name, changes nothing, and lets go of the folder."""
    _three_commits(tmp_path / "s")
    before = (tmp_path / "s" / "log-0").read_bytes()
    with pytest.raises(PartFailed, match="part recovery"):
        LogStore(tmp_path / "s", recovery=lambda data: answer)
    assert (tmp_path / "s" / "log-0").read_bytes() == before
    store = LogStore(tmp_path / "s")
    assert (len(store), store.complete) == (3, True)
    store.close()


def test_a_payload_is_one_commit(tmp_path: Path) -> None:
    """What the part answers is, per commit, the batch of its records."""
    _, _, (_, _, three) = _three_commits(tmp_path / "s")
    first = decode_batch(records(three)[0])
    assert first == [KeyPut(b"milk", record("milk")), hint("B", b"milk", "milk")]


def test_the_mark_is_written_after_the_log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The mark never promises what the log does not hold."""
    store = LogStore(tmp_path / "s")
    promised: list[tuple[int, int]] = []
    write = MarkFile.write

    def watched(self: MarkFile, position: int, *rest: Any, **more: Any) -> None:
        promised.append((position, (store.folder / f"log-{store._generation}").stat().st_size))
        write(self, position, *rest, **more)

    monkeypatch.setattr(MarkFile, "write", watched)
    _work(store, 30)
    assert len(promised) >= 30
    assert all(position <= size for position, size in promised)
    store.close()
