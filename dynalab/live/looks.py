"""What a node tells whoever looks at its keys: one key, a stretch of keys, digests, and how long its storage took.

States travel as records of the codec, so whoever asks gets back exactly the values the node holds.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from heapq import nsmallest
from typing import TYPE_CHECKING, Any

from dynalab.codec.record import encode_record
from dynalab.core.ring import position_of
from dynalab.core.store import Record
from dynalab.core.version import Siblings

if TYPE_CHECKING:
    from dynalab.live.process import NodeProcess

SCAN_BYTES = 8 * 1024 * 1024
"""A scan's answer ends early beyond so many bytes; at least one key is in it."""

DIGEST_BYTES = 16
PLACES = 2**64
LOWEST_PLACE = -(2**63)


def _encoded(state: Siblings) -> bytes:
    return encode_record(Record(state))


def held(process: NodeProcess, key: bytes) -> dict[str, Any]:
    """``{"replica": record, "hints": [[home, record]]}``; a node that never heard of the key has an empty state."""
    if process.node is None:
        return {"replica": _encoded(Siblings()), "hints": []}
    hints = [[hint.home, _encoded(hint.record.siblings)] for hint in process.store.hints_of(key)]
    return {"replica": _encoded(process.node.replica.record(key)), "hints": hints}


def scanned(process: NodeProcess, prefix: bytes, after: bytes, limit: int) -> dict[str, Any]:
    """``{"found": [[key, record]], "more": bool}``: the first replicas by key; `more` follow when it says so."""
    if process.node is None:
        return {"found": [], "more": False}
    found: list[list[bytes]] = []
    size = 0
    keys = process.store.keys()
    matching = (key for key in keys if key > after and key.startswith(prefix))
    wanted = nsmallest(limit + 1, matching)
    for key in wanted[:limit]:
        if size > SCAN_BYTES:
            break
        found.append([key, _encoded(process.node.replica.record(key))])
        size += len(key) + len(found[-1][1])
    return {"found": found, "more": len(found) < len(wanted)}


def digests(process: NodeProcess, first: int, last: int, slices: int) -> list[bytes]:
    """One digest for each slice of the ring's places from `first` to `last`, around its end if need be.

    A slice's digest covers its keys and their states, so equal data are equal digests on every node.
    A slice without keys has the digest of nothing.
    """
    span = (last - first) % PLACES + 1
    hashes = [blake2b(digest_size=DIGEST_BYTES) for _ in range(slices)]
    for key, digest in _leaves(process):
        distance = (place_of(key) - first) % PLACES
        if distance < span:
            hashes[distance * slices // span].update(len(key).to_bytes(4, "big") + key + digest)
    return [each.digest() for each in hashes]


def place_of(key: bytes) -> int:
    """The first 64 bits of a key's position as a signed number, in the ring's order.

    >>> place_of(b"cart") == (position_of(b"cart") >> 64) - 2**63
    True
    """
    return (position_of(key) >> 64) + LOWEST_PLACE


def _leaves(process: NodeProcess) -> Iterator[tuple[bytes, bytes]]:
    """Every key with the digest of its state, in the order of keys; the digests are those of the Merkle trees."""
    forest = process.node.replica.forest if process.node is not None else None
    if forest is None:
        return
    leaves = [
        (key, forest.tree(key_range).get(key) or b"") for key_range, keys in forest.keys_by_range() for key in keys
    ]
    yield from sorted(leaves)


def measured(process: NodeProcess) -> dict[str, Any]:
    """Durations of commits and syncs, as far as the storage engine measures them; requests and keys in question."""
    times = {name: getattr(process.store, name, None) for name in ("commits", "syncs")}
    told: dict[str, Any] = {name: durations.told() for name, durations in times.items() if durations is not None}
    if process.node is not None:
        coordinator, replica = process.node.coordinator, process.node.replica
        told["open_requests"] = len(coordinator.open) + len(process.node.forwarding.open)
        told["divergent"] = sum(len(replica.record(key).versions) > 1 for key in list(replica.divergent))
    return told
