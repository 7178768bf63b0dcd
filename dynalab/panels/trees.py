"""Two nodes' Merkle trees side by side: where they differ, level by level, and what the comparison saves (paper 4.7).

Theory of operation.
Roots are the nodes' own.  Below them the trees are built here, from what both nodes tell of their records,
with the shape of `core.merkle`; so branches differ exactly where the nodes' own do.

Rule: what an exchange would send is counted from the branches it would visit, not guessed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from dynalab.core.merkle import DIGEST_BYTES, MerkleTree, differing_paths
from dynalab.core.ring import RING_SIZE, Ring, position_of
from dynalab.core.session import encode_key
from dynalab.panels.snapshot import shown_sibling

PATH_BYTES = 4
BRANCHES_SHOWN = 48
KEYS_SHOWN = 40


def compared(left: Mapping[str, Any], right: Mapping[str, Any], ring: Ring, end: str = "") -> dict[str, Any]:
    """Two inspections compared.

    Args:
        left: of a running node, in full.
        right: of another.
        ring: the key ranges.
        end: of the key range to look into, in hexadecimal; empty: the first that differs, or has keys.

    Returns:
        ``ranges``: ``[end, differs, keys]`` of every range both keep; ``end``: the one looked into;
        ``levels``: for each level ``[path, in left, in right, differs]``; ``keys`` that differ;
        ``sent``, ``all``: bytes of an exchange, and of sending everything.
    """
    shared = [each for each in left["roots"] if each in right["roots"]]
    keys = {each: _keys_in(left, right, ring, each) for each in shared}
    ranges = [[each, left["roots"][each] != right["roots"][each], len(keys[each])] for each in shared]
    differing = [each for each, differs, _ in ranges if differs]
    chosen = end if end in keys else next(iter([*differing, *(each for each in shared if keys[each])]), "")
    told: dict[str, Any] = {"left": left["node"], "right": right["node"], "ranges": ranges, "end": chosen}
    if not chosen:
        return {**told, "levels": [], "keys": [], "sent": 0, "all": 0, "roots": []}
    trees = [_tree(node, keys[chosen]) for node in (left, right)]
    paths = differing_paths(*trees)
    wrong = sorted({key for path in paths[-1] for key in _leaf_keys(trees, path)})
    return {
        **told,
        "roots": [left["roots"][chosen], right["roots"][chosen]],
        "levels": _levels(trees, paths),
        "keys": [_key(key.decode(), left, right) for key in wrong[:KEYS_SHOWN]],
        "sent": _sent(trees, paths, wrong, left, right),
        "all": sum(_size(left, key) + len(key) for key in left["records"] if key in keys[chosen]),
    }


def _keys_in(left: Mapping[str, Any], right: Mapping[str, Any], ring: Ring, end: str) -> list[str]:
    key_range = ring.range_at(int(end, 16) % RING_SIZE)
    names = sorted({*left["records"], *right["records"]})
    return [name for name in names if key_range.contains(position_of(encode_key(name)))]


def _tree(node: Mapping[str, Any], keys: list[str]) -> MerkleTree:
    records = node["records"]
    return MerkleTree({name.encode(): _digest(records[name]) for name in keys if name in records})


def _digest(record: Mapping[str, Any]) -> bytes:
    """Equal exactly when two nodes tell the same of a key."""
    siblings = sorted(json.dumps(sibling, sort_keys=True, default=str) for sibling in record["siblings"])
    told = json.dumps([record["clock"], siblings], sort_keys=True)
    return blake2b(told.encode(), digest_size=DIGEST_BYTES).digest()


def _leaf_keys(trees: list[MerkleTree], path: int) -> list[bytes]:
    return trees[0].keys_that_differ(path, trees[1].leaf(path))


def _levels(trees: list[MerkleTree], paths: list[list[int]]) -> list[list[list[Any]]]:
    """Level by level the branches that either tree has, those that differ first to be kept."""
    levels = []
    for left, right, differ in zip(trees[0].levels(), trees[1].levels(), paths, strict=True):
        others = sorted(path for path in {*left, *right} if path not in differ)
        known = [*differ, *others][:BRANCHES_SHOWN]
        levels.append([[f"{path:x}", path in left, path in right, path in differ] for path in sorted(known)])
    return levels


def _key(name: str, left: Mapping[str, Any], right: Mapping[str, Any]) -> dict[str, Any]:
    held = [
        [shown_sibling(sibling)["value"] for sibling in node["records"].get(name, {"siblings": []})["siblings"]]
        for node in (left, right)
    ]
    return {"key": name, "left": held[0], "right": held[1]}


def _sent(
    trees: list[MerkleTree],
    paths: list[list[int]],
    wrong: list[bytes],
    left: Mapping[str, Any],
    right: Mapping[str, Any],
) -> int:
    """The root, the children of every branch that differs, the digests of keys in leaves that do, and the keys."""
    digests = 1 + sum(len(trees[1].children(path)) for level in paths[:-1] for path in level)
    leaves = sum(len(trees[1].leaf(path)) for path in paths[-1])
    states = sum(len(key) + _size(left, key.decode()) + _size(right, key.decode()) for key in wrong)
    return (digests + leaves) * (DIGEST_BYTES + PATH_BYTES) + states


def _size(node: Mapping[str, Any], name: str) -> int:
    """Bytes of what a node holds of a key, as JSON."""
    record = node["records"].get(name)
    return 0 if record is None else len(json.dumps(record, default=str))
