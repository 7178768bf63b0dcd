"""The owner's lines without a process: who is told what, and that every request ends once."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynalab.codec.wire import encode_fields
from dynalab.core.clock import Context
from dynalab.core.errors import NodeIsDown, RequestTimedOut
from dynalab.core.messages import ClientFailed, ClientPut, ClientPutDone
from dynalab.core.owners import share_out
from dynalab.core.ring import Ring, position_of
from dynalab.live.client import LOOK_EVERY_US, Lines
from dynalab.live.keys import KeyPair
from dynalab.live.line import Ask, Line
from dynalab.live.parcels import Parcel, runs
from dynalab.live.walks import WALKS_KEPT, Walks


class Teller(Ask):
    """A request that writes down how it ended."""

    def __init__(self, name, told, request="q", due_us=0):
        super().__init__("alice", ClientPut(request, b"k", b"1", (), False, 3, 2, 1_000_000))
        self.name, self.told = name, told
        self.node, self.since_us, self.due_us = "A", 0, due_us

    def answered(self, reply, latency_us):
        self.told.append((self.name, type(reply)))

    def failed(self, error):
        self.told.append((self.name, type(error)))


class Socket:
    """A connection on which nothing is said."""

    closed = False

    def close(self):
        self.closed = True


@pytest.fixture(scope="module")
def lines():
    """Lines whose thread is over: what it would do is done here, at the time that is said here."""
    lines = Lines(KeyPair.new(), 0, False, lambda node, news: None)
    lines.close()
    lines._poller.unregister = lambda socket: None
    return lines


@pytest.fixture
def line(lines):
    return connected(lines)


def connected(lines):
    """A new line of alice's to A."""
    line = Line("alice", "A", Socket())
    lines._lines["alice", "A"] = lines._by_socket[line.socket] = line
    lines._look_us = 0
    return line


def run_of(message):
    """A message as it arrives when nobody records."""
    parcel = Parcel()
    parcel.add(*encode_fields(message))
    return runs(parcel.frame())[0]


def done(request):
    return run_of(ClientPutDone(request, b"k", "A", ("A", "B"), (), Context.EMPTY, Context.EMPTY, 0, False))


def test_a_refusal_ends_one_attempt_and_an_answer_all(lines, line):
    """Of two attempts under one request id a failure ends the older one only: the other may yet be done (I7)."""
    told = []
    for attempt in (1, 2, 3):
        line.add(Teller(attempt, told))
    lines._hear_reply(line, run_of(ClientFailed("q", "Overloaded", "full", True)))
    assert told == [(1, ClientFailed)]
    lines._hear_reply(line, done("q"))
    assert told[1:] == [(2, ClientPutDone), (3, ClientPutDone)]
    assert line.asked == {}
    lines._hear_reply(line, done("q"))
    assert len(told) == 3


def test_a_reply_that_cannot_be_read_does_not_take_its_neighbours_with_it(lines, line):
    """Of several replies in one frame the one out of bounds is counted; the others end their requests (I13)."""
    told, parcel, unreadable = [], Parcel(), lines.unreadable
    for request in ("one", "two"):
        line.add(Teller(request, told, request))
    for request, key in (("one", b"k"), ("lost", b""), ("two", b"k")):
        reply = ClientPutDone(request, key, "A", ("A", "B"), (), Context.EMPTY, Context.EMPTY, 0, False)
        parcel.add(*encode_fields(reply))
    (run,) = runs(parcel.frame())
    lines._hear_run(lines._hear_reply, line, run)
    assert told == [("one", ClientPutDone), ("two", ClientPutDone)]
    assert lines.unreadable == unreadable + 1


@pytest.mark.parametrize("over", [0, 1, 2])
def test_of_several_attempts_each_has_its_own_deadline(lines, line, over):
    """Whichever attempt is over first is forgotten, and the answer still ends all others, once."""
    told = []
    for attempt in range(3):
        line.add(Teller(attempt, told, due_us=5 if attempt == over else 1_000_000))
    lines._look(now_us=5)
    assert told == [(over, RequestTimedOut)]
    lines._hear_reply(line, done("q"))
    assert told[1:] == [(attempt, ClientPutDone) for attempt in range(3) if attempt != over]
    assert line.asked == {}


REQUESTS = st.lists(st.tuples(st.integers(0, 20), st.integers(0, 200_000), st.booleans()), min_size=1)


@given(requests=REQUESTS, closes=st.booleans())
def test_every_request_ends_once(lines, requests, closes):
    """However ids repeat and deadlines lie, each request is answered, or noticed soon after its time, not before."""
    told, line = [], connected(lines)
    for number, (name, due_us, _) in enumerate(requests):
        line.add(Teller(number, told, f"q{name}", due_us))
    for name in sorted({name for name, _, answered in requests if answered}):
        lines._hear_reply(line, done(f"q{name}"))
    if closes:
        lines._disconnect(line)
    now_us = 0
    while line.asked:
        before = {number for number, _ in told}
        lines._look(now_us)
        dues = [requests[number][1] for number, _ in told if number not in before]
        assert all(now_us - LOOK_EVERY_US < due_us <= now_us for due_us in dues)
        assert lines._look_us >= now_us + LOOK_EVERY_US
        now_us = lines._look_us
    assert Counter(number for number, _ in told) == Counter(range(len(requests)))
    lines._look(now_us)
    assert lines._closed == []


def test_what_is_asked_when_all_is_over_ends_at_once(lines):
    """A request to no node fails, definitely, though there is no thread any more."""
    told = []
    lines.request(Teller("late", told), "B")
    assert told == [("late", NodeIsDown)]


def test_a_wish_needs_no_answer(lines, line):
    """An administrator's request tells nobody how it ended."""
    wish = Ask("alice", ClientPut("q", b"k", b"1", (), False, 3, 2, 1))
    wish.node, wish.since_us, wish.due_us = "A", 0, 0
    line.add(wish)
    lines._look(now_us=1)
    assert line.asked == {}


def test_walks_are_the_rings_own_and_bounded():
    """A remembered walk is what the ring says; of many keys some are forgotten; no ring, no walk."""
    ring = Ring.even(share_out("ABC", 8))
    walks = Walks(ring)
    keys = [b"k%d" % number for number in range(WALKS_KEPT + 10)]
    assert all(walks.of(key) == ring.walk(position_of(key)) == walks.known[key] for key in keys)
    assert len(walks.known) <= WALKS_KEPT
    assert Walks(Ring({})).of(b"k") == ()
