"""S36 to S40: nodes that join, leave, and come back, under load and through crashes."""

from __future__ import annotations

import pytest

from dynalab.core.errors import NotSettled
from tests.worlds import World, held, hints_for, walk_of


def _all_readable(cluster, keys: dict[str, int]) -> None:
    """Every key has its value now, wherever it is asked for."""
    for key, value in keys.items():
        assert cluster.get(key, timeout_ms=5_000).values == [value]


def _filled(cluster, count: int) -> dict[str, int]:
    """`{key: value}` of so many keys that all homes hold."""
    keys = {f"k{number}": number for number in range(count)}
    for key, value in keys.items():
        cluster.put(key, value, w=3, timeout_ms=20_000)
    return keys


@pytest.mark.parametrize("victim", ["joiner", "donor"])
def test_s36_a_node_joins_under_load_and_somebody_crashes(world: World, victim: str):
    """S36: at every moment of a join each key can be read and written, also when joiner or donor crash (I1, I6)."""
    cluster = world.found(4, storage="log")
    keys = _filled(cluster, 40)
    with pytest.raises(NotSettled):
        cluster.join("X", timeout_ms=0)
    _all_readable(cluster, keys)
    node = "X" if victim == "joiner" else cluster.nodes[1]
    cluster.crash(node)
    for key in list(keys)[::4]:
        keys[key] += 1_000
        cluster.put(key, keys[key], timeout_ms=5_000)
    _all_readable(cluster, keys)
    cluster.recover(node)
    status = lambda: cluster.inspect("X", full=False)["status"]  # noqa: E731
    world.until(cluster, lambda: _readable_while(cluster, keys, status() == "up"), "the join")
    cluster.settle()
    _all_readable(cluster, keys)
    assert cluster.inspect("X")["keys"] > 0
    world.holds(cluster)


def _readable_while(cluster, keys: dict[str, int], through: bool) -> bool:
    _all_readable(cluster, dict(list(keys.items())[:5]))
    return through


def test_s36_only_the_ranges_of_the_newcomer_move(world: World):
    """S36: a join gives keys to the newcomer and to nobody else; donors forget only what it has confirmed (I6)."""
    cluster = world.found(4)
    keys = _filled(cluster, 40)
    before = {key: set(walk_of(cluster, key)[:3]) for key in keys}
    cluster.join("X")
    cluster.settle()
    for key, value in keys.items():
        after = set(walk_of(cluster, key)[:3])
        assert after - before[key] <= {"X"}
        for node in cluster.nodes:
            assert held(cluster, node, key) == ([value] if node in after else [])
    world.holds(cluster)


def test_s37_a_node_leaves_holding_hints(world: World):
    """S37: a node that leaves hands its hints on first, and says what is left when it cannot (I1)."""
    cluster = world.found(storage="log", timeout_ms=3_000)
    first, second, home, *rest = walk_of(cluster, "k")
    cluster.partition([first, second, *rest], [home])
    cluster.client("alice", via=first).put("k", "v", w=3)
    (keeper,) = hints_for(cluster, home)
    with pytest.raises(NotSettled, match="hints"):
        cluster.leave(keeper, timeout_ms=300)
    cluster.heal()
    cluster.leave(keeper, timeout_ms=30_000)
    assert keeper not in cluster.nodes
    cluster.settle()
    assert held(cluster, home, "k") == ["v"]
    world.holds(cluster)


def test_s38_a_removed_node_is_added_again(world: World):
    """S38: a peer that slept through a removal and a new join believes the newer history, not its own (I6, I9)."""
    cluster = world.found(storage="log")
    keys = _filled(cluster, 20)
    sleeper, gone = cluster.nodes[0], cluster.nodes[2]
    cluster.crash(sleeper)
    cluster.crash(gone)
    cluster.leave(gone, force=True, timeout_ms=30_000)
    cluster.join(gone, timeout_ms=30_000)
    for key in keys:
        keys[key] += 1_000
        cluster.put(key, keys[key], timeout_ms=5_000)
    cluster.recover(sleeper)
    cluster.settle()
    digests = {cluster.inspect(node)["history_digest"] for node in cluster.nodes}
    assert len(digests) == 1
    assert cluster.inspect(sleeper)["members"][gone] == "up"
    _all_readable(cluster, keys)
    world.holds(cluster)


def test_s36_a_node_joins_while_another_is_stopped(world: World):
    """S36: a node that was stopped while another joined hears of it when it goes on, and is heard by it (I5, I11)."""
    cluster = world.found(4, storage="log")
    keys = _filled(cluster, 20)
    stopped = cluster.nodes[0]
    cluster.pause(stopped)
    with pytest.raises(NotSettled):
        cluster.join("X", timeout_ms=500)
    cluster.resume(stopped)

    def know_each_other() -> bool:
        pairs = ((stopped, "X"), ("X", stopped))
        opinions = [cluster.inspect(one, full=False)["up"].get(other, {}) for one, other in pairs]
        return all(opinion.get("believed_up") and opinion["silent_ms"] < 1_000 for opinion in opinions)

    world.until(cluster, know_each_other, "both hear each other")
    cluster.settle()
    _all_readable(cluster, keys)
    world.holds(cluster)
