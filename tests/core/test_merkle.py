from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynalab.core import merkle
from dynalab.core.merkle import DEPTH, EMPTY, FIRST_LEAF, ROOT, MerkleTree, diff, differing_paths, is_leaf, leaf_of

keys = st.binary(min_size=1, max_size=3)
digests = st.sampled_from([b"", b"1", b"2", b"\x00" * 16, b"\xff" * 16])
contents = st.dictionaries(keys, digests, max_size=40)


def many(count: int) -> dict[bytes, bytes]:
    return {f"key-{number}".encode(): number.to_bytes(16, "big") for number in range(count)}


def colliding_keys(count: int) -> list[bytes]:
    """Keys that all share the leaf of the first one."""
    wanted = leaf_of(b"0")
    return [key for key in (str(number).encode() for number in range(400_000)) if leaf_of(key) == wanted][:count]


def talk(mine: MerkleTree, theirs: MerkleTree) -> set[bytes]:
    """The conversation of two nodes, with nothing but what they would send each other."""
    found: set[bytes] = set()
    paths = [] if mine.root == theirs.root else [ROOT]
    while paths:
        path = paths.pop()
        if is_leaf(path):
            found.update(mine.keys_that_differ(path, theirs.leaf(path)))
        else:
            paths.extend(mine.paths_that_differ(path, theirs.children(path)))
    return found


@given(left=contents, right=contents)
def test_diff_is_the_difference_of_the_contents(left, right):
    """Diff names exactly the keys whose digests differ or that one side lacks (4.7)."""
    expected = {key for key in left.keys() | right.keys() if left.get(key) != right.get(key)}
    assert diff(MerkleTree(left), MerkleTree(right)) == expected
    assert talk(MerkleTree(left), MerkleTree(right)) == expected


@given(left=contents, right=contents)
def test_roots_are_equal_exactly_when_contents_are(left, right):
    """Two trees have one root if and only if they hold the same keys with the same digests (S25, S26)."""
    assert (MerkleTree(left).root == MerkleTree(right).root) == (left == right)


@given(contents=contents, data=st.data())
def test_the_order_of_insertion_does_not_matter(contents, data):
    """Equal contents give equal trees, level by level and in iteration order, however they came in (S25)."""
    shuffled = dict(data.draw(st.permutations(list(contents.items()))))
    one, other = MerkleTree(contents), MerkleTree(shuffled)
    assert one.levels() == other.levels()
    assert list(one) == list(other)


changes = st.lists(st.tuples(keys, digests | st.none(), st.booleans()), max_size=60)


@given(start=contents, changes=changes)
def test_a_tree_kept_up_to_date_equals_a_rebuilt_one(start, changes):
    """After any sets and discards, with questions in between, a tree equals one built afresh (S26)."""
    tree, model = MerkleTree(start), dict(start)
    for key, digest, ask in changes:
        if digest is None:
            tree.discard(key)
            model.pop(key, None)
        else:
            tree.set(key, digest)
            model[key] = digest
        assert tree.get(key) == model.get(key)
        if ask:
            assert tree.root == MerkleTree(model).root
    assert tree.levels() == MerkleTree(model).levels()
    assert len(tree) == len(model)
    assert set(tree) == set(model)


def test_a_root_is_the_same_on_every_machine_and_in_every_version():
    """Nodes compare digests that they made themselves: this one may not change unnoticed."""
    assert MerkleTree({b"cart": b"1", b"wish": b"2"}).root.hex() == "c8bdace9830ab7f66657c99e5dc192c8"


def test_an_empty_tree_has_a_fixed_root_and_stores_nothing():
    """Emptiness costs nothing and leaves no trace, also after the last key went."""
    tree = MerkleTree(many(100))
    assert tree.root != EMPTY
    for key in many(100):
        tree.discard(key)
    assert tree.root == MerkleTree().root == EMPTY
    assert tree.levels() == [{}] * (DEPTH + 1)
    assert tree.children(ROOT) == {}
    assert len(tree) == 0


def test_keys_of_one_key_range_spread_over_the_whole_tree():
    """Keys whose positions share their leading bits still spread over all 16 first branches."""
    same_start = [key for key in many(20_000) if merkle.md5(key).digest()[0] >> 2 == 7]
    assert len(same_start) > 200
    assert len(MerkleTree(dict.fromkeys(same_start, b"d")).children(ROOT)) == 16


def test_a_comparison_visits_only_what_differs():
    """Two trees of 20,000 keys that differ in 3 keys are compared along 3 paths, not key by key (4.7)."""
    left = many(20_000)
    right = left | {b"key-7": b"other", b"only-here": b"x"}
    del right[b"key-19000"]
    visited = differing_paths(MerkleTree(left), MerkleTree(right))
    assert sum(len(level) for level in visited) <= 1 + 3 * DEPTH
    assert diff(MerkleTree(left), MerkleTree(right)) == {b"key-7", b"only-here", b"key-19000"}


def test_equal_trees_are_told_by_their_roots_alone():
    """When roots agree nothing below is visited."""
    assert differing_paths(MerkleTree(many(1000)), MerkleTree(many(1000))) == [[], [], [], [], []]


class CountedHashes:
    """Stands in for blake2b and counts its calls."""

    def __init__(self, real):
        self.real, self.count = real, 0

    def __call__(self, *args, **options):
        self.count += 1
        return self.real(*args, **options)


def test_hashing_waits_for_a_question_and_costs_only_what_changed(monkeypatch):
    """A change hashes nothing; the next question hashes its leaf and the four branches above; a repeat, nothing."""
    tree = MerkleTree(many(30_000))
    assert tree.root != EMPTY
    hashes = CountedHashes(merkle.blake2b)
    monkeypatch.setattr(merkle, "blake2b", hashes)
    tree.set(b"key-1", b"new")
    assert hashes.count == 0
    assert len(tree.children(ROOT)) == 16
    assert hashes.count == 1 + DEPTH
    tree.set(b"key-1", b"new")
    assert tree.root != EMPTY
    assert hashes.count == 1 + DEPTH


def test_a_branch_with_one_child_is_not_hashed(monkeypatch):
    """Above a lonely leaf all branches have its digest, also after its neighbours have gone."""
    hashes = CountedHashes(merkle.blake2b)
    monkeypatch.setattr(merkle, "blake2b", hashes)
    lonely = MerkleTree({b"key-1": b"1"})
    assert set(lonely.levels()[DEPTH].values()) == {lonely.root}
    assert hashes.count == 1
    crowded = MerkleTree(many(100) | {b"key-1": b"1"})
    assert crowded.root != lonely.root
    for key in many(100).keys() - {b"key-1"}:
        crowded.discard(key)
    assert crowded.levels() == lonely.levels()


def test_keys_of_one_leaf_are_told_apart():
    """A leaf may hold several keys; a difference in one of them names that one only."""
    first, second, third = colliding_keys(3)
    left = MerkleTree({first: b"1", second: b"2", third: b"3"})
    right = MerkleTree({first: b"1", second: b"9"})
    assert left.leaf(leaf_of(first)) == dict(sorted({first: b"1", second: b"2", third: b"3"}.items()))
    assert left.root == MerkleTree({third: b"3", second: b"2", first: b"1"}).root
    assert diff(left, right) == {second, third}


def test_key_and_digest_boundaries_count():
    """Where a key ends and its digest begins is part of a leaf's digest."""
    assert merkle._leaf_digest({b"a": b"bc"}) != merkle._leaf_digest({b"ab": b"c"})
    assert merkle._leaf_digest({b"a": b"", b"b": b""}) != merkle._leaf_digest({b"a": b"b"})


def test_levels_run_from_the_root_to_the_leaves():
    """Levels list every non-empty path: each child under a listed parent, and the leaves hold the keys."""
    tree = MerkleTree(many(50))
    levels = tree.levels()
    assert levels[0] == {ROOT: tree.root}
    for above, below in pairwise(levels):
        assert {path >> 4 for path in below} == set(above)
        assert list(below) == sorted(below)
        assert all(digest == tree.digest(path) for path, digest in below.items())
    assert {key for path in levels[DEPTH] for key in tree.leaf(path)} == set(many(50))


@pytest.mark.parametrize("path", [0, -1, 2, 15, 32, 0x200, 2 * FIRST_LEAF, 1 << 40])
def test_a_path_that_no_tree_has_is_refused(path):
    """Paths come over the wire: one that names no branch and no leaf is a ValueError that names it."""
    for ask in (MerkleTree().children, MerkleTree().leaf, MerkleTree().digest, is_leaf):
        with pytest.raises(ValueError, match=f"{path!r} is no path"):
            ask(path)


def test_branches_have_no_keys_and_leaves_no_children():
    """Asking a leaf for children or a branch for keys is a ValueError that says which it is."""
    with pytest.raises(ValueError, match="is a leaf"):
        MerkleTree().children(FIRST_LEAF)
    with pytest.raises(ValueError, match="is a branch"):
        MerkleTree().leaf(ROOT)


@pytest.mark.parametrize("contents", [{"cart": b"1"}, {b"cart": "1"}, {b"cart": None}])
def test_keys_and_digests_are_bytes(contents):
    """A text key or a digest that is not bytes is a TypeError at once, not at the next comparison."""
    with pytest.raises(TypeError):
        MerkleTree(contents)
