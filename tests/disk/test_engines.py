"""One suite for every engine: what the port promises, and what a crash leaves."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynalab.codec.bounds import WireError
from dynalab.core.config import Config
from dynalab.core.errors import InvalidSetting
from dynalab.core.store import REQUESTS_REMEMBERED, Hint, MemoryStore, Record
from dynalab.core.version import Siblings
from dynalab.disk import files, mark
from dynalab.disk.engines import open_store
from dynalab.disk.table import TableStore
from tests.disk.rig import LOG, ROCKS, SQLITE, Engine, contents, crash, hint, record, redis_engine, redis_server

MEMORY = Engine("memory", lambda folder, durability="durable", complete=True: MemoryStore(complete))
ON_DISK = ["log", "sqlite", "rocks", pytest.param("redis", marks=pytest.mark.redis)]


@pytest.fixture(scope="session")
def redis_url(need: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Redis server that keeps what it promises."""
    folder = tmp_path_factory.mktemp("redis")
    with redis_server(need("redis"), folder, "--appendonly", "yes", "--appendfsync", "always") as url:
        yield url


@pytest.fixture
def engine(request: pytest.FixtureRequest) -> Engine:
    """The engine under test; one whose package is not installed skips."""
    if request.param == "rocks":
        pytest.importorskip("rocksdict")
    if request.param == "redis":
        pytest.importorskip("redis")
        return redis_engine(request.getfixturevalue("redis_url"))
    return {"memory": MEMORY, "log": LOG, "sqlite": SQLITE, "rocks": ROCKS}[request.param]


every_engine = pytest.mark.parametrize("engine", ["memory", *ON_DISK], indirect=True)
every_disk = pytest.mark.parametrize("engine", ON_DISK, indirect=True)
both_modes = pytest.mark.parametrize("durability", ["durable", "buffered"])


# --- the port ---------------------------------------------------------------------------------------------------------


@every_engine
def test_a_store_answers_what_was_put(engine: Engine, tmp_path: Path) -> None:
    """A record is readable as soon as it is staged, replaced by the next put, gone after forget."""
    store = engine.open(tmp_path / "s")
    assert store.get(b"cart") is None
    store.put(b"cart", record("milk"))
    assert (store.get(b"cart"), len(store), list(store.keys())) == (record("milk"), 1, [b"cart"])
    store.put(b"cart", record("tea", "B"))
    assert (store.get(b"cart"), len(store)) == (record("tea", "B"), 1)
    store.commit()
    store.forget(b"cart")
    store.forget(b"never")
    assert (store.get(b"cart"), len(store), list(store.keys())) == (None, 0, [])
    store.close()


@every_engine
def test_keys_come_in_one_order(engine: Engine, tmp_path: Path) -> None:
    """Iteration is in the order keys were first written, or sorted; staged keys are among them."""
    store = engine.open(tmp_path / "s")
    written = [b"m", b"c", b"z", b"\xff\x00", b"a"]
    for key in written:
        store.put(key, record("v"))
        store.commit()
        store.put(key, record("w"))
    assert list(store.keys()) in (written, sorted(written))
    store.commit()
    assert list(store.keys()) in (written, sorted(written))
    store.close()


@every_engine
def test_hints_are_kept_apart(engine: Engine, tmp_path: Path) -> None:
    """A hint is found by home and key, listed oldest first, counted in bytes, and never an answer for its key (4.6)."""
    store = engine.open(tmp_path / "s")
    for each in (hint("C", b"k", "two", 20), hint("B", b"k", "one", 10), hint("B", b"kk", "three", 5)):
        store.put_hint(each)
    assert store.get(b"k") is None
    assert [each.kept_us for each in store.hints()] == [5, 10, 20]
    assert [each.kept_us for each in store.hints("B")] == [5, 10]
    assert {each.home for each in store.hints_of(b"k")} == {"B", "C"}
    assert store.hint("C", b"k") == hint("C", b"k", "two", 20)
    assert store.hint("C", b"kk") is None
    assert store.hint_bytes() == len("one" + "two" + "three")
    store.put_hint(hint("B", b"k", "newer", 30))
    store.commit()
    store.drop_hint("C", b"k")
    store.drop_hint("Z", b"never")
    assert (store.hints_of(b"k"), store.hint_bytes()) == ([hint("B", b"k", "newer", 30)], len("newer" + "three"))
    store.close()


@every_engine
def test_small_values(engine: Engine, tmp_path: Path) -> None:
    """Built-in values are kept by name, with a default for what was never put."""
    store = engine.open(tmp_path / "s")
    assert (store.meta("incarnation"), store.meta("incarnation", "")) == (None, "")
    store.put_meta("incarnation", "A~1")
    store.put_meta("history", [[1, "A", "up", 1.0, ""]])
    store.commit()
    assert (store.meta("incarnation"), store.meta("history")) == ("A~1", [[1, "A", "up", 1.0, ""]])
    store.close()


@every_engine
def test_request_ids_are_remembered(engine: Engine, tmp_path: Path) -> None:
    """A request id answers the dot its put made, so a retry makes no second one (S06)."""
    store = engine.open(tmp_path / "s")
    assert store.seen("alice-1") is None
    store.remember("alice-1", ("A", 3))
    assert store.seen("alice-1") == ("A", 3)
    store.close()


@every_engine
def test_rollback_drops_the_event(engine: Engine, tmp_path: Path) -> None:
    """What was staged since `begin` is undone, newest first; what earlier events staged stays."""
    store = engine.open(tmp_path / "s")
    store.put(b"committed", record("1"))
    store.commit()
    store.begin()
    store.put(b"earlier event", record("2"))
    store.put_hint(hint("B", b"h", "kept"))
    store.begin()
    before = contents(store)
    store.put(b"committed", record("changed"))
    store.forget(b"committed")
    store.put(b"earlier event", record("changed"))
    store.put(b"new", record("3"))
    store.put_hint(hint("B", b"h", "changed, and longer"))
    store.put_hint(hint("C", b"h", "new"))
    store.drop_hint("B", b"h")
    store.put_meta("incarnation", "A~9")
    store.remember("alice-1", ("A", 1))
    store.rollback()
    assert contents(store) == before
    assert store.seen("alice-1") is None
    store.commit()
    store.rollback()
    assert contents(store) == before
    store.close()


@every_engine
def test_an_empty_store_may_be_a_loss(engine: Engine, tmp_path: Path) -> None:
    """Only its owner knows whether an empty folder is a new node or a lost disk; the store repeats it."""
    assert engine.open(tmp_path / "new").complete
    assert not engine.open(tmp_path / "lost", complete=False).complete


# --- what lasts -------------------------------------------------------------------------------------------------------


def _fill(store: Any) -> None:
    store.put(b"cart", record("milk"))
    store.put(b"wish", record("tea", "A~2"))
    store.put(b"gone", record("coffee"))
    store.put_hint(hint("B", b"h", "for B", 7))
    store.put_hint(hint("C", b"h", "for C", 5))
    store.put_meta("incarnation", "A~1")
    store.put_meta("history", [[1, "A"]])
    store.remember("alice-1", ("A", 1))
    store.commit()
    store.forget(b"gone")
    store.drop_hint("C", b"h")
    store.commit()


@every_disk
@both_modes
@pytest.mark.parametrize("ending", ["closed", "killed"])
def test_what_was_committed_is_found_again(engine: Engine, durability: str, ending: str, tmp_path: Path) -> None:
    """Records, hints, small values and request ids survive a close, and the end of the process, in both modes."""
    store = engine.open(tmp_path / "s", durability)
    _fill(store)
    kept = contents(store)
    store.put(b"never committed", record("lost"))
    folder = tmp_path / "s"
    if ending == "killed":
        folder = crash(folder)
    else:
        store.rollback()
        store.close()
    again = engine.open(folder, durability)
    assert (again.complete, again.damage) == (True, [])
    assert contents(again) == kept
    assert again.seen("alice-1") == ("A", 1)
    again.close()


@every_disk
def test_closing_commits_once(engine: Engine, tmp_path: Path) -> None:
    """What is staged when a store is closed is committed; closing again does nothing."""
    store = engine.open(tmp_path / "s")
    store.put(b"cart", record("milk"))
    store.close()
    store.close()
    again = engine.open(tmp_path / "s")
    assert again.get(b"cart") == record("milk")
    again.close()


@every_disk
def test_tuples_become_lists_at_once(engine: Engine, tmp_path: Path) -> None:
    """A small value is the same before and after a restart: a tuple is a list from the beginning."""
    store = engine.open(tmp_path / "s")
    store.put_meta("seeds", ("A", ("B", 1)))
    assert store.meta("seeds") == ["A", ["B", 1]]
    store.close()
    again = engine.open(tmp_path / "s")
    assert again.meta("seeds") == ["A", ["B", 1]]
    again.close()


@every_disk
def test_what_could_not_be_read_is_not_staged(engine: Engine, tmp_path: Path) -> None:
    """A value out of the format's bounds is refused when it is put, and changes nothing."""
    store = engine.open(tmp_path / "s")
    store.put(b"cart", record("milk"))
    before = contents(store)
    for act in (
        lambda: store.put(b"", record("x")),
        lambda: store.put(b"cart", Record(Siblings({"A": 2**60}))),
        lambda: store.put_hint(Hint("", b"k", record("x"), 0)),
        lambda: store.put_meta("incarnation", object()),
        lambda: store.remember("", ("A", 1)),
    ):
        with pytest.raises(WireError):
            act()
    assert contents(store) == before
    store.close()


@every_disk
def test_the_oldest_request_ids_are_forgotten(engine: Engine, tmp_path: Path) -> None:
    """The memory of request ids is bounded, oldest first, also across a restart."""
    store = engine.open(tmp_path / "s", "buffered")
    for number in range(REQUESTS_REMEMBERED + 5):
        store.remember(f"r{number}", ("A", number))
    store.close()
    again = engine.open(tmp_path / "s", "buffered")
    again.remember("one more", ("A", 0))
    again.commit()
    assert [again.seen(f"r{number}") for number in (0, 5, 6)] == [None, None, ("A", 6)]
    assert again.seen("one more") == ("A", 0)
    again.close()


@every_disk
def test_one_process_at_a_time(engine: Engine, tmp_path: Path) -> None:
    """A second opening of one folder is refused while the first lasts, with the holder's process (S40)."""
    store = engine.open(tmp_path / "s")
    with pytest.raises(files.StoreInUse, match=r"in use by process \d+"):
        engine.open(tmp_path / "s")
    store.close()
    engine.open(tmp_path / "s").close()


@pytest.mark.parametrize("storage", ["log", "sqlite", "rocks"])
def test_large_records_are_packed_on_disk(storage: str, tmp_path: Path) -> None:
    """With `compress_bytes` large values take less room, and any setting reads what any other wrote."""
    if storage == "rocks":
        pytest.importorskip("rocksdict")
    text = b'["milk", "tea", "bread"], ' * 200
    large, small = Record(Siblings().put("A", text, None), "A"), record("small")
    sizes = {}
    for compress_bytes in (0, 1_000):
        folder = tmp_path / str(compress_bytes)
        config = Config(storage=storage, compress_bytes=compress_bytes)
        store = open_store(config, folder)
        for number in range(20):
            store.put(b"large%d" % number, large)
            store.put(b"small%d" % number, small)
            store.put_hint(Hint("B", b"large%d" % number, large, number))
            store.commit()
        left = contents(store)
        store.close()
        sizes[compress_bytes] = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        again = open_store(config.with_(compress_bytes=1_000 - compress_bytes), folder)
        assert contents(again) == left
        assert again.get(b"large7") == large
        assert again.complete
        again.close()
    if storage != "rocks":  # It packs by itself.
        assert sizes[1_000] < sizes[0] - 20 * len(text)


# --- what was lost is known -------------------------------------------------------------------------------------------


def _boot(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(files, "boot_id", lambda: name)


@every_disk
@both_modes
def test_the_end_of_the_machine(
    engine: Engine, durability: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After another boot a durable store is complete; a buffered one is not, unless it had been closed (6.1, S42)."""
    _boot(monkeypatch, "monday")
    store = engine.open(tmp_path / "s", durability)
    _fill(store)
    left = crash(tmp_path / "s")
    store.close()
    _boot(monkeypatch, "tuesday")
    crashed, closed = engine.open(left, durability), engine.open(tmp_path / "s", durability)
    assert (crashed.complete, closed.complete) == (durability == "durable", True)
    crashed.close()
    closed.close()


@every_disk
def test_the_mode_that_counts_is_the_one_it_was_written_in(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opening buffered files in the durable mode does not make them complete."""
    _boot(monkeypatch, "monday")
    store = engine.open(tmp_path / "s", "buffered")
    _fill(store)
    left = crash(tmp_path / "s")
    store.close()
    _boot(monkeypatch, "tuesday")
    again = engine.open(left, "durable")
    assert not again.complete
    again.close()


@every_disk
@both_modes
def test_a_commit_may_be_asked_to_be_durable(
    engine: Engine, durability: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`sync_next` syncs one commit of a buffered store and no other; a durable store needs no second sync (6.1)."""
    store = engine.open(tmp_path / "s", durability)
    synced = []
    if isinstance(store, TableStore):
        sync = store._table.sync
        monkeypatch.setattr(store._table, "sync", lambda: synced.append(True) or sync())
    else:
        sync = files.sync
        monkeypatch.setattr(files, "sync", lambda file: synced.append(True) or sync(file))
    counts = []
    for number in range(3):
        if number == 1:
            store.sync_next()
        store.put(b"%d" % number, Record(Siblings().put("A", b"x", None)))
        store.commit()
        counts.append(len(synced))
    in_the_table_itself = durability == "durable" and isinstance(store, TableStore)
    assert counts == ([0, 0, 0] if in_the_table_itself else [1, 2, 3] if durability == "durable" else [0, 1, 1])
    monkeypatch.undo()
    store.close()


@every_disk
def test_a_loss_is_said_until_a_fresh_incarnation_is_durable(engine: Engine, tmp_path: Path) -> None:
    """A second crash, before the node has renamed itself, does not hide the loss (I9)."""
    store = engine.open(tmp_path / "s")
    _fill(store)
    store.close()
    (tmp_path / "s" / "mark").unlink()
    folder = tmp_path / "s"
    for _ in range(2):
        store = engine.open(folder)
        assert (store.complete, store.get(b"cart")) == (False, record("milk"))
        store.put(b"cart", record("tea"))
        store.rollback()
        store.put_meta("history", [])
        store.commit()
        folder = crash(folder)
        store.close()
    store = engine.open(folder)
    assert not store.complete
    store.put_meta("incarnation", "A~fresh")
    store.commit()
    folder = crash(folder)
    store.close()
    store = engine.open(folder)
    assert (store.complete, store.damage) == (True, [])
    store.close()


@every_disk
@pytest.mark.parametrize("data", [b"", b"x" * 100, b"DYNAMARK"])
def test_a_damaged_mark_is_a_loss(engine: Engine, data: bytes, tmp_path: Path) -> None:
    """Without a readable mark nobody knows what was acknowledged."""
    store = engine.open(tmp_path / "s")
    _fill(store)
    store.close()
    (tmp_path / "s" / "mark").write_bytes(data)
    again = engine.open(tmp_path / "s")
    assert (again.complete, again.get(b"cart")) == (False, record("milk"))
    again.close()


@every_disk
def test_an_older_copy_is_a_loss(engine: Engine, tmp_path: Path) -> None:
    """Files that are behind their mark have forgotten commits."""
    store = engine.open(tmp_path / "s")
    _fill(store)
    table_or_log = tmp_path / "s"
    marked = (table_or_log / "mark").read_bytes()
    store.close()
    later = mark.MarkFile(table_or_log / "mark", durable=True)
    assert later.found is not None
    later.write(later.found.position + 1, None, later.found.generation)
    later.close()
    assert (table_or_log / "mark").read_bytes() != marked
    again = engine.open(table_or_log)
    assert not again.complete
    assert "acknowledged up to" in again.damage[0]
    again.close()


# --- any history ------------------------------------------------------------------------------------------------------

keys = st.sampled_from([b"a", b"b", b"\x00", b"\xff\xff", b"k" * 100])
homes = st.sampled_from(["B", "C", "node-with-a-long-name"])
texts = st.sampled_from(["", "milk", "x" * 300])
actions = st.one_of(
    st.tuples(st.just("put"), keys, st.builds(record, texts)),
    st.tuples(st.just("forget"), keys),
    st.tuples(st.just("put_hint"), st.builds(hint, homes, keys, texts, st.integers(0, 9))),
    st.tuples(st.just("drop_hint"), homes, keys),
    st.tuples(st.just("put_meta"), st.sampled_from(["history", "incarnation"]), st.integers(0, 3)),
    st.tuples(st.just("remember"), st.sampled_from(["r1", "r2"]), st.tuples(st.just("A"), st.integers(0, 9))),
    *(st.tuples(st.just(name)) for name in ("begin", "rollback", "commit", "commit", "crash", "reopen")),
)


@every_disk
@both_modes
def test_any_history_is_that_of_the_memory_engine(
    engine: Engine, durability: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whatever is staged, rolled back, committed and crashed: an engine holds what the in-memory one would."""

    @given(st.lists(actions, max_size=40))
    @settings(max_examples=settings.default.max_examples // 2)
    def holds(history: list[Any]) -> None:
        folder = tmp_path_factory.mktemp("history") / "s"
        store, model, durable = engine.open(folder, durability), MemoryStore(), MemoryStore()
        pending: list[Any] = []
        event = 0
        for name, *arguments in history:
            if name in ("crash", "reopen"):
                folder = _restart(store, folder, name)
                store = engine.open(folder, durability)
                assert store.complete, store.damage
                if name == "crash":
                    pending.clear()
                _carry_out(durable, pending)
                model = _copy(durable)
                event = 0
                pending.clear()
            else:
                getattr(store, name)(*arguments)
                getattr(model, name)(*arguments)
                if name == "begin":
                    event = len(pending)
                elif name == "rollback":
                    del pending[event:]
                elif name == "commit":
                    _carry_out(durable, pending)
                    event = 0
                    pending.clear()
                else:
                    pending.append((name, arguments))
            assert contents(store) == contents(model)
            assert [store.seen(request) for request in ("r1", "r2")] == [
                model.seen(request) for request in ("r1", "r2")
            ]
        store.close()

    holds()


def _restart(store: Any, folder: Path, how: str) -> Path:
    left = folder
    if how == "crash":
        left = crash(folder)
        store.commit = lambda: None  # What was staged must not reach a server that outlives the process.
    store.close()
    return left


def _carry_out(store: MemoryStore, pending: list[Any]) -> None:
    for name, arguments in pending:
        getattr(store, name)(*arguments)
    store.commit()


def _copy(store: MemoryStore) -> MemoryStore:
    copy = MemoryStore()
    for name, value in vars(store).items():
        setattr(copy, name, value.copy() if isinstance(value, dict | list) else value)
    return copy


# --- choosing ---------------------------------------------------------------------------------------------------------


def test_the_configuration_chooses_the_engine(tmp_path: Path) -> None:
    """`storage` names the engine; where nothing is promised, nothing is written."""
    log = open_store(Config(storage="log"), tmp_path)
    sqlite = open_store(Config(storage="sqlite", durability="buffered"), tmp_path)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["log", "sqlite"]
    log.close()
    sqlite.close()
    for config in (Config(storage="memory"), Config(storage="log", durability="memory")):
        assert isinstance(open_store(config, tmp_path / "none", complete=False), MemoryStore)
    assert not (tmp_path / "none").exists()


@pytest.mark.parametrize(("storage", "package"), [("rocks", "rocksdict"), ("redis", "redis")])
def test_an_engine_without_its_package_says_what_to_install(storage: Any, package: str, tmp_path: Path) -> None:
    """A missing package is a definite error that names the extra."""
    program = (
        f"import sys; sys.modules[{package!r}] = None\n"
        "from pathlib import Path; from dynalab.core.config import Config\n"
        "from dynalab.disk.engines import open_store\n"
        f"open_store(Config(storage={storage!r}), Path({str(tmp_path)!r}))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert run.returncode == 1
    assert "InvalidSetting" in run.stderr
    assert "pip install 'dynalab[disk]'" in run.stderr


def test_the_log_alone_loads_no_other_engine(tmp_path: Path) -> None:
    """A node process with a log carries neither SQLite nor the optional packages."""
    program = (
        "import sys; from pathlib import Path; from dynalab.core.config import Config\n"
        "from dynalab.disk.engines import open_store\n"
        f"open_store(Config(storage='log'), Path({str(tmp_path)!r})).close()\n"
        "print(sorted({'sqlite3', 'redis', 'rocksdict'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


@pytest.mark.redis
def test_a_server_that_keeps_less_is_refused(need: Callable[[str], str], tmp_path: Path) -> None:
    """A Redis server without its append-only file promises nothing, and cannot be a durable store."""
    pytest.importorskip("redis")
    with (
        redis_server(need("redis"), tmp_path) as url,
        pytest.raises(InvalidSetting, match="--appendonly yes --appendfsync always"),
    ):
        redis_engine(url).open(tmp_path / "s")


@pytest.mark.redis
def test_a_server_that_forgot_is_found_out(need: Callable[[str], str], tmp_path: Path) -> None:
    """A Redis server that comes back empty is a loss, not an empty store; no server is an OSError."""
    pytest.importorskip("redis")
    options = ("--appendonly", "yes", "--appendfsync", "always")
    with redis_server(need("redis"), tmp_path, *options) as url:
        store = redis_engine(url).open(tmp_path / "s")
        _fill(store)
        left = crash(tmp_path / "s")
        store.close()
    with pytest.raises(OSError, match="DYNALAB_REDIS"):
        redis_engine(url).open(left)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    with redis_server(need("redis"), elsewhere, *options) as url:
        again = redis_engine(url).open(left)
        assert (again.complete, len(again)) == (False, 0)
        again.close()
