"""What a crash leaves of a simulated disk."""

from __future__ import annotations

from random import Random

import pytest

from dynalab.core.config import Config
from dynalab.core.store import Hint, Record
from dynalab.core.version import Siblings
from dynalab.sim.disk import UNSYNCED_COMMITS_MAX, SimDisk


def disk(storage: str = "log", durability: str = "durable", seed: int = 1) -> SimDisk:
    return SimDisk(Config(storage=storage, durability=durability), Random(seed))


def put(store: SimDisk, key: bytes, commit: bool = True) -> None:
    store.begin()
    store.put(key, Record(Siblings().put("A", key, None), "A"))
    if commit:
        store.commit()


def keys(count: int) -> list[bytes]:
    return [b"key%d" % number for number in range(count)]


def test_durable_loses_nothing_that_was_committed() -> None:
    """In the durable mode every commit survives, and the store is complete."""
    store = disk()
    for key in keys(100):
        put(store, key)
    after = store.after_crash()
    assert list(after.keys()) == keys(100)
    assert after.complete


def test_what_was_only_staged_is_gone() -> None:
    """A crash in the middle of an event leaves the state before it."""
    store = disk()
    put(store, b"kept")
    put(store, b"staged", commit=False)
    assert list(store.after_crash().keys()) == [b"kept"]


@pytest.mark.parametrize(("storage", "durability"), [("memory", "durable"), ("log", "memory")])
def test_memory_is_lost(storage: str, durability: str) -> None:
    """Without a disk a crash costs everything, and the store says so."""
    store = disk(storage, durability)
    put(store, b"key")
    after = store.after_crash()
    assert len(after) == 0
    assert not after.complete


def test_a_wiped_disk_says_that_it_is() -> None:
    """`wipe` leaves an empty store that is not complete, so the node counts under a fresh name."""
    store = disk()
    put(store, b"key")
    after = store.after_crash(wipe=True)
    assert len(after) == 0
    assert not after.complete
    put(after, b"again")
    assert after.after_crash().complete


@pytest.mark.parametrize("seed", range(20))
def test_buffered_loses_a_tail_and_only_a_tail(seed: int) -> None:
    """What is left after a crash is what was committed first, and the store is not complete."""
    store = disk(durability="buffered", seed=seed)
    for key in keys(200):
        put(store, key)
    after = store.after_crash()
    left = list(after.keys())
    assert left == keys(200)[: len(left)]
    assert len(left) >= 200 - UNSYNCED_COMMITS_MAX
    assert not after.complete


def test_buffered_tails_differ_in_length() -> None:
    """How much a buffered disk loses is a matter of chance."""
    lengths = set()
    for seed in range(20):
        store = disk(durability="buffered", seed=seed)
        for key in keys(100):
            put(store, key)
        lengths.add(len(store.after_crash()))
    assert len(lengths) > 5


def test_buffered_takes_back_hints_with_their_bytes() -> None:
    """A lost tail takes hints and their count along, whole commits at a time."""
    state = Siblings().put("A", b"12345", None)
    for seed in range(10):
        store = disk(durability="buffered", seed=seed)
        for number, key in enumerate(keys(30)):
            store.begin()
            store.put_hint(Hint("B", key, Record(state), number))
            store.commit()
        after = store.after_crash()
        assert after.hint_bytes() == 5 * len(after.hints())


@pytest.mark.parametrize("seed", range(20))
def test_buffered_keeps_membership_and_incarnation(seed: int) -> None:
    """What names a node's writes and who is in the ring is synced at once, in every mode (4.8.1)."""
    store = disk(durability="buffered", seed=seed)
    put(store, b"before")
    store.begin()
    store.put_meta("history", ["A left"])
    store.commit()
    put(store, b"after")
    left = store.after_crash()
    assert left.meta("history") == ["A left"]
    assert next(iter(left.keys())) == b"before"
