"""Background work yields to the foreground, but not for ever (paper 6.5)."""

from __future__ import annotations

from random import Random

from dynalab.core.admission import PUT_OFF_MAX, Admission
from dynalab.core.config import Config, Parts
from dynalab.core.desk import Desk, run_unguarded

SECOND_US = 1_000_000


def _admission() -> Admission:
    return Admission(Desk("A", Config(), Random(1), Parts(), run_unguarded))


def _pass_a_second(admission: Admission, events: int) -> bool:
    admission.desk.now_us += SECOND_US
    admission.desk.events += events
    return admission.allows_exchange()


def test_a_quiet_node_exchanges() -> None:
    """A node that handles few events begins every exchange."""
    admission = _admission()
    assert [_pass_a_second(admission, 100) for _ in range(5)] == [True] * 5


def test_a_busy_node_puts_exchanges_off_but_not_for_ever() -> None:
    """Under steady load one exchange in eleven begins, and the others are counted as put off."""
    admission = _admission()
    begun = [_pass_a_second(admission, 5_000) for _ in range(22)]
    assert begun.count(True) == 2
    assert not any(begun[:PUT_OFF_MAX])
    assert admission.desk.counters["exchanges_put_off"] == 20


def test_slow_clients_shrink_the_slice() -> None:
    """The slice of background work halves while the 99th percentile nears the limit, and grows again after."""
    admission = _admission()
    for _ in range(100):
        admission.served(290_000)
    assert admission.background_slice() > admission.background_slice()
    admission.desk.now_us += 61 * SECOND_US
    assert admission.background_slice() < admission.background_slice()
