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
from dynalab.core.errors import DynalabError, Overloaded
from dynalab.live.cluster import Cluster
from dynalab.live.process import COLLECT

PATIENT: dict[str, Any] = {"timeout_ms": 10_000, "replica_timeout_ms": 2_000}
"""On a computer that is busy with something else a node may wait for its turn, and is not down for that."""

MEMORY: dict[str, Any] = {"storage": "memory", "durability": "memory", "trace": False, **PATIENT}
DURABLE: dict[str, Any] = {"storage": "log", "durability": "durable", "trace": False}


@contextmanager
def cluster(nodes: int = 3, name: str = "bench", **settings: Any) -> Iterator[Cluster]:
    """A cluster for measuring, with memory storage and no trace unless told otherwise.

    Meanwhile this process, which makes the load, collects garbage as rarely as a node does.
    """
    before = gc.get_threshold()
    gc.set_threshold(*COLLECT)
    try:
        with Cluster(nodes, name=name, **(MEMORY | settings)) as running:
            yield running
    finally:
        gc.set_threshold(*before)


def rate(running: Cluster, kind: str, outstanding: int, requests: int, prefix: str = "k", value: Any = VALUE) -> Rate:
    """`requests` puts or gets of distinct keys, with `outstanding` of them under way.

    What a node refuses, because its computer is busy with something else just now, is asked again; that costs time.

    Raises:
        DynalabError: one of them failed.
    """
    keys = [f"{prefix}{number}" for number in range(requests)]
    left = [("put", key, value) if kind == "put" else ("get", key) for key in keys]
    client = running.client("bench")
    latencies: list[float] = []
    begun = time.perf_counter()
    while left:
        ends = client.many(left, outstanding)
        left = [operation for operation, end in zip(left, ends, strict=True) if isinstance(end, Overloaded)]
        latencies += [_latency_us(end) for end in ends if not isinstance(end, Overloaded)]
    took = time.perf_counter() - begun
    latencies.sort()
    return Rate(requests / took, latencies[len(latencies) // 2], latencies[len(latencies) * 99 // 100])


def _latency_us(end: Any) -> float:
    if isinstance(end, DynalabError):
        raise end
    return float(end.latency_ms * 1000)


def node_processes(running: Cluster) -> list[psutil.Process]:
    """The processes of the nodes."""
    return [psutil.Process(pid) for pid in running.processes().values()]


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


FIRST_S = 2.0
"""After so long a new cluster is idle when nobody asks for anything."""


def idle_cpu_share(nodes: int = 5, seconds: float = 10.0) -> float:
    """The share of one core that idle nodes take together, all their threads, over so many seconds.

    Not the first two: there every node opens its links, and meets every peer for the first time.
    """
    with cluster(nodes) as running:
        running.settle()
        processes = node_processes(running)
        psutil.wait_procs(processes[:1], timeout=FIRST_S)
        begun, before = time.perf_counter(), sum(map(cpu_s, processes))
        psutil.wait_procs(processes[:1], timeout=seconds)  # Nobody ends: this awaits the time.
        return (sum(map(cpu_s, processes)) - before) / (time.perf_counter() - begun)


def cpu_s(process: psutil.Process) -> float:
    """Processor time of a process so far, in seconds.

    Linux counts each thread's in nanoseconds. Elsewhere it comes in steps of 10 ms, longer than an idle node needs
    to wake up, so what little it does may be counted as nothing or as a step.
    """
    try:
        threads = list(Path(f"/proc/{process.pid}/task").iterdir())
        return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9
    except FileNotFoundError:
        return float(sum(process.cpu_times()[:2]))


IMPORTS = 8
"""A fresh interpreter imports so many times; the fastest counts."""

KERNEL = "import ipykernel.ipkernel, ipykernel.kernelapp"
"""What a notebook has loaded before its first cell: its kernel, and IPython with it."""

NOTEBOOK = """
from dynalab import Cluster, Siblings, show_source
from dynalab.views import draw_ring, draw_timeline, draw_versions
from dynalab.panels import panel
"""
"""What the tour's first cell imports, matplotlib with it, and what its first panel does: ipywidgets.

networkx is not among it: it comes with the first graph that is drawn.
"""


def import_ms(statement: str, beforehand: str = "pass") -> float:
    """How long a fresh interpreter takes for `statement`, beyond starting itself and what it does `beforehand`.

    The best of several, each between others of the interpreter alone: a computer that is busy with something else
    only ever makes an import slower.
    """
    alone, whole = [], []
    for _ in range(IMPORTS):
        alone.append(_interpreter_ms(beforehand))
        whole.append(_interpreter_ms(f"{beforehand}\n{statement}"))
    return min(whole) - min(alone)


def _interpreter_ms(code: str) -> float:
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return (time.perf_counter() - begun) * 1000
