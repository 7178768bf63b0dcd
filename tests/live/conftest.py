"""Small clusters of real processes: one shared by a file's tests, or one for a single test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dynalab.live.cluster import Cluster

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

QUIET = {"storage": "memory", "anti_entropy_ms": 0}


@pytest.fixture(scope="module")
def shared() -> Iterator[Cluster]:
    """Three nodes for tests that break nothing."""
    with Cluster(3, name="shared", **QUIET) as cluster:
        yield cluster


@pytest.fixture
def start() -> Iterator[Callable[..., Cluster]]:
    """`start(5, n=3, ...)`: a cluster that ends with the test."""
    begun: list[Cluster] = []

    def begin(nodes: Any = 3, **settings: Any) -> Cluster:
        cluster = Cluster(nodes, **{"name": f"test{len(begun)}", **settings})
        begun.append(cluster)
        return cluster

    yield begin
    for cluster in begun:
        cluster.close()
