"""The asyncio twins: awaits that overlap in virtual time."""

from __future__ import annotations

import asyncio

import pytest

from dynalab.core.errors import InvalidKey, NotSettled, RequestTimedOut
from dynalab.sim.cluster import Simulation


def test_gathered_puts_overlap() -> None:
    """Fifty puts at once take the virtual time of one."""
    sim = Simulation(5, seed=1)

    async def main() -> list[object]:
        return await asyncio.gather(*(sim.client(f"c{n}").aio.put(f"key{n}", n) for n in range(50)))

    acks = asyncio.run(main())
    assert len(acks) == 50
    assert sim.now_ms < 10


def test_chains_go_on_as_soon_as_they_can() -> None:
    """A coroutine continues at the very moment its request ends, not when others end."""
    sim = Simulation(5, seed=1, latency_ms=(1, 1))

    async def chain(name: str, length: int) -> list[float]:
        client = sim.client(name)
        moments = []
        for number in range(length):
            await client.aio.put(f"{name}{number}", number)
            moments.append(sim.now_ms)
        return moments

    async def main() -> list[list[float]]:
        return await asyncio.gather(chain("short", 2), chain("long", 6))

    short, long = asyncio.run(main())
    assert long == pytest.approx([4 * step for step in range(1, 7)])
    assert short == pytest.approx(long[:2])


def test_the_same_coroutines_give_the_same_trace() -> None:
    """asyncio's order of wake-ups is the only order there is, so runs repeat."""

    def run() -> list[object]:
        sim = Simulation(5, seed=8)

        async def main() -> None:
            await asyncio.gather(*(sim.client(f"c{n}").aio.get(f"key{n % 3}") for n in range(20)))
            await sim.aio.partition("AB|CDE")
            await asyncio.gather(*(sim.client(f"d{n}").aio.put("key1", n) for n in range(5)))

        asyncio.run(main())
        return sim.events

    assert run() == run()


def test_every_verb_has_a_twin() -> None:
    """Faults, membership, settling and looking can all be awaited."""
    sim = Simulation(4, seed=1)

    async def main() -> None:
        await sim.aio.put("k", 1)
        await sim.aio.crash("B")
        assert (await sim.aio.states())["B"] == "crashed"
        await sim.aio.recover("B")
        await asyncio.gather(sim.aio.join("F"), sim.aio.get("k"))
        await sim.aio.delete("k")
        await sim.aio.leave("B")
        await sim.aio.settle()
        assert (await sim.aio.inspect("F"))["status"] == "up"
        assert not (await sim.aio.get("k")).found

    asyncio.run(main())
    assert sim.nodes == ["A", "C", "D", "F"]


def test_waiting_is_virtual_too() -> None:
    """`aio.run` lets virtual time pass for one coroutine while others work."""
    sim = Simulation(5, seed=1)
    moments: list[tuple[str, float]] = []

    async def sleeper(ms: float) -> None:
        await sim.aio.run(ms=ms)
        moments.append(("slept", sim.now_ms))

    async def main() -> None:
        await asyncio.gather(sleeper(100_000), sleeper(5))

    asyncio.run(main())
    assert moments == [("slept", 5.0), ("slept", 100_000.0)]


def test_errors_come_out_of_the_await() -> None:
    """Bad input, silence and unrest raise in the coroutine that asked."""
    sim = Simulation(5, seed=1)
    sim.pause("C")

    async def main() -> None:
        with pytest.raises(InvalidKey):
            await sim.aio.put("", 1)
        with pytest.raises(RequestTimedOut):
            await sim.aio.get("k", via="C", timeout_ms=50)
        sim.crash("B")
        with pytest.raises(NotSettled):
            await sim.aio.leave("C", timeout_ms=100)
        with pytest.raises(AttributeError, match="no verb"):
            await sim.aio.dance()

    asyncio.run(main())


def test_a_loop_may_end_and_another_begin() -> None:
    """Each `asyncio.run` drives anew; a cancelled await leaves the simulation usable."""
    sim = Simulation(5, seed=1)

    async def cancelled() -> None:
        task = asyncio.create_task(sim.aio.put("k", 1))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(cancelled())
    asyncio.run(sim.aio.put("k", 2))
    assert 2 in sim.get("k").values


def test_sync_verbs_work_inside_a_running_loop() -> None:
    """In a notebook cell, which runs inside asyncio, the plain verbs work as anywhere."""
    sim = Simulation(5, seed=1)

    async def cell() -> object:
        waiting = asyncio.create_task(sim.client("other").aio.put("other", 1))
        await asyncio.sleep(0)
        sim.put("k", 1)
        await waiting
        return sim.get("k").value

    assert asyncio.run(cell()) == 1
