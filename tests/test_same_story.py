"""The same script tells the same story in both worlds: what clients are told, and what the homes hold in the end (S28).

A script is written once. It notes the class of every outcome: ``ok``, the values of a get,
or the error's name, with a ``?`` when it is indefinite.
What it must note, and what every home of its keys must hold once the cluster has settled, stands beside it;
each world is held to that, so the two are held to each other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dynalab.core.errors import DynalabError
from dynalab.core.session import Ack, Got
from tests.worlds import World, held, hints_for, walk_of

ALONE = {"hints": False, "anti_entropy_ms": 0}
"""No background repair: only what the script does brings a replica up to date."""


class Story:
    """One run of a script.

    Attributes:
        told: the class of every outcome, in order.
    """

    def __init__(self, world: World) -> None:
        self.world = world
        self.told: list[str] = []
        self.cluster: Any = None

    def found(self, nodes: int = 5, **settings: Any) -> list[str]:
        """Start a cluster; answers the walk of the key ``k``: its three homes, then the fallbacks."""
        self.cluster = self.world.found(nodes, **settings)
        return walk_of(self.cluster, "k")

    def client(self, name: str, via: str | None = None) -> Any:
        return self.cluster.client(name, via=via)

    def tell(self, verb: Callable[[], Any]) -> Any:
        """Carry a verb out, and note the class of its outcome."""
        try:
            result = verb()
        except DynalabError as error:
            self.told.append(type(error).__name__ + ("" if error.definite else "?"))
            return None
        self.told.append(_outcome(result))
        return result

    def until(self, true: Callable[[], Any], what: str) -> None:
        self.world.until(self.cluster, true, what)

    def finals(self, keys: list[str]) -> dict[str, list[list[Any]]]:
        """``{key: [what the homes hold, each different state once]}``."""
        return {key: self._states(key) for key in keys}

    def _states(self, key: str) -> list[list[Any]]:
        homes = walk_of(self.cluster, key)[: self.cluster.config.n]
        states = [sorted(held(self.cluster, home, key), key=repr) for home in homes]
        return [state for place, state in enumerate(states) if state not in states[:place]]


def _outcome(result: Any) -> str:
    if isinstance(result, Got):
        return repr(sorted(result.values, key=repr))
    return "ok" if isinstance(result, Ack) or result is None else type(result).__name__


# The scripts ---------------------------------------------------------------------------------


def quorum_write(story: Story) -> None:
    """Three homes store a put, and any two of them answer it."""
    first, second, _, outside, _ = story.found()
    story.tell(lambda: story.client("alice").put("k", "milk", w=3))
    story.tell(lambda: story.client("bob", via=second).get("k"))
    story.tell(lambda: story.client("carol", via=outside).get("k", r=3))
    story.tell(lambda: story.client("dan", via=first).get("never"))


def partition_with_conflict(story: Story) -> None:
    """Both sides accept a write; after healing there are two siblings, and a merge leaves one."""
    a, b, c, d, e = story.found()
    story.cluster.partition([a, b], [c, d, e])
    story.tell(lambda: story.client("alice", via=a).put("k", "left"))
    story.tell(lambda: story.client("bob", via=c).put("k", "right"))
    story.cluster.heal()
    story.cluster.settle()
    carol = story.client("carol")
    got = story.tell(lambda: carol.get("k"))
    story.client("dan").put("other", got.values)
    story.tell(lambda: carol.put("k", "both", context=got.context))


def siblings_stay(story: Story) -> None:
    """Nobody merges: the two writes of a partition stay siblings on every home."""
    a, b, c, d, e = story.found()
    story.tell(lambda: story.client("alice").put("k", "base", w=3))
    bob, carol = story.client("bob", via=a), story.client("carol", via=c)
    for each in (bob, carol):
        story.tell(lambda each=each: each.get("k"))
    story.cluster.partition([a, b], [c, d, e])
    story.tell(lambda: bob.put("k", "bob's"))
    story.tell(lambda: carol.put("k", "carol's"))
    story.cluster.heal()


def read_repair(story: Story) -> None:
    """A get finds a stale home and brings it up to date (5); nothing else could."""
    first, second, stale, *_ = story.found(3, **ALONE)
    alice = story.client("alice", via=first)
    story.tell(lambda: alice.put("k", "old", w=3))
    story.cluster.partition([first, second], [stale])
    story.tell(lambda: alice.put("k", "new", w=2))
    story.cluster.heal()
    story.tell(lambda: story.client("bob", via=stale).get("k", r=1))
    story.until(lambda: alice.get("k", r=3).values and held(story.cluster, stale, "k") == ["new"], "the repair")


def hinted_handoff(story: Story) -> None:
    """A fallback keeps a write for a home that is down, hands it over, and forgets it (4.6)."""
    first, _, home, *_ = story.found(anti_entropy_ms=0, read_repair=False)
    story.cluster.crash(home)
    story.tell(lambda: story.client("alice", via=first).put("k", "v", w=3))
    story.told.append(f"{len(hints_for(story.cluster, home))} holds a hint")
    story.cluster.recover(home)
    story.until(lambda: held(story.cluster, home, "k") == ["v"], "the handoff")
    story.until(lambda: not hints_for(story.cluster, home), "the hint's end")


def delete_while_a_replica_is_down(story: Story) -> None:
    """A home that slept through a delete does not bring the value back (S07)."""
    first, _, sleeper, *_ = story.found()
    alice = story.client("alice", via=first)
    story.tell(lambda: alice.put("k", "old", w=3))
    story.cluster.crash(sleeper)
    story.tell(lambda: alice.delete("k", w=2))
    story.tell(lambda: alice.get("k"))
    story.cluster.recover(sleeper)
    story.cluster.settle()
    story.tell(lambda: story.client("bob", via=sleeper).get("k", r=3))


def crash_and_recover(story: Story) -> None:
    """A coordinator that crashed finds on its own disk what it had stored, and goes on counting."""
    first, *_ = story.found(storage="log", durability="durable")
    alice = story.client("alice", via=first)
    story.tell(lambda: alice.put("k", "before", w=3))
    story.cluster.crash(first)
    story.tell(lambda: alice.get("k"))
    story.cluster.recover(first)
    story.tell(lambda: alice.get("k", r=1))
    story.tell(lambda: alice.put("k", "after", w=3))
    story.told.append(story.cluster.inspect(first)["incarnation"] == first and "the same incarnation")


def lost_disk(story: Story) -> None:
    """A home that lost its disk counts under a fresh name, and is filled again (S15)."""
    first, *_ = story.found()
    alice = story.client("alice", via=first)
    story.tell(lambda: alice.put("k", 1, w=3))
    story.tell(lambda: alice.put("k", 2, w=3))
    story.cluster.crash(first)
    story.cluster.recover(first, wipe=True)
    story.tell(lambda: story.client("bob", via=first).put("k", "blind", w=3))
    fresh = story.cluster.inspect(first)["incarnation"]
    story.told.append("a fresh incarnation" if fresh.startswith(f"{first}~") else fresh)


def all_disks_lost(story: Story) -> None:
    """When every node has lost its disk the data are gone, but not who is in the ring: the cluster goes on (4.8.1)."""
    story.found(3)
    story.tell(lambda: story.client("alice").put("k", "gone", w=3))
    for node in "ABC":
        story.cluster.crash(node)
    for node in "ABC":
        story.cluster.recover(node, wipe=True)
    story.tell(lambda: story.client("bob").get("k"))
    story.tell(lambda: story.client("bob").put("k", "new", w=3))


def join(story: Story) -> None:
    """A node that joins takes over key ranges; every key can be read all the while (4.9)."""
    story.found(4)
    alice = story.client("alice")
    for number in range(12):
        story.tell(lambda number=number: alice.put(f"key{number}", number, w=3))
    story.tell(lambda: story.cluster.join("N"))
    for number in range(12):
        story.tell(lambda number=number: story.client(f"reader{number}").get(f"key{number}", r=3))


def leave(story: Story) -> None:
    """A node that leaves hands its key ranges over first (4.9)."""
    first, *_ = story.found(4)
    alice = story.client("alice")
    for number in range(12):
        story.tell(lambda number=number: alice.put(f"key{number}", number, w=3))
    story.tell(lambda: story.cluster.leave(first))
    story.tell(lambda: alice.get("key0", via=first))
    for number in range(12):
        story.tell(lambda number=number: story.client(f"reader{number}").get(f"key{number}", r=3))


def slow_node(story: Story) -> None:
    """A home that answers too late costs neither a put nor a get its quorum (S11)."""
    slow, second, third, *_ = story.found(timeout_ms=3_000)
    for other in (second, third):
        story.cluster.link(other, slow, delay_ms=8_000, both_ways=True)
    bob = story.client("bob", via=second)
    story.tell(lambda: bob.put("k", "v"))
    story.tell(lambda: bob.get("k"))
    story.cluster.heal()


def strict_minority(story: Story) -> None:
    """With fallbacks forbidden a minority refuses: a put as unknown, a get as certain; the put appears later (S05)."""
    first, *others = story.found(strict=True)
    alice = story.client("alice", via=first)
    story.cluster.partition([first], others)
    story.tell(lambda: alice.put("k", "maybe", timeout_ms=500))
    story.tell(lambda: alice.get("k", timeout_ms=500))
    story.tell(lambda: alice.get("k", r=1))
    story.cluster.heal()
    story.cluster.settle()
    story.tell(lambda: story.client("bob", via=others[0]).get("k"))


def paused_coordinator(story: Story) -> None:
    """A coordinator that is stopped answers nobody in time; what waited for it happens when it goes on (S30)."""
    first, second, *_ = story.found()
    alice = story.client("alice", via=first)
    story.cluster.pause(first)
    story.tell(lambda: alice.put("k", "late", timeout_ms=300))
    story.tell(lambda: alice.get("k", timeout_ms=300))
    story.tell(lambda: story.client("bob", via=second).get("k"))
    story.cluster.resume(first)
    story.until(lambda: held(story.cluster, first, "k") == ["late"], "the write that waited")


def stale_read(story: Story) -> None:
    """Under a sloppy quorum R + W > N does not forbid a stale read; it heals (S08)."""
    a, b, c, d, e = story.found()
    here, there = story.client("here", via=a), story.client("there", via=c)
    story.tell(lambda: here.put("k", "v1", w=3))
    story.tell(lambda: there.get("k"))
    story.cluster.partition([a, b], [c, d, e])
    story.tell(lambda: there.put("k", "v2"))
    story.tell(lambda: here.get("k"))
    story.cluster.heal()
    story.cluster.settle()
    story.tell(lambda: here.get("k"))


def repeated_request(story: Story) -> None:
    """One request id through one coordinator makes one version, however often it is sent (S06)."""
    first, *_ = story.found()
    alice = story.client("alice", via=first)
    for _ in range(3):
        story.tell(lambda: alice.put("k", "once", context=None, request_id="order-1"))
    story.tell(lambda: alice.get("k", r=3))


def nonsense(story: Story) -> None:
    """Bad input is refused, definite, by the same class of error, and changes nothing."""
    first, *_ = story.found()
    alice = story.client("alice")
    story.tell(lambda: alice.put("k", "kept", w=3))
    stolen = alice.get("k").context
    for verb in (
        lambda: alice.put("", 1),
        lambda: alice.put("k", {1, 2}),
        lambda: alice.put("k", b"x" * (2**20 + 1)),
        lambda: alice.put("k", 1, w=4),
        lambda: alice.get("k", r=0),
        lambda: alice.put("k", 1, via="Z"),
        lambda: alice.put("other", 1, context=stolen),
        lambda: alice.put("k", 1, context=stolen._replace(entries={first: 10**6})),
        lambda: story.cluster.partition("AB|CZ"),
        lambda: story.cluster.crash("Z"),
        lambda: story.cluster.resume(first),
        lambda: story.cluster.join(first),
        lambda: story.cluster.link(first, first, drop=0.5),
    ):
        story.tell(verb)
    story.cluster.crash(first)
    story.tell(lambda: alice.put("k", 1, via=first))
    story.tell(lambda: story.cluster.crash(first))
    story.cluster.recover(first)


KEYS = {f"key{number}": [[number]] for number in range(12)}
READ = [f"[{number}]" for number in range(12)]

#: (script, what it notes, {key: what the homes hold in the end: one state})
STORIES: list[tuple[Callable[[Story], None], list[str], dict[str, list[list[Any]]]]] = [
    (quorum_write, ["ok", "['milk']", "['milk']", "[]"], {"k": [["milk"]]}),
    (
        partition_with_conflict,
        ["ok", "ok", "['left', 'right']", "ok"],
        {"k": [["both"]], "other": [[["left", "right"]]]},
    ),
    (siblings_stay, ["ok", "['base']", "['base']", "ok", "ok"], {"k": [["bob's", "carol's"]]}),
    (read_repair, ["ok", "ok", "['old']"], {"k": [["new"]]}),
    (hinted_handoff, ["ok", "1 holds a hint"], {"k": [["v"]]}),
    (delete_while_a_replica_is_down, ["ok", "ok", "[]", "[]"], {"k": [[]]}),
    (crash_and_recover, ["ok", "NodeIsDown", "['before']", "ok", "the same incarnation"], {"k": [["after"]]}),
    (lost_disk, ["ok", "ok", "ok", "a fresh incarnation"], {"k": [["blind", 2]]}),
    (all_disks_lost, ["ok", "[]", "ok"], {"k": [["new"]]}),
    (join, ["ok"] * 13 + READ, KEYS),
    (leave, ["ok"] * 13 + ["UnknownNode"] + READ, KEYS),
    (slow_node, ["ok", "['v']"], {"k": [["v"]]}),
    (
        strict_minority,
        ["WriteQuorumNotReached?", "ReadQuorumNotReached", "['maybe']", "['maybe']"],
        {"k": [["maybe"]]},
    ),
    (paused_coordinator, ["RequestTimedOut?", "RequestTimedOut", "[]"], {"k": [["late"]]}),
    (stale_read, ["ok", "['v1']", "ok", "['v1']", "['v2']"], {"k": [["v2"]]}),
    (repeated_request, ["ok", "ok", "ok", "['once']"], {"k": [["once"]]}),
    (
        nonsense,
        [
            *("ok", "InvalidKey", "InvalidValue", "ValueTooLarge", "InvalidQuorum", "InvalidQuorum", "UnknownNode"),
            *("InvalidContext", "InvalidContext", "InvalidPartition", "UnknownNode", "BadRequest", "InvalidSetting"),
            *("InvalidSetting", "NodeIsDown", "BadRequest"),
        ],
        {"k": [["kept"]], "other": [[]]},
    ),
]


@pytest.mark.parametrize(("script", "told", "finals"), STORIES, ids=[script.__name__ for script, *_ in STORIES])
def test_both_worlds_tell_the_same_story(
    world: World, script: Callable[[Story], None], told: list[str], finals: dict[str, list[list[Any]]]
) -> None:
    """A script's outcome classes, and the siblings every home holds in the end, are those written beside it."""
    story = Story(world)
    script(story)
    assert story.told == told
    story.world.holds(story.cluster)
    assert story.finals(list(finals)) == finals


def test_there_are_enough_stories() -> None:
    """At least ten scripts, each of which says what it is about."""
    assert len(STORIES) >= 10
    assert all(script.__doc__ for script, *_ in STORIES)
