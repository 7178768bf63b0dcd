"""The small parts of the live world, without a process: frames, gates, links, records, the gathered trace."""

from __future__ import annotations

import gc
import io
import os
import socket
from itertools import groupby, pairwise
from random import Random

import msgspec
import psutil
import pytest
import zmq
from hypothesis import given
from hypothesis import strategies as st

from dynalab.codec.bounds import WireError
from dynalab.codec.wire import VERSION
from dynalab.core.config import Config, Parts
from dynalab.core.effects import Note, Received, Reply, Send, Start, TimerFired
from dynalab.core.faults import Faults, LinkRule
from dynalab.core.membership import founding
from dynalab.core.messages import ClientGetDone, ClientPutDone, Ping
from dynalab.core.node import Node
from dynalab.core.session import Session
from dynalab.core.store import MemoryStore
from dynalab.core.trace import KINDS
from dynalab.live import gather, record
from dynalab.live import listener as listener_module
from dynalab.live.control import SEQ_BITS, SetFaults, read_events
from dynalab.live.frames import (
    NOTICE_MAX,
    Ended,
    Failed,
    FrameBuffer,
    Ready,
    framed,
    notify,
    read_frame,
    read_notice,
)
from dynalab.live.gather import Gathering
from dynalab.live.keys import SECRET_ROUTE_BYTES, Gate, KeyPair, prove, secret_route
from dynalab.live.link import OPENING_MESSAGES_MAX, REOPEN_MS
from dynalab.live.listener import BUSY_AFTER, Listener
from dynalab.live.parcels import (
    CONTROL_KIND,
    FRAME_BYTES_OVER,
    HEADER,
    NONSENSE,
    PARCEL_BYTES,
    PARCEL_MESSAGES_MAX,
    Parcel,
    Run,
    runs,
)
from dynalab.live.prints import PRINTED_MAX, Prints
from dynalab.live.process import NodeProcess
from dynalab.live.record import Recorder
from dynalab.live.roll import CRASHED, PAUSED, STARTING, UP, Roll
from dynalab.live.spec import Spec
from dynalab.live.timers import NODES_IN_STEP, ROUNDS, SPREAD_US, due_us, place_us
from dynalab.live.transport import PAYLOAD_BYTES_MAX, Transport


@given(contents=st.lists(st.binary(max_size=50)), sizes=st.lists(st.integers(1, 20), min_size=1))
def test_frames_come_out_whole_however_they_are_cut(contents, sizes):
    """A stream of frames cut anywhere yields the same frames; a cut-off last one is not a frame."""
    stream, place, turn = b"".join(map(framed, contents)), 0, 0
    buffer, heard = FrameBuffer(), []
    while place < len(stream):
        size = sizes[turn % len(sizes)]
        heard += buffer.add(stream[place : place + size])
        place, turn = place + size, turn + 1
    assert heard == contents
    pipe = io.BytesIO(stream[:-1])
    read = [read_frame(pipe) for _ in contents]
    assert read == [*contents[:-1], None][: len(read)]


def test_a_frame_that_announces_too_much_is_refused():
    """A length above the bound is an error at once, not memory."""
    with pytest.raises(ValueError, match="announces"):
        read_frame(io.BytesIO(b"\xff" * 8))


def test_a_notice_is_short_enough_to_stay_whole():
    """However long the reason, a notice fits what a pipe writes in one piece."""
    read, write = os.pipe()
    notify(write, Failed("A", 1, "why " * 5_000))
    frame = os.read(read, 2 * NOTICE_MAX)
    assert len(frame) <= NOTICE_MAX
    notice = read_notice(frame[4:])
    assert notice.text.startswith("why why")
    os.close(read)
    os.close(write)


# --- links ------------------------------------------------------------------------------------------------------------


class Time:
    now = 0

    def __call__(self):
        return self.now


@pytest.fixture
def ends():
    """Two transports that may connect to each other: `{node: (transport, what it has lost, doorman, time)}`."""
    ends, keys, time = {}, {name: KeyPair.new() for name in "AB"}, Time()
    allowed = {pair.public: name for name, pair in keys.items()}
    contexts = {name: zmq.Context() for name in "AB"}
    for name, context in contexts.items():
        gate, lost = Gate(context, allowed), []
        link = Transport(context, name, keys[name], gate, Random(7), time, lambda *what, lost=lost: lost.append(what))
        ends[name] = (link, lost, gate, time)
    ends["A"][0].know({name: (link.endpoint, keys[name].public) for name, (link, *_) in ends.items()})
    yield ends
    for name, (link, _, gate, _) in ends.items():
        link.close()
        gate.close()  # Once more does no harm.
        contexts[name].destroy(linger=0)


@pytest.fixture
def pair(ends):
    """A, which knows B; B; what A has lost; the time."""
    (a, lost, _, time), (b, *_) = ends.values()
    return a, b, lost, time


WORD = 7
"""A kind of message; what is in it does not matter to a link."""


def word(text):
    """A message that says this much."""
    return msgspec.msgpack.encode(text)


def words(said):
    """``(number, text)`` of the messages in runs."""
    return [
        (number, content)
        for run in said
        for number, content in zip(
            run.numbers or [0] * run.many, msgspec.msgpack.decode(run.array) if run.many else [], strict=True
        )
    ]


def hear(sender, receiver, count):
    """The next messages that arrive, while both ends work."""
    heard = []
    for _ in range(2_000):
        sender.flush()
        sender.wait(5)
        for name, said in receiver.arrivals(100) if receiver.wait(5) else ():
            heard += [(name, number, word) for number, word in words(said)]
        if len(heard) >= count:
            return heard
    raise AssertionError(f"only {heard} arrived")


@pytest.fixture
def hall(monkeypatch):
    """A listener for which all waits are short; ``enter(name, routing_id)`` makes a socket that may speak to it."""
    monkeypatch.setattr(listener_module, "REST_NS", 10**12)
    context, keys = zmq.Context(), KeyPair.new()
    own = {name: KeyPair.new() for name in "AB"}
    gate = Gate(context, {pair.public: name for name, pair in own.items()})
    listener = Listener(context, keys, gate)

    def enter(name, routing_id=None):
        speaker = context.socket(zmq.DEALER)
        if routing_id is not None:
            speaker.routing_id = routing_id
        prove(speaker, own[name], keys.public)
        speaker.connect(listener.endpoint)
        return speaker

    yield listener, enter
    listener.socket.close()
    gate.close()
    context.destroy(linger=0)


@pytest.fixture(params=["libzmq's routing id", "a secret one"])
def heard(request, hall):
    """A listener, and a socket of A that may speak to it."""
    listener, enter = hall
    return listener, enter("A", secret_route() if request.param == "a secret one" else None)


def _all_heard(listener):
    """What a wait has found, and what is behind it."""
    found = [listener.hear()]
    while listener.has_more():
        found.append(listener.hear())
    return found


def test_a_listener_hears_everything_in_order_at_rest_and_when_it_is_busy(heard):
    """However it waits, no message is lost, none is doubled, and each has its sender's name."""
    listener, speaker = heard
    told = [b"message number %4d" % number for number in range(4 * BUSY_AFTER + 1)]
    got = []
    for number, text in enumerate(told):
        speaker.send(text)
        if number % 3 == 0:  # Some come alone, some in company.
            continue
        while len(got) <= number:
            if listener.wait(1_000):
                got += [(sender, body) for _, sender, body in _all_heard(listener)]
    assert got == [("A", text) for text in told]
    assert not listener._at_rest


def test_a_busy_listener_waits_no_longer_than_it_is_told(heard):
    """The wait that its socket remembers is cut when less is left, and it is at rest again when nobody speaks."""
    listener, speaker = heard
    for number in range(BUSY_AFTER):
        speaker.send(b"message number %4d" % number)
        assert listener.wait(60_000)
        assert [body for _, _, body in _all_heard(listener)] == [b"message number %4d" % number]
    assert listener.socket.rcvtimeo == -1  # It has polled so far.
    speaker.send(b"the quick one of them")
    assert listener.wait(60_000)
    assert len(_all_heard(listener)) == 1
    assert listener.socket.rcvtimeo == 30_000
    assert not listener.wait(3)
    assert listener.socket.rcvtimeo == 1
    assert listener._at_rest
    for _ in range(BUSY_AFTER + 1):
        speaker.send(b"the busy one, again")
        assert listener.wait(60_000)
        assert len(_all_heard(listener)) == 1
    assert listener.socket.rcvtimeo == 30_000


def test_what_a_listener_has_begun_to_receive_is_not_lost_when_its_hearer_stops(heard):
    """A hearer that has heard enough for now finds the rest at its next turn."""
    listener, speaker = heard
    got = []
    for number in range(3 * BUSY_AFTER):
        speaker.send(b"message number %4d a" % number)
        speaker.send(b"message number %4d b" % number)
        for _ in range(2):
            assert listener.wait(60_000)
            got.append(listener.hear()[2])
    assert got == [
        b"message number %4d %s" % (number, which) for number in range(3 * BUSY_AFTER) for which in (b"a", b"b")
    ]


def _next(listener):
    """The next ``(sender, content)``."""
    assert listener.wait(60_000)
    return listener.hear()[1:]


def _introduced(listener, enter, name, route):
    """A socket that has been heard once, by its name."""
    speaker = enter(name, route)
    speaker.send(b"here I am, my name is " + name.encode())
    assert _next(listener) == (name, b"here I am, my name is " + name.encode())
    return speaker


def test_a_name_is_remembered_until_somebody_comes_in(hall):
    """By a secret routing id, and no other: whoever came in before a message has emptied the memory of the names."""
    listener, enter = hall
    route = secret_route()
    a = _introduced(listener, enter, "A", route)
    assert listener._gate.speakers == {route: "A"}
    _introduced(listener, enter, "B", b"fourteen bytes")
    assert listener._gate.speakers == {}
    a.send(b"here is A, once more")
    assert _next(listener) == ("A", b"here is A, once more")
    assert listener._gate.speakers == {route: "A"}


def test_the_next_owner_of_a_secret_routing_id_has_his_own_name(hall):
    """Who is let in later is asked for his own name, even if he knows the secret of one who has left."""
    listener, enter = hall
    route = secret_route()
    _introduced(listener, enter, "A", route).close()
    _introduced(listener, enter, "B", route)


def test_frames_too_many_are_nobody_elses(hall):
    """Whatever frames somebody sends, also routing ids in wrong places: all others are heard, by their own names.

    No answer goes where one of the frames says, and none of them is remembered.
    """
    listener, enter = hall
    routes = {"A": secret_route(), "B": secret_route()}
    speakers = {name: _introduced(listener, enter, name, route) for name, route in routes.items()}
    long, made_up, mine = b"a frame that is long enough", secret_route(), {(routes[name], name) for name in "AB"}
    for frames in (
        *([long, routes["A"]], [long, long], [b""], [made_up], [routes["A"]], [long, b"", b""], [long, made_up, long]),
        *([long, routes["A"], routes["A"]], [routes["A"], long], [long] * 10, [long] * 11, [b"", routes["A"], b""]),
        *(
            [long, b"no secret", long],
            [b"", b"", b"no secret", long],
            [long, b"\xff" * 15, long],
            [long, bytes(15), long],
        ),
    ):
        for known in (True, False):
            if not known:
                listener._gate.speakers = {}  # As if somebody had come in meanwhile.
            speakers["A"].send_multipart(frames)
            speakers["B"].send(b"B is still heard")
            speakers["A"].send_multipart(frames)
            speakers["A"].send(b"A has said all that")
            said = []
            while not {("B", b"B is still heard"), ("A", b"A has said all that")} <= {one[1:] for one in said}:
                assert listener.wait(60_000), (frames, known, said)
                said += _all_heard(listener)
            assert [body for _, sender, body in said if sender == "B"] == [b"B is still heard"]
            assert {route for route, sender, _ in said if sender == "A"} == {routes["A"]}
            assert {sender for _, sender, _ in said} <= {"A", "B", ""}
            assert set(listener._gate.speakers.items()) <= mine


def test_nobody_is_heard_without_end(hall):
    """One who sends his own routing id again and again is refused each time, and holds nobody up."""
    listener, enter = hall
    route = secret_route()
    a = _introduced(listener, enter, "A", route)
    for _ in range(200):
        a.send(route)
    assert [_next(listener) for _ in range(200)] == [("A", route)] * 200


def test_who_reconnects_is_heard_though_nobody_has_read_what_it_said_before(hall):
    """A connection that breaks while the node is busy goes on by a new one, under its old routing id."""
    listener, enter = hall
    a = _introduced(listener, enter, "A", secret_route())
    for number in range(50):  # Nobody reads these yet.
        a.send(b"said before the break %d" % number)
    assert listener.wait(60_000)
    monitor = a.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED)
    port = int(listener.endpoint.rpartition(":")[2])
    for each in psutil.Process().net_connections("tcp"):
        if each.status == psutil.CONN_ESTABLISHED and each.raddr.port == port:
            with socket.socket(fileno=os.dup(each.fd)) as connection:
                connection.shutdown(socket.SHUT_RDWR)
    assert monitor.poll(60_000), "it did not come back"
    a.send(b"said after the break")
    heard = []
    while ("A", b"said after the break") not in heard:
        heard.append(_next(listener))
    assert {sender for sender, _ in heard} == {"A"}
    a.disable_monitor()


def test_no_frame_is_as_short_as_a_secret_routing_id():
    """A frame has a version, a header and at least one byte; so a routing id in its place is known by its length."""
    assert len(secret_route()) == SECRET_ROUTE_BYTES
    assert 1 + HEADER.size + 1 > SECRET_ROUTE_BYTES


def test_without_its_doorman_nobody_comes_in(ends, pair):
    """A door that nobody keeps stays shut, whatever may have happened to its keeper."""
    a, b, lost, time = pair
    ends["B"][2].close()
    for _ in range(3):
        a.send("B", WORD, word(b"anybody there?"), 1)
        a.wait(200)  # Until the link opens, which it does not.
        a.flush()
        assert not b.wait(200)
        time.now += (REOPEN_MS + 1) * 1000
    assert [(to, why) for to, _, why in lost] == [("B", "unreachable")] * 2


def test_what_is_said_while_a_link_opens_waits_for_it(pair):
    """The first messages to a peer open the link, and arrive in order once it is open, with their numbers."""
    a, b, lost, _ = pair
    for number in range(5):
        a.send("B", WORD, word(b"hello %d" % number), number)
    assert hear(a, b, 5) == [("A", number, b"hello %d" % number) for number in range(5)]
    assert lost == []


def test_a_link_that_was_refused_is_opened_again(ends, pair):
    """A peer that had not heard of us refuses our connection; once it has, the link opens after a while."""
    (a, b, _, time), gate = pair, ends["B"][2]
    known = dict(gate._names)
    gate.allow({})
    a.send("B", WORD, word(b"too early"), 1)
    a.flush()
    for _ in range(200):
        b.wait(5)
        if gate.refused:
            break
    assert gate.refused == 1
    gate._names = known
    time.now += (REOPEN_MS + 1) * 1000
    a.send("B", WORD, word(b"again"), 2)
    assert hear(a, b, 1) == [("A", 2, b"again")]


def test_what_a_link_cannot_take_is_dropped_and_counted(pair):
    """An unknown peer, a full waiting room, a link that does not open in time, a frame too large: never a wait."""
    a, _, lost, time = pair
    a.send("C", WORD, word(b"nobody"), 1)
    a.send("B", WORD, word(bytes(PAYLOAD_BYTES_MAX + 1)), 2)
    for number in range(OPENING_MESSAGES_MAX + 3):
        a.send("B", WORD, word(b"hello"), number)
    assert [why for _, _, why in lost] == ["unknown node", "too large"] + ["unreachable"] * 3
    time.now += 2_000_000
    a.send("B", WORD, word(b"too late"), 9)
    assert lost[-1] == ("B", 9, "unreachable")
    assert a.traffic.drops == {"unknown node": 1, "too large": 1, "unreachable": 4}


def test_a_peer_that_does_not_read_never_blocks_the_sender(pair):
    """When a peer reads nothing its queues fill; then messages are dropped and counted, nobody waits (S35)."""
    a, b, lost, _ = pair
    a.send("B", WORD, word(b"first"), 0)
    assert hear(a, b, 1)
    for number in range(1, 20_000):
        a.send("B", WORD, word(bytes(10_000)), number)
        a.flush()
        if len(lost) == 10:
            break
    assert [why for _, _, why in lost] == ["unreachable"] * 10
    heard = hear(a, b, 500)
    assert [number for _, number, _ in heard] == list(range(1, len(heard) + 1))


def test_the_faults_of_a_link_decide(pair):
    """A cut loses all, a rule loses, doubles and delays; nothing is sent before its time."""
    a, b, lost, time = pair
    a.send("B", WORD, word(b"first"), 0)
    assert hear(a, b, 1)
    a.set_faults(Faults().partitioned([["A"], ["B"]]))
    a.send("B", WORD, word(b"cut"), 1)
    a.set_faults(Faults().linked("A", "B", LinkRule(drop=1.0)))
    a.send("B", WORD, word(b"lost"), 2)
    assert lost == [("B", 1, "cut"), ("B", 2, "lost")]
    a.set_faults(Faults().linked("A", "B", LinkRule(duplicate=1.0, delay_ms=(10.0, 10.0))))
    a.send("B", WORD, word(b"twice"), 3)
    assert a.depths()["delayed"] == 2
    assert a.next_due_us() == 10_000
    a.release(9_999)
    assert a.depths()["delayed"] == 2
    time.now = 10_000
    a.release(time.now)
    assert hear(a, b, 2) == [("A", 3, b"twice")] * 2


def test_a_peer_that_moved_is_reached_at_its_new_address(pair):
    """After `know` with another endpoint messages go there, not to the old one."""
    a, b, _, _ = pair
    a.send("B", WORD, word(b"before"), 1)
    assert hear(a, b, 1)
    key = a._peers["B"].key
    a.know({"B": ("tcp://127.0.0.1:9", key)})
    a.send("B", WORD, word(b"nobody listens there"), 2)
    a.know({"B": (b.endpoint, key)})
    a.send("B", WORD, word(b"after"), 3)
    assert hear(a, b, 1) == [("A", 3, b"after")]


def test_faults_travel_as_they_are():
    """The order that carries faults says exactly what the value says."""
    faults = Faults().partitioned([["A"], ["B", "C"]]).linked("A", "C", LinkRule(drop=0.5, delay_ms=(1.0, 2.0)))
    assert SetFaults.of(faults).faults == faults


def test_what_is_said_in_one_turn_travels_together(pair):
    """Messages of one turn to one peer are one frame, in order; a frame that is long enough does not wait for more."""
    a, b, lost, _ = pair
    a.send("B", WORD, word(b"first"), 0)
    assert hear(a, b, 1)
    sent = []
    a._peers["B"].socket, real = Spy(sent), a._peers["B"].socket
    for number in range(3):
        a.send("B", WORD, word(b"word"), number)
    assert sent == []
    a.flush()
    assert [[number for number, _ in words(runs(frame))] for frame in sent] == [[0, 1, 2]]
    a.send("B", WORD, word(bytes(PARCEL_BYTES)), 3)
    assert len(sent) == 2
    a.flush()
    assert len(sent) == 2
    assert lost == []
    a._peers["B"].socket = real


class Spy:
    """A socket that only remembers."""

    def __init__(self, sent):
        self.sent = sent

    def send(self, frame, _flags):
        self.sent.append(frame)


plain_kinds = st.integers(0, 3)


SAID = st.lists(st.tuples(plain_kinds, st.integers(0, 2**63 - 1), st.binary(max_size=40)), min_size=1)


def parcel_of(said):
    parcel = Parcel()
    for kind, number, text in said:
        parcel.add(kind, word(text), number)
    return parcel


def whole(frame):
    """``(kind, number, text)`` of the messages of a frame, and whether it adds up."""
    found = runs(frame)
    torn = found[-1].kind == NONSENSE
    found = found[:-1] if torn else found
    return [(run.kind, number, text) for run in found for number, text in words([run])], not torn


@given(said=SAID, cut=st.integers(1, 60))
def test_a_parcel_says_what_was_put_into_it_and_shows_where_it_is_torn(said, cut):
    """Whole, it gives all messages in order; torn anywhere it gives the runs before the tear, then nonsense."""
    parcel = parcel_of(said)
    frame = parcel.frame()
    assert [number for _, _, number in parcel.said] == [number for _, number, _ in said]
    assert len(frame) <= sum(len(fields) for _, fields, _ in parcel.said) + len(said) * (HEADER.size + 16) + 1
    assert whole(frame) == (said, True)
    if cut < len(frame):
        before, adds_up = whole(frame[:-cut])
        assert before == said[: len(before)]
        assert len(before) < len(said)
        # A tear between two runs is none: then there are only fewer of them.
        assert adds_up or runs(frame[:-cut])[-1].many == 1


@given(said=SAID)
def test_messages_of_one_kind_that_follow_each_other_are_one_run(said):
    """A run says how many it holds, and the length of each where anything was recorded."""
    found = runs(parcel_of(said).frame())
    assert [(run.kind, run.many) for run in found] == [
        (kind, len(list(group))) for kind, group in groupby(kind for kind, _, _ in said)
    ]
    lengths = [length for run in found for length in run.lengths()]
    assert lengths == [len(word(text)) for _, _, text in said]
    assert all(run.sizes == (run.lengths() if any(run.numbers) else ()) for run in found)


@given(said=SAID)
def test_a_run_taken_apart_is_the_same_messages(said):
    """Each message alone has its number and its length."""
    for run in runs(parcel_of(said).frame()):
        apart = run.apart()
        assert words(apart) == words([run])
        assert [one.sizes[0] for one in apart] == list(run.lengths())
        assert {one.many for one in apart} == {1}


@given(st.binary(max_size=60))
def test_any_bytes_are_a_frame_that_does_not_add_up(frame):
    """Whoever sends what is no frame sends at most nonsense, and never an exception."""
    for beginning in (b"", bytes([VERSION]), parcel_of([(1, 1, b"milk")]).frame()):
        found = runs(beginning + frame)
        assert found[-1].kind == NONSENSE or b"".join(bytes(run.array) for run in found)
        assert all(run.many <= PARCEL_MESSAGES_MAX for run in found)


MILK = parcel_of([(1, 1, b"milk"), (1, 2, b"tea")]).frame()

UNTRUE = {
    "another version": bytes([VERSION - 1]) + MILK[1:],
    "no array": MILK.replace(b"\xdd", b"\xdc"),
    "none of them": MILK[:1] + MILK[1:].replace(b"\xdd\x00\x00\x00\x02", b"\xdd\x00\x00\x00\x00"),
    "one more than marks": MILK.replace(b"\xdd\x00\x00\x00\x02", b"\xdd\x00\x00\x00\x03"),
    "too many": MILK.replace(b"\xdd\x00\x00\x00\x02", b"\xdd\x00\x00\x04\x01"),
    "two orders in one run": MILK[:1] + bytes([CONTROL_KIND]) + MILK[2:],
    "a lie about a length": MILK[:-1] + b"\x06",
    "a length that is none": MILK[:-1] + b"\xff",
    "nonsense by name": MILK[:1] + bytes([NONSENSE]) + MILK[2:],
}


@pytest.mark.parametrize("frame", UNTRUE.values(), ids=UNTRUE.keys())
def test_a_frame_that_is_untrue_is_nonsense(frame):
    """A frame whose parts contradict each other is one refusal."""
    assert [(run.kind, run.many) for run in runs(frame)] == [(NONSENSE, 1)]
    assert [run.kind for run in runs(MILK)] == [1]


def test_what_is_no_array_cannot_be_taken_apart():
    """A run whose fields are no msgpack is refused as a whole: nobody can say where the next one begins."""
    with pytest.raises(WireError, match="apart"):
        Run(1, 2, memoryview(b"\xdd\x00\x00\x00\x02\xc1\xc1")).apart()


def test_orders_and_packed_messages_stand_alone():
    """What is no plain array of fields is a run by itself, so one of them cannot be mistaken for two."""
    parcel = Parcel()
    for number in (1, 2):
        parcel.add(CONTROL_KIND, b"order %d" % number, number)
    assert [(run.kind, run.number, bytes(run.alone)) for run in runs(parcel.frame())] == [
        (CONTROL_KIND, 1, b"order 1"),
        (CONTROL_KIND, 2, b"order 2"),
    ]


def test_a_parcel_is_full_of_small_messages_too():
    """However short they are, a frame holds no more messages than its reader takes, and what is over has room."""
    parcel = Parcel()
    fulls = [parcel.add(number % 2, word(1), 2**63 - 1) for number in range(PARCEL_MESSAGES_MAX)]
    assert fulls == [False] * (PARCEL_MESSAGES_MAX - 1) + [True]
    frame = parcel.frame()
    assert sum(run.many for run in runs(frame)) == PARCEL_MESSAGES_MAX
    assert len(frame) < FRAME_BYTES_OVER - PARCEL_BYTES


def test_the_marks_hold_any_number_a_recorder_gives():
    """Numbers of events fit their bound, for a million runs of a process."""
    number = (1_000_000 << SEQ_BITS) + 2**SEQ_BITS - 1
    assert runs(parcel_of([(1, number, b"milk")]).frame())[0].number == number


# --- records ----------------------------------------------------------------------------------------------------------


def test_a_full_recorder_counts_what_it_loses(monkeypatch):
    """Recording is bounded: events beyond the bound are counted, and the batch says how many."""
    monkeypatch.setattr(record, "EVENTS_KEPT", 10)
    recorder = Recorder(3, True, lambda: 5)
    numbers = [recorder.add("note") for _ in range(25)]
    assert numbers == [(3 << SEQ_BITS) + count for count in range(1, 26)]
    batch = recorder.batch()
    assert (batch.batch, batch.lost, len(read_events(batch.events))) == (1, 15, 10)
    assert recorder.batch() is None
    recorder.add("note")
    assert (recorder.batch().batch, recorder.lost) == (2, 15)


def test_a_recorder_that_is_off_makes_nothing():
    """With the trace off every number is 0 and there is never a batch."""
    recorder = Recorder(1, False, lambda: 5)
    assert recorder.sent(Ping(1), "B", 5, 0, 5) == recorder.add("note") == 0
    assert recorder.batch() is None


def test_the_gathered_trace_is_in_time_order_with_causes():
    """Batches of several nodes become one trace: by time, numbered from 1, causes translated across nodes."""
    now = [0]
    a, b = (Recorder(1, True, lambda: now[0]) for _ in "AB")
    gathering = Gathering()
    for at in (10, 20):
        now[0] = at
        sent = a.sent(Ping(at), "B", 5, 0, now[0])
        now[0] = at + 5
        (got,) = b.received([Ping(at)], "A", [sent], [5], now[0])
        b.add("note", cause=got)
    gathering.add("B", b.batch())
    gathering.add("A", a.batch())
    events, gaps = gathering.all()
    assert [(event.seq, event.time_us, event.node, event.kind, event.cause) for event in events] == [
        (1, 10, "A", "send", 0),
        (2, 15, "B", "receive", 1),
        (3, 15, "B", "note", 2),
        (4, 20, "A", "send", 0),
        (5, 25, "B", "receive", 4),
        (6, 25, "B", "note", 5),
    ]
    assert gaps == 0
    assert {event.kind for event in events} <= set(KINDS)


def test_what_was_lost_leaves_a_note(monkeypatch):
    """A cause that never came counts as a gap; shed events leave a note with their number."""
    monkeypatch.setattr(gather, "EVENTS_KEPT", 100)
    recorder, gathering = Recorder(1, True, lambda: 1), Gathering()
    recorder.received([Ping(1)], "B", [77], [5], 1)
    for _ in range(150):
        recorder.add("note")
    gathering.add("A", recorder.batch())
    events, gaps = gathering.all()
    assert len(events) == 91
    assert events[0].node == "cluster"
    assert events[0].detail["lost"] == 61
    assert gaps == 62


def test_the_roll_follows_the_notices():
    """A node is starting until it has begun, paused while halted, crashed once ended; old runs are not heard."""
    changes = []
    roll = Roll(lambda entry, before: changes.append((entry.node, before, entry.state)))
    roll.add("A")
    roll.starting("A")
    roll.hear(Ready("A", 1, "tcp://127.0.0.1:1"))
    assert roll.entries["A"].state == STARTING
    roll.up("A")
    roll.hear(Ended("A", 0, 1))
    assert roll.in_state(UP) == ["A"]
    roll.hear(Ended("A", 1, -9))
    assert roll.entries["A"].failure.endswith("status -9")
    assert changes == [("A", STARTING, UP), ("A", UP, CRASHED)]
    assert roll.in_state(PAUSED) == []


# Timers ----------------------------------------------------------------------------------------


@given(st.integers(0, 10**9), st.lists(st.integers(0, 100_000), min_size=2, max_size=20))
def test_rounds_come_into_step_and_keep_their_period(started_us: int, lateness_us: list[int]):
    """Whenever a round was first set, and however late it begins, the next ones share their wake-ups."""
    for name in ROUNDS:
        now_us, dues = started_us, []
        for late_us in lateness_us:
            dues.append(due_us(name, now_us, 500_000))
            assert abs(dues[-1] - now_us - 500_000) <= 250_000
            now_us = dues[-1] + late_us
        assert all(due % 500_000 == 0 for due in dues)
        assert {later - earlier for earlier, later in pairwise(dues)} == {500_000}


def test_what_is_no_round_is_due_exactly_when_it_was_asked_for():
    """A request's timer, and a round that must begin at once, wait neither longer nor shorter."""
    assert due_us("request:q1", 1_002_300, 500_000) == 1_502_300
    assert due_us("handoff", 1_002_300, 0) == 1_002_300


def test_of_many_nodes_only_some_begin_their_rounds_together():
    """A small cluster is in step; of fifty nodes no great part speaks at once, and each keeps its own beat."""
    assert {place_us(name, 4) for name in "ABCDE"} == {0}
    assert {place_us(name, 4, "antientropy") for name in "ABCDE"} == {0, SPREAD_US}, "work is not for all at once"
    places = [place_us(f"N{number}", 49) for number in range(50)]
    assert max(map(places.count, places)) <= 2 * NODES_IN_STEP
    assert all(0 <= place < SPREAD_US for place in places)
    for place in places:
        ping, gossip = due_us("ping", 0, 500_000, place), due_us("gossip", 0, 1_000_000, place)
        assert ping % 500_000 == gossip % 500_000 == place


# --- a node's loop ----------------------------------------------------------------------------------------------------


class Says:
    """A node that answers whatever it hears with the same effects."""

    def __init__(self, *effects):
        self.effects = list(effects)

    def handle(self, event, now_us, wall_us):
        return self.effects


@pytest.fixture
def process():
    """A node's process without its node, in this one."""
    keys = KeyPair.new()
    folder = ("A", 1, {}, b"secret", *keys, "", False, 0, 1, (), (), False, 0, {})
    made = NodeProcess(Spec(*folder), Config(storage="memory"), MemoryStore(), Parts(), None)
    yield made
    made.transport.close()
    made.gate.close()
    made.zmq_context.destroy(linger=0)


def test_a_message_that_cannot_be_sent_is_dropped_alone(process):
    """What cannot become bytes is counted and traced as a drop; what was said with it leaves, and the loop goes on."""
    process.transport.know({"B": ("tcp://127.0.0.1:9", KeyPair.new().public)})
    process.node = Says(Send("B", Ping(2**80)), Send("B", Ping(1)), Send("B", "no message"), Send("B", Ping(2)))
    process.handle(TimerFired("ping"), 0)
    process._fed_us = process.now_us()  # Nobody is there to take the trace.
    process.turn()
    assert process.transport.traffic.drops == {"unsayable": 2}
    assert process.transport.depths()["opening"] == 2
    assert process.sent[Ping][0] == 2
    events = read_events(process.recorder.batch().events)
    assert [(event.kind, event.message) for event in events] == [
        *(("drop", "Ping"), ("send", "Ping"), ("drop", "str"), ("send", "Ping")),
    ]
    assert {event.time_us <= process.now_us() for event in events} == {True}


def test_an_event_that_asks_for_nothing_is_committed_too(process, monkeypatch):
    """What an event stages is committed in its turn, also when nobody is told (Rule: commit once for each turn)."""
    commits = []
    monkeypatch.setattr(process.store, "commit", lambda: commits.append(True))
    process.node = Says()
    process.handle(TimerFired("ping"), 0)
    process._fed_us = process.now_us()
    process.turn()
    assert commits == [True]


def test_requests_leave_no_cycles_behind():
    """What a node keeps for a request goes when it is over, so its process may look for cycles as rarely as it does."""
    config = Config(storage="memory", durability="memory", n=1, r=1, w=1, trace=False)
    node = Node("A", config, b"secret" * 6, MemoryStore(), Random(1))
    session = Session("alice", config, "alice")
    node.handle(Start(founding("A", config), (), False), 0, 0)
    gc.collect()
    for number in range(100):
        effects = node.handle(Received("client:alice", session.put(f"k{number % 7}", b"milk")), number, number)
        effects += node.handle(Received("client:alice", session.get(f"k{number % 7}")), number, number)
        replies = [effect for effect in effects if type(effect) is Reply]
        assert [type(reply.message) for reply in replies] == [ClientPutDone, ClientGetDone]
    del effects, replies
    assert gc.collect() == 0


def test_lost_batches_are_counted(monkeypatch):
    """A batch that finds no room counts as so many lost events, with those it had lost itself."""
    recorder, gathering = Recorder(1, True, lambda: 1), Gathering()
    monkeypatch.setattr(gather, "BYTES_KEPT", 100)
    for _ in range(2):
        for number in range(10):
            recorder.noted(Note("note", detail={"number": number}), 0, 1)
        gathering.add("A", recorder.batch())
    recorder.add("note")
    gathering.add("A", recorder.batch())
    events, gaps = gathering.all()
    assert [event.kind for event in events] == ["note", "note"]
    assert (events[1].detail["lost"], gaps) == (20, 20)


def test_what_parts_print_is_bounded():
    """Of a part that prints without end the owner gets the beginning, and is told how much it missed."""
    prints = Prints()
    prints.request = "r1"
    for _ in range(3):
        prints.add("quorum", "x" * (PRINTED_MAX // 2))
    assert prints.lost == 1
    assert [(request, part) for request, part, _ in prints.take()] == [("r1", "quorum")] * 2
    prints.add("quorum", "again")
    assert prints.take() == (("r1", "quorum", "again"),)
    assert len(prints) == 0
