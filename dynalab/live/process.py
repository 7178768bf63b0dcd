"""One node as an operating system process: its main loop (paper 5).

Theory of operation.
One turn of the loop: wait until a message arrives or something is due; take what has arrived, up to a bound;
let the node handle each message, and each timer that is due; commit the store once; then carry out what it asked for.
In the durable mode that commit is one fsync for the whole turn, and no acknowledgement leaves before it.
What nobody waits for, like setting a timer, comes after what somebody waits for.

Rule 1: nothing that one message brings ends the loop; what is malformed, or not the sender's to say,
is counted and traced as `refuse`, and changes nothing.
Rule 2: a commit that fails ends the process before any effect of the turn leaves.
Rule 3: when standard input ends, the process ends, whatever it is doing.
"""

from __future__ import annotations

import gc
import os
import sys
import time
import traceback
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import IO, Any

import zmq

from dynalab.codec.bounds import WireError
from dynalab.codec.wire import decode_run, encode_fields
from dynalab.core.config import Config, Parts
from dynalab.core.effects import CancelTimer, Effect, Event, Note, Received, Reply, Send, SetTimer, Start, TimerFired
from dynalab.core.errors import InvalidSetting
from dynalab.core.messages import CLIENT_REQUESTS, ClientFailed, Message
from dynalab.core.node import Node
from dynalab.core.store import Store
from dynalab.disk.engines import open_store
from dynalab.guard import run_guarded
from dynalab.live.control import Printed
from dynalab.live.control import encode as encode_control
from dynalab.live.folder import FolderInUse, Lock
from dynalab.live.frames import Failed, Ready, notify, read_frame
from dynalab.live.instructions import Instructions, guarded_recovery, loaded_parts
from dynalab.live.keys import CONTROL, Gate
from dynalab.live.orders import obey
from dynalab.live.parcels import CONTROL_KIND, Run
from dynalab.live.prints import Prints
from dynalab.live.record import Recorder, about
from dynalab.live.spec import Spec, read_spec
from dynalab.live.timers import Timers
from dynalab.live.transport import Transport, is_client

TURN_MESSAGES_MAX = 512
"""Messages handled before the store is committed and the effects leave."""

FEED_US = 40_000
"""Pause between two batches of the trace: 25 a second."""

PART_MS = 500
"""A student's part may take so long, or half a request's deadline if that is less."""

COLLECT = (50_000, 1_000, 1_000)
"""After so many new objects Python looks for cycles among them; those that stay are hardly ever looked at again.

Messages, records and requests hold no cycles; what is looked for are exceptions, and what a student's part makes.
Looking at all records again and again was 5 % of a node's time."""

PATIENCE_US = 1_000_000
"""The longest wait when nothing is due."""

_FROM_CLIENTS = frozenset(CLIENT_REQUESTS)  # Nodes say these too, and everything else.


def log(text: str) -> None:
    """A line in the node's log file."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


class NodeProcess:
    """One node, its store, its sockets and its timers.

    Args:
        spec: what the cluster's owner says.
        store: the opened storage engine.
        parts: what a student has replaced.
        new_parts: ``new_parts(number)``: what came over standard input later.
    """

    def __init__(
        self, spec: Spec, config: Config, store: Store, parts: Parts, new_parts: Callable[[int], Parts]
    ) -> None:
        self.spec = spec
        self.config = config
        self.store = store
        self.parts = parts
        self.uses_parts = bool(parts.given())
        self.random = Random(spec.seed)
        self.timers = Timers(spec.node)
        self.recorder = Recorder(spec.run, self.config.trace, self.now_us)
        self.counters: dict[str, int] = {}
        #: {message type: [messages, bytes]} sent
        self.sent: defaultdict[type, list[int]] = defaultdict(lambda: [0, 0])
        self.skew_us = spec.skew_us
        self._origin_ns = spec.origin_ns
        self.node: Node | None = None
        self.stopped = False
        self.new_parts = new_parts
        #: (cause: number of a trace event, what the node asked for because of it)
        self._effects: list[tuple[int, list[Effect]]] = []
        #: (number, order) of the control line
        self._orders: list[tuple[int, bytes]] = []
        self.prints = Prints()
        self._fed_us = 0
        #: {number of its send event: message}, of what this turn sends; for the trace alone
        self._said: dict[int, Message] = {}
        self.zmq_context: zmq.Context[Any] = zmq.Context()
        self.gate = Gate(self.zmq_context, spec.allowed)
        self.transport = Transport(
            self.zmq_context, spec.node, spec.keys, self.gate, self.random, self.now_us, self._dropped
        )

    def now_us(self) -> int:
        """Microseconds since the cluster's start, on the clock all processes of one machine share."""
        return (time.monotonic_ns() - self._origin_ns) // 1000

    def wall_us(self) -> int:
        """The wall clock, as far off as it was told to be."""
        return time.time_ns() // 1000 + self.skew_us

    def count(self, name: str) -> None:
        """Add one to a counter of this process."""
        self.counters[name] = self.counters.get(name, 0) + 1

    def begin(self, cause: int) -> None:
        """Start the protocol, because of the owner's event `cause`."""
        guard = run_guarded(max(1, min(PART_MS, self.config.timeout_ms // 2)), self.prints.add)
        spec = self.spec
        self.node = Node(spec.node, self.config, spec.secret, self.store, self.random, self.parts, guard)
        self.handle(
            Start(spec.members, spec.seeds, spec.joining), self.recorder.add("start", cause=cause, origin="cluster")
        )

    # The loop ----------------------------------------------------------------------------------

    def run(self) -> None:
        """Turn until told to stop."""
        try:
            while not self.stopped:
                self.turn()
            self.store.close()
        finally:  # In this order; a forgotten ZeroMQ context would wait for its sockets, and the process would not end.
            self.transport.close()
            self.gate.close()
            self.zmq_context.destroy(linger=0)

    def turn(self) -> None:
        """Wait, hear, do what is due, commit, act."""
        left_us = max(0, self._due_us() - self.now_us())
        patience_ms = (left_us + 999) // 1000 if left_us < PATIENCE_US else PATIENCE_US // 1000
        arrived = self.transport.wait(patience_ms)
        if arrived:
            for sender, runs in self.transport.arrivals(TURN_MESSAGES_MAX):
                for run in runs:
                    if sender == CONTROL:
                        self._hear_owner(run)
                    else:
                        self._hear(sender, run)
        if arrived and left_us:
            self._act()
        else:
            self._do_what_is_due()

    def _due_us(self) -> int:
        """When there is something to do besides hearing messages."""
        if self._orders or self._effects:
            return 0
        due_us = self.timers.next_due_us()
        if self.transport.delayed:
            due_us = min(due_us, self.transport.next_due_us())
        if self.prints or (self.recorder.enabled and len(self.recorder)):
            due_us = min(due_us, self._fed_us + FEED_US)
        return due_us

    def _do_what_is_due(self) -> None:
        """Timers, delayed messages, the owner's orders, and news for the owner."""
        now_us = self.now_us()
        for name, cause in self.timers.due(now_us):
            self.handle(TimerFired(name), cause)
        self.transport.release(now_us)
        self._act()  # Who waits for an answer does not wait for the owner's news.
        self._obey()
        if now_us - self._fed_us >= FEED_US:
            self.feed()
        self.transport.flush()

    # Hearing -----------------------------------------------------------------------------------

    def _hear(self, sender: str, run: Run) -> None:
        """Let the node handle messages of one kind, each by itself."""
        try:
            messages = decode_run(run.kind, run.array)
        except WireError as error:
            self._hear_apart(sender, run, error)
            return
        if type(messages[0]) not in _FROM_CLIENTS and sender in self.transport.guests:
            for message in messages:
                self._refuse(sender, f"{type(message).__name__} is not for {sender} to say")
            return
        now_us, wall_us, cause, step = self.now_us(), self.wall_us(), 0, 0
        if self.recorder.enabled:
            cause, step = self.recorder.received(messages, sender, run.numbers, run.lengths(), now_us)[0], 1
        for message in messages:
            self._handle(Received(sender, message), cause, now_us, wall_us)
            cause += step

    def _hear_apart(self, sender: str, run: Run, error: WireError) -> None:
        """One message of a run is refused: the others are not."""
        if run.many == 1:
            self._refuse(sender, str(error))
            return
        try:
            alone = run.apart()
        except WireError as torn:
            self._refuse(sender, str(torn))
            return
        for one in alone:
            self._hear(sender, one)

    def _hear_owner(self, run: Run) -> None:
        if run.kind == CONTROL_KIND:
            self._orders.append((run.number, bytes(run.alone)))
        else:
            self._refuse(CONTROL, "this is no order")

    def _refuse(self, sender: str, why: str) -> None:
        self.count("refused")
        self.recorder.add("refuse", peer=sender, detail={"why": why[:200]})

    def handle(self, event: Event, cause: int) -> None:
        """Let the node handle one event; keep what it asks for until the store is committed."""
        self._handle(event, cause, self.now_us(), self.wall_us())

    def _handle(self, event: Event, cause: int, now_us: int, wall_us: int) -> None:
        if self.node is None:
            self.count("early")
            return
        if self.uses_parts and type(event) is Received:
            self.prints.request = about(event.message)[2]
        try:
            effects = self.node.handle(event, now_us, wall_us)
        except Exception:  # noqa: BLE001 - a bug of one handler must not take the node down
            effects = self._after_bug(event)
        self._effects.append((cause, effects))

    def _after_bug(self, event: Event) -> list[Effect]:
        self.count("bugs")
        log(f"a bug: handling {event!r:.500} raised\n{traceback.format_exc()}")
        self.store.rollback()
        if not isinstance(event, Received) or type(event.message) not in _FROM_CLIENTS:
            return []
        text = f"node {self.spec.node} met a bug of dynalab; cluster.logs({self.spec.node!r}) has its traceback"
        failed = ClientFailed(event.message.request, "DynalabError", text, definite=False)
        return [Reply(event.sender, failed)]

    # Acting ------------------------------------------------------------------------------------

    def _act(self) -> None:
        """Commit; then do what the node asked for, first what others are to hear."""
        if not self._effects:
            self.transport.flush()
            return
        self.store.commit()
        now_us = self.now_us()
        timers = self._say_effects(now_us)
        self.transport.flush()
        self._said.clear()
        for effect, cause in timers:
            self.timers.follow(effect, now_us, self.transport.peers, cause)

    def _say_effects(self, now_us: int) -> list[tuple[SetTimer | CancelTimer, int]]:
        """Say and note what the node asked for; answers the rest, each with its cause.

        It is written out for messages, because every one of them passes here.
        """
        pile, self._effects = self._effects, []
        traced, transport, counts = self.recorder.enabled, self.transport, self.sent
        send, guests, compress_bytes = transport.send, transport.guests, self.config.compress_bytes
        last, kind, fields, number = None, 0, b"", 0
        rest: list[tuple[SetTimer | CancelTimer, int]] = []
        for cause, effects in pile:
            effect: Any
            for effect in effects:
                form = type(effect)
                if form is not Send and form is not Reply:
                    if form is Note:
                        self.recorder.noted(effect, cause, now_us)
                    else:
                        rest.append((effect, cause))
                    continue
                to, message = effect.to, effect.message
                if message is not last:  # The same message to several nodes is encoded once.
                    try:
                        kind, fields = encode_fields(message, compress_bytes)
                    except WireError as error:
                        self._unsayable(to, message, error)
                        continue
                    last = message
                if traced:
                    number = self.recorder.sent(message, to, len(fields), cause, now_us)
                    self._said[number] = message
                if form is Reply and (to in guests or is_client(to)):
                    transport.reply(to, kind, fields, number)
                    continue
                count = counts[type(message)]
                count[0] += 1
                count[1] += len(fields)
                send(to, kind, fields, number)
        return rest

    def _unsayable(self, to: str, message: Message, error: WireError) -> None:
        """A message that cannot be bytes is lost, like one that a network loses."""
        log(f"a message to {to} is not sent: {error}")
        self.transport.traffic.dropped("unsayable")
        self.recorder.add("drop", type(message).__name__, to, detail={"why": f"unsayable: {error}"[:200]})

    def _dropped(self, to: str, number: int, why: str) -> None:
        if to == CONTROL or not self.recorder.enabled:
            return
        message = self._said.get(number)
        about_it = ("", b"", "") if message is None else about(message)  # Of an earlier turn: known by its number only.
        self.recorder.add("drop", about_it[0], to, *about_it[1:], cause=number, detail={"why": why})

    # The owner ---------------------------------------------------------------------------------

    def _obey(self) -> None:
        orders, self._orders = self._orders, []
        for number, order in orders:
            self.transport.reply(CONTROL, CONTROL_KIND, obey(self, order), number)

    def feed(self) -> None:
        """Send the owner what was recorded and printed."""
        self._fed_us = self.now_us()
        if self.prints:
            self.transport.reply(CONTROL, CONTROL_KIND, encode_control(Printed(self.prints.take())), 0)
        batch = self.recorder.batch()
        if batch is not None:
            self.transport.reply(CONTROL, CONTROL_KIND, encode_control(batch), 0)


# The process -----------------------------------------------------------------------------------


def main(orders: IO[bytes], notices: int) -> int:
    """Run one node: what it is comes over `orders`, that it is ready goes to the descriptor `notices`.

    Returns:
        The exit status. Leave by `os._exit`: a thread still reads `orders`, which cannot be closed before it ends.
    """
    frame = read_frame(orders)
    if frame is None:
        return 0
    spec = read_spec(frame)
    try:
        run(spec, orders, notices)
    except (FolderInUse, InvalidSetting, OSError) as error:
        log(f"node {spec.node} ends: {error}")
        notify(notices, Failed(spec.node, spec.run, str(error)))
        return 1
    except Exception as error:  # noqa: BLE001 - the owner gets the reason, and this process ends
        log(f"node {spec.node} ends:\n{traceback.format_exc()}")
        notify(notices, Failed(spec.node, spec.run, f"{type(error).__name__}: {error}"))
        return 1
    return 0


def run(spec: Spec, orders: IO[bytes], notices: int) -> None:
    """Lock the folder, open the store, listen, and turn until told to stop."""
    gc.set_threshold(*COLLECT)
    folder = Path(spec.folder)
    folder.mkdir(parents=True, exist_ok=True)
    instructions = Instructions(orders)
    with Lock(folder):
        parts = loaded_parts(spec.parts)
        config = Config(**spec.config)
        store = open_store(config, folder, not spec.empty_is_lost, guarded_recovery(parts))
        process = NodeProcess(spec, config, store, parts, lambda number: loaded_parts(instructions.parts(number)))
        instructions.listen()
        log(f"node {spec.node}, run {spec.run}, process {os.getpid()}, listens at {process.transport.endpoint}")
        notify(notices, Ready(spec.node, spec.run, process.transport.endpoint))
        gc.freeze()  # What is there by now stays.
        process.run()


if __name__ == "__main__":
    notices_descriptor = os.dup(1)
    os.dup2(2, 1)  # What a part prints outside a guarded call belongs into the log.
    os._exit(main(sys.stdin.buffer, notices_descriptor))
