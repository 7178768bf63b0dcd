"""The ring: who keeps a key, and in which order to ask (paper 4.2, 4.3, 4.6, 6.2).

Theory of operation.
A key's position is its MD5, a number in 0 .. 2**128 - 1, drawn as a circle.
Nodes own tokens, positions of the same circle; two neighbouring tokens bound a key range, the arc `(start, end]`.
The walk of a key goes clockwise from its key range and lists every distinct node once.
Its first N nodes are the key's homes (the preference list), the rest are the fallbacks, in the order they stand in.

    0 ───●──────────●──────x────●───────── 2**128, which is 0 again
         A          B     key   C
                    └── range ──┘       walk: C, A, B.  With N = 2 the homes are C and A, the first fallback is B

The three strategies of 6.2 differ in what a key range is and who decides it:

    1  `Ring.of`             random tokens; a key range lies between two tokens
    2  `Ring.of_partitions`  random tokens; Q equal key ranges; a key walks from the END of its range
    3  `Ring.even`           Q equal key ranges, each with a token of its owner at its end

Rule 1: a ring is a value; nothing in it changes, it depends on no process, no order of arguments, no set order.
Rule 2: every key of one key range has the same walk, so walks are kept per key range.
Rule 3: further tokens of a node already met are skipped; a node counts once (4.3).
Rule 4: no zone holds two replicas of a key while another zone holds none (4.6, 'spread across data centers').
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from heapq import heapify, heappop, heappush
from itertools import islice
from typing import ClassVar, NamedTuple

from dynalab.core.owners import NOBODY, NodeId, check_node, checked_nodes, give_back, share_out, steal, weight_of
from dynalab.core.quick import md5

__all__ = [
    "NOBODY",
    "RING_SIZE",
    "EmptyRing",
    "KeyRange",
    "NodeId",
    "Ring",
    "give_back",
    "position_of",
    "share_out",
    "steal",
]

RING_BITS = 128
RING_SIZE = 1 << RING_BITS


class EmptyRing(LookupError):
    """No node has a token yet; definite: nothing was or will be stored."""

    definite: ClassVar[bool] = True


def position_of(key: bytes) -> int:
    """The MD5 of `key` as a big-endian number, 0 <= position < 2**128 (paper 4.1).

    >>> hex(position_of(b"cart"))[:8]
    '0x54013b'
    """
    return int.from_bytes(md5(key).digest(), "big")


class KeyRange(NamedTuple):
    """The arc `(start, end]` of the ring; it wraps when `end <= start`, and is the whole ring when they are equal.

    >>> str(KeyRange(0xF0 << 120, 0x10 << 120)), KeyRange(0xF0 << 120, 0x10 << 120).contains(5)
    ('(f000, 1000]', True)
    """

    start: int
    end: int

    def contains(self, position: int) -> bool:
        """Whether `position` lies on this arc."""
        if self.start < self.end:
            return self.start < position <= self.end
        return position > self.start or position <= self.end

    @property
    def size(self) -> int:
        """The number of positions on this arc, 1 .. 2**128."""
        return (self.end - self.start) % RING_SIZE or RING_SIZE

    def __str__(self) -> str:
        return f"({self.start >> 112:04x}, {self.end >> 112:04x}]"


class Ring:
    """An immutable ring of tokens (paper 4.2).

    >>> ring = Ring({100: "A", 200: "B", 300: "C"})
    >>> ring.preference_list_at(150, n=2), ring.preference_list_at(301, n=2, avoid=["A"])
    (['B', 'C'], ['B', 'C'])

    Args:
        tokens: `{position: node}`, 0 <= position < 2**128.
        zones: `{node: zone}`; nodes not named share one nameless zone.
        partitions: None, or the number Q of equal key ranges; a key then walks from the end of its range.

    Raises:
        ValueError: a position off the ring, an empty node name, or Q < 1.
    """

    __slots__ = ("_nodes", "_partitions", "_positions", "_ranges", "_tokens", "_walks", "_zoned", "_zones")

    def __init__(
        self, tokens: Mapping[int, NodeId], zones: Mapping[NodeId, str] | None = None, partitions: int | None = None
    ) -> None:
        for position, node in tokens.items():
            if not 0 <= position < RING_SIZE:
                raise ValueError(_off_the_ring(position))
            check_node(node)
        if partitions is not None and partitions < 1:
            raise ValueError(f"partitions is {partitions!r}; a ring has at least 1 key range")
        self._tokens: tuple[tuple[int, NodeId], ...] = tuple(sorted(tokens.items()))
        self._positions: tuple[int, ...] = tuple(position for position, _ in self._tokens)
        self._nodes: tuple[NodeId, ...] = tuple(sorted(set(tokens.values())))
        self._zones: dict[NodeId, str] = {node: zones[node] for node in self._nodes if node in zones} if zones else {}
        self._zoned = len({self._zones.get(node, "") for node in self._nodes}) > 1
        self._partitions = partitions
        #: walk by range index, filled when first asked for; empty means not asked yet
        self._walks: list[tuple[NodeId, ...]] = [()] * (partitions or len(self._tokens))
        self._ranges: tuple[KeyRange, ...] = ()

    # ---------------------------------------------------------------- the three strategies (6.2)

    @classmethod
    def of(
        cls,
        nodes: Sequence[NodeId],
        tokens: int = 8,
        seed: int = 0,
        *,
        weights: Mapping[NodeId, float] | None = None,
        zones: Mapping[NodeId, str] | None = None,
    ) -> Ring:
        """Strategy 1: `tokens` random tokens per node, times its weight, at least one (paper 4.2, 6.2).

        A token depends on seed, node and its own number only, so a joining node moves nobody else's tokens.
        """
        return cls(_random_tokens(nodes, tokens, seed, weights), zones)

    @classmethod
    def of_partitions(
        cls,
        nodes: Sequence[NodeId],
        tokens: int = 8,
        partitions: int = 64,
        seed: int = 0,
        *,
        weights: Mapping[NodeId, float] | None = None,
        zones: Mapping[NodeId, str] | None = None,
    ) -> Ring:
        """Strategy 2: the tokens of strategy 1 over `partitions` equal key ranges (paper 6.2)."""
        return cls(_random_tokens(nodes, tokens, seed, weights), zones, partitions)

    @classmethod
    def even(cls, owners: Sequence[NodeId], zones: Mapping[NodeId, str] | None = None) -> Ring:
        """Strategy 3: `owners[i]` owns the i-th of `len(owners)` equal key ranges (paper 6.2).

        The owner's token lies on the range's end, so `.tokens`, `.ranges` and `owners` run in the same order.
        Slots of `NOBODY` get no token.
        """
        count = len(owners)
        tokens = {_equal_range_end(i, count): owner for i, owner in enumerate(owners) if owner != NOBODY}
        return cls(tokens, zones, count or None)

    # ---------------------------------------------------------------- what the ring is made of

    @property
    def tokens(self) -> tuple[tuple[int, NodeId], ...]:
        """`((position, node), ...)`, sorted."""
        return self._tokens

    @property
    def nodes(self) -> tuple[NodeId, ...]:
        """The names of all nodes that own a token, sorted."""
        return self._nodes

    @property
    def zones(self) -> dict[NodeId, str]:
        """`{node: zone}` of the nodes that have a zone; a copy."""
        return dict(self._zones)

    @property
    def ranges(self) -> tuple[KeyRange, ...]:
        """All key ranges in order; with random tokens `ranges[i]` ends in `tokens[i]`, and `ranges[0]` wraps."""
        if not self._ranges:
            self._ranges = tuple(self._range(index) for index in range(len(self._walks)))
        return self._ranges

    def range_index(self, position: int) -> int:
        """The index in `.ranges` of the range that contains `position`.

        Raises:
            EmptyRing: there is no key range yet.
            ValueError: `position` is off the ring.
        """
        if not 0 <= position < RING_SIZE:  # written out: this is on the path of every request
            raise ValueError(_off_the_ring(position))
        if self._partitions is not None:
            return position * self._partitions >> RING_BITS
        if not self._positions:
            raise EmptyRing("the ring has no token yet: let a node join first")
        return bisect_left(self._positions, position) % len(self._positions)

    def range_at(self, position: int) -> KeyRange:
        """The key range that contains `position`."""
        return self._range(self.range_index(position))

    # ---------------------------------------------------------------- preference lists (4.3, 4.6)

    def walk(self, position: int) -> tuple[NodeId, ...]:
        """Every node once, in the order of preference for `position`: homes first, then fallbacks (paper 4.3, 4.6).

        Each step takes the next node clockwise out of the zones used least so far.

        Raises:
            EmptyRing: no node has a token yet.
        """
        index = self.range_index(position)
        return self._walks[index] or self._walk_of(index)

    def preference_list(self, key: bytes | str, n: int, avoid: Collection[NodeId] = ()) -> list[NodeId]:
        """The first `n` nodes of the walk of `key` that are not in `avoid` (paper 4.3, 4.6).

        Args:
            key: bytes; a str stands for its UTF-8 bytes.
            n: replicas wanted, 1 <= n.
            avoid: nodes to skip, those believed down; the next ones clockwise stand in for them.

        Returns:
            `n` node ids, the usual coordinator first; all there are when the ring holds fewer.

        Raises:
            EmptyRing: no node has a token yet (definite: nothing was stored).
            ValueError: n < 1.
        """
        return self.preference_list_at(position_of(key.encode() if isinstance(key, str) else key), n, avoid)

    def preference_list_at(self, position: int, n: int, avoid: Collection[NodeId] = ()) -> list[NodeId]:
        """`preference_list` for a position instead of a key."""
        if n < 1:
            raise ValueError(f"n is {n!r}; a preference list has at least 1 node")
        walk = self.walk(position)
        if avoid:
            return list(islice((node for node in walk if node not in avoid), n))
        return list(walk[:n])

    def home_ranges(self, node: NodeId, n: int) -> tuple[KeyRange, ...]:
        """The key ranges of which `node` is one of the first `n` nodes; none for a node that is not in the ring."""
        return tuple(self._range(i) for i in range(len(self._walks)) if node in self._homes(i, n))

    def share(self, n: int = 1) -> dict[NodeId, float]:
        """`{node: fraction}` of the ring that a node stores with `n` replicas; with n = 1, that it coordinates.

        >>> Ring({0: "A", 2**127: "B"}).share()
        {'A': 0.5, 'B': 0.5}
        """
        stored = dict.fromkeys(self._nodes, 0)
        for index in range(len(self._walks)):
            size = self._range(index).size
            for node in self._homes(index, n):
                stored[node] += size
        return {node: size / RING_SIZE for node, size in stored.items()}

    # ---------------------------------------------------------------- inside

    def _range(self, index: int) -> KeyRange:
        if self._partitions is None:
            return KeyRange(self._positions[index - 1], self._positions[index])
        before = (index - 1) % self._partitions
        return KeyRange(_equal_range_end(before, self._partitions), _equal_range_end(index, self._partitions))

    def _homes(self, index: int, n: int) -> tuple[NodeId, ...]:
        """The first `n` nodes of a range, without paying for (or keeping) the rest of its walk."""
        return self._walks[index][:n] or tuple(islice(self._steps(index), n))

    def _walk_of(self, index: int) -> tuple[NodeId, ...]:
        if not self._tokens:
            raise EmptyRing("the ring has no token yet: let a node join first")
        walk = self._walks[index] = tuple(self._steps(index))
        return walk

    def _steps(self, index: int) -> Iterator[NodeId]:
        clockwise = self._clockwise(index)
        return self._spread(tuple(clockwise)) if self._zoned else clockwise

    def _clockwise(self, index: int) -> Iterator[NodeId]:
        """Distinct nodes in the order their tokens are met, from the end of the range on."""
        first = index if self._partitions is None else bisect_left(self._positions, self._range(index).end)
        met: set[NodeId] = set()
        for step in range(len(self._tokens)):
            node = self._tokens[(first + step) % len(self._tokens)][1]
            if node not in met:
                met.add(node)
                yield node
                if len(met) == len(self._nodes):
                    return

    def _spread(self, clockwise: tuple[NodeId, ...]) -> Iterator[NodeId]:
        """The same nodes, the zone used least so far first; among equals the next one clockwise."""
        places: dict[str, list[int]] = {}
        for place, node in enumerate(clockwise):
            places.setdefault(self._zones.get(node, ""), []).append(place)
        turns = [(0, waiting[0], zone) for zone, waiting in places.items()]
        heapify(turns)
        while turns:
            used, place, zone = heappop(turns)
            yield clockwise[place]
            if used + 1 < len(places[zone]):
                heappush(turns, (used + 1, places[zone][used + 1], zone))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Ring):
            return NotImplemented
        mine = (self._tokens, self._partitions, self._zones)
        return mine == (other._tokens, other._partitions, other._zones)

    #: Unhashable on purpose: a hash of node names would differ from process to process.
    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"<Ring {len(self._nodes)} nodes, {len(self._walks)} key ranges>"


# -------------------------------------------------------------------- small helpers


def _random_tokens(
    nodes: Sequence[NodeId], tokens: int, seed: int, weights: Mapping[NodeId, float] | None
) -> dict[int, NodeId]:
    if tokens < 1:
        raise ValueError(f"tokens is {tokens!r}; a node owns at least 1 token")
    return {
        position_of(f"token {number} of seed {seed}: {node}".encode()): node
        for node in checked_nodes(nodes)
        for number in range(max(1, round(tokens * weight_of(weights, node))))
    }


def _equal_range_end(index: int, count: int) -> int:
    """The last position of the `index`-th of `count` equal ranges: position * count >> 128 == index up to here."""
    return ((index + 1) * RING_SIZE - 1) // count


def _off_the_ring(position: int) -> str:
    return f"position {position!r} is off the ring: 0 <= position < 2**128"
