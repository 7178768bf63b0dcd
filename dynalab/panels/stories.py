"""The stories of live demos: a list of steps each, with the verbs it runs and the trace events it promises.

Theory of operation.
A story has a cluster of its own, whose settings turn off the rivals that could heal first:
a story of read repair has no hints and no anti-entropy, so what is repaired was repaired by the read.
Nodes are named by their place in the preference list of the key: ``{first}``, ``{second}`` ... ``{fifth}``.
Narration stands in the catalogue: ``story.<name>.title``, ``.about``, and ``.1`` to the number of steps.

Rule 1: a step promises trace events, and perhaps a result; it is shown only when both have come.
Rule 2: nothing sleeps: a step waits for its events, and no longer than `PATIENCE_MS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

SEED = 7
NODES = 5
KEY = "cart"
PATIENCE_MS = 12_000
PLACES = ("first", "second", "third", "fourth", "fifth")

Call = tuple[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a story.

    Attributes:
        calls: ``(verb, arguments)`` of the hands, in order.
        events: what must appear in the trace: fields of an event, ``text`` for `message`; every one once.
        result: what must hold of the last ack or get: ``values`` (in any order), ``count`` of values,
            ``held`` ``{node: values}``, ``error`` its name.
    """

    calls: tuple[Call, ...]
    events: tuple[Mapping[str, str], ...] = ()
    result: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Story:
    """A story; `settings` are those of its cluster beyond N=3, R=2, W=2."""

    name: str
    settings: Mapping[str, Any]
    steps: tuple[Step, ...]


def put(client: str, value: str, context: str = "session", **options: Any) -> Call:
    """A put of the story's key; `value` as somebody would type it."""
    return "put", {"client": client, "key": KEY, "value": value, "context": context, **options}


def get(client: str, **options: Any) -> Call:
    """A get of the story's key."""
    return "get", {"client": client, "key": KEY, **options}


def on(verb: str, node: str, **options: Any) -> Call:
    """A verb of one node."""
    return verb, {"node": node, **options}


def cut(*sides: list[str]) -> Call:
    """A partition."""
    return "partition", {"sides": [list(side) for side in sides]}


HEAL: Call = ("heal", {})
STORED = {"kind": "reply", "text": "put"}
READ = {"kind": "reply", "text": "get"}
MILK, TEA, RICE = '["milk"]', '["milk", "tea"]', '["milk", "rice"]'

QUIET = {"anti_entropy_ms": 0, "read_repair": False}
"""Nothing is repaired but by hints."""

ALONE = {**QUIET, "hints": False}
"""Nothing is repaired at all."""

STORIES = (
    Story(
        "quorum_write",
        ALONE,
        (
            Step((put("alice", MILK, via="{first}"),), (STORED,), {"values": None}),
            Step((on("crash", "{third}"),), ({"kind": "stop", "node": "{third}"},)),
            Step((get("bob", via="{first}"),), (READ,), {"values": [["milk"]]}),
            Step((put("bob", TEA, via="{second}"),), (STORED,)),
            Step(
                (put("bob", RICE, via="{second}", w=3),),
                ({"kind": "fail", "text": "put"},),
                {"error": "WriteQuorumNotReached"},
            ),
        ),
    ),
    Story(
        "read_repair",
        {**ALONE, "read_repair": True},
        (
            Step((put("alice", MILK, via="{first}", w=3),), (STORED,)),
            Step(
                (cut(["{third}"], ["{first}", "{second}", "{fourth}", "{fifth}"]), put("alice", TEA, via="{first}")),
                (STORED,),
            ),
            Step((HEAL,), (), {"held": {"{third}": [["milk"]]}}),
            Step(
                (get("bob", via="{first}", r=3),),
                (
                    {"kind": "repair", "node": "{first}", "peer": "{third}"},
                    {"kind": "store", "node": "{third}", "text": "read repair"},
                ),
                {"values": [["milk", "tea"]], "held": {"{third}": [["milk", "tea"]]}},
            ),
        ),
    ),
    Story(
        "siblings",
        {**QUIET, "handoff_ms": 0},
        (
            Step(
                (put("alice", MILK, via="{first}", w=3), get("bob", via="{second}")),
                (STORED, READ),
                {"values": [["milk"]]},
            ),
            Step((cut(["{first}", "{fourth}"], ["{second}", "{third}", "{fifth}"]),), ({"kind": "fault"},)),
            Step((put("alice", TEA, via="{first}"),), (STORED, {"kind": "hint", "node": "{fourth}"})),
            Step((put("bob", RICE, via="{second}"),), (STORED,)),
            Step(
                (HEAL,),
                (
                    {"kind": "trust", "node": "{first}", "peer": "{second}"},
                    {"kind": "trust", "node": "{first}", "peer": "{third}"},
                ),
            ),
            Step((get("carol", via="{first}", r=3),), (READ,), {"values": [["milk", "tea"], ["milk", "rice"]]}),
            Step(
                (put("carol", '["milk", "tea", "rice"]', "got", via="{first}"), get("alice", via="{first}")),
                (STORED, READ),
                {"values": [["milk", "tea", "rice"]]},
            ),
        ),
    ),
    Story(
        "handoff",
        QUIET,
        (
            Step((on("crash", "{third}"),), ({"kind": "stop", "node": "{third}"},)),
            Step(
                (put("alice", MILK, via="{first}"),), (STORED, {"kind": "hint", "node": "{fourth}", "peer": "{third}"})
            ),
            Step((get("bob", via="{second}"),), (READ,), {"values": [["milk"]]}),
            Step(
                (on("recover", "{third}"),),
                (
                    {"kind": "start", "node": "{third}"},
                    {"kind": "store", "node": "{third}", "text": "handoff"},
                    {"kind": "forget", "node": "{fourth}", "peer": "{third}"},
                ),
                {"held": {"{third}": [["milk"]]}},
            ),
        ),
    ),
    Story(
        "merkle",
        {"hints": False, "read_repair": False, "anti_entropy_ms": 700},
        (
            Step(
                (
                    put("alice", MILK, via="{first}", w=3),
                    ("put", {"client": "alice", "key": "wishes", "value": '["book"]'}),
                    ("put", {"client": "alice", "key": "history", "value": '["lamp"]'}),
                ),
                (STORED,),
            ),
            Step((on("crash", "{third}"),), ({"kind": "stop", "node": "{third}"},)),
            Step((on("recover", "{third}", wipe=True),), ({"kind": "incarnation", "node": "{third}"},)),
            Step(
                (),
                ({"kind": "store", "node": "{third}", "key": KEY, "text": "anti-entropy"},),
                {"held": {"{third}": [["milk"]]}},
            ),
        ),
    ),
    Story(
        "lost_update",
        {**ALONE, "clocks": "vector"},
        (
            Step(
                (put("alice", MILK, via="{first}", w=3), get("alice", via="{first}"), get("bob", via="{first}")),
                (STORED, READ),
                {"values": [["milk"]]},
            ),
            Step((put("alice", TEA, via="{first}", w=3),), (STORED,)),
            Step((put("bob", RICE, via="{first}", w=3),), (STORED,)),
            Step((get("carol", via="{first}", r=3),), (READ,), {"values": [["milk", "rice"]]}),
        ),
    ),
    Story(
        "explosion",
        ALONE,
        (
            Step(
                (put("alice", '"milk"', "none", via="{first}"), put("bob", '"tea"', "none", via="{first}")), (STORED,)
            ),
            Step((get("carol", via="{first}"),), (READ,), {"count": 2}),
            Step(
                tuple(
                    put(client, f'"{value}"', "none", via="{first}")
                    for client, value in (("alice", "rice"), ("bob", "salt"), ("alice", "soap"), ("bob", "corn"))
                ),
                (STORED,),
            ),
            Step((get("carol", via="{first}"),), (READ,), {"count": 6}),
            Step(
                (put("carol", '"all of it"', "got", via="{first}"), get("alice", via="{first}")),
                (STORED, READ),
                {"values": ["all of it"]},
            ),
        ),
    ),
    Story(
        "stale_read",
        {**QUIET, "handoff_ms": 0},
        (
            Step((put("alice", MILK, via="{first}", w=3),), (STORED,)),
            Step((on("crash", "{second}"), on("crash", "{third}")), ({"kind": "stop", "node": "{third}"},)),
            Step((put("alice", TEA, via="{first}"),), (STORED, {"kind": "hint", "node": "{fourth}"})),
            Step(
                (on("crash", "{first}"), on("recover", "{second}"), on("recover", "{third}")),
                ({"kind": "start", "node": "{third}"},),
            ),
            Step((get("bob", via="{second}"),), (READ,), {"values": [["milk"]]}),
        ),
    ),
    Story(
        "join_leave",
        {},
        (
            Step((put("alice", MILK, w=3),), (STORED,)),
            Step((on("join", "F"),), ({"kind": "start", "node": "F"}, {"kind": "member", "node": "F"})),
            Step((get("bob"),), (READ,), {"values": [["milk"]]}),
            Step((on("leave", "{first}"),), ({"kind": "stop", "node": "{first}"},)),
            Step((get("bob"),), (READ,), {"values": [["milk"]]}),
        ),
    ),
)
"""In the order a lecture would tell them."""

BY_NAME = {story.name: story for story in STORIES}


def placed(thing: Any, walk: list[str]) -> Any:
    """`thing` with ``{first}`` ... ``{fifth}`` replaced by the nodes of a walk, wherever they stand.

    >>> placed({"node": "{second}"}, ["C", "A"])
    {'node': 'A'}
    """
    if isinstance(thing, str):
        for place, node in zip(PLACES, walk, strict=False):
            thing = thing.replace(f"{{{place}}}", node)
        return thing
    if isinstance(thing, Mapping):
        return {placed(name, walk): placed(value, walk) for name, value in thing.items()}
    if isinstance(thing, (list, tuple)):
        return type(thing)(placed(item, walk) for item in thing)
    return thing
