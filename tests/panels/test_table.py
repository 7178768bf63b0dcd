"""The message table: filters, windows, latencies, and the causal past of one event."""

from __future__ import annotations

import pytest

from dynalab import Simulation
from dynalab.panels.table import past_of, rows
from dynalab.panels.tape import Tape

SEQ, TIME, NODE, KIND, MESSAGE, PEER, KEY, REQUEST, LATENCY, CAUSE, TEXT = range(11)


@pytest.fixture(scope="module")
def tape() -> Tape:
    """A put, a crash and a get, on tape."""
    sim = Simulation(5, seed=7)
    alice = sim.client("alice")
    alice.put("cart", "x", w=3)
    alice.put("wish", "y")
    sim.crash("D")
    alice.get("cart")
    taped = Tape()
    taped.add(sim.events)
    return taped


@pytest.mark.parametrize(
    ("wanted", "holds"),
    [
        ({"node": "A"}, lambda row: "A" in (row[NODE], row[PEER])),
        ({"kind": "send"}, lambda row: row[KIND] == "send"),
        ({"kind": "failures"}, lambda row: row[KIND] in ("fault", "start", "stop")),
        ({"key": "wish"}, lambda row: row[KEY] == "wish"),
        ({"request": "alice"}, lambda row: row[REQUEST].startswith("alice")),
        ({"until": 12}, lambda row: row[SEQ] <= 12),
    ],
)
def test_a_filter_keeps_what_it_says(tape: Tape, wanted: dict, holds: object) -> None:
    """Every row of a filtered table matches the filter, and something does."""
    found = rows(tape, wanted)["rows"]
    assert found
    assert all(holds(row) for row in found)


def test_the_window_is_the_newest_and_says_that_there_is_more(tape: Tape) -> None:
    """A full window holds the newest matches, oldest first, and says whether older ones match, too."""
    everything = rows(tape, {})["rows"]
    window = rows(tape, {}, limit=5)
    assert window["rows"] == everything[-5:]
    assert window["more"]
    assert not rows(tape, {})["more"]


def test_a_receive_took_as_long_as_its_message_and_an_answer_as_its_request(tape: Tape) -> None:
    """The latency of a message is from its send; at the client, that of the answer is of the whole request."""
    by_seq = {event.seq: event for event in tape}
    found = rows(tape, {"kind": "receive"})["rows"]
    for row in [row for row in found if not row[NODE].startswith("client")]:
        assert row[LATENCY] == (by_seq[row[SEQ]].time_us - by_seq[row[CAUSE]].time_us) / 1000
    asked = next(event for event in tape if event.kind == "send" and event.message == "ClientPut")
    answer = next(row for row in found if row[NODE] == "client:alice")
    assert answer[LATENCY] == pytest.approx(answer[TIME] - asked.time_ms)


def test_the_past_of_an_answer_is_its_request_and_nothing_later(tape: Tape) -> None:
    """The causal past of a reply holds the client's send, the write and the acknowledgements it waited for."""
    reply = next(event for event in tape if event.kind == "reply")
    past = past_of(tape, reply.seq)
    kinds = [(tape.find(seq).kind, tape.find(seq).message) for seq in past]
    assert kinds[0] == ("send", "ClientPut")
    assert kinds.count(("receive", "ReplicaPutDone")) == 2
    assert max(past) == reply.seq
    assert all(tape.find(seq).request.startswith("alice") for seq in past)


def test_the_past_of_nothing_is_nothing(tape: Tape) -> None:
    """An event the tape does not have has no past."""
    assert past_of(tape, 10**9) == []


def test_down_times_are_told(tape: Tape) -> None:
    """The space-time diagram hears when which node did not run."""
    (down,) = rows(tape, {})["down"]
    assert down[0] == "D"


def test_a_hundred_thousand_events_fill_one_window() -> None:
    """However long the trace, the browser gets a window, and is told what was left out."""
    sim = Simulation(3, seed=1)
    sim.put("cart", "x")
    event = sim.events[-1]
    long = Tape(history=100_000)
    long.add(event._replace(seq=seq, time_us=seq) for seq in range(1, 120_001))
    found = rows(long, {})
    assert len(found["rows"]) == 400
    assert found["more"]
    assert found["dropped"] == 20_000
