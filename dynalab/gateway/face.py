"""What the handlers of one node's port share: the cluster, the node, who may do what, and what is measured."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from fastapi import Request

from dynalab.codec.record import decode_record
from dynalab.core.version import LiteralClocks, Siblings
from dynalab.gateway.access import Access
from dynalab.gateway.meters import Meters
from dynalab.live import control
from dynalab.live.cluster import Cluster
from dynalab.live.session import Client

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Face:
    """One node's HTTP face.

    Attributes:
        cluster: the running cluster.
        node: whose port this is; its requests go through it.
        client: this port's own.
        access: the bearer tokens.
        meters: counts and latencies of this port.
        ports: ``ports()``: ``{node: port}`` now.
        on_change: awaited after a node joined or left.
    """

    cluster: Cluster
    node: str
    client: Client
    access: Access
    meters: Meters
    ports: Callable[[], dict[str, int]]
    on_change: Callable[[], Awaitable[None]]

    def may(self, request: Request, kind: str, key: bytes | None = None) -> None:
        """See `Access.check`."""
        self.access.check(request.headers.get("authorization"), kind, key)

    async def asked(self, kind: str, future: Future[Result]) -> Result:
        """A request's result, measured; and what parts printed on its way has been printed."""
        try:
            with self.meters.measured(kind):
                return await asyncio.wrap_future(future)
        finally:
            self.client.session.forget()
            if self.cluster.has_parts:
                await asyncio.to_thread(self.cluster.tell_prints, getattr(future, "request", ""))

    async def held(self, key: bytes) -> dict[str, dict[str, Any]]:
        """``{node: {"replica": Siblings, "hints": {home: Siblings}}}`` for every running node."""
        told = await asyncio.to_thread(self.cluster.told_by_all, control.Look(key))
        return {
            node: {
                "replica": decode_record(held["replica"]).siblings,
                "hints": {home: decode_record(record).siblings for home, record in held["hints"]},
            }
            for node, held in told.items()
        }

    def merge(self, left: Siblings, right: Siblings) -> Siblings:
        """Two replicas' states as one, by the clocks of this cluster (4.4)."""
        return LiteralClocks().merge(left, right) if self.cluster.config.clocks == "vector" else left.merge(right)


def note(request: Request, **facts: Any) -> None:
    """Facts for this request's line in the log."""
    request.scope["state"]["about"].update(facts)


def trace_id(request: Request) -> str:
    """The id that follows this request through every node."""
    found: str = request.scope["state"]["about"]["traceId"]
    return found
