"""The panel's memory of the trace: bounded, and paired into flights."""

from __future__ import annotations

from dynalab import Simulation
from dynalab.core.trace import TraceEvent
from dynalab.panels.tape import BATCH_MAX, Flights, Tape, is_worth_seeing


def _event(seq: int, kind: str = "note", **fields: object) -> TraceEvent:
    return TraceEvent(seq, seq * 10, "A", kind, **fields)


def test_an_old_event_is_let_go_and_counted() -> None:
    """The tape keeps as many events as it was told, newest last, and says how many it let go."""
    tape = Tape(history=100)
    for seq in range(1, 1001):
        tape.add([_event(seq)])
    assert len(tape) <= 110
    assert tape.dropped + len(tape) == 1000
    assert tape.last_seq == 1000
    assert tape.find(1) is None
    assert tape.find(990).seq == 990
    assert [event.seq for event in tape.newer_than(997)] == [998, 999, 1000]


def test_a_send_and_its_receive_are_one_flight() -> None:
    """A flight is told when it begins, and again under the same name when it has arrived."""
    flights = Flights()
    send = _event(1, "send", message="ReplicaPut", peer="B", key=b"cart")
    begun = flights.batch([send])["flights"]
    ended = flights.batch([TraceEvent(5, 900, "B", "receive", "ReplicaPut", "A", b"cart", cause=1)])["flights"]
    assert begun == [[1, "A", "B", 10, None, "ReplicaPut", "cart", "", ""]]
    assert ended == [[1, "A", "B", 10, 900, "ReplicaPut", "cart", "", ""]]
    assert flights.open() == []


def test_a_lost_message_says_why() -> None:
    """A drop ends the flight of its send, and carries the reason to the stage."""
    flights = Flights()
    drop = TraceEvent(2, 50, "A", "drop", "ReplicaGet", "B", cause=1, detail={"why": "cut"})
    (flight,) = flights.batch([_event(1, "send", message="ReplicaGet", peer="B"), drop])["flights"]
    assert flight[-1] == "cut"


def test_what_is_sent_to_a_killed_process_does_not_fly_for_ever() -> None:
    """A killed process traces no receive: its messages end there, and what the trace says later still counts."""
    flights = Flights()
    before = _event(1, "send", message="ReplicaPut", peer="B")
    stop = TraceEvent(2, 40, "B", "stop")
    after = TraceEvent(3, 50, "A", "send", "HintDeliver", "B")
    told = {flight[0]: flight for flight in flights.batch([before, stop, after])["flights"]}
    assert {name: (flight[4] is not None, flight[-1]) for name, flight in told.items()} == {
        1: (True, "down"),
        3: (True, "down"),
    }
    assert flights.open() == []
    late = TraceEvent(4, 60, "B", "receive", "ReplicaPut", "A", cause=1)
    assert [flight[:5] + flight[-1:] for flight in flights.batch([late])["flights"]] == [[1, "A", "B", 10, 60, ""]]
    again = [TraceEvent(5, 70, "B", "start"), TraceEvent(6, 80, "A", "send", "HintDeliver", "B")]
    assert [flight[4] for flight in flights.batch(again)["flights"]] == [None]


def test_a_second_copy_is_a_flight_of_its_own() -> None:
    """A duplicated message is seen twice, from the same sender to the same node."""
    flights = Flights()
    receive = TraceEvent(2, 50, "B", "receive", "ReplicaGet", "A", cause=1)
    told = flights.batch([_event(1, "send", message="ReplicaGet", peer="B"), receive, receive._replace(seq=3)])
    assert [flight[:3] for flight in told["flights"]] == [[1, "A", "B"], [3, "A", "B"]]


def test_background_is_hidden_unless_wanted() -> None:
    """Pings and gossip reach the stage only when somebody wants to see them."""
    ping = _event(1, "send", message="Ping", peer="B")
    assert Flights().batch([ping])["flights"] == []
    assert len(Flights().batch([ping], background=True)["flights"]) == 1
    assert not is_worth_seeing(ping)


def test_a_flood_is_cut_and_counted() -> None:
    """Of more flights than a batch holds the newest are told, and the others are counted."""
    flights = Flights()
    sends = [_event(seq, "send", message="ReplicaGet", peer="B") for seq in range(1, BATCH_MAX + 101)]
    told = flights.batch(sends)["flights"]
    assert (len(told), flights.untold, told[-1][0]) == (BATCH_MAX, 100, BATCH_MAX + 100)


def test_every_message_of_a_run_is_a_flight_with_its_latency() -> None:
    """On a real trace each send is one flight that ends when its receive or drop says so."""
    sim = Simulation(5, seed=3)
    sim.put("cart", "x", w=3)
    sim.run(ms=50)
    ends = {event.cause: event.time_us for event in sim.events if event.kind in ("receive", "drop")}
    told = {flight[0]: flight[4] for flight in Flights().batch(sim.events, background=True)["flights"]}
    assert told == {event.seq: ends.get(event.seq) for event in sim.events if event.kind == "send"}
