"""The same loads on our cluster: puts and gets with many under way, start times, memory, idleness."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import psutil

from dynalab.bench.floor import VALUE, Rate
from dynalab.core.errors import DynalabError
from dynalab.live.cluster import Cluster
from dynalab.live.process import COLLECT

MEMORY: dict[str, Any] = {"storage": "memory", "durability": "memory", "trace": False}
DURABLE: dict[str, Any] = {"storage": "log", "durability": "durable", "trace": False}


@contextmanager
def cluster(nodes: int = 3, **settings: Any) -> Iterator[Cluster]:
    """A cluster for measuring, with memory storage and no trace unless told otherwise.

    Meanwhile this process, which makes the load, collects garbage as rarely as a node does.
    """
    before = gc.get_threshold()
    gc.set_threshold(*COLLECT)
    try:
        with Cluster(nodes, name="bench", **(MEMORY | settings)) as running:
            yield running
    finally:
        gc.set_threshold(*before)


def rate(running: Cluster, kind: str, outstanding: int, requests: int, prefix: str = "k", value: Any = VALUE) -> Rate:
    """`requests` puts or gets of distinct keys, with `outstanding` of them under way.

    Raises:
        DynalabError: one of them failed.
    """
    keys = [f"{prefix}{number}" for number in range(requests)]
    operations = [("put", key, value) if kind == "put" else ("get", key) for key in keys]
    begun = time.perf_counter()
    ends = running.client("bench").many(operations, outstanding)
    took = time.perf_counter() - begun
    latencies = []
    for end in ends:
        if isinstance(end, DynalabError):
            raise end
        latencies.append(end.latency_ms * 1000)
    latencies.sort()
    return Rate(requests / took, latencies[len(latencies) // 2], latencies[len(latencies) * 99 // 100])


def node_processes(running: Cluster) -> list[psutil.Process]:
    """The processes of the nodes: the keeper's children."""
    children = psutil.Process().children(recursive=True)
    nodes = [child for child in children if not child.children()]
    assert len(nodes) == len(running.nodes), "only the nodes have no children"
    return nodes


def syncs(running: Cluster) -> int:
    """How often the nodes have waited for their disks since they started; the storage engine `log` counts it."""
    return sum(int(node["transport"]["syncs"]["count"]) for node in running.metrics()["nodes"].values())


def sync_us(folder: Path, writers: int = 3, size: int = 10_000, rounds: int = 50) -> float:
    """How long this disk takes for one fsync, while so many writers append `size` bytes and sync, each its own file."""

    def write(name: int) -> float:
        with (folder / f"sync{name}").open("wb", buffering=0) as file:
            begun = time.perf_counter()
            for _ in range(rounds):
                file.write(bytes(size))
                os.fsync(file.fileno())
            return (time.perf_counter() - begun) / rounds * 1e6

    with ThreadPoolExecutor(writers) as pool:
        return median(pool.map(write, range(writers)))


def start_ms(nodes: int) -> float:
    """From `Cluster(nodes)` to the first answered put, in milliseconds; imports excluded."""
    begun = time.perf_counter()
    with cluster(nodes, n=min(3, nodes)) as running:
        running.put("first", "put")
        return (time.perf_counter() - begun) * 1000


def unique_memory_mb(nodes: int = 5) -> tuple[float, float]:
    """The largest unique memory of a node, and the memory of all of them (shared pages counted once), in MB."""
    with cluster(nodes) as running:
        running.put("first", "put")
        seen = [process.memory_full_info() for process in node_processes(running)]
        return max(info.uss for info in seen) / 1e6, sum(info.pss for info in seen) / 1e6


def idle_cpu_share(nodes: int = 5, seconds: float = 5.0) -> float:
    """The share of one core that idle nodes take together."""
    with cluster(nodes) as running:
        running.settle()
        processes = node_processes(running)
        before = sum(sum(process.cpu_times()[:2]) for process in processes)
        psutil.wait_procs(processes[:1], timeout=seconds)  # Nobody ends: this awaits the time.
        after = sum(sum(process.cpu_times()[:2]) for process in processes)
        return (after - before) / seconds


def import_ms(statement: str) -> float:
    """How long a fresh interpreter takes for `statement`, beyond starting itself."""

    def once(code: str) -> float:
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-c", code], check=True)
        return (time.perf_counter() - begun) * 1000

    return once(statement) - once("pass")
