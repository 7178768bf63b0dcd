"""What the simulation and the pure core cost: puts, events, a large join, a Merkle exchange, many keys.

Other programs of the machine take the core away, or slow it down, for moments at a time.
So what is timed is timed in short slices, and the best slice counts, as `timeit` advises:
whatever disturbs a slice only ever makes it longer.
"""

from __future__ import annotations

import heapq
import time
from random import Random
from typing import Any

import psutil

from dynalab.core.config import Config
from dynalab.core.effects import Received, Send, Start
from dynalab.core.membership import founding
from dynalab.core.messages import Ping, ReplicaPut
from dynalab.core.node import Node
from dynalab.core.session import Session
from dynalab.core.store import MemoryStore, Record
from dynalab.core.version import Siblings
from dynalab.sim.cluster import Simulation

VALUE = "v" * 100
SLICES = 20

SIMULATIONS = 5
"""So often 10,000 puts are timed from the start: a core that somebody else slows down may stay slow for seconds."""


def puts_per_second(puts: int = 10_000) -> float:
    """Simulated puts in one second of one core: three nodes, 64 under way, trace off; the best of 100 slices."""
    return max(_puts_per_second(puts) for _ in range(SIMULATIONS))


def _puts_per_second(puts: int) -> float:
    each = max(1, puts // SLICES)
    with Simulation(3, seed=1, trace=False) as simulation:
        client = simulation.client("bench")
        client.many([("put", f"w{number}", VALUE) for number in range(500)], 64)

        def slice_s(first: int) -> float:
            begun = time.process_time()
            client.many([("put", f"k{number}", VALUE) for number in range(first, first + each)], 64)
            return time.process_time() - begun

        best_s: float = min(slice_s(number * each) for number in range(SLICES))
        return each / best_s


def events_against_heapq(events: int = 100_000) -> float:
    """Bare `heapq` events for one event of the simulation; the node's own work included.

    Slices of the two are timed in turn, so both meet the machine in the same states; the best of each are compared.
    """
    each = events // SLICES
    with Simulation(3, seed=1, trace=False, ping_ms=1, gossip_ms=0, anti_entropy_ms=0, handoff_ms=0) as simulation:
        pairs = [(_event_s(simulation, each), _bare_event_s(each)) for _ in range(SLICES)]
    return min(simulated for simulated, _ in pairs) / min(bare for _, bare in pairs)


def _event_s(simulation: Simulation, events: int) -> float:
    """Three nodes that ping each other every millisecond make 15 events of it."""
    world = simulation._world
    begun, before = time.process_time(), world.steps
    simulation.run(ms=max(1, events / 15))
    return (time.process_time() - begun) / (world.steps - before)


def _bare_event_s(events: int) -> float:
    heap: list[tuple[int, int]] = []
    begun = time.process_time()
    for number in range(events):
        heapq.heappush(heap, (number * 7919 % 1000, number))
        if len(heap) > 100:
            heapq.heappop(heap)
    return (time.process_time() - begun) / events


def large_join_s(nodes: int = 1_000, keys: int = 100_000) -> tuple[float, float]:
    """One join in a simulated cluster: seconds of real time for everything, and peak memory in MB."""
    begun = time.perf_counter()
    quiet: dict[str, Any] = {
        "ping_ms": 0,
        "anti_entropy_ms": 0,
        "gossip_ms": 5_000,
        "handoff_ms": 5_000,
        "trace": False,
    }
    with Simulation(nodes, seed=1, partitions=4096, storage="memory", **quiet) as simulation:
        simulation.client("bench").many([("put", f"k{number}", number) for number in range(keys)], 256)
        simulation.join("joiner", timeout_ms=600_000)
        peak_mb = psutil.Process().memory_info().rss / 1e6
        return time.perf_counter() - begun, peak_mb


def merkle_share(keys: int = 1_000_000, differences: int = 100) -> float:
    """Bytes of an exchange of `keys` keys with `differences`, as a share of sending everything.

    Both nodes start on a disk of keys, of which B lacks the first.
    All keys have one state: it is their number that counts here, not their memory.
    """
    from dynalab.codec.wire import encode

    config = Config(trace=False, partitions=2, ping_ms=0, gossip_ms=0, handoff_ms=0, n=2, r=1, w=2, storage="memory")
    nodes = {name: Node(name, config, b"secret", MemoryStore(), Random(name)) for name in "AB"}
    record = Record(Siblings().put("A", b"t" + VALUE.encode(), None))
    full = 0
    for number in range(keys):
        key = b"k%d" % number
        full += len(encode(ReplicaPut("copy", key, record.siblings)))
        for node in nodes.values() if number >= differences else (nodes["A"],):
            node.store.put(key, record)
            node.store.commit()
    for node in nodes.values():
        node.handle(Start(founding("AB", config)), 0, 0)
    return _exchanged_bytes(nodes) / full


def _exchanged_bytes(nodes: dict[str, Node]) -> int:
    """Run one round of A's anti-entropy to its end; the bytes of all its messages."""
    from dynalab.codec.wire import encode
    from dynalab.core.effects import TimerFired

    size = 0
    now_us = 3_600_000_000  # An hour after the puts: a busy node puts an exchange off.
    waiting = [("A", effect) for effect in nodes["A"].handle(TimerFired("antientropy"), now_us, now_us)]
    while waiting:
        sender, effect = waiting.pop(0)
        if isinstance(effect, Send) and not isinstance(effect.message, Ping):
            size += len(encode(effect.message))
            answers = nodes[effect.to].handle(Received(sender, effect.message), now_us, now_us)
            waiting += [(effect.to, answer) for answer in answers]
    return size


def put_cost_growth(small: int = 1_000, large: int = 1_000_000) -> float:
    """The cost of a put on a replica with `large` keys, against one with `small`; slices of both are timed in turn."""
    session = Session("bench", Config(trace=False), "bench")
    nodes = _node_with(small), _node_with(large)

    def cost(node: Node, turn: int) -> float:
        return _cost_of(node, [session.put(f"{turn}-{number}", VALUE) for number in range(500)])

    pairs = [(cost(nodes[0], turn), cost(nodes[1], turn)) for turn in range(SLICES)]
    return min(costly for _, costly in pairs) / min(cheap for cheap, _ in pairs)


def _node_with(keys: int) -> Node:
    """A node that holds so many keys. All have one state: it is their number that counts here, not their memory."""
    config = Config(trace=False, ping_ms=0, gossip_ms=0, handoff_ms=0, n=1, r=1, w=1, storage="memory")
    node = Node("A", config, b"secret", MemoryStore(), Random(1))
    node.handle(Start(founding("A", config)), 0, 0)
    state = Siblings().put("A", b"t" + VALUE.encode(), None)
    for number in range(keys):
        node.handle(Received("B", ReplicaPut("fill", b"k%d" % number, state)), 0, 0)
    return node


def _cost_of(node: Node, messages: list[Any]) -> float:
    begun = time.process_time()
    for message in messages:
        node.handle(Received("client:bench", message), 0, 0)
    return time.process_time() - begun
