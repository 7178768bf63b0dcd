"""A node that was stopped does not take old messages for new ones (S30, S17)."""

from __future__ import annotations

from random import Random

from dynalab.core.config import Config
from dynalab.core.desk import AWAKE_US
from dynalab.core.effects import Received, Start, TimerFired
from dynalab.core.membership import founding
from dynalab.core.messages import ReplicaPut
from dynalab.core.node import Node
from dynalab.core.store import MemoryStore
from dynalab.core.version import Siblings

PERIOD_US = 500_000


def _started(born_us: int) -> Node:
    config = Config(n=1, r=1, w=1, trace=False, ping_ms=PERIOD_US // 1000)
    node = Node("A", config, b"s", MemoryStore(), Random(1))
    node.handle(Start(founding("AB", config)), born_us, born_us)
    return node


def _kept_us(node: Node, key: bytes, now_us: int) -> int:
    """The age that a hint gets which arrives now."""
    node.handle(Received("B", ReplicaPut("r", key, Siblings().put("B", b"x", None), "B")), now_us, now_us)
    (hint,) = node.store.hints_of(key)
    return hint.kept_us


def test_a_hint_is_as_old_as_its_arrival():
    """While a node handles its timers, what it hears is new; so it is right after a start, whatever the time."""
    node = _started(born_us=90_000_000)
    assert _kept_us(node, b"first", 90_000_100) == 90_000_100
    for turn in range(1, 5):
        node.handle(TimerFired("ping"), 90_000_100 + turn * PERIOD_US, 0)
    assert _kept_us(node, b"second", 92_000_200) == 92_000_200


def test_a_hint_that_waited_for_a_stopped_node_is_as_old_as_the_stop():
    """After a stop a hint counts from the stop's beginning, or it could bring back what was deleted meanwhile."""
    node = _started(born_us=0)
    node.handle(TimerFired("ping"), 400_000, 400_000)
    woken_us = 7_000_000
    assert _kept_us(node, b"waited", woken_us) == 400_000
    assert _kept_us(node, b"waited too", woken_us + 5_000) == 400_000
    for passed_us in range(PERIOD_US, AWAKE_US, PERIOD_US):
        node.handle(TimerFired("ping"), woken_us + passed_us, 0)
    assert _kept_us(node, b"fresh", woken_us + AWAKE_US) == woken_us + AWAKE_US


def test_nobody_is_suspected_for_what_was_not_heard_during_a_stop():
    """Timers of questions fire at once when a stopped node goes on; their answers wait behind them (S30)."""
    node = _started(born_us=0)
    node.handle(TimerFired("ping"), 400_000, 400_000)
    node.inspect(7_000_000)
    node.handle(TimerFired("ping"), 7_000_000, 7_000_000)
    detector = node.membership.detector
    detector.suspect("B", "an exchange timed out")
    assert detector.believes_up("B")
    for passed_us in range(PERIOD_US, AWAKE_US + 1, PERIOD_US):
        node.handle(TimerFired("ping"), 7_000_000 + passed_us, 0)
    detector.suspect("B", "an exchange timed out")
    assert not detector.believes_up("B")
