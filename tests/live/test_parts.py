"""A student's parts run inside the node processes; what goes wrong in them is the student's to see."""

from __future__ import annotations

import threading

import pytest

from dynalab.core.config import Parts
from dynalab.core.errors import InvalidSetting, PartFailed

pytestmark = pytest.mark.live

MEMORY = {"storage": "memory", "anti_entropy_ms": 0, "timeout_ms": 2_000}


def union(values):
    """Merge carts: everything any of them holds."""
    return sorted({item for cart in values for item in cart})


def two_siblings(cluster, key="cart"):
    """Write two concurrent values of one key."""
    cluster.client("alice").put(key, ["milk"], context=None)
    cluster.client("bob").put(key, ["tea"], context=None)


def test_a_part_of_the_student_runs_in_the_nodes(start):
    """A function defined here, not in dynalab, merges siblings inside the node processes."""
    cluster = start(3, parts=Parts(merge=union), **MEMORY)
    two_siblings(cluster)
    assert cluster.get("cart", r=3).value == ["milk", "tea"]


def test_a_part_that_raises_shows_the_students_own_traceback(start):
    """The request fails with PartFailed, whose traceback holds the student's frames and none of dynalab's."""

    def careless(values):
        return values[99]

    cluster = start(3, parts=Parts(merge=careless), **MEMORY)
    two_siblings(cluster)
    with pytest.raises(PartFailed, match="merge") as failed:
        cluster.get("cart", r=3)
    assert "return values[99]" in failed.value.traceback
    assert "IndexError" in failed.value.traceback
    assert "dynalab/core" not in failed.value.traceback
    assert set(cluster.states().values()) == {"up"}
    assert cluster.put("other", 1).nodes


def test_a_part_that_never_returns_fails_the_request(start):
    """A part in an endless loop is stopped, the request fails, and the node serves on."""

    def stuck(values):
        while True:
            values = list(values)

    cluster = start(3, parts=Parts(merge=stuck), **MEMORY)
    two_siblings(cluster)
    with pytest.raises(PartFailed, match="within"):
        cluster.get("cart", r=3, timeout_ms=10_000)
    assert cluster.put("other", 1).nodes
    assert cluster.get("other").value == 1


def test_a_part_that_answers_nonsense_fails_the_request(start):
    """What a part answers is checked: nonsense is its own fault, not the node's."""
    cluster = start(3, parts=Parts(quorum=lambda replies, need, asked: "perhaps"), **MEMORY)
    with pytest.raises(PartFailed, match="perhaps"):
        cluster.get("cart")
    cluster.redeploy(Parts())
    assert not cluster.get("cart").found


def test_prints_of_parts_come_with_the_verb(start, capsys):
    """What a part prints is printed by the verb that caused it, tagged with node and part, in the caller's thread."""

    def talkative(values):
        print(f"merging {len(values)}\nof them")
        return union(values)

    cluster = start(3, parts=Parts(merge=talkative), **MEMORY)
    two_siblings(cluster)
    assert capsys.readouterr().out == ""
    got = cluster.get("cart", r=3)
    said = capsys.readouterr().out.splitlines()
    assert said == [f"[{got.coordinator} merge {got.request}] {line}" for line in ("merging 2", "of them")]
    cluster.put("other", 1)
    assert capsys.readouterr().out == ""


def test_prints_are_bounded(start, capsys):
    """A part that prints without end is cut short, and the verb says how much it left out."""

    def flood(values):
        print("x" * 100_000)
        return union(values)

    cluster = start(3, parts=Parts(merge=flood), **MEMORY)
    two_siblings(cluster)
    cluster.get("cart", r=3)
    said = capsys.readouterr().out
    assert 60_000 < len(said) < 70_000
    assert "characters more" in said


def test_a_redefined_part_is_redeployed(start):
    """redeploy swaps parts in all running nodes, in paused ones when they go on, and in recovered ones."""
    cluster = start(3, n=3, r=3, parts=Parts(merge=lambda values: "first"), **MEMORY)
    two_siblings(cluster)
    assert cluster.get("cart", via="B").value == "first"
    cluster.pause("B")
    cluster.crash("C")
    cluster.redeploy(Parts(merge=lambda values: "second"))
    cluster.resume("B")
    cluster.recover("C")
    assert [cluster.get("cart", via=node, r=2).value for node in "AB"] == ["second", "second"]
    two_siblings(cluster, "other")
    assert cluster.get("other", via="C", r=2).value == "second"
    assert "redeploy(Parts(merge))" in [e.detail.get("verb") for e in cluster.trace]


def test_what_cannot_travel_is_refused_before_anything_happens(start):
    """A part that holds a lock cannot be sent; the error says so and no node has changed."""
    lock = threading.Lock()

    def holding(values):
        with lock:
            return values[0]

    with pytest.raises(InvalidSetting, match="cannot be sent"):
        start(1, name="never", parts=Parts(merge=holding))
    cluster = start(3, parts=Parts(merge=union), **MEMORY)
    with pytest.raises(InvalidSetting, match="cannot be sent"):
        cluster.redeploy(Parts(merge=holding))
    two_siblings(cluster)
    assert cluster.get("cart", r=3).value == ["milk", "tea"]


def test_parts_that_cannot_be_loaded_leave_the_old_ones(start):
    """When loading fails in the nodes the verb raises with the reason, and the former parts stay."""
    cluster = start(3, parts=Parts(merge=union), **MEMORY)

    class Picky:
        def __call__(self, values):
            return values[0]

        def __reduce__(self):
            return (_refuse_in_a_node, ())

    with pytest.raises(PartFailed, match="not in this process"):
        cluster.redeploy(Parts(merge=Picky()))
    two_siblings(cluster)
    assert cluster.get("cart", r=3).value == ["milk", "tea"]


def _refuse_in_a_node():
    raise RuntimeError("not in this process")
