"""The verbs of a live cluster for asyncio: requests overlap on the cluster's own thread, verbs run on a worker's."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from dynalab.live.session import Client, ClientAio

if TYPE_CHECKING:
    from dynalab.live.cluster import Cluster

VERBS = (
    *("partition", "heal", "link", "crash", "recover", "pause", "resume", "skew", "redeploy"),
    *("join", "leave", "rebalance", "settle", "inspect", "metrics", "states", "close"),
)


class Aio(ClientAio):
    """``await cluster.aio.put(...)``: every verb, as a coroutine.

    Requests are those of the default client; ``cluster.client("alice").aio`` are alice's.
    """

    def __init__(self, cluster: Cluster, client: Client) -> None:
        super().__init__(client)
        self._cluster = cluster

    def __getattr__(self, verb: str) -> Callable[..., Awaitable[Any]]:
        if verb not in VERBS:
            raise AttributeError(f"{verb!r} is no verb of a cluster")

        async def twin(*arguments: Any, **options: Any) -> Any:
            return await asyncio.to_thread(getattr(self._cluster, verb), *arguments, **options)

        return twin
