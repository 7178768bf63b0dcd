"""The verbs of a simulation for asyncio: several awaits overlap in virtual time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from dynalab.core.rebalance import MOVES_MAX
from dynalab.sim.client import Client, ClientAio
from dynalab.sim.pending import Driver, Pending

if TYPE_CHECKING:
    from dynalab.sim.cluster import Simulation

AT_ONCE = (
    *("partition", "heal", "link", "crash", "recover", "pause", "resume", "skew"),
    *("redeploy", "inspect", "metrics", "states", "close"),
)
"""Verbs that take no virtual time."""


class Aio(ClientAio):
    """``await sim.aio.put(...)``: every verb, as a coroutine.

    Requests are those of the default client; ``sim.client("alice").aio`` are alice's.
    """

    def __init__(self, simulation: Simulation, client: Client, driver: Driver) -> None:
        super().__init__(client, driver)
        self._simulation = simulation

    async def join(self, node: str, weight: float = 1.0, zone: str = "", timeout_ms: int = 10_000) -> None:
        """See `Simulation.join`."""
        await self._driver.wait(self._simulation._joining(node, weight, zone, timeout_ms))

    async def leave(self, node: str, force: bool = False, timeout_ms: int = 10_000) -> None:
        """See `Simulation.leave`."""
        await self._driver.wait(self._simulation._leaving(node, force, timeout_ms))

    async def rebalance(self, moves: int = MOVES_MAX, timeout_ms: int = 30_000) -> dict[str, list[int]]:
        """See `Simulation.rebalance`."""
        taken, watch = self._simulation._rebalancing(moves, timeout_ms)
        await self._driver.wait(watch)
        return taken

    async def settle(self, timeout_ms: int = 10_000) -> None:
        """See `Simulation.settle`."""
        await self._driver.wait(self._simulation._settling(timeout_ms))

    async def run(self, ms: float) -> None:
        """Wait `ms` of virtual time, while others go on."""
        simulation = self._simulation
        passed: Pending[None] = Pending(self._client.world)
        simulation.call_at(simulation.now_ms + ms, passed.finish)
        await self._driver.wait(passed)

    def __getattr__(self, verb: str) -> Callable[..., Awaitable[Any]]:
        if verb not in AT_ONCE:
            raise AttributeError(f"{verb!r} is no verb of a simulation")

        async def twin(*arguments: Any, **options: Any) -> Any:
            return getattr(self._simulation, verb)(*arguments, **options)

        return twin
