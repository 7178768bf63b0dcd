"""A rich run of the simulation, and the digest of all that happened in it."""

from __future__ import annotations

import asyncio
import hashlib
import sys
from random import Random

from dynalab.core.errors import DynalabError
from dynalab.core.trace import TraceEvent
from dynalab.sim.cluster import Simulation


def rich(seed: int) -> Simulation:
    """Every verb once, clients at work meanwhile, on disks that lose their unsynced tail."""
    sim = Simulation(5, seed=seed, storage="log", durability="buffered", anti_entropy_ms=200)
    busy(sim, Random(seed), 12)
    sim.partition("AB|CDE")
    busy(sim, Random(seed + 1), 8)
    sim.heal()
    sim.link("A", "B", drop=0.3, delay_ms=(1, 20), duplicate=0.2, reorder=0.3, both_ways=True)
    sim.crash("C")
    sim.skew("D", ms=5000)
    busy(sim, Random(seed + 2), 8)
    sim.recover("C")
    sim.pause("E")
    sim.run(ms=400)
    sim.resume("E")
    sim.heal()
    sim.join("F", weight=2)
    asyncio.run(at_once(sim))
    sim.crash("B")
    sim.recover("B", wipe=True)
    sim.leave("A")
    sim.settle()
    return sim


def busy(sim: Simulation, random: Random, requests: int) -> None:
    """Puts, gets and deletes by three clients, some of them at the same time."""
    clients = [sim.client(name) for name in ("alice", "bob", "carol")]
    for _ in range(requests):
        key = random.choice(["cart", "tea", "milk"])
        pending = [
            random.choice(clients).submit_put(key, random.randrange(1000), timeout_ms=300),
            random.choice(clients).submit_get(key, timeout_ms=300),
            random.choice(clients).submit_delete(key, timeout_ms=300),
        ]
        for each in pending:
            outcome_of(each)


async def at_once(sim: Simulation) -> None:
    """Three clients whose awaits overlap."""
    clients = [sim.client(f"reader{number}") for number in range(3)]
    await asyncio.gather(*(client.aio.put("shared", client.name) for client in clients))


def outcome_of(pending: object) -> str:
    """The class of how a request ended."""
    try:
        return type(pending.result()).__name__
    except DynalabError as error:
        return type(error).__name__


def digest(events: list[TraceEvent]) -> str:
    """16 bytes of all events, in hexadecimal."""
    return hashlib.blake2b("\n".join(map(repr, events)).encode(), digest_size=16).hexdigest()


if __name__ == "__main__":
    for seed in map(int, sys.argv[1:]):
        print(seed, digest(rich(seed).events))
