"""Clusters with their ports open, and clients that speak HTTP to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from dynalab.http import Gateway
from dynalab.live.cluster import Cluster

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

QUIET = {"storage": "memory", "anti_entropy_ms": 0}


@dataclass
class Face:
    """A cluster, its ports, and one HTTP client for each node's port."""

    cluster: Cluster
    gateway: Gateway
    clients: dict[str, httpx.Client]

    def __getitem__(self, node: str) -> httpx.Client:
        if node not in self.clients:
            self.clients[node] = httpx.Client(base_url=self.gateway.url(node), timeout=30, trust_env=False)
        return self.clients[node]

    def close(self) -> None:
        for client in self.clients.values():
            client.close()
        self.gateway.close()
        self.cluster.close()


def opened(nodes: Any = 3, gateway: dict[str, Any] | None = None, **settings: Any) -> Face:
    """A cluster with its ports open, chosen by the system."""
    cluster = Cluster(nodes, **{"name": "http", **QUIET, **settings})
    try:
        return Face(cluster, Gateway(cluster, 0, **(gateway or {})), {})
    except BaseException:
        cluster.close()
        raise


@pytest.fixture(scope="module")
def face() -> Iterator[Face]:
    """Three nodes for tests that break nothing."""
    shared = opened(name="http-shared", mergers={"basket:": "set_union"})
    yield shared
    shared.close()


@pytest.fixture
def open_face() -> Iterator[Callable[..., Face]]:
    """`open_face(5, n=3, gateway={...})`: a cluster with its ports open that ends with the test."""
    begun: list[Face] = []

    def begin(nodes: Any = 3, gateway: dict[str, Any] | None = None, **settings: Any) -> Face:
        begun.append(opened(nodes, gateway, **{"name": f"http{len(begun)}", **settings}))
        return begun[-1]

    yield begin
    for each in begun:
        each.close()
