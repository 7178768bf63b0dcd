"""The end of a judged run: settle, look, read everything everywhere, look again, judge (RELIABILITY.md).

Theory of operation.
Once all faults are over, three phases:
(a) hints and anti-entropy bring all homes to one state;
(b) every key is read from every home with R = 1, and what the answers show is evidence too;
(c) after more exchanges nothing may have changed.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from dynalab.check.finals import Inspections, held_keys, homes_of
from dynalab.check.invariants import Evidence, judge
from dynalab.check.recorder import Recorder
from dynalab.check.report import Report
from dynalab.core.trace import TraceEvent

ROUNDS = 2
"""Every node begins so many more exchanges before it is looked at again."""

POLLS_MAX = 1_000
POLL_MS = 50


def judge_run(
    recorder: Recorder,
    trace: Sequence[TraceEvent] | None = None,
    settle_ms: int = 60_000,
    exempt: dict[str, str] | None = None,
) -> Report:
    """Bring a run to its end and judge it; the faults are over, and all nodes run.

    Args:
        recorder: what the clients used.
        trace: the growing list of all events, of a simulation; None: judged by histories and final states alone.
        settle_ms: how long the cluster may take to become quiet.
        exempt: why an invariant is not to be judged, by id.

    Raises:
        NotSettled: it did not become quiet; the text says what is left.
    """
    recorder.settle(timeout_ms=settle_ms)
    first = recorder.inspections()
    homes = homes_of(first)
    reader = recorder.client("judge")
    for key in held_keys(first):
        for home in homes(key):
            reader.get(_as_given(key), via=home, r=1)
    exchange_again(recorder)
    recorder.settle(timeout_ms=settle_ms)
    later = recorder.inspections()
    return judge(Evidence(recorder.history, first, homes, recorder.cluster.config, trace, later, exempt or {}))


def _as_given(key: str) -> str | bytes:
    return bytes.fromhex(key[2:]) if key.startswith("0x") else key


def exchange_again(recorder: Recorder) -> None:
    """Let every node of the ring begin more exchanges; in a simulation virtual time passes for it.

    Raises:
        TimeoutError: a node begins none.
    """
    config = recorder.cluster.config
    before = _exchanges(recorder.inspections())
    if not config.anti_entropy_ms or config.n < 2 or len(before) < 2:
        return
    for _ in range(POLLS_MAX):
        _let_time_pass(recorder.cluster)
        now = _exchanges(recorder.inspections())
        if all(now.get(node, 0) >= count + ROUNDS for node, count in before.items()):
            return
    raise TimeoutError(f"no node began {ROUNDS} exchanges: {before} before, {now} now")


def _exchanges(inspections: Inspections) -> dict[str, int]:
    """``{node: exchanges it has begun}`` of those that keep a key range, and so have somebody to compare it with."""
    return {node: seen["counters"].get("exchanges", 0) for node, seen in inspections.items() if seen["roots"]}


def _let_time_pass(cluster: Any) -> None:
    if hasattr(cluster, "run"):
        cluster.run(ms=POLL_MS)
    else:
        time.sleep(POLL_MS / 1000)
