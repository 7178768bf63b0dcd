"""The knobs of a cluster, checked when they are built, and the parts a student may replace.

Every mechanism a lesson turns on, off or slow has a name here.
Times are in milliseconds; 0 turns a periodic mechanism off.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Literal

from dynalab.core.merge import merger_names

CLOCKS = ("dotted", "vector")
STRATEGIES = (1, 2, 3)
STORAGES = ("memory", "log", "sqlite", "rocks", "redis")
DURABILITIES = ("memory", "buffered", "durable")
REPAIR_ORDERS = ("plain", "hot", "cold")

KEY_BYTES_MAX = 1024
ZONE_LENGTH_MAX = 128
VALUE_BYTES_MAX = 1024 * 1024
"""The paper's objects are "usually less than 1 MB" (2.1)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """All settings of one cluster; every node holds the same.

    Raises:
        ValueError: a setting is out of its range; the text names it, its value and the range.

    >>> Config(n=3, r=4)
    Traceback (most recent call last):
        ...
    ValueError: r must be from 1 to n=3; got 4
    """

    n: int = 3
    """Replicas of a key, 1 to 16. Paper 6: the common (N, R, W) is (3, 2, 2)."""
    r: int = 2
    """Answers a get waits for, 1 to n."""
    w: int = 2
    """Stored replicas a put waits for, 1 to n."""
    tokens: int = 8
    """Tokens of a node of weight 1, 1 to 1024; strategies 1 and 2 (6.2)."""
    strategy: int = 3
    """Placement by section 6.2: 1 random tokens; 2 random tokens, equal ranges; 3 equal ranges shared out."""
    partitions: int = 64
    """Equal key ranges Q of strategies 2 and 3, 1 to 65536. Paper: Q much larger than the number of nodes."""
    clocks: Literal["dotted", "vector"] = "dotted"
    """`dotted`: exact siblings. `vector`: section 4.4 to the letter, which can lose acknowledged writes."""
    strict: bool = False
    """True forbids fallbacks: a quorum counts home nodes only. False is the paper's sloppy quorum (4.6)."""
    read_repair: bool = True
    """After a get has answered, bring stale repliers up to date (5)."""
    hints: bool = True
    """Keep writes for unreachable homes and hand them over later (4.6)."""
    anti_entropy_ms: int = 1_000
    """Pause between two Merkle exchanges of one node (4.7); 0: never."""
    repair_order: Literal["plain", "hot", "cold"] = "plain"
    """Which differing keys an exchange repairs first (4.7): `plain` as they are found, `hot` those read most,
    `cold` those read least; see `core.priority`."""
    gossip_ms: int = 1_000
    """Pause between two gossip rounds (4.8.1: "every second"); 0: never."""
    ping_ms: int = 500
    """Pause between two pings to each peer, which feed the failure detector (4.8.3); 0: never."""
    phi: float = 4.0
    """A peer is suspected when phi exceeds this: silence of `phi * ln(10)` mean ping intervals."""
    handoff_ms: int = 500
    """Pause between two looks at the hints for nodes that came back (4.6); 0: never."""
    hint_ttl_ms: int = 3_600_000
    """How long an undelivered hint, and at least how long a tombstone, is kept."""
    hint_bytes: int = 64 * 1024 * 1024
    """Bytes of hints one node keeps; beyond it new hints are refused and counted."""
    timeout_ms: int = 1_000
    """Deadline of a client request, 1 to 600,000."""
    replica_timeout_ms: int = 250
    """A replica silent for so long is suspected, and a fallback is asked in its place."""
    storage: Literal["memory", "log", "sqlite", "rocks", "redis"] = "log"
    """The storage engine (5, "local persistence engine"); `memory` forgets all at a crash."""
    durability: Literal["memory", "buffered", "durable"] = "durable"
    """When a replica syncs what it acknowledges: `durable` before, `memory` never. `buffered` later, but one of the N
    replicas of each write syncs at once; the coordinator still waits for W, not for that one (6.1)."""
    data_dir: str | None = None
    """Where disk engines write; None: a temporary folder that goes with the cluster."""
    zones: Mapping[str, str] = field(default_factory=dict)
    """`{node: zone}`: preference lists spread over zones (4.6)."""
    weights: Mapping[str, float] = field(default_factory=dict)
    """`{node: weight}`: a node of weight 2 takes twice the keys (4.2, heterogeneity)."""
    max_value_bytes: int = VALUE_BYTES_MAX
    """Encoded size limit of a value, 1 to 1 MiB."""
    compress_bytes: int = 0
    """Messages and stored records with at least so many bytes are packed (zlib), on the wire and on disk, up to
    1 MiB; 0: none. The simulation moves values, not bytes, so there it changes nothing."""
    max_siblings: int = 100
    """A coordinator refuses a put that would leave more siblings than this."""
    max_clock: int = 200
    """A coordinator refuses a put that would leave more pairs in a key's clock than this."""
    max_requests: int = 2_048
    """Client requests a node works on at once; beyond it new ones are refused (Overloaded)."""
    slo_ms: int = 300
    """The latency background work must not push clients over (2.2: 300 ms; 6.5)."""
    mergers: Mapping[str, str] = field(default_factory=dict)
    """`{key prefix: merger}`: semantic reconciliation by the store for these keys (4.4); see `core.merge`."""
    trace: bool = True
    """Record every message and step; off, only counters are kept."""
    close_after_ms: int = 7_200_000
    """A cluster of processes that nobody has used for so long closes itself: no request, no verb, no click; looking,
    as an open panel does by itself, is no use. 0: never. 2 hours is longer than a lecture. A simulation stays."""

    def __post_init__(self) -> None:
        _within("n", self.n, 1, 16)
        for name in ("r", "w"):
            if not _is_int(getattr(self, name)) or not 1 <= getattr(self, name) <= self.n:
                raise ValueError(f"{name} must be from 1 to n={self.n}; got {getattr(self, name)!r}")
        for name, low, high in _RANGES:
            _within(name, getattr(self, name), low, high)
        for name, allowed in _CHOICES:
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} must be one of {', '.join(map(str, allowed))}; got {getattr(self, name)!r}")
        for name in ("strict", "read_repair", "hints", "trace"):
            if type(getattr(self, name)) is not bool:
                raise ValueError(f"{name} must be True or False; got {getattr(self, name)!r}")
        if not isinstance(self.phi, (int, float)) or not 0.1 <= self.phi <= 100:
            raise ValueError(f"phi must be from 0.1 to 100; got {self.phi!r}")
        if not isinstance(self.data_dir, str | None) or self.data_dir == "":
            raise ValueError(f"data_dir must be the path of a folder as text, or None; got {self.data_dir!r:.80}")
        _check_tables(self)

    def with_(self, **changes: Any) -> Config:
        """A copy with other settings, checked again."""
        unknown = sorted(set(changes) - {setting.name for setting in fields(self)})
        if unknown:
            raise ValueError(f"no setting is called {unknown[0]!r}; there are {', '.join(setting_names())}")
        return replace(self, **changes)


_RANGES = (
    ("tokens", 1, 1024),
    ("partitions", 1, 65536),
    ("anti_entropy_ms", 0, 86_400_000),
    ("gossip_ms", 0, 86_400_000),
    ("ping_ms", 0, 86_400_000),
    ("handoff_ms", 0, 86_400_000),
    ("hint_ttl_ms", 1, 10 * 86_400_000),
    ("hint_bytes", 0, 2**40),
    ("timeout_ms", 1, 600_000),
    ("replica_timeout_ms", 1, 600_000),
    ("max_value_bytes", 1, VALUE_BYTES_MAX),
    ("compress_bytes", 0, VALUE_BYTES_MAX),
    ("max_siblings", 1, 10_000),
    ("max_clock", 1, 10_000),
    ("max_requests", 1, 1_000_000),
    ("slo_ms", 1, 600_000),
    ("close_after_ms", 0, 10 * 86_400_000),
)
_CHOICES = (
    ("strategy", STRATEGIES),
    ("clocks", CLOCKS),
    ("storage", STORAGES),
    ("durability", DURABILITIES),
    ("repair_order", REPAIR_ORDERS),
)


def setting_names() -> list[str]:
    """The names of all settings, in the order they are documented."""
    return [setting.name for setting in fields(Config)]


def _is_int(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _within(name: str, value: object, low: int, high: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
        raise ValueError(f"{name} must be an integer from {low} to {high}; got {value!r}")


def _check_tables(config: Config) -> None:
    for name in ("zones", "weights", "mergers"):
        is_table = isinstance(getattr(config, name), Mapping)
        if not is_table:
            raise ValueError(f"{name} must be a table, {{...: ...}}; got {getattr(config, name)!r}")
    for node, zone in config.zones.items():
        if not isinstance(zone, str) or len(zone) > ZONE_LENGTH_MAX:
            raise ValueError(
                f"the zone of node {node!r} needs at most {ZONE_LENGTH_MAX} characters of text; got {zone!r:.80}"
            )
    for node, weight in config.weights.items():
        if not isinstance(weight, (int, float)) or not 0 < weight <= 1000:
            raise ValueError(f"the weight of node {node!r} must be above 0 and at most 1000; got {weight!r}")
    for prefix, name in config.mergers.items():
        if not isinstance(prefix, str) or name not in merger_names():
            raise ValueError(
                f"mergers must be {{key prefix: one of {', '.join(merger_names())}}}; got {prefix!r}: {name!r}. "
                "A function of your own is a part: Parts(merge=...)"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a student may replace: each a function, or an object with the listed methods.

    None keeps dynalab's own. Arguments and answers are built-in values; the node owns state,
    encoding and placement. Where the table names two functions, give an object with both as methods.

    >>> Parts(order=lambda left, right: "equal").given()
    ['order']
    """

    ring: Callable[..., Any] | None = None
    """``preference_list(tokens: list[(position, node)], position, n, avoid) -> list[node]`` (4.3)."""
    order: Callable[..., Any] | None = None
    """``compare(left: dict, right: dict) -> 'before' | 'after' | 'equal' | 'concurrent'`` (4.4)."""
    reconcile: Callable[..., Any] | None = None
    """``keep(versions: list[(clock, value)]) -> list[index]``; mode ``clocks="vector"`` (4.4)."""
    siblings: Any | None = None
    """``put(state, node, value, context)`` and ``merge(state, state)`` over plain dicts; mode ``dotted``."""
    merge: Callable[..., Any] | None = None
    """``merge(values: list) -> value``: semantic reconciliation by the store (4.4)."""
    quorum: Callable[..., Any] | None = None
    """``decide(replies: list[dict], need, asked) -> 'wait' | 'done' | 'failed'`` (4.5)."""
    handoff: Any | None = None
    """``fallback(home, candidates) -> node`` and ``next_hint(hints, up) -> hint | None`` (4.6)."""
    merkle: Any | None = None
    """``build(leaves: dict) -> tree`` and ``differ(left, right) -> list[key]`` (4.7)."""
    gossip: Callable[..., Any] | None = None
    """``merge(mine: dict, theirs: dict) -> dict``: membership histories (4.8.1)."""
    recovery: Callable[..., Any] | None = None
    """``records(log: bytes) -> list[bytes]``: what survives of a write-ahead log."""
    hedge: Callable[..., Any] | None = None
    """``next_replica(waited_ms, latencies: dict, untried) -> node | None``: one more replica to ask."""

    def given(self) -> list[str]:
        """The names of the parts that are replaced."""
        return [part.name for part in fields(self) if getattr(self, part.name) is not None]

    def __post_init__(self) -> None:
        for name in self.given():
            part = getattr(self, name)
            missing = [method for method in _METHODS.get(name, ()) if not callable(getattr(part, method, None))]
            if name in _METHODS and missing:
                raise ValueError(f"the part {name!r} needs the methods {', '.join(_METHODS[name])}; missing {missing}")
            if name not in _METHODS and not callable(part):
                raise ValueError(f"the part {name!r} must be a function; got {part!r}")


_METHODS = {
    "siblings": ("put", "merge"),
    "handoff": ("fallback", "next_hint"),
    "merkle": ("build", "differ"),
}
