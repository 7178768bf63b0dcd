"""Who is not on the list delivers nothing; who is, may say only what is his; nonsense changes nothing (S43 to S47)."""

from __future__ import annotations

import contextlib
import os
import socket
from random import Random
from urllib.parse import urlparse

import msgspec
import pytest
import zmq
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dynalab.codec import wire
from dynalab.codec.packing import PACKED
from dynalab.core.messages import MESSAGES, ClientGet, ClientGetDone, ClientPut, Ping, ReplicaPut
from dynalab.core.version import Siblings
from dynalab.live import control
from dynalab.live.keys import KeyPair, prove
from dynalab.live.parcels import CONTROL_KIND, HEADER, PARCEL_MESSAGES_MAX, Parcel, runs
from dynalab.live.sockets import MESSAGE_BYTES_MAX

pytestmark = pytest.mark.live

PUT = ClientPut("stranger-1", b"cart", b"tgift", (), False, 3, 1, 1_000_000)
PATIENCE_MS = 10_000


def framed(number, payload):
    """A frame of one message: its version, its kind, its fields; of whatever bytes there are."""
    return payload[:1] + run_of(number, payload)


def run_of(number, payload):
    """A run of one message, without what a frame begins with."""
    fields = payload[2:]
    marks = msgspec.msgpack.encode(([number], [len(fields)])) if number else b""
    kind = payload[1] if len(payload) > 1 else 0
    return HEADER.pack(kind, len(marks), len(fields), 0xDD, 1) + fields + marks


def ordered(number, order):
    """A frame of one order."""
    parcel = Parcel()
    parcel.add(CONTROL_KIND, order, number)
    return parcel.frame()


def heard(frame):
    """The messages of a frame."""
    return [message for run in runs(frame) for message in wire.decode_run(run.kind, run.array)]


class Peer:
    """A hand-made connection to a node: any key, any routing id, any bytes."""

    def __init__(self, cluster, node="A", keys=None, server_key=None, routing_id=None):
        entry = cluster._owner.roll.entries[node]
        self.context = zmq.Context()
        self.events = None
        self.socket = self.context.socket(zmq.DEALER)
        self.socket.linger = 0
        if routing_id is not None:
            self.socket.routing_id = routing_id
        if keys is not None:
            prove(self.socket, keys, server_key or entry.keys.public)
        self.monitor = self.socket.get_monitor_socket()
        self.socket.connect(entry.endpoint)

    def say(self, message, number=0):
        payload = message if isinstance(message, bytes) else wire.encode(message)
        self.socket.send(framed(number, payload))

    def hear(self):
        """The next message from the node."""
        assert self.socket.poll(PATIENCE_MS), "the node said nothing"
        (message,) = heard(self.socket.recv())
        return message

    def is_refused(self):
        """Wait until the handshake has failed; False when it succeeds instead."""
        from zmq.utils.monitor import recv_monitor_message

        failed = {zmq.EVENT_HANDSHAKE_FAILED_AUTH, zmq.EVENT_HANDSHAKE_FAILED_PROTOCOL}
        failed |= {zmq.EVENT_HANDSHAKE_FAILED_NO_DETAIL, zmq.EVENT_DISCONNECTED, zmq.EVENT_CLOSED}
        while self.monitor.poll(PATIENCE_MS):
            event = recv_monitor_message(self.monitor)["event"]
            if event in failed or event == zmq.EVENT_HANDSHAKE_SUCCEEDED:
                return event in failed
        raise AssertionError("the handshake came to no end")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.disable_monitor()
        self.monitor.close(0)
        self.context.destroy(linger=0)


def client_keys(cluster, name="default"):
    return cluster._owner._clients[f"client:{name}"]


def transport(cluster, node="A"):
    return cluster.metrics()["nodes"][node]["transport"]


def state(cluster):
    """All that nonsense must not change."""
    seen = {node: cluster.inspect(node) for node in cluster.nodes}
    return {node: (one["records"], one["hints"], one["members"], one["incarnation"]) for node, one in seen.items()}


@pytest.mark.parametrize("who", ["no key", "own key", "wrong server key"])
def test_a_stranger_delivers_nothing(shared, who):
    """Without a key on the node's list nothing is delivered, whatever else the stranger knows."""
    before, heard = state(shared), transport(shared)["messages_in"]
    keys = None if who == "no key" else KeyPair.new()
    server_key = KeyPair.new().public if who == "wrong server key" else None
    with Peer(shared, keys=keys, server_key=server_key, routing_id=b"B") as stranger:
        with contextlib.suppress(zmq.Again):  # It may have been refused already.
            stranger.socket.send(framed(0, wire.encode(PUT)), zmq.NOBLOCK)
        assert stranger.is_refused()
    assert state(shared) == before
    assert not shared.get("cart").found
    told = transport(shared)
    assert told["messages_in"] - heard < 20  # The owner's orders, and pings: no more.
    assert who != "own key" or told["strangers_refused"] >= 1


@pytest.mark.parametrize("routing_id", [b"B", b"control", b"client:alice", b"\x00\x80\x00\x00\x29"])
def test_a_routing_id_proves_nothing(shared, routing_id):
    """A client that takes another's routing id is still that client: it may say nothing a node may."""
    alice = client_keys(shared)
    before, refused = state(shared), transport(shared).get("refused", 0)
    ring = control.encode(control.SetFaults((("A", "B"),), (), control.LinkRule()))
    replica = ReplicaPut("r1", b"cart", Siblings().put("B", b"tforged", None))
    try:
        peer = Peer(shared, keys=alice, routing_id=routing_id)
    except zmq.ZMQError:
        assert routing_id[:1] == b"\x00"  # The library does not even let us begin like its own ids.
        return
    with peer:
        peer.say(replica)
        peer.socket.send(ordered(1, ring))
        peer.say(Ping(1))
        peer.say(ClientGet("g1", b"cart", 3, 1, 1_000_000))
        assert isinstance(peer.hear(), ClientGetDone)
    assert state(shared) == before
    assert transport(shared)["refused"] == refused + 3
    assert shared.inspect("A")["up"]["B"]["believed_up"]


def test_the_next_owner_of_a_routing_id_is_judged_by_his_own_key(shared):
    """A routing id that a node's own link has used is worth nothing to the client who takes it over.

    Names are remembered by secret routing ids only, so there is no memory to inherit.
    """
    node_b = shared._owner.roll.entries["B"].keys
    refused = transport(shared).get("refused", 0)
    with Peer(shared, keys=node_b, routing_id=b"taken") as as_node:
        as_node.say(ClientGet("g1", b"cart", 3, 1, 1_000_000))
        as_node.say(Ping(1))
        assert not as_node.is_refused()
    with Peer(shared, keys=client_keys(shared), routing_id=b"taken") as as_client:
        as_client.say(Ping(2))
        as_client.say(ClientGet("g2", b"cart", 3, 1, 1_000_000))
        assert as_client.hear().request == "g2"
    assert transport(shared)["refused"] == refused + 1


def test_a_client_cannot_give_orders(shared):
    """The control line belongs to the cluster's owner: a client's order is a malformed message."""
    orders = [control.Stop(), control.SetSkew(10**9), control.Inspect(True), control.TakeParts(1)]
    refused = transport(shared).get("refused", 0)
    with Peer(shared, keys=client_keys(shared)) as peer:
        for number, order in enumerate(orders):
            peer.socket.send(ordered(number, control.encode(order)))
        peer.say(ClientGet("g1", b"cart", 3, 1, 1_000_000))
        assert peer.hear().request == "g1"
    assert transport(shared)["refused"] == refused + len(orders)


def test_nonsense_on_the_control_line_is_answered(shared):
    """Even the owner's own line is decoded with bounds: what is no order is refused, and the node serves on."""
    keys = shared._owner._control
    with Peer(shared, keys=keys) as peer:
        for number, nonsense in enumerate((b"", b"\xc1", b"\x91\xa4Stop\x00", os.urandom(64)), start=1):
            peer.socket.send(ordered(number, nonsense))
            assert peer.socket.poll(PATIENCE_MS)
            (answer,) = runs(peer.socket.recv())
            assert answer.number == number
            assert isinstance(control.read_answer(answer.alone), control.Refused)
    assert shared.put("after", 1).nodes


def _mutated(random, payload):
    """One message with some bytes changed, cut, doubled or made up."""
    damaged = bytearray(payload)
    for _ in range(random.randint(1, 8)):
        place = random.randrange(len(damaged) + 1)
        choice = random.randrange(4)
        if choice == 0 and damaged:
            damaged[place % len(damaged)] = random.randrange(256)
        elif choice == 1:
            del damaged[place:]
        elif choice == 2:
            damaged[place:place] = random.randbytes(random.randrange(16))
        else:
            damaged += damaged[place:]
    return bytes(damaged)


FORGED = [
    b"",
    b"\x03",
    b"\x00" * 9,
    b"\x01\x00\x90",
    b"\x03\xff\x90",
    b"\x03\x00\xc1",
    b"\x03\x00" + b"\x91" * 10_000,
    b"\x03\x00" + msgspec.msgpack.encode(["r", b"k", b"v", [], False, 3, 2**63, -1, 0]),
    b"\x03\x00" + msgspec.msgpack.encode(["r", b"", b"v", [], False, 3, 2, 1000, 0]),
    b"\x03\x00" + msgspec.msgpack.encode(["r", "k", float("nan"), [], False, 3, 2, 1000, 0]),
    b"\x03\x00" + msgspec.msgpack.encode(["r", b"k", b"v", [[{"A": 10**9}, [], b"forged"]] * 5, False, 3, 2, 1000, 0]),
    b"\x03\x00" + msgspec.msgpack.encode(["r", b"k" * 1025, b"v", [], False, 3, 2, 1000, 0]),
]


def test_fuzzed_frames_leave_the_node_serving(shared):
    """Malformed and mutated messages, and any number of frames, are refused one by one; nothing changes."""
    before, random = state(shared), Random(7)
    payload = wire.encode(PUT._replace(key=b"", w=0))  # Even undamaged it is out of bounds.
    with Peer(shared, keys=client_keys(shared)) as peer:
        for forged in FORGED:
            peer.say(forged)
            peer.socket.send(forged)
        for _ in range(500):
            peer.say(_mutated(random, payload)[:200] or b"?")
        for frames in (2, 3, 1000):
            peer.socket.send_multipart([framed(0, wire.encode(PUT))] * frames)
        peer.say(ClientGet("g1", b"cart", 3, 1, 1_000_000))
        assert peer.hear().request == "g1"
    assert {key for node in state(shared).values() for key in node[0]} == {
        key for node in before.values() for key in node[0]
    }
    assert transport(shared)["refused"] >= len(FORGED)
    assert "bugs" not in transport(shared)
    assert shared.put("after", 1).nodes


def test_what_is_wrong_in_a_frame_spoils_nothing_beside_it(shared):
    """Of several messages in one frame each is judged by itself; the tail that does not add up is one more refusal."""
    refused = transport(shared).get("refused", 0)
    gets = [run_of(0, wire.encode(ClientGet(f"g{number}", b"cart", 3, 1, 1_000_000))) for number in range(2)]
    unknown = run_of(0, bytes([wire.VERSION, len(MESSAGES), 0x90]))
    with Peer(shared, keys=client_keys(shared)) as peer:
        frame = gets[0] + run_of(0, wire.encode(Ping(1))) + unknown + gets[1] + gets[1][:-1]
        peer.socket.send(bytes([wire.VERSION]) + frame)
        assert answers(peer, 2) == ["g0", "g1"]
        peer.socket.send(bytes([wire.VERSION]) + unknown * (PARCEL_MESSAGES_MAX + 5))
        peer.say(ClientGet("g2", b"cart", 3, 1, 1_000_000))
        assert peer.hear().request == "g2"
    assert transport(shared)["refused"] == refused + 3 + PARCEL_MESSAGES_MAX + 1


def answers(peer, count):
    """The request ids of so many answers."""
    told = []
    while len(told) < count:
        assert peer.socket.poll(PATIENCE_MS)
        told += [message.request for message in heard(peer.socket.recv())]
    return told


@pytest.mark.parametrize("number", [0, 77], ids=["unrecorded", "recorded"])
def test_what_is_wrong_in_a_run_spoils_nothing_beside_it(shared, number):
    """Of several messages of one kind, judged together, only those out of their bounds are refused (I13)."""
    refused = transport(shared).get("refused", 0)
    parcel = Parcel()
    for request, key in (("g0", b"cart"), ("", b"cart"), ("g1", b"cart"), ("g2", b""), ("g3", b"cart")):
        parcel.add(*wire.encode_fields(ClientGet(request, key, 3, 1, 1_000_000)), number)
    with Peer(shared, keys=client_keys(shared)) as peer:
        peer.socket.send(parcel.frame())
        assert answers(peer, 3) == ["g0", "g1", "g3"]
        parcel = Parcel()
        for fields in (b"\x90", b"\xc1", b"\x90"):  # The second is no msgpack: nobody can say where the third begins.
            parcel.add(MESSAGES.index(ClientGet), fields)
        peer.socket.send(parcel.frame())
        peer.say(ClientGet("g4", b"cart", 3, 1, 1_000_000))
        assert answers(peer, 1) == ["g4"]
    assert transport(shared)["refused"] == refused + 3


def test_a_packed_message_without_marks_is_heard(shared):
    """A speaker that records nothing may say what is packed to a node that records: the node knows the length."""
    put = PUT._replace(request="packed", key=b"packed", value=b"t" + b"milk" * 1000)
    kind, fields = wire.encode_fields(put, 100)
    assert kind & PACKED
    parcel = Parcel()
    parcel.add(kind, fields)
    with Peer(shared, keys=client_keys(shared)) as peer:
        peer.socket.send(parcel.frame())
        assert answers(peer, 1) == ["packed"]
    assert shared.get("packed").value == "milk" * 1000
    received = [event for event in shared.trace if event.kind == "receive" and event.request == "packed"]
    assert len(fields) in {event.size for event in received}


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(number=st.integers(0, 255), fields=st.binary(max_size=200))
def test_any_bytes_are_survived(shared, number, fields):
    """Whatever follows the version byte, from a node's own key: the node answers the next client."""
    node_b = shared._owner.roll.entries["B"].keys
    known = MESSAGES[number].__name__ if number < len(MESSAGES) else ""
    if known in ("Gossip", "GossipDone", "ClientLeave", "ReplicaPut", "ReadRepair", "HintDeliver", "KeysGet"):
        return  # With luck these are lawful, and a node may say them.
    with Peer(shared, keys=node_b) as peer:
        peer.say(bytes([wire.VERSION, number]) + fields)
    assert shared.get("absent", via="A").found is False


def address(cluster, node="A"):
    parsed = urlparse(cluster._owner.roll.entries[node].endpoint)
    return parsed.hostname, parsed.port


def test_raw_tcp_text_and_half_open_connections(shared):
    """Telnet text, random bytes and a hundred silent connections leave the node serving; silence is cut off."""
    assert address(shared)[0] == "127.0.0.1"
    silent = [socket.create_connection(address(shared)) for _ in range(100)]
    for said in (b"GET / HTTP/1.1\r\n\r\n", os.urandom(4096), b"\xff" + b"\x00" * 8 + b"\x7f\x03", b"\xff" * 64):
        with socket.create_connection(address(shared)) as raw:
            raw.sendall(said)
    assert shared.put("after", 1, via="A").nodes
    for one in silent:
        one.settimeout(20)
        while one.recv(4096):  # Its greeting, then the end: the handshake took too long.
            pass
        one.close()
    assert shared.get("after", via="A").value == 1


def test_an_oversize_message_only_hurts_its_sender(shared):
    """A frame above the limit disconnects its sender; everybody else is served as before."""
    with Peer(shared, keys=client_keys(shared)) as peer:
        assert not peer.is_refused()
        peer.socket.send(bytes(MESSAGE_BYTES_MAX + 1))
        assert peer.is_refused()  # The next thing the monitor says is that the connection is gone.
    assert shared.put("after", 2).nodes


def test_a_large_value_travels_whole(shared):
    """A value of exactly 1 MiB is stored and read back."""
    value = os.urandom(2**20)
    shared.put("large", value, timeout_ms=10_000)
    assert shared.get("large", timeout_ms=10_000).value == value
