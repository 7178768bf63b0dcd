"""A toy of three replicas with the real session and the real siblings, and no protocol at all.

It exists to be broken: a test plants one mistake, and the judge must name it.
"""

from __future__ import annotations

from typing import Any

from dynalab.check.history import History
from dynalab.check.invariants import Evidence, judge
from dynalab.check.recorder import Recorder
from dynalab.check.report import Report
from dynalab.core.clock import Context, Dot
from dynalab.core.config import Config
from dynalab.core.errors import WriteQuorumNotReached
from dynalab.core.messages import ClientGetDone, ClientPutDone
from dynalab.core.session import Session, decode_value, encode_key, key_text
from dynalab.core.version import Siblings

NODES = ("A", "B", "C")


class Toy:
    """Three nodes that all keep every key; `put` stores where it is told to."""

    def __init__(self, config: Config | None = None) -> None:
        self.config = config or Config()
        self.nodes = list(NODES)
        self.now_ms = 0.0
        self.held: dict[str, dict[bytes, Siblings]] = {node: {} for node in NODES}
        self.silent = False
        self._default = self.client("cluster")

    def client(self, name: str, via: str = "A") -> ToyClient:
        return ToyClient(self, name, via)

    def put(self, key: str | bytes, value: Any, **options: Any) -> Any:
        return self._default.put(key, value, **options)

    def get(self, key: str | bytes, **options: Any) -> Any:
        return self._default.get(key, **options)

    def state(self, node: str, key: str | bytes) -> Siblings:
        return self.held[node].get(encode_key(key), Siblings())

    def states(self) -> dict[str, str]:
        return dict.fromkeys(NODES, "up")

    def settle(self) -> None:
        """Every replica meets every other."""
        for key in sorted({key for records in self.held.values() for key in records}):
            merged = Siblings()
            for node in NODES:
                merged = merged.merge(self.held[node].get(key, Siblings()))
            for node in NODES:
                self.held[node][key] = merged

    def recover(self, node: str, wipe: bool = False) -> None:
        if wipe:
            self.held[node].clear()

    def tick(self) -> None:
        self.now_ms += 1

    def inspect(self, node: str) -> dict[str, Any]:
        records = {key_text(key): _record(state) for key, state in self.held[node].items()}
        empty: dict[str, Any] = {
            "hints": [],
            "requests": [],
            "transfers": 0,
            "misplaced": 0,
            "counters": {},
            "roots": {},
        }
        return {"node": node, "keys": len(records), "records": records, **empty}


def _record(state: Siblings) -> dict[str, Any]:
    shown = [
        {
            "value": None if v.value is None else decode_value(v.value),
            "clock": dict(v.clock),
            "dot": str(v.dot),
            "deleted": v.deleted,
        }
        for v in state.versions
    ]
    return {"siblings": shown, "clock": dict(state.clock)}


class ToyClient:
    """The verbs of a client, straight on the replicas."""

    def __init__(self, toy: Toy, name: str, via: str) -> None:
        self.toy = toy
        self.via = via
        self.session = Session(name, toy.config, name)

    def put(self, key: str | bytes, value: Any, on: str = "ABC", **options: Any) -> Any:
        return self._write(self.session.put(key, value, **options), on)

    def delete(self, key: str | bytes, on: str = "ABC", **options: Any) -> Any:
        return self._write(self.session.delete(key, **options), on)

    def get(self, key: str | bytes, on: str = "ABC", **options: Any) -> Any:
        message = self.session.get(key, **options)
        self.toy.tick()
        merged = Siblings()
        for node in on:
            merged = merged.merge(self.toy.state(node, key))
        done = ClientGetDone(message.request, message.key, self.via, merged, merged.context, tuple(on), (), "")
        return self.session.answer(done, 1.0)

    def _write(self, message: Any, on: str) -> Any:
        self.toy.tick()
        used = Context.EMPTY
        for context in message.contexts:
            used = used.join(context)
        before = self.toy.state(self.via, message.key)
        used = before.context if message.local else used
        state = before.put(self.via, message.value, used)
        dot = Dot(self.via, state.counter_of(self.via))
        for node in on:
            self.toy.held[node][message.key] = self.toy.state(node, message.key).merge(state)
        if self.toy.silent:
            raise WriteQuorumNotReached("0 of 2 nodes answered in time")
        context = used.join(Context({}, (dot,)))
        deleted = message.value is None
        done = ClientPutDone(message.request, message.key, self.via, tuple(on), (), context, used, 0, deleted)
        return self.session.answer(done, 1.0)


def toy_recorder(**settings: Any) -> Recorder:
    return Recorder(Toy(Config(**settings)))


def verdict(recorder: Recorder, **evidence: Any) -> Report:
    """The judge's report on a toy that has settled."""
    return judge(evidence_of(recorder, **evidence))


def evidence_of(recorder: Recorder, **more: Any) -> Evidence:
    history: History = recorder.history
    inspections = recorder.inspections()
    return Evidence(history, inspections, lambda key: NODES, recorder.cluster.config, **more)
