"""The yardstick: three processes that exchange the messages of a put (N=3, W=2) or get (R=2), and do nothing else.

It is what ZeroMQ and Python take for these messages on the same machine in the same minutes: figures are ratios to it.
It is written as pyzmq's manual writes such programs; our own sockets leave out a detour of pyzmq's (`live.sockets`).
One frame is one message: a number for its kind, a request number, a key and, where one travels, a value of 100 bytes.

    client -> A      put              client -> A      get
    A -> B, C        replica put      A -> B, C        replica get
    B, C -> A        stored           B, C -> A        100 bytes
    A -> client      done (W=2)       A -> client      100 bytes (R=2)

A node takes all that has arrived, answers it, and waits again. Plain TCP on the loopback interface.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec
import zmq

PUT, REPLICA_PUT, STORED, DONE, GET, REPLICA_GET, HELD, FOUND = range(8)
ACKS_NEEDED = 1
"""Besides the coordinator's own."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[int, int, bytes, bytes]).decode


class FloorNode:
    """One of the three processes: a ROUTER that listens, a DEALER to each peer."""

    def __init__(self) -> None:
        self.zmq_context: zmq.Context[Any] = zmq.Context()
        self.listener = self.zmq_context.socket(zmq.ROUTER)
        port = self.listener.bind_to_random_port("tcp://127.0.0.1")
        print(port, flush=True)
        peers = [int(word) for word in sys.stdin.readline().split()]
        self.peers = {peer: self._dealer(peer) for peer in peers if peer != port}
        self.port = str(port).encode()
        #: {request: (routing id of the client, acks so far)}
        self.open: dict[int, tuple[bytes, int]] = {}

    def _dealer(self, port: int) -> zmq.Socket[bytes]:
        dealer: zmq.Socket[bytes] = self.zmq_context.socket(zmq.DEALER)
        dealer.linger = 0
        dealer.connect(f"tcp://127.0.0.1:{port}")
        return dealer

    def run(self) -> None:
        """Serve until standard input ends."""
        poller = zmq.Poller()
        poller.register(self.listener, zmq.POLLIN)
        poller.register(sys.stdin.fileno(), zmq.POLLIN)
        while True:
            ready = dict(poller.poll())
            if sys.stdin.fileno() in ready:
                return
            self._drain()

    def _drain(self) -> None:
        receive = self.listener.recv_multipart
        while True:
            try:
                route, frame = receive(zmq.NOBLOCK)
            except zmq.Again:
                return
            self._handle(route, *_decode(frame))

    def _handle(self, route: bytes, kind: int, number: int, key: bytes, value: bytes) -> None:
        if kind in (PUT, GET):
            self.open[number] = (route, 0)
            frame = _encode((REPLICA_PUT if kind == PUT else REPLICA_GET, number, self.port, value))
            for peer in self.peers.values():
                peer.send(frame)
        elif kind == REPLICA_PUT:
            self.peers[int(key)].send(_encode((STORED, number, b"", b"")))
        elif kind == REPLICA_GET:
            self.peers[int(key)].send(_encode((HELD, number, b"", VALUE)))
        elif number in self.open:
            client, acks = self.open.pop(number)
            if acks + 1 == ACKS_NEEDED:
                answer = (DONE, number, b"", b"") if kind == STORED else (FOUND, number, b"", value)
                self.listener.send_multipart([client, _encode(answer)])


VALUE = b"v" * 100


@dataclass(frozen=True)
class Rate:
    """What one run gave.

    Attributes:
        per_second: requests answered a second.
        p50_us, p99_us: latency quantiles, microseconds.
    """

    per_second: float
    p50_us: float
    p99_us: float


class Floor:
    """The three processes, which wait while nothing is asked of them."""

    def __init__(self, ports: list[int]) -> None:
        self._ports = ports

    def measure(self, kind: str, outstanding: int, requests: int) -> Rate:
        """Run `requests` puts or gets with `outstanding` of them under way."""
        return _client(self._ports, PUT if kind == "put" else GET, outstanding, requests)


@contextmanager
def running() -> Iterator[Floor]:
    """Start the three processes; stop them at the end."""
    nodes = [_start() for _ in range(3)]
    try:
        ports = [int(node.stdout.readline()) for node in nodes if node.stdout is not None]
        for node in nodes:
            assert node.stdin is not None
            node.stdin.write(" ".join(map(str, ports)) + "\n")
            node.stdin.flush()
        yield Floor(ports)
    finally:
        for node in nodes:
            assert node.stdin is not None
            node.stdin.close()
            node.wait()


def measure(kind: str, outstanding: int, requests: int) -> Rate:
    """One run, with processes of its own."""
    with running() as floor:
        return floor.measure(kind, outstanding, requests)


def _start() -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "dynalab.bench.floor"]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _client(ports: list[int], kind: int, outstanding: int, requests: int) -> Rate:
    """Keep `outstanding` requests under way, spread over the three coordinators."""
    zmq_context: zmq.Context[Any] = zmq.Context()
    lines = [zmq_context.socket(zmq.DEALER) for _ in ports]
    poller = zmq.Poller()
    for line, port in zip(lines, ports, strict=True):
        line.linger = 0
        line.connect(f"tcp://127.0.0.1:{port}")
        poller.register(line, zmq.POLLIN)
    sent: dict[int, int] = {}
    latencies: list[int] = []

    def ask(number: int) -> None:
        sent[number] = time.perf_counter_ns()
        lines[number % len(lines)].send(_encode((kind, number, b"key%d" % number, VALUE)))

    begun = time.perf_counter()
    for number in range(min(outstanding, requests)):
        ask(number)
    asked = len(sent)
    while len(latencies) < requests:
        for line, _ in poller.poll():
            while True:
                try:
                    number = _decode(line.recv(zmq.NOBLOCK))[1]
                except zmq.Again:
                    break
                latencies.append(time.perf_counter_ns() - sent.pop(number))
                if asked < requests:
                    ask(asked)
                    asked += 1
    took = time.perf_counter() - begun
    zmq_context.destroy(linger=0)
    latencies.sort()
    return Rate(requests / took, latencies[len(latencies) // 2] / 1000, latencies[len(latencies) * 99 // 100] / 1000)


if __name__ == "__main__":
    FloorNode().run()
