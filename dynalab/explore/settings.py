"""Settings of a random cluster: every knob of `Config` that changes how writes travel gets turned."""

from __future__ import annotations

from collections.abc import Collection
from random import Random
from typing import Any

Settings = dict[str, Any]


def random_settings(random: Random, names: list[str], kinds: Collection[str]) -> Settings:
    """Fields of `Config` that differ from the default, for a cluster of these nodes and these kinds of faults."""
    settings = _quorum(random, len(names)) | _placement(random, names) | _pace(random)
    for name, value, share in _SWITCHES:
        if random.random() < share:
            settings[name] = value
    if "torn" in kinds and random.random() < 0.3:
        settings["durability"] = "buffered"
    elif "wipe" in kinds and random.random() < 0.1:
        settings["storage"] = "memory"
    return settings


_SWITCHES: tuple[tuple[str, Any, float], ...] = (
    ("strict", True, 0.15),
    ("hints", False, 0.1),
    ("read_repair", False, 0.2),
    ("clocks", "vector", 0.08),
    ("hint_ttl_ms", 3_000, 0.15),
    ("hint_ttl_ms", 500, 0.1),
    ("hint_bytes", 60, 0.05),
    ("max_siblings", 4, 0.05),
    ("max_requests", 3, 0.05),
)
"""``(setting, value, share of the scripts that have it)``"""


def _quorum(random: Random, nodes: int) -> Settings:
    """(3, 2, 2) often; else any N, R and W, those without an overlap of reads and writes too."""
    if nodes >= 3 and random.random() < 0.5:
        return {"n": 3, "r": 2, "w": 2}
    n = random.randint(1, min(5, nodes))
    return {"n": n, "r": random.randint(1, n), "w": random.randint(1, n)}


def _placement(random: Random, names: list[str]) -> Settings:
    settings: Settings = {"partitions": random.choice([16, 32, 64])}
    strategy = random.choice([3, 3, 3, 2, 1])
    if strategy != 3:
        settings |= {"strategy": strategy, "tokens": random.choice([1, 2, 4, 8])}
    if random.random() < 0.25:
        settings["zones"] = {name: random.choice(["north", "south", "west"]) for name in names}
    if random.random() < 0.25:
        settings["weights"] = {name: random.choice([0.5, 1, 2, 3]) for name in names}
    return settings


def _pace(random: Random) -> Settings:
    """How soon the background looks, and how long anybody waits."""
    return {
        "timeout_ms": random.choice([200, 500, 1_000]),
        "replica_timeout_ms": random.choice([20, 60, 250]),
        "anti_entropy_ms": random.choice([100, 300, 1_000]),
        "gossip_ms": random.choice([100, 1_000]),
        "ping_ms": random.choice([100, 500]),
        "handoff_ms": random.choice([50, 500]),
    }
