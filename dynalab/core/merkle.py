"""Merkle trees: which keys differ between two replicas of a key range, without sending them all (paper 4.7).

Theory of operation.
A tree covers the keys of one key range on one node: `{key: digest}`, the digest standing for the key's siblings.
Leaves hold keys; a leaf's digest covers its keys and their digests, a branch's digest covers its 16 children.
A branch with one child only has that child's digest: there is nothing to join, and most branches of a small tree
are such.
Equal roots mean equal contents; otherwise two nodes compare the children of branches that differ, level by level:

    level 0                 1                     root
    level 1          0x10 ... 0x1f                16 branches
    level 2        0x100 ... 0x1ff
    level 3       0x1000 ... 0x1fff
    level 4      0x10000 ... 0x1ffff              65,536 leaves, each with a few keys

A **path** is the number of a branch or leaf: the root is 1, the children of `path` are `path * 16 + 0 .. 15`.
Read in hexadecimal, the digits after the leading 1 are the turns taken from the root.
It fits a small integer on the wire.

Rule 1: the shape is fixed and a key's leaf follows from the key alone, so two trees of equal contents are equal,
whatever the order of their insertions, and two nodes never have to agree on a shape.
Rule 2: a key's leaf is the LOW end of its MD5: keys of one key range share the high end, which is their position.
Rule 3: hashing waits until someone asks; a change marks its leaf, and the next question pays for marked leaves only.
Rule 4: what is empty is not stored and has the digest `EMPTY`.

DEPARTS: the paper's leaves are single keys.  Ours are buckets of keys, so that an empty tree costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import blake2b

from dynalab.core.quick import md5

DIGEST_BYTES = 16
FANOUT_BITS = 4
DEPTH = 4

ROOT = 1
FIRST_LEAF = 1 << FANOUT_BITS * DEPTH
LAST_PATH = 2 * FIRST_LEAF - 1

#: The digest of a leaf without keys, and of a branch above such leaves only.
EMPTY = bytes(DIGEST_BYTES)


class MerkleTree:
    """The digests of the keys of one key range (paper 4.7).

    >>> tree = MerkleTree({b"cart": b"1", b"wish": b"2"})
    >>> diff(tree, MerkleTree({b"cart": b"9", b"wish": b"2"}))
    {b'cart'}

    Args:
        contents: `{key: digest}`; a digest is any bytes that are equal exactly when the replicas of the key are.
    """

    __slots__ = ("_children", "_leaves", "_root", "_size", "_stale")

    def __init__(self, contents: Mapping[bytes, bytes] | None = None) -> None:
        #: {leaf path: {key: digest}}, no empty leaf
        self._leaves: dict[int, dict[bytes, bytes]] = {}
        #: {branch path: {child path: digest}} as of the last question, no empty branch and no empty child
        self._children: dict[int, dict[int, bytes]] = {}
        self._root = EMPTY
        #: paths of the leaves changed since the last question
        self._stale: set[int] = set()
        self._size = 0
        for key, digest in (contents or {}).items():
            self.set(key, digest)

    # ---------------------------------------------------------------- contents

    def set(self, key: bytes, digest: bytes, position: int | None = None) -> None:
        """Keep `digest` for `key`; cheap, nothing is hashed but the key, and not even that if its `position` is known.

        Raises:
            TypeError: the digest is no bytes.
        """
        if type(digest) is not bytes:
            raise TypeError(f"the digest of key {key!r} is {digest!r}; it must be bytes")
        path = leaf_of(key) if position is None else FIRST_LEAF | position % FIRST_LEAF
        leaf = self._leaves.get(path)
        if leaf is None:
            leaf = self._leaves[path] = {}
        before = leaf.get(key)
        if before != digest:
            self._size += before is None
            leaf[key] = digest
            self._stale.add(path)

    def discard(self, key: bytes) -> None:
        """Forget `key`, if it is there."""
        path = leaf_of(key)
        leaf = self._leaves.get(path, {})
        if leaf.pop(key, None) is not None:
            self._size -= 1
            self._stale.add(path)
            if not leaf:
                del self._leaves[path]

    def get(self, key: bytes) -> bytes | None:
        """The digest kept for `key`, or None."""
        return self._leaves.get(leaf_of(key), {}).get(key)

    def __len__(self) -> int:
        return self._size

    def __contains__(self, key: bytes) -> bool:
        return self.get(key) is not None

    def __iter__(self) -> Iterator[bytes]:
        """All keys, leaf by leaf, sorted in each: one order for equal contents."""
        for path in sorted(self._leaves):
            yield from sorted(self._leaves[path])

    # ---------------------------------------------------------------- the conversation of two nodes

    @property
    def root(self) -> bytes:
        """The digest of everything, 16 bytes; `EMPTY` for a tree without keys."""
        return self.digest(ROOT)

    def digest(self, path: int) -> bytes:
        """The digest of a branch or leaf, 16 bytes."""
        self._refresh()
        if checked_path(path) == ROOT:
            return self._root
        return self._children.get(path >> FANOUT_BITS, {}).get(path, EMPTY)

    def children(self, path: int) -> dict[int, bytes]:
        """`{child path: digest}` of a branch, in order, without empty children; at most 16.

        Raises:
            ValueError: `path` is a leaf or no path at all.
        """
        if is_leaf(path):
            raise ValueError(f"path {path:#x} is a leaf: it has keys, not children")
        self._refresh()
        return dict(sorted(self._children.get(path, {}).items()))

    def leaf(self, path: int) -> dict[bytes, bytes]:
        """`{key: digest}` of a leaf, sorted by key.

        Raises:
            ValueError: `path` is a branch or no path at all.
        """
        if not is_leaf(path):
            raise ValueError(f"path {path:#x} is a branch: it has children, not keys")
        return dict(sorted(self._leaves.get(path, {}).items()))

    def paths_that_differ(self, path: int, theirs: Mapping[int, bytes]) -> list[int]:
        """The children of branch `path` to look into next, given the `children(path)` of the other tree."""
        mine = self.children(path)
        return [child for child in _children_of(path) if mine.get(child) != theirs.get(child)]

    def keys_that_differ(self, path: int, theirs: Mapping[bytes, bytes]) -> list[bytes]:
        """The keys of leaf `path` with another digest, or on one side only, given the other tree's `leaf(path)`."""
        mine = self.leaf(path)
        return [key for key in sorted(mine.keys() | theirs.keys()) if mine.get(key) != theirs.get(key)]

    def levels(self) -> list[dict[int, bytes]]:
        """For drawing: `{path: digest}` for each of the five levels, root first, non-empty paths in order."""
        self._refresh()
        levels = [{ROOT: self._root} if self._root != EMPTY else {}]
        for _ in range(DEPTH):
            below = [self.children(path) for path in levels[-1]]
            levels.append({child: digest for children in below for child, digest in children.items()})
        return levels

    # ---------------------------------------------------------------- hashing, when asked

    def _refresh(self) -> None:
        """Hash the leaves that changed, then the branches above them, bottom up, each once."""
        if not self._stale:
            return
        stale, self._stale = self._stale, set()
        fresh = {path: _leaf_digest(self._leaves.get(path, {})) for path in stale}
        for _ in range(DEPTH):
            self._keep(fresh)
            fresh = {path: self._branch_digest(path) for path in {path >> FANOUT_BITS for path in fresh}}
        self._root = fresh[ROOT]

    def _keep(self, digests: Mapping[int, bytes]) -> None:
        """Lay the digests of one level to the branches above."""
        for path, digest in digests.items():
            children = self._children.get(path >> FANOUT_BITS)
            if children is None:
                children = self._children[path >> FANOUT_BITS] = {}
            if digest == EMPTY:
                children.pop(path, None)
            else:
                children[path] = digest

    def _branch_digest(self, path: int) -> bytes:
        children = self._children[path]
        if len(children) > 1:
            row = b"".join([children.get(child, EMPTY) for child in _children_of(path)])
            return blake2b(row, digest_size=DIGEST_BYTES, person=b"branch").digest()
        for digest in children.values():
            return digest
        del self._children[path]
        return EMPTY

    def __repr__(self) -> str:
        return f"<MerkleTree {self._size} keys>"


def diff(left: MerkleTree, right: MerkleTree) -> set[bytes]:
    """The keys whose digest differs, or that one tree lacks (paper 4.7).

    Found by descending where digests differ; what agrees is never looked into.
    """
    leaves = differing_paths(left, right)[DEPTH]
    return {key for path in leaves for key in left.keys_that_differ(path, right.leaf(path))}


def differing_paths(left: MerkleTree, right: MerkleTree) -> list[list[int]]:
    """For each of the five levels, root first, the paths whose digests differ: all that an exchange visits."""
    levels = [[ROOT] if left.root != right.root else []]
    for _ in range(DEPTH):
        levels.append([child for path in levels[-1] for child in left.paths_that_differ(path, right.children(path))])
    return levels


# -------------------------------------------------------------------- paths


def leaf_of(key: bytes) -> int:
    """The path of the leaf that holds `key`, from the last bits of its MD5."""
    digest = md5(key).digest()
    return FIRST_LEAF | int.from_bytes(digest[-8:], "big") % FIRST_LEAF


def is_leaf(path: int) -> bool:
    """Whether `path` is a leaf, not a branch; ValueError when it is neither."""
    return checked_path(path) >= FIRST_LEAF


def level_of(path: int) -> int:
    """How many turns `path` is away from the root: 0 for the root, 4 for a leaf."""
    return (checked_path(path).bit_length() - 1) // FANOUT_BITS


def checked_path(path: int) -> int:
    """`path` itself; ValueError when no tree has such a branch or leaf.

    >>> checked_path(0x12), checked_path(0x1ffff)
    (18, 131071)
    """
    if not ROOT <= path <= LAST_PATH or (path.bit_length() - 1) % FANOUT_BITS:
        raise ValueError(f"{path!r} is no path of a Merkle tree: in hexadecimal, a 1 and at most {DEPTH} more digits")
    return path


def _children_of(path: int) -> range:
    return range(path << FANOUT_BITS, (path + 1) << FANOUT_BITS)


def _leaf_digest(leaf: Mapping[bytes, bytes]) -> bytes:
    """The digest of `{key: digest}`; each part goes in with its length, so no two leaves read alike."""
    if not leaf:
        return EMPTY
    text = b""
    for key in sorted(leaf):
        digest = leaf[key]
        text += len(key).to_bytes(4, "big") + key + len(digest).to_bytes(4, "big") + digest
    return blake2b(text, digest_size=DIGEST_BYTES, person=b"leaf").digest()
