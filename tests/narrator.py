"""Transcripts: a script of verbs, carried out in a simulation, and the story of what the nodes did.

A transcript is blocks with an empty line between them.
A block is prose (lines that begin with #), one line that is a verb, a line of four dashes, and what then happened:

    # Two copies are enough for an answer.
    alice put cart ["milk"] via=A
    ----
    A makes version A1 of cart: ['milk'], clock [A1]
    B stores cart as [A1]
    A answers: stored on A, B (2 needed)

The first verb founds the simulation. Pings, gossip and messages that merely arrive are left out.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from typing import Any

from dynalab.core.errors import DynalabError
from dynalab.core.session import key_text
from dynalab.core.trace import TraceEvent
from dynalab.sim.cluster import Simulation

RULE = "----"
BACKGROUND = {"Ping", "PingDone", "Gossip", "GossipDone", "RootsGet", "RootsGetDone"}
STEADY = {"latency_ms": (1, 1), "seed": 7}
"""Every message takes one millisecond, so a story changes only when the protocol does."""


def retold(text: str) -> str:
    """The transcript with its verbs carried out anew."""
    stage = Stage()
    blocks = [block for block in text.split("\n\n") if block.strip()]
    return "\n\n".join(_retold_block(block, stage) for block in blocks) + "\n"


def _retold_block(block: str, stage: Stage) -> str:
    head = block.strip("\n").split(f"\n{RULE}")[0].split("\n")
    verbs = [line for line in head if not line.startswith("#")]
    if not verbs:
        return "\n".join(head)
    (verb,) = verbs
    return "\n".join([*head, RULE, *stage.carry_out(verb)])


class Stage:
    """The simulation of one transcript, its clients, and how far its story has been told."""

    def __init__(self) -> None:
        self.sim: Simulation | None = None
        self.clients: dict[str, Any] = {}
        self.told = 0

    def carry_out(self, line: str) -> list[str]:
        """Do what one line says; answers what happened, then what came of it."""
        words, options = _parsed(line)
        if words[0] == "simulation":
            self.sim = Simulation(_value(words[1]), **STEADY | options)
            self.told = len(self.sim.events)
            return [repr(self.sim)]
        try:
            outcome = self._verb(words, options)
        except DynalabError as error:
            outcome = [f"{type(error).__name__} ({'definite' if error.definite else 'unknown'}): {error}"]
        return [*self._story(), *outcome]

    def _verb(self, words: list[str], options: dict[str, Any]) -> list[str]:
        sim = self.sim
        assert sim is not None, "a transcript begins with `simulation`"
        if words[0] == "show":
            return list(self._shown(words[1]))
        if words[0] == "run":
            sim.run(ms=float(words[1]))
            return []
        if hasattr(sim, words[0]):
            getattr(sim, words[0])(*words[1:], **options)
            return []
        client = self.clients.setdefault(words[0], sim.client(words[0]))
        arguments = [words[2], *map(_value, words[3:])]
        return _said(getattr(client, words[1])(*arguments, **options))

    def _shown(self, key: str) -> Iterator[str]:
        """What every node that has anything of `key` holds: its siblings and its hints."""
        assert self.sim is not None
        for node, state in self.sim.states().items():
            if state != "up":
                yield f"{node} is {state}"
                continue
            seen = self.sim.inspect(node)
            if key in seen["records"]:
                siblings = seen["records"][key]["siblings"]
                yield f"{node} holds " + (", ".join(_version(each) for each in siblings) or "nothing")
            yield from (f"{node} keeps a hint for {hint['home']}" for hint in seen["hints"] if hint["key"] == key)

    def _story(self) -> list[str]:
        assert self.sim is not None
        events = self.sim.events[self.told :]
        self.told = len(self.sim.events)
        return [sentence for event in events if (sentence := sentence_of(event))]


def _version(sibling: dict[str, Any]) -> str:
    value = "a deletion" if sibling["deleted"] else json.dumps(sibling["value"], ensure_ascii=False)
    return f"{value} as {sibling['dot']} {_clock(sibling['clock'])}"


def _clock(clock: dict[str, int]) -> str:
    return "[" + ", ".join(f"{actor}{clock[actor]}" for actor in sorted(clock)) + "]"


def _said(result: Any) -> list[str]:
    if hasattr(result, "used_context"):
        nodes = [f"{node} (for {result.hinted[node]})" if node in result.hinted else node for node in result.nodes]
        return [f"ok: {result.coordinator} stored it on {', '.join(nodes)}"]
    values = ", ".join(json.dumps(value, ensure_ascii=False) for value in result.values) or "not found"
    stale = f"; stale: {', '.join(result.stale_nodes)}" if result.stale_nodes else ""
    return [f"got {values} from {', '.join(result.nodes)}{stale}"]


def _parsed(line: str) -> tuple[list[str], dict[str, Any]]:
    """The words of a line, and its ``name=value`` options; values are JSON, or bare words."""
    lexer = shlex.shlex(line, posix=False)
    lexer.whitespace_split, lexer.commenters, lexer.quotes = True, "", "'"
    words = [word.strip("'") for word in lexer]
    options = {
        name: _value(value)
        for name, _, value in (word.partition("=") for word in words[1:])
        if value and re.fullmatch(r"\w+", name)
    }
    return [word for word in words if word.partition("=")[0] not in options], options


def _value(word: str) -> Any:
    try:
        return json.loads({"True": "true", "False": "false", "None": "null"}.get(word, word))
    except ValueError:
        return word


# --- one sentence for one event ---------------------------------------------------------------------------------------


def sentence_of(event: TraceEvent) -> str:
    """What a node did, in the paper's words; empty when it is not worth telling."""
    told = _SENTENCES.get(event.kind)
    return told(event, key_text(event.key), event.detail) if told else ""


def _write(event: TraceEvent, key: str, detail: dict[str, Any]) -> str:
    value = "a deletion" if detail["value"] == "None" else detail["value"]
    actor, counter = detail["dot"]
    home = f", as a hint for {event.peer}" if event.peer else ""
    return f"{event.node} makes version {actor}{counter} of {key}: {value}, clock {_clock(detail['clock'])}{home}"


def _store(event: TraceEvent, key: str, detail: dict[str, Any]) -> str:
    why = {"put": "stores", "read repair": "is repaired by the read, and stores"}
    verb = why.get(event.message, f"learns by {event.message}, and stores")
    return f"{event.node} {verb} {key} as [{', '.join(detail['dots'])}]"


def _lost(event: TraceEvent, key: str, detail: dict[str, Any]) -> str:
    if event.message in BACKGROUND:
        return ""
    return f"{event.message} from {event.node} to {event.peer} is lost: {detail.get('why', '')}"


def _forget(event: TraceEvent, key: str, detail: dict[str, Any]) -> str:
    what = f"its hint of {key} for {event.peer}" if event.peer else f"its copy of {key}"
    return f"{event.node} forgets {what}"


def _reply(event: TraceEvent, key: str, detail: dict[str, Any]) -> str:
    did = "stored on" if event.message == "put" else "read from"
    return f"{event.node} answers: {did} {', '.join(detail['nodes'])} ({detail['need']} needed)"


def _exchange(event: TraceEvent, key: str, detail: dict[str, Any]) -> str:
    keys = detail.get("keys", 0)
    return f"{event.node} and {event.peer} found {keys} keys to differ ({event.message})" if keys else ""


_SENTENCES: dict[str, Any] = {
    "write": _write,
    "store": _store,
    "drop": _lost,
    "forget": _forget,
    "reply": _reply,
    "exchange": _exchange,
    "hint": lambda e, key, d: f"{e.node} keeps {key} as [{', '.join(d['dots'])}] for {e.peer}",
    "handoff": lambda e, key, d: f"{e.node} has handed {key} over to {e.peer}",
    "repair": lambda e, key, d: f"{e.node} sees that {e.peer} has missed a write of {key}",
    "suspect": lambda e, key, d: f"{e.node} suspects {e.peer}: {d['why']}",
    "trust": lambda e, key, d: f"{e.node} trusts {e.peer} again",
    "member": lambda e, key, d: f"{e.node} declares {e.peer} {d['status']}" if "status" in d else "",
    "incarnation": lambda e, key, d: f"{e.node} counts under a new name: {d['why']}",
    "refuse": lambda e, key, d: f"{e.node} refuses: {e.message}",
    "fail": lambda e, key, d: f"{e.node} gives up: {d['error']}",
    "fault": lambda e, key, d: f"* {d['verb']}",
}
