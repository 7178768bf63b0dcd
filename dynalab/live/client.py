"""The owner's side of all connections: one thread that speaks for every client, and for the owner itself.

Theory of operation.
ZeroMQ sockets belong to one thread, so one thread has them all: a line is one user's connection to one node.
Verbs, on whatever thread, post what they want and get a future; a byte through a pair of sockets wakes the thread.
A request that is not answered by its deadline, and a grace for the way back, fails here.
Nearly all are answered long before, so a request is not put in any order of deadlines:
the thread knows a time before which none can be over, and then looks through those under way.

Rule 1: nothing that arrives ends the thread; what cannot be read is counted.
Rule 2: every request ends once: by an answer, by its deadline, or when the lines close.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from threading import Thread, current_thread, get_ident
from typing import Any

import msgspec
import zmq

from dynalab.codec.bounds import WireError
from dynalab.codec.wire import decode_run, encode_fields
from dynalab.core.errors import BadRequest, NodeIsDown, RequestTimedOut
from dynalab.core.messages import CLIENT_REPLIES, ClientGet
from dynalab.live import control
from dynalab.live.control import Answer, Events, Printed
from dynalab.live.keys import CONTROL, KeyPair, prove, secret_route
from dynalab.live.line import Ask, Line
from dynalab.live.parcels import CONTROL_KIND, Run, runs
from dynalab.live.record import Recorders
from dynalab.live.sockets import NOBLOCK, plain_socket

PATIENCE_MS = 1_000

NEVER_US = 2**63
LOOK_EVERY_US = 10_000
"""When many deadlines are over, one after the other, they are looked for no more often than this."""

FORKED = "this cluster belongs to the process that started it; a forked process starts its own"
"""A fork copies the objects of a cluster, but not the thread that would answer."""


def _new_future() -> Future[Any]:
    """A future that cannot be cancelled: the request is on its way."""
    future: Future[Any] = Future()
    future.set_running_or_notify_cancel()
    return future


class Lines:
    """All connections of one cluster's owner.

    Args:
        control_keys: the owner's own key pair.
        origin_ns: the monotonic time that is 0 in the trace.
        tracing: whether to record what clients send and receive.
        on_news: ``on_news(node, batch of events or prints)``, called on the thread of this object.
        compress_bytes: see `Config.compress_bytes`.
    """

    def __init__(
        self,
        control_keys: KeyPair,
        origin_ns: int,
        tracing: bool,
        on_news: Callable[[str, Events | Printed], None],
        compress_bytes: int = 0,
    ) -> None:
        self.unreadable = 0
        self._origin_ns = origin_ns
        self._tracing = tracing
        self._on_news = on_news
        self._compress_bytes = compress_bytes
        self._keys: dict[str, KeyPair] = {CONTROL: control_keys}
        #: {node: (endpoint, public key)}
        self._nodes: dict[str, tuple[str, bytes]] = {}
        #: {(user, node): line}
        self._lines: dict[tuple[str, str], Line] = {}
        self._by_socket: dict[Any, Line] = {}
        #: lines on which something is said and not sent yet
        self._speaking: list[Line] = []
        self._recorders = Recorders(self.now_us, on_news)
        #: lines that are closed, with requests nobody can answer any more: their deadlines end them
        self._closed: list[Line] = []
        #: before this no deadline is over
        self._look_us = NEVER_US
        self._count = 0
        self._posted: deque[Callable[[], None]] = deque()
        self._woken = False
        self._closing = False
        self._over = False
        self._pid = os.getpid()
        self._ident = 0
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._zmq_context: zmq.Context[Any] = zmq.Context()
        self._poller = zmq.Poller()
        self._poller.register(self._wake_in, zmq.POLLIN)
        self._thread = Thread(target=self._run, name="dynalab-lines", daemon=True)
        self._thread.start()

    def now_us(self) -> int:
        """Microseconds since the cluster's start."""
        return (time.monotonic_ns() - self._origin_ns) // 1000

    # For any thread ----------------------------------------------------------------------------

    def admit(self, user: str, keys: KeyPair) -> None:
        """Speak for a client with these keys from now on."""
        self._post(lambda: self._keys.__setitem__(user, keys))

    def locate(self, node: str, endpoint: str, key: bytes) -> None:
        """A node listens there from now on."""
        self._post(lambda: self._locate(node, endpoint, key))

    def lose(self, node: str) -> None:
        """A node's process is gone: its lines close, and orders it has not answered fail."""
        self._post(lambda: self._lose(node))

    def request(self, ask: Ask, node: str) -> None:
        """Ask a node: `ask` is told the reply, or RequestTimedOut, or NodeIsDown, on the thread of this object."""
        ask.node, ask.since_us = node, self.now_us()
        if get_ident() == self._ident:
            self._ask(ask)
        else:
            self._post(lambda: self._ask(ask))

    def call(self, act: Callable[[], None]) -> None:
        """Run `act` on the thread of the lines; it must not raise."""
        self._post(act)

    def order(self, node: str, order: control.Order) -> Future[Answer]:
        """Send an order on the control line; the future fails with NodeIsDown when the process ends first."""
        future: Future[Answer] = _new_future()
        self._post(lambda: self._order(node, order, future))
        return future

    def records(self) -> Future[list[tuple[str, Events]]]:
        """What clients have done since the last time, as batches."""
        future: Future[list[tuple[str, Events]]] = _new_future()
        self._post(lambda: future.set_result(self._recorders.take()))
        return future

    def is_asked(self) -> bool:
        """Whether any request waits for its answer; any thread may look."""
        return any(line.asked for line in list(self._lines.values()))

    def close(self) -> None:
        """End the thread; whoever waits for an answer gets RequestTimedOut, what was not sent yet NodeIsDown."""
        self._closing = True
        self._post(lambda: None)
        self._thread.join()

    def _post(self, act: Callable[[], None]) -> None:
        if os.getpid() != self._pid:
            raise BadRequest(FORKED)
        self._posted.append(act)
        if self._over:
            self._do_posted()  # No node is left, so everything ends at once.
        elif not self._woken:
            self._woken = True
            with contextlib.suppress(OSError):  # The thread has just ended; it does what is posted before it does.
                self._wake_out.send(b"!")

    # The thread --------------------------------------------------------------------------------

    def _run(self) -> None:
        self._ident = get_ident()
        patience_ms = PATIENCE_MS
        while not self._closing:
            for ready, _ in self._poller.poll(patience_ms):
                line = self._by_socket.get(ready)
                if line is not None:
                    self._hear(line)
                elif ready == self._wake_in.fileno():  # Else it was closed by what came before it in this turn.
                    self._awake()
            self._flush()  # First of all: somebody waits for it.
            patience_ms = self._expire()
        self._shut()

    def _awake(self) -> None:
        self._wake_in.recv(4096)
        self._woken = False  # Before the queue is emptied: what is posted from here on wakes us again.
        self._do_posted()

    def _do_posted(self) -> None:
        while self._posted:
            act = self._posted.popleft()
            try:
                act()
            except Exception as error:  # noqa: BLE001 - one wish that goes wrong must not end all lines
                report = (type(error), error, error.__traceback__, current_thread())
                threading.excepthook(threading.ExceptHookArgs(report))

    def _expire(self) -> int:
        """End the requests whose deadline is over; answers for how many milliseconds nobody need look again."""
        now_us = self.now_us()
        if now_us >= self._look_us:
            self._look(now_us)
        left_us = self._look_us - now_us
        return PATIENCE_MS if left_us >= PATIENCE_MS * 1000 else -(-left_us // 1000)

    def _look(self, now_us: int) -> None:
        under_way = [(line, ask) for line in (*self._lines.values(), *self._closed) for ask in line.under_way()]
        first_us = min([ask.due_us for _, ask in under_way], default=NEVER_US)
        self._look_us = max(first_us, now_us + LOOK_EVERY_US)
        for line, ask in under_way:
            if ask.due_us <= now_us:
                line.forget(ask)
                self._give_up(ask)
        self._closed = [line for line in self._closed if line.asked]
        self._flush()  # Whoever was given up may have asked for something else.

    def _give_up(self, ask: Ask) -> None:
        """Nobody can say any more whether a write happened."""
        waited_ms = (self.now_us() - ask.since_us) / 1000
        late = RequestTimedOut(
            f"node {ask.node} did not answer {type(ask.message).__name__} {ask.message.request!r} within "
            f"{waited_ms:.0f} ms; "
            + ("a get changes nothing" if isinstance(ask.message, ClientGet) else "it may have happened, or may yet")
        )
        late.definite = isinstance(ask.message, ClientGet)
        ask.failed(late)

    def _hear(self, line: Line) -> None:
        """Take one frame from a line that has one; the next look at all lines finds the next one.

        To try until nothing is left costs more than that look, and a busy line would keep the others waiting.
        """
        hear = self._hear_answer if line.user == CONTROL else self._hear_reply
        try:
            frame = line.socket.recv(NOBLOCK)
        except zmq.Again:
            return
        for run in runs(frame):
            self._hear_run(hear, line, run)

    def _hear_run(self, hear: Callable[[Line, Run], None], line: Line, run: Run) -> None:
        """Hear messages of one kind; one of them that cannot be read does not take the others with it."""
        try:
            hear(line, run)
        except (WireError, msgspec.MsgspecError):
            if run.many == 1:
                self.unreadable += 1
                return
            try:
                alone = run.apart()
            except WireError:
                self.unreadable += run.many
                return
            for one in alone:
                self._hear_run(hear, line, one)

    def _hear_answer(self, line: Line, run: Run) -> None:
        if run.kind != CONTROL_KIND:
            raise WireError("nodes say nothing else on the control line")
        told = control.read_answer(run.alone)
        if isinstance(told, (Events, Printed)):
            self._on_news(line.node, told)
        elif run.number in line.ordered:
            line.ordered.pop(run.number).set_result(told)

    def _hear_reply(self, line: Line, run: Run) -> None:
        messages = decode_run(run.kind, run.array)
        if type(messages[0]) not in CLIENT_REPLIES:
            raise WireError(f"{type(messages[0]).__name__} is not for a node to say to a client")
        if self._tracing:
            self._recorders.of(line.user).received(messages, line.node, run.numbers, run.lengths(), self.now_us())
        now_us = self.now_us()
        for message in messages:
            ask = line.take(message)
            while ask is not None:
                ask.answered(message, now_us - ask.since_us)
                ask = ask.later

    def _ask(self, ask: Ask) -> None:
        message = ask.message
        line = self._lines.get((ask.user, ask.node)) or self._connect(ask.user, ask.node)
        if line is None:
            ask.failed(NodeIsDown(f"node {ask.node} is not running; nothing was sent"))
            return
        try:
            kind, fields = encode_fields(message, self._compress_bytes)
        except WireError as error:
            ask.failed(BadRequest(f"this cannot be sent: {error}"))
            return
        number = 0
        if self._tracing:
            number = self._recorders.of(ask.user).sent(message, ask.node, len(fields), 0, self.now_us())
        line.add(ask)
        ask.due_us = due_us = ask.since_us + ask.wait_us
        if due_us < self._look_us:  # noqa: PLR1730 - a call of `min` costs ten times as much
            self._look_us = due_us
        self._say(line, kind, fields, number)

    def _order(self, node: str, order: control.Order, future: Future[Answer]) -> None:
        line = self._lines.get((CONTROL, node)) or self._connect(CONTROL, node)
        if line is None:
            future.set_exception(NodeIsDown(f"node {node} is not running"))
            return
        self._count += 1
        line.ordered[self._count] = future
        self._say(line, CONTROL_KIND, control.encode(order), self._count)

    def _say(self, line: Line, kind: int, fields: bytes, number: int) -> None:
        """Say something at the end of the turn."""
        parcel = line.parcel
        if not parcel.said:
            self._speaking.append(line)
        if parcel.add(kind, fields, number):
            self._send(line)

    def _flush(self) -> None:
        """Send all that was said."""
        if not self._speaking:
            return
        speaking, self._speaking = self._speaking, []
        for line in speaking:
            if line.parcel.said and not line.socket.closed:
                self._send(line)

    def _send(self, line: Line) -> None:
        """What finds no room is lost like on any network; its deadline tells whoever waits."""
        frame, said = line.parcel.take()
        try:
            line.socket.send(frame, NOBLOCK)
        except zmq.Again:
            self.unreadable += len(said)

    # Lines -------------------------------------------------------------------------------------

    def _connect(self, user: str, node: str) -> Line | None:
        """A new line; None: no such node is running."""
        if node not in self._nodes:
            return None
        endpoint, key = self._nodes[node]
        dealer = plain_socket(self._zmq_context, zmq.DEALER)
        dealer.routing_id = secret_route()
        prove(dealer, self._keys[user], key)
        dealer.connect(endpoint)
        line = Line(user, node, dealer)
        self._lines[user, node] = self._by_socket[dealer] = line
        self._poller.register(dealer, zmq.POLLIN)
        return line

    def _locate(self, node: str, endpoint: str, key: bytes) -> None:
        self._lose(node)
        self._nodes[node] = (endpoint, key)

    def _lose(self, node: str) -> None:
        self._nodes.pop(node, None)
        for line in [line for line in self._lines.values() if line.node == node]:
            self._disconnect(line)

    def _disconnect(self, line: Line) -> None:
        del self._lines[line.user, line.node], self._by_socket[line.socket]
        self._poller.unregister(line.socket)
        line.socket.close()
        if line.asked:
            self._closed.append(line)
        for future in line.ordered.values():
            future.set_exception(NodeIsDown(f"node {line.node} ended before it answered"))

    def _shut(self) -> None:
        self._nodes.clear()
        for line in list(self._lines.values()):
            self._disconnect(line)
        self._over = True  # From here on whoever posts finds neither line nor node, and so ends.
        self._do_posted()
        for ask in [ask for line in self._closed for ask in line.under_way()]:
            self._give_up(ask)
        self._wake_in.close()
        self._wake_out.close()
        self._zmq_context.destroy(linger=0)
