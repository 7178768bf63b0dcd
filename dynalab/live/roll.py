"""The roll of a cluster's nodes: which process each has, where it listens, and what state it is in.

Written by the keeper's notices and by the verbs; read by everybody; waited on instead of slept for.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import psutil

from dynalab.core.errors import DynalabError
from dynalab.live.frames import Ended, Failed, Halted, Notice, Ready, Started
from dynalab.live.keys import KeyPair

STARTING, UP, PAUSED, CRASHED = "starting", "up", "paused", "crashed"


class NodeFailed(DynalabError):
    """A node's process could not start, or its keeper is gone; the text says why."""


@dataclass
class Entry:
    """What is known of one node.

    Attributes:
        run: how many processes it has had.
        state: starting, up, paused or crashed.
        endpoint: where its present process listens.
        expected: its end was asked for.
        failure: why its present process could not start.
    """

    node: str
    keys: KeyPair = field(repr=False)
    run: int = 0
    state: str = CRASHED
    endpoint: str = ""
    expected: bool = False
    failure: str = ""
    skew_us: int = 0
    process: psutil.Process | None = None


class Roll:
    """All nodes of one cluster, in the order they came."""

    def __init__(self, on_change: Callable[[Entry, str], None]) -> None:
        self.entries: dict[str, Entry] = {}
        self.keeper_failure = ""
        self._on_change = on_change
        self._changed = threading.Condition()

    def add(self, node: str) -> Entry:
        """A node that has no process yet."""
        entry = self.entries[node] = Entry(node, KeyPair.new())
        return entry

    def remove(self, node: str) -> None:
        """A node has left the cluster."""
        self.entries.pop(node, None)

    def in_state(self, *states: str) -> list[str]:
        """The nodes in one of these states."""
        return [node for node, entry in list(self.entries.items()) if entry.state in states]

    def starting(self, node: str) -> Entry:
        """A new process is about to be started for the node."""
        entry = self.entries[node]
        entry.run += 1
        entry.state, entry.endpoint, entry.failure, entry.expected = STARTING, "", "", False
        return entry

    def hear(self, notice: Notice) -> None:
        """Note what the keeper or a node says."""
        with self._changed:
            entry = self.entries.get(notice.node)
            if entry is None:
                self._hear_of_keeper(notice)
            elif entry.run == notice.run:
                self._note(entry, notice)
            self._changed.notify_all()

    def _hear_of_keeper(self, notice: Notice) -> None:
        if isinstance(notice, Failed) and not notice.node:
            self.keeper_failure = notice.text
            for entry in self.entries.values():
                self._set(entry, CRASHED)

    def _note(self, entry: Entry, notice: Notice) -> None:
        match notice:
            case Started(pid=pid):
                entry.process = _process(pid)
            case Ready(endpoint=endpoint):
                entry.endpoint = endpoint
            case Failed(text=text):
                entry.failure = text
            case Halted(halted=halted) if entry.state in (UP, PAUSED):
                self._set(entry, PAUSED if halted else UP)
            case Ended(status=status):
                entry.failure = entry.failure or f"its process ended with status {status}"
                self._set(entry, CRASHED)
            case _:
                pass  # Halted before it is up: `Ready` is still to come.

    def _set(self, entry: Entry, state: str) -> None:
        if entry.state != state:
            before, entry.state = entry.state, state
            self._on_change(entry, before)

    def up(self, node: str) -> None:
        """A node has been told its peers, and has begun."""
        with self._changed:
            entry = self.entries[node]
            if entry.state == STARTING:
                self._set(entry, UP)
            self._changed.notify_all()

    def wait(self, is_so: Callable[[], bool], timeout_s: float, what: str) -> None:
        """Until `is_so`.

        Raises:
            NodeFailed: it is not so within the time, or the keeper is gone.
        """
        with self._changed:
            self._changed.wait_for(lambda: is_so() or self.keeper_failure, timeout_s)
            if not is_so():
                raise NodeFailed(f"{what}: {self.keeper_failure or f'not within {timeout_s:g} s'}")

    def wait_ready(self, nodes: list[str], timeout_s: float) -> None:
        """Until these nodes listen.

        Raises:
            NodeFailed: one cannot; the text says why.
        """
        entries = [self.entries[node] for node in nodes]
        self.wait(
            lambda: any(entry.failure for entry in entries) or all(entry.endpoint for entry in entries),
            timeout_s,
            f"starting {', '.join(nodes)}",
        )
        failed = [entry for entry in entries if entry.failure]
        if failed:
            self.wait_state(failed[0].node, CRASHED, timeout_s)
            raise NodeFailed(f"node {failed[0].node} did not start: {failed[0].failure}")

    def wait_state(self, node: str, state: str, timeout_s: float) -> None:
        """Until a node is in a state."""
        entry = self.entries[node]
        self.wait(lambda: entry.state == state, timeout_s, f"waiting for node {node} to be {state}")


def _process(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except psutil.NoSuchProcess:
        return None  # It has ended already; the notice of that is on its way.
