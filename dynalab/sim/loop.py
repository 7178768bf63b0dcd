"""Virtual time: the heap of what is due, and how the effects of nodes are carried out.

Theory of operation.
Everything that will happen lies in one heap, ordered by virtual time, then by the order it was put there.
`step` takes the first and carries it out; nothing ever waits for a real clock.
What comes from outside (a client's request, a crash, a cut) enters through `act`,
which writes down after how many steps it came.
Carrying out the same acts after the same steps gives the same world: that is replay, and time travel.

Rule 1: an action's place in the heap is (time, counter): at one time, things happen in the order they were asked for.
Rule 2: an act takes effect at once, between two steps.
Rule 3: callbacks to the outside (`done`, `call_at`) end a step, so their acts too fall between two steps.

Most requests are answered long before their client, or their coordinator's timer, would lose patience.
So of all that is due after an equally long wait only the first lies in the heap, and the rest queue up behind it:
the heap stays as small as what is really under way.
"""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from heapq import heappop, heappush
from typing import Any, NamedTuple, Protocol

from dynalab.core.config import Config, Parts
from dynalab.core.effects import CancelTimer, Note, Received, Reply, Send, SetTimer, TimerFired
from dynalab.core.errors import BadRequest, PartFailed
from dynalab.core.messages import ClientFailed, Message
from dynalab.sim.chance import stream
from dynalab.sim.host import CRASHED, PAUSED, UP, Host
from dynalab.sim.network import Latency, Network
from dynalab.sim.record import SIZERS, Record

Entry = tuple[Any, ...]
"""``(time_us, counter, action, ...)``; the action takes the whole entry: cheaper than arguments."""

Done = Callable[[str, Message | None], None]
"""``done(sender, reply)`` when a request is answered; the reply is None when the client gave up."""


class Founding(NamedTuple):
    """All that a simulation follows from, besides what is done to it later."""

    names: tuple[str, ...]
    config: Config
    parts: Parts
    seed: int
    latency: Latency


class Act(NamedTuple):
    """Something that came from outside, and when.

    Attributes:
        steps: how many steps had been carried out before it.
        now_us: the virtual time.
        name: which act; the world has a method ``_act_`` with this name.
        arguments: of the act.
    """

    steps: int
    now_us: int
    name: str
    arguments: tuple[Any, ...]


class Ends(Protocol):
    """Something under way."""

    done: bool


YOUNG_MAX = 50_000
"""While a simulation runs, Python looks for cycles among so many new objects at a time.

Messages, records and requests hold none; to look after every 700 objects was a twentieth of a put's instructions."""


@contextmanager
def collecting_rarely() -> Iterator[None]:
    """Until this ends; where the collector is off, it stays so."""
    young, *older = gc.get_threshold()
    if not 0 < young < YOUNG_MAX:
        yield
        return
    gc.set_threshold(YOUNG_MAX, *older)
    try:
        yield
    finally:
        gc.set_threshold(young, *older)


class Loop:
    """Nodes and network in virtual time.

    Attributes:
        now_us: virtual time.
        steps: actions carried out so far.
        handled: those of them at which a node or a client really heard something.
        hosts: ``{name: Host}`` in the order they came.
        acts: all that came from outside, for replay.
        closed: whether it takes no more acts.
    """

    def __init__(self, founded: Founding) -> None:
        self.now_us = 0
        self.steps = 0
        self.handled = 0
        self.record = Record(founded.config.trace)
        self.network = Network(stream(founded.seed, "network"), founded.latency)
        self.acts: list[Act] = []
        self.closed = False
        self.hosts: dict[str, Host] = {}
        #: (time_us, counter, action, what the action needs ...)
        self._heap: list[Entry] = []
        self._pushed = 0
        #: seq of the trace event that is being handled
        self._cause = 0
        #: {how long to wait: entries in the order they come due, the first of them in the heap}
        self._queues: dict[int, deque[Entry]] = {}
        #: {(client, request): [(token, node it asked, done)]}
        self._waiting: dict[tuple[str, str], list[tuple[int, str, Done]]] = {}
        #: {token: function} of `call_at`; empty in a replay
        self._calls: dict[int, Callable[[], object]] = {}
        #: the actions of entries, bound once: an entry is made for every message and every timer
        self._delivery, self._answering = self._deliver, self._answer
        self._firing, self._giving_up = self._fire, self._give_up
        #: {kind of effect: who carries it out}; sends and what is forgotten are most of them, and need nobody
        self._carry: dict[type, Callable[[Host, Any], None]] = {
            Reply: self._reply,
            SetTimer: self._set_timer,
            Note: self._note,
        }

    # Time ------------------------------------------------------------------------------------

    def step(self) -> bool:
        """Carry out what is due first; False when nothing ever is."""
        if not self._heap:
            return False
        entry = heappop(self._heap)
        self.now_us = entry[0]
        self.steps += 1
        entry[2](entry)
        return True

    def run_until(self, until_us: int) -> None:
        """Carry out all that is due up to `until_us`, which is the time then."""
        heap, pop = self._heap, heappop
        with collecting_rarely():
            while heap and heap[0][0] <= until_us:
                entry = pop(heap)
                self.now_us = entry[0]
                self.steps += 1
                entry[2](entry)
        self.now_us = max(self.now_us, until_us)

    def run_until_done(self, pending: Ends) -> None:
        """Carry out what is due until `pending` is done."""
        heap, pop = self._heap, heappop
        with collecting_rarely():
            while not pending.done:
                assert heap, "something is under way that nothing will end"
                entry = pop(heap)
                self.now_us = entry[0]
                self.steps += 1
                entry[2](entry)

    def act(self, name: str, *arguments: Any) -> Any:
        """Do something to the world from outside, and remember it for replay."""
        self._remember(name, arguments)
        return getattr(self, f"_act_{name}")(*arguments)

    def _remember(self, name: str, arguments: tuple[Any, ...]) -> None:
        self.check_open()
        if self.record.on:
            self.acts.append(Act(self.steps, self.now_us, name, arguments))

    def check_open(self) -> None:
        """Raise BadRequest when it takes no more acts."""
        if self.closed:
            raise BadRequest("this simulation is closed; start another")

    def replay(self, act: Act) -> None:
        """Carry out the steps before `act`, then the act."""
        while self.steps < act.steps:
            self.step()
        self.now_us = act.now_us
        self.act(act.name, *act.arguments)

    def call_at(self, at_us: int, function: Callable[[], object]) -> None:
        """Call `function` at a virtual time, now or later; a replay keeps the place, but does not call."""
        self._calls[self.act("call_at", at_us)] = function

    def request(self, client: str, to: str, message: Any, give_up_us: int, done: Done) -> None:
        """Send a client's request; `done` hears the reply, or None after `give_up_us`."""
        if self.closed or self.record.on:
            self._remember("request", (client, to, message, give_up_us))
        waiter = (self._act_request(client, to, message, give_up_us), to, done)
        asked = (client, message.request)
        if asked in self._waiting:
            self._waiting[asked].append(waiter)
        else:
            self._waiting[asked] = [waiter]

    def inject(self, sender: str, to: str, message: Any) -> None:
        """Let a message reach node `to` at the next step, as if `sender` had sent it: for what nobody may send."""
        self.act("inject", sender, to, message)

    def _act_inject(self, sender: str, to: str, message: Any) -> None:
        sent = self.record.send(self.now_us, sender, to, message, 0)
        self._push(self.now_us, self._deliver, to, Received(sender, message), sent)

    def _act_call_at(self, at_us: int) -> int:
        return self._push(max(at_us, self.now_us), self._call)

    def _act_request(self, client: str, to: str, message: Any, give_up_us: int) -> int:
        now, sent = self.now_us, self.record.send(self.now_us, client, to, message, 0)
        self._pushed = token = self._pushed + 2
        arrival = self.network.arrival_us(client, to, now)
        heappush(self._heap, (arrival, token - 1, self._delivery, to, Received(client, message), sent))
        self._push_behind((now + give_up_us, token, self._giving_up, client, message.request, give_up_us))
        return token

    # What happens ----------------------------------------------------------------------------

    def _push(self, at_us: int, action: Callable[[Entry], None], *needs: Any) -> int:
        """Have `action` carried out at a time; answers the token of the entry."""
        self._pushed += 1
        heappush(self._heap, (at_us, self._pushed, action, *needs))
        return self._pushed

    def _push_behind(self, entry: Entry) -> None:
        """Put an entry behind those that wait equally long, which is the last thing it says: into the heap if first."""
        queue = self._queues.get(entry[-1])
        if queue is None:
            self._queues[entry[-1]] = deque((entry,))
            heappush(self._heap, entry)
        else:
            queue.append(entry)

    def _move_up(self, entry: Entry) -> None:
        """An entry has come due: the next one that waits equally long takes its place in the heap."""
        queue = self._queues.get(entry[-1])
        if queue is None or queue[0] is not entry:  # A node was paused meanwhile; its entry came due a second time.
            return
        queue.popleft()
        if queue:
            heappush(self._heap, queue[0])
        else:
            del self._queues[entry[-1]]

    def _call(self, entry: Entry) -> None:
        function = self._calls.pop(entry[1], None)
        if function is not None:
            function()

    def _deliver(self, entry: Entry) -> None:
        _, _, _, to, event, sent = entry
        host = self.hosts.get(to)
        if host is None or host.state is not UP or not self.network.is_whole:
            host = self._reached(entry)
        if host is not None:
            heard = self.record.receive(self.now_us, to, event.sender, sent) if sent else 0
            self._handle(host, event, heard)

    def _reached(self, entry: Entry) -> Host | None:
        """Who hears a message now: nobody when its host is down, or stopped, or cut off from the sender."""
        _, _, _, to, event, sent = entry
        host, sender = self.hosts.get(to), event.sender
        if host is None or host.state is CRASHED:
            self.record.drop(self.now_us, sender, to, sent, "down")
        elif host.state is PAUSED:
            host.held.append(entry)
        elif not self.network.is_whole and self.network.is_cut(sender, to):
            self.record.drop(self.now_us, sender, to, sent, "cut")
        else:
            return host
        return None

    def _fire(self, entry: Entry) -> None:
        self._move_up(entry)
        _, token, _, host, name, cause, _ = entry
        if host.timers.get(name) != token:
            return
        if host.state is PAUSED:
            host.held.append(entry)
            return
        del host.timers[name]
        self._handle(host, TimerFired(name), cause)

    def _handle(self, host: Host, event: Any, cause: int) -> None:
        """A node hears of something; then what it asks for is done.

        What it sends to several nodes is one event for all of them.
        """
        self.handled += 1
        self._cause = cause
        now, sender, network, record = self.now_us, host.name, self.network, self.record
        broken: BaseException | None = None
        try:
            effects = host.node.handle(event, now, now + host.epoch_us)
        except BaseException as error:  # noqa: BLE001 - the user's Ctrl-C, or a bug: raised again at the end
            # The event fails, and the world can go on.
            effects = host.node.abandon(event, PartFailed(f"broken off by {type(error).__name__}"))
            broken = error
        host.disk.commit()
        told: Received | None = None
        for effect in effects:
            if type(effect) is Send:
                to, message = effect.to, effect.message
                if told is None or told.message is not message:
                    told = Received(sender, message)
                if record.on or type(message) in SIZERS:
                    sent = record.send(now, sender, to, message, cause)
                else:
                    record.sent += 1
                    sent = 0
                if network.is_whole:
                    self._pushed = token = self._pushed + 1
                    arrival = network.arrival_us(sender, to, now)
                    heappush(self._heap, (arrival, token, self._delivery, to, told, sent))
                else:
                    self._send(to, told, sent)
            elif type(effect) is CancelTimer:
                host.timers.pop(effect.name, None)
            else:
                self._carry[type(effect)](host, effect)
        if broken is not None:
            try:
                raise broken
            finally:
                del broken  # Else it would keep itself, by way of its traceback and this frame.

    def _answer(self, entry: Entry) -> None:
        """A reply reaches its client."""
        _, _, _, client, sender, message, sent = entry
        self.handled += 1
        if sent:
            self.record.receive(self.now_us, client, sender, sent)
        waiting = self._waiting.pop((client, message.request), ())
        if type(message) is ClientFailed:  # It fails one attempt at this node; other attempts may yet succeed.
            answered = [waiter for waiter in waiting if waiter[1] == sender][:1]
            left = [waiter for waiter in waiting if waiter not in answered]
            if left:
                self._waiting[client, message.request] = left
            waiting = answered
        for _, _, done in waiting:
            done(sender, message)

    def _give_up(self, entry: Entry) -> None:
        """A client stops waiting, if it still waits."""
        self._move_up(entry)
        _, token, _, client, request, _ = entry
        waiting = self._waiting.get((client, request))
        if waiting is None:
            return
        mine = [waiter for waiter in waiting if waiter[0] == token]
        self._waiting[client, request] = [waiter for waiter in waiting if waiter[0] != token]
        if not self._waiting[client, request]:
            del self._waiting[client, request]
        for _, _, done in mine:
            done("", None)

    # Effects ---------------------------------------------------------------------------------

    def _send(self, to: str, event: Received, sent: int) -> None:
        """A message leaves for a node, whatever is wrong with the network."""
        network, now, sender = self.network, self.now_us, event.sender
        arrivals = [network.arrival_us(sender, to, now)] if network.is_whole else network.arrivals_us(sender, to, now)
        for arrival in arrivals:
            self._push(arrival, self._delivery, to, event, sent)
        if not arrivals:
            self.record.drop(now, sender, to, sent, "cut" if network.is_cut(sender, to) else "lost")

    def _reply(self, host: Host, effect: Reply) -> None:
        """Answer a client; a forwarding node is answered as by any other message."""
        to, message, sender, now = effect.to, effect.message, host.name, self.now_us
        sent = self.record.send(now, sender, to, message, self._cause)
        if to[:7] != "client:":  # The faster form of `startswith`.
            self._send(to, Received(sender, message), sent)
            return
        self._pushed = token = self._pushed + 1
        arrival = self.network.arrival_us(sender, to, now)
        heappush(self._heap, (arrival, token, self._answering, to, sender, message, sent))

    def _set_timer(self, host: Host, effect: SetTimer) -> None:
        name, delay_us = effect.name, effect.delay_us
        self._pushed = host.timers[name] = token = self._pushed + 1
        self._push_behind((self.now_us + delay_us, token, self._firing, host, name, self._cause, delay_us))

    def _note(self, host: Host, effect: Note) -> None:
        kind, message, peer, key, request, detail = effect
        self.record.add(self.now_us, host.name, kind, message, peer, key, request, 0, self._cause, detail)
