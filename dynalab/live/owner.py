"""What a cluster owns: its folder, its keeper, its nodes' processes, its lines, and what they have told.

Theory of operation.
`Owner` carries out, `Cluster` decides: arguments that come here are checked.
What happens to a process is heard from the keeper and noted in the roll; every wait is for such a note, or an answer.

Rule 1: `close` works from every state, any number of times, and leaves neither process nor folder.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path
from typing import Any

import psutil

from dynalab.core.config import Config, Parts
from dynalab.core.errors import NodeIsDown, PartFailed
from dynalab.core.faults import Faults
from dynalab.core.membership import founding
from dynalab.core.messages import Member
from dynalab.live import control
from dynalab.live.client import Lines
from dynalab.live.control import Answer, Events, Printed, Refused, Told
from dynalab.live.folder import emptied, new_folders, node_folder, remember_founding, sweep
from dynalab.live.frames import Halted
from dynalab.live.gather import Gathering
from dynalab.live.keys import CLIENT, CONTROL, KeyPair
from dynalab.live.record import Recorder
from dynalab.live.roll import CRASHED, PAUSED, UP, Entry, NodeFailed, Roll
from dynalab.live.spawn import KEEPER, KeeperHandle, pickled
from dynalab.live.spec import Spec, plain
from dynalab.live.tally import Tally

START_S = 30
"""How long a node's process may take to listen."""

CONTROL_S = 10
"""How long a running node may take to obey an order."""

PAUSE_CHECK_S = 0.2
"""How often to look whether a node that is waited for has been paused."""

GENTLE_S = 5
"""How long nodes whose data stay may take to close their stores."""

FLUSH_S = 1
SEEDS = 3
"""A node that starts knows so many others without gossip (4.8.2)."""

PRINTS_KEPT = 10_000


class Owner:
    """All that must go when a cluster goes.

    Args:
        config: the settings.
        parts: what a student replaced.
        keeper: the module of the keeper to run.
    """

    def __init__(self, config: Config, parts: Parts, keeper: str = KEEPER) -> None:
        self.config = config
        self.parts, self.has_parts = parts, bool(parts.given())
        self.faults = Faults()
        self.tally = Tally()
        self.origin_ns = time.monotonic_ns()
        self.gathering = Gathering()
        self.closed = False
        #: prints of parts: (node, request, part, text)
        self.prints: deque[tuple[str, str, str, str]] = deque(maxlen=PRINTS_KEPT)
        self._pickled = pickled(parts)
        self.pid = os.getpid()
        self._deployed = 0
        self._closing = threading.Lock()
        self._control = KeyPair.new()
        #: {user: key pair} of clients
        self._clients: dict[str, KeyPair] = {}
        #: what the verbs do, at ``cluster``
        self._faults_record = Recorder(1, config.trace, self.now_us)
        #: {node: what only the owner sees of it: that its process is gone}
        self._ends: dict[str, Recorder] = {}
        self._cause = 0
        sweep()
        self.folder, (self._data, self.secret, self._founded_before) = new_folders(config.data_dir)
        #: nodes that have left: their old disks would tell an old story
        self._removed: set[str] = set()
        self._founders: tuple[Member, ...] = ()
        self.roll = Roll(self._on_change)
        self._halts_reported = keeper == KEEPER
        self._lines = Lines(self._control, self.origin_ns, config.trace, self._on_news, config.compress_bytes)
        #: every request goes this way, so it is a short one
        self.request, self.call, self.is_asked = self._lines.request, self._lines.call, self._lines.is_asked
        try:
            self._keeper = KeeperHandle(self.folder, self.roll.hear, keeper)
        except BaseException:
            self._lines.close()
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def now_us(self) -> int:
        """Microseconds since the cluster's start."""
        return (time.monotonic_ns() - self.origin_ns) // 1000

    # Nodes -------------------------------------------------------------------------------------

    def found(self, names: Sequence[str]) -> None:
        """Start the founding nodes."""
        for node in names:
            self.roll.add(node)
        self._founders = founding(names, self.config)
        self._start(list(names), self._founders, lost={node: node in self._founded_before for node in names})
        if self.config.data_dir is not None:
            remember_founding(self._data, {*self._founded_before, *names})

    def recover(self, node: str, wipe: bool) -> None:
        """Start a crashed node again; one that nobody has heard of yet still wants to join."""
        if wipe:
            emptied(node_folder(self._data, node))
        members = self.history()
        self._start([node], members, {node: True}, joining=node not in {member.node for member in members})

    def join(self, node: str, config: Config) -> None:
        """Start a new node, which asks to be in the ring; one that was here before has nothing of its former life."""
        self.config = config
        self.roll.add(node)
        if node in self._removed:
            emptied(node_folder(self._data, node))
        self._start([node], (), lost={node: node in self._removed | self._founded_before}, joining=True)

    def _start(
        self, nodes: list[str], members: tuple[Member, ...], lost: dict[str, bool], joining: bool = False
    ) -> None:
        for node in nodes:
            self._keeper.bear(self._spec(self.roll.starting(node), members, lost[node], joining))
        self.roll.wait_ready(nodes, START_S)
        for node in nodes:
            entry = self.roll.entries[node]
            self._lines.locate(node, entry.endpoint, entry.keys.public)
        told = self._introduce(nodes)
        orders = (self._set_faults(), control.Begin(self._cause))
        told += [(node, self._lines.order(node, order)) for node in nodes for order in orders]
        self._await(told)
        for node in nodes:
            self.roll.up(node)

    def _spec(self, entry: Entry, members: tuple[Member, ...], lost: bool, joining: bool) -> Spec:
        return Spec(
            node=entry.node,
            run=entry.run,
            config=plain(self.config),
            secret=self.secret,
            public=entry.keys.public,
            private=entry.keys.secret,
            folder=str(node_folder(self._data, entry.node)),
            empty_is_lost=lost,
            origin_ns=self.origin_ns,
            seed=int.from_bytes(os.urandom(8), "big") >> 1,
            members=members,
            seeds=tuple(node for node in self.roll.entries if node != entry.node)[:SEEDS],
            joining=joining,
            skew_us=entry.skew_us,
            allowed=self._allowed(),
            parts=self._pickled,
        )

    def crash(self, node: str) -> None:
        """Kill a node's process, and wait until it is gone."""
        entry = self.roll.entries[node]
        if self.config.trace and entry.state == UP:
            wait([self._lines.order(node, control.Flush())], FLUSH_S)
        self._kill(entry)

    def _kill(self, entry: Entry) -> None:
        entry.expected = True
        if entry.process is not None:
            with contextlib.suppress(psutil.NoSuchProcess):  # It has ended by itself, perhaps only just.
                entry.process.kill()
        self.roll.wait_state(entry.node, CRASHED, CONTROL_S)

    def remove(self, node: str) -> None:
        """End the process of a node that has left, and forget the node."""
        entry = self.roll.entries[node]
        if entry.state == UP:
            wait([self._lines.order(node, control.Stop())], CONTROL_S)
        if entry.state != CRASHED:
            self._kill(entry)
        self.roll.remove(node)
        self._removed.add(node)
        self._await(self._introduce([]))

    def pause(self, node: str) -> None:
        """Stop a process for a while."""
        entry = self.roll.entries[node]
        assert entry.process is not None
        entry.process.suspend()
        self._halted(entry, True)
        self.roll.wait_state(node, PAUSED, CONTROL_S)

    def resume(self, node: str) -> None:
        """Let it go on; wait until it has obeyed what it was told meanwhile."""
        entry = self.roll.entries[node]
        assert entry.process is not None
        entry.process.resume()
        self._halted(entry, False)
        self.roll.wait_state(node, UP, CONTROL_S)
        self.order([node], control.Flush())

    def _halted(self, entry: Entry, halted: bool) -> None:
        """Where no keeper can report it, note it ourselves."""
        if not self._halts_reported:
            self.roll.hear(Halted(entry.node, entry.run, halted))

    # Orders ------------------------------------------------------------------------------------

    def order(self, nodes: Iterable[str], order: control.Order) -> dict[str, Answer]:
        """Tell these nodes, and wait for those that run; a node that dies meanwhile does not answer."""
        futures = {node: self._lines.order(node, order) for node in nodes}
        return self._answers(futures)

    def order_all(self, order: control.Order) -> dict[str, Answer]:
        """Tell every node that has a process; paused ones obey when they go on."""
        return self.order(self.roll.in_state(UP, PAUSED), order)

    def ask(self, node: str, order: control.Order) -> Any:
        """What a running node tells.

        Raises:
            NodeIsDown: it does not run, or ended before it answered.
        """
        answer = self.order([node], order).get(node)
        if not isinstance(answer, Told):
            raise NodeIsDown(
                f"node {node!r} did not answer: {answer.text if isinstance(answer, Refused) else 'it is down'}"
            )
        return answer.content

    def _answers(self, futures: dict[str, Future[Answer]]) -> dict[str, Answer]:
        self._await(futures.items())
        return {node: each.result() for node, each in futures.items() if each.done() and each.exception() is None}

    def _await(self, futures: Iterable[tuple[str, Future[Answer]]]) -> None:
        """Until every node that runs has answered; paused ones will when they go on.

        Raises:
            NodeFailed: a running node has not answered for so long that something must be wrong with it.
        """
        deadline = time.monotonic() + CONTROL_S
        waiting = {future: node for node, future in futures}
        while waiting:
            done = wait(waiting, PAUSE_CHECK_S, FIRST_COMPLETED).done
            paused = self.roll.in_state(PAUSED)
            waiting = {future: node for future, node in waiting.items() if future not in done and node not in paused}
            if waiting and time.monotonic() > deadline:
                silent = ", ".join(sorted(set(waiting.values())))
                raise NodeFailed(f"node {silent} runs, but has not obeyed for {CONTROL_S} s; see cluster.logs(...)")

    def _introduce(self, new: list[str]) -> list[tuple[str, Future[Answer]]]:
        """Tell every node who is where; their answers to come."""
        entries = [entry for entry in self.roll.entries.values() if entry.endpoint and entry.state != CRASHED]
        know = control.Know({entry.node: (entry.endpoint, entry.keys.public) for entry in entries}, self._allowed())
        return [(node, self._lines.order(node, know)) for node in [*self.roll.in_state(UP, PAUSED), *new]]

    def _allowed(self) -> dict[bytes, str]:
        allowed = {entry.keys.public: entry.node for entry in self.roll.entries.values()}
        allowed |= {keys.public: user for user, keys in self._clients.items()}
        return {**allowed, self._control.public: CONTROL}

    def _set_faults(self) -> control.SetFaults:
        return control.SetFaults.of(self.faults)

    def set_faults(self, faults: Faults) -> None:
        """These faults on all links from now on."""
        self.faults = faults
        self.order_all(self._set_faults())

    def redeploy(self, parts: Parts) -> None:
        """New parts for all nodes.

        Raises:
            PartFailed: a node could not load them.
        """
        sent = pickled(parts)
        self._deployed += 1
        nodes = self.roll.in_state(UP, PAUSED)
        self._keeper.hand(nodes, self._deployed, sent)
        answers = self.order(nodes, control.TakeParts(self._deployed))
        for node, answer in answers.items():
            if isinstance(answer, Refused):
                failed = PartFailed(f"node {node}: {answer.text}")
                failed.traceback = answer.traceback
                raise failed
        self.parts, self._pickled, self.has_parts = parts, sent, bool(parts.given())

    # Clients -----------------------------------------------------------------------------------

    def admit(self, user: str) -> None:
        """Let a client of this name in at every node; fine when it is in already."""
        if user not in self._clients:
            self.admit_early(user)
            self._await(self._introduce([]))

    def admit_early(self, user: str) -> None:
        """Let a client in at every node that is yet to start."""
        keys = self._clients[user] = KeyPair.new()
        self._lines.admit(user, keys)

    def history(self) -> tuple[Member, ...]:
        """The longest membership history that a running node knows; with none of them, how the cluster began."""
        answers = self.order(self.roll.in_state(UP), control.Remember())
        told = [answer.content for answer in answers.values() if isinstance(answer, Told)]
        return tuple(Member(*event) for event in max([self._founders, *told], key=len))

    # News --------------------------------------------------------------------------------------

    def _on_news(self, node: str, news: Events | Printed) -> None:
        if isinstance(news, Events):
            self.gathering.add(node, news)
        else:
            self.prints.extend((node, *line) for line in news.lines)

    def _on_change(self, entry: Entry, before: str) -> None:
        """A node's state is another now: its lines close when its process is gone, and the trace hears of it."""
        if entry.state == CRASHED:
            self._lines.lose(entry.node)
            ends = self._ends.setdefault(entry.node, Recorder(0, self.config.trace, self.now_us))
            asked = {} if entry.expected else {"why": entry.failure}
            ends.add("stop", cause=self._cause if entry.expected else 0, origin="cluster", detail=asked)

    def fault(self, verb: str) -> None:
        """Record a verb; what follows from it names it as its cause."""
        self._cause = self._faults_record.add("fault", detail={"verb": verb})

    def take_prints(self, others: set[str]) -> list[tuple[str, str, str, str]]:
        """``(node, request, part, text)`` of what parts have printed so far, but for requests of `others`."""
        self.order(self.roll.in_state(UP), control.Flush())
        printed = [self.prints.popleft() for _ in range(len(self.prints))]
        theirs = [line for line in printed if any(is_for(line[1], request) for request in others)]
        self.prints.extend(theirs)
        return [line for line in printed if line not in theirs]

    def gather(self) -> None:
        """Have everything that has happened so far in the trace."""
        self.order(self.roll.in_state(UP), control.Flush())
        for user, seen in self._lines.records().result(CONTROL_S):
            self.gathering.add(user, seen)
        for node, recorder in [("cluster", self._faults_record), *self._ends.items()]:
            batch = recorder.batch()
            if batch is not None:
                self.gathering.add(node, batch)

    def log(self, node: str) -> Path:
        """The log file of a node."""
        return self._keeper.log(node)

    def close(self) -> None:
        """End everything; fine from every state, and in a forked child of the owner a matter of nothing."""
        if os.getpid() != self.pid:
            return
        with self._closing:
            if self.closed:
                return
            self.closed = True
            if self.config.data_dir is not None:
                self._stop_gently()
            self._keeper.close()
            self._lines.close()
            shutil.rmtree(self.folder, ignore_errors=True)

    def _stop_gently(self) -> None:
        """Let nodes whose data stay close their stores; what does not end in time is killed as ever."""
        for node in self.roll.in_state(UP):
            self.roll.entries[node].expected = True
            self._lines.order(node, control.Stop())
        with contextlib.suppress(NodeFailed):
            self.roll.wait(lambda: not self.roll.in_state(UP), GENTLE_S, "closing the stores")


def is_for(asked: str, request: str) -> bool:
    """Whether what nodes ask each other by the id `asked` serves a client's request: it has its id, or adds to it."""
    return asked == request or asked.startswith(f"{request}/")


def user_of(name: str) -> str:
    """The sender name of a client."""
    return CLIENT + name
