"""Put, get and delete: what the node does that handles a client's request (paper 4.5, 4.6, 5).

Theory of operation.
Any node may be asked. One outside the key's preference list forwards to one inside it.

A **put** makes a new version here, under this node's name, and sends the whole state to the other homes.
It is answered once W distinct nodes have stored it.
A **get** asks all N and is answered once R distinct nodes have answered, with all causally unrelated versions;
afterwards those that had missed a write are repaired (5).

The quorum is sloppy (4.6): for a home that is believed down, or stays silent,
the next healthy node of the walk is asked, and keeps the write as a hint for that home.

Rule 1: "done" means W (R) distinct nodes have stored (answered).
Rule 2: a put that ends without W is unknown, never "not written".
Rule 3: one request id makes at most one version at one coordinator.

DEPARTS: when no node is left to stand in, the coordinator keeps the hint itself; the paper needs more nodes than N.
"""

from __future__ import annotations

from dynalab.core import student
from dynalab.core.admission import Admission
from dynalab.core.asking import Asking
from dynalab.core.clock import Context, Dot
from dynalab.core.desk import Desk
from dynalab.core.errors import (
    DynalabError,
    InvalidContext,
    PartFailed,
    ReadQuorumNotReached,
    WriteQuorumNotReached,
)
from dynalab.core.membership import Membership
from dynalab.core.messages import (
    ClientGet,
    ClientGetDone,
    ClientPut,
    ClientPutDone,
    ReadRepair,
    ReplicaGetDone,
    ReplicaPut,
    ReplicaPutDone,
)
from dynalab.core.quick import maker
from dynalab.core.refusals import failure
from dynalab.core.replica import NOTHING, Replica
from dynalab.core.requests import GetRequest, PutRequest, Request
from dynalab.core.resolve import resolved
from dynalab.core.ring import position_of
from dynalab.core.session import key_text
from dynalab.core.version import Siblings, Version

_client_put_done, _client_get_done = maker(ClientPutDone), maker(ClientGetDone)

HEDGE_MS = 2
"""How often a waiting get asks the part `hedge` for one more replica."""


class Coordinator:
    """The client requests one node works on."""

    def __init__(
        self, desk: Desk, replica: Replica, membership: Membership, admission: Admission, secret: bytes
    ) -> None:
        self.desk = desk
        self.replica = replica
        self.membership = membership
        self.admission = admission
        self.secret = secret
        self.asking = Asking(desk, replica, membership)
        #: {op: request under way}
        self.open: dict[str, Request] = {}
        #: {client's request id: request}, puts under way only
        self.puts: dict[str, PutRequest] = {}
        #: {replica: last answer time in ms}, smoothed; for the part `hedge`, and known only with one
        self.latencies: dict[str, float] = {}
        self._nonce = ""
        self._numbers = 0

    def start(self) -> None:
        """A new run: its op names must differ from those of any run before (late answers, S22)."""
        self._nonce = f"{self.desk.random.getrandbits(32):08x}"

    def has_begun(self, request: str) -> bool:
        """Whether a put with this request id is under way here, or has made a version before."""
        return request in self.puts or self.replica.store.seen(request) is not None

    # Put -------------------------------------------------------------------------------------

    def put(self, sender: str, message: ClientPut, homes: tuple[str, ...]) -> None:
        """Coordinate a put; `homes` are the first n nodes of the preference list (4.5)."""
        name, key, _, contexts, local, _, need, timeout_us, _ = message
        if name in self.puts:
            self._join_put(self.puts[name], sender)
            return
        used = self._used_context(message) if contexts or local else Context.EMPTY
        request = PutRequest(self._op(name), name, sender, key, homes, need)
        self._write(request, message, used)
        self.puts[name] = request
        self._open(request, timeout_us)
        self._send_put(request)
        self._advance_put(request)

    def _join_put(self, request: PutRequest, sender: str) -> None:
        """A client repeats a put that is under way: it waits too, or hears at once what was answered already."""
        if request.replied:
            self.desk.reply(sender, self._put_done(request))
        else:
            request.waiters.append(sender)

    def _used_context(self, message: ClientPut) -> Context:
        """The context a put replaces: verified and joined, or what this node holds (4.1)."""
        contexts = message.contexts
        for context in contexts:
            if not context.is_valid(self.secret, message.key):
                raise InvalidContext(
                    f"the context {context.clock} was not given by this cluster for key {key_text(message.key)!r}; "
                    "use .context of a get or an ack, unchanged"
                )
        if message.local:
            held: Context = self.replica.clocks.context(self.replica.read(message.key))
            return held
        used = contexts[0]
        for context in contexts[1:]:
            used = used.join(context)
        return used

    def _write(self, request: PutRequest, message: ClientPut, used: Context) -> None:
        """Make the version, or find the one this request id made before (rule 3)."""
        desk, key, value, store = self.desk, request.key, message.value, self.replica.store
        home = "" if desk.name in request.homes else self._absent(request.homes)
        known = store.seen(request.request)
        state = self.replica.read(key) if known is not None else NOTHING
        if known is not None and state.covers(Dot(*known)):
            dot = Dot(*known)
            desk.note("note", key=key, request=request.request, text="repeated request: no new version")
        else:
            state, dot = self.replica.write(key, value, used, home)
            store.remember(request.request, dot)
            if desk.tracing:
                self._note_write(message, home, used, state.version_of(dot))
        context = used.sealed_with(dot, self.secret, key)
        request.begin(state, dot, desk.wall_us, value is None, context, used)
        if home:
            request.asked[desk.name] = home
        request.stored_by(desk.name)
        desk.count("writes")

    def _note_write(self, message: ClientPut, home: str, used: Context, version: Version) -> None:
        detail: dict[str, object] = {"dot": list(version.dot), "clock": dict(version.clock)}
        detail["context"] = dict(used.entries)
        if used.dots:  # Writes seen one by one: rounded up into the clock they would claim those before them.
            detail["context_dots"] = [list(seen) for seen in used.dots]
        value = repr(student.shown_value(message.value))[:60]
        self.desk.note("write", "", home, message.key, message.request, **detail, value=value)

    def _absent(self, homes: tuple[str, ...]) -> str:
        """The home this node stands in for: the first that is believed down."""
        believes_up = self.membership.detector.believes_up
        return next((home for home in homes if not believes_up(home)), homes[0])

    def _send_put(self, request: PutRequest) -> None:
        self.asking.ask_homes(request)
        if self.membership.is_changing:  # Who is about to become a home of the key gets it, too (4.9).
            for node in self.membership.newcomers(position_of(request.key), len(request.homes)):
                if node != self.desk.name:
                    self.desk.send(node, ReplicaPut(f"extra/{request.op}", request.key, request.state))

    def on_replica_put_done(self, sender: str, message: ReplicaPutDone) -> None:
        """One more node has stored it, or has refused."""
        request = self.open.get(message.request)
        if not isinstance(request, PutRequest) or sender not in request.asked:
            self.desk.count("late_replies")
        elif message.traceback:
            self._fail(request, PartFailed(f"a part failed on node {sender}"), message.traceback)
        elif message.stored:
            request.stored_by(sender)
            self._advance_put(request)
        else:
            self.asking.replace(request, sender)

    def _advance_put(self, request: PutRequest) -> None:
        if not request.replied:
            verdict = self._verdict(request, len(request.acked))
            if verdict == "done":
                self._reply_put(request)
            elif verdict == "failed":
                self._fail(request, self._no_quorum(request))
                return
        if request.replied and not request.uncovered:
            self._close(request)

    def _reply_put(self, request: PutRequest) -> None:
        self._answered(request)
        done = self._put_done(request)
        for waiter in request.waiters:
            self.desk.reply(waiter, done)

    def _put_done(self, put: PutRequest) -> ClientPutDone:
        who = (put.request, put.key, self.desk.name, tuple(put.acked), put.hinted())
        return _client_put_done((*who, put.context, put.used, put.wall_us, put.deleted))

    # Get -------------------------------------------------------------------------------------

    def get(self, sender: str, message: ClientGet, homes: tuple[str, ...]) -> None:
        """Coordinate a get (5): ask all N, wait for R."""
        request = GetRequest(self._op(message.request), message.request, sender, message.key, homes, message.r)
        self._open(request, message.timeout_us)
        here = self.desk.name
        if here not in homes:
            request.asked[here] = self._absent(homes)
        request.answers_with(here, self.replica.asked(message.key))
        covered = request.asked.get(here)
        hedged = self.desk.parts.hedge is not None
        for home in homes:
            enough = hedged and len(request.asked) + len(request.answers) >= request.need
            if home not in (here, covered) and not enough:
                self.asking.ask_home(request, home)
        if hedged:
            self.desk.set_timer(f"hedge:{request.op}", HEDGE_MS)
        self._advance_get(request)

    def on_replica_get_done(self, sender: str, message: ReplicaGetDone) -> None:
        """One more node has said what it holds."""
        request = self.open.get(message.request)
        if not isinstance(request, GetRequest) or sender not in request.asked:
            self.desk.count("late_replies")
            return
        if message.traceback:
            self._fail(request, PartFailed(f"a part failed on node {sender}"), message.traceback)
            return
        if self.desk.parts.hedge is not None:
            took = (self.desk.now_us - request.started_us) / 1000
            self.latencies[sender] = 0.8 * self.latencies.get(sender, took) + 0.2 * took
        request.answers_with(sender, message.siblings)
        self._advance_get(request)

    def _advance_get(self, request: GetRequest) -> None:
        if not request.replied:
            verdict = self._verdict(request, len(request.answers))
            if verdict == "done":
                self._reply_get(request)
            elif verdict == "failed":
                self._fail(request, self._no_quorum(request))
                return
        if request.replied and not request.silent:
            self._repair(request)
            self._close(request)

    def _reply_get(self, request: GetRequest) -> None:
        merged = self._merged(request)
        nodes = tuple(request.answers)
        context = self.replica.clocks.context(merged).sealed(self.secret, request.key)
        shown, resolved_by = resolved(self.desk, request.key, merged)
        self._answered(request)  # Only now: a part that failed above must still be answered for.
        stale = tuple([node for node, state in request.answers.items() if state != merged])
        who, key = request.request, request.key
        done = _client_get_done((who, key, self.desk.name, shown, context, nodes, stale, resolved_by))
        for waiter in request.waiters:
            self.desk.reply(waiter, done)

    def _merged(self, request: GetRequest) -> Siblings:
        """All causally unrelated versions among the answers (4.5, syntactic reconciliation)."""
        states = list(request.answers.values())
        merged = states[0]
        for state in states[1:]:
            if state != merged:
                merged = self.replica.merge(merged, state)
        return merged

    def _repair(self, request: GetRequest) -> None:
        """Bring the homes that had missed a write up to date (5): existing versions only, nothing new."""
        if not self.desk.config.read_repair:
            return
        merged = self._merged(request)
        for node, state in request.answers.items():
            if state is merged or state == merged or request.asked.get(node):
                continue
            self.desk.count("read_repairs")
            self.desk.note("repair", "ReadRepair", node, request.key, request.request)
            if node == self.desk.name:
                if self.membership.keeps(position_of(request.key)):  # The ring may have changed while it waited.
                    self.replica.absorb(request.key, merged, "read repair")
            else:
                self.desk.send(node, ReadRepair(request.key, merged))

    # Time --------------------------------------------------------------------------------------

    def on_request_timer(self, op: str) -> None:
        """A request has waited long enough for somebody, or altogether."""
        request = self.open.get(op)
        if request is None:
            return
        if request.was_kept_waiting(self.desk.now_us):
            self.desk.count("looked_again")
            self._set_timer(request)
            return
        for node in list(request.silent):
            self.membership.detector.suspect(node, f"{request.kind} timed out", request.started_us)
            if not (request.replied and isinstance(request, GetRequest)):
                self.asking.replace(request, node)
        still_waits = not request.replied or (isinstance(request, PutRequest) and request.silent)
        if self.desk.now_us >= request.deadline_us or not still_waits:
            self._end(request)
        else:
            self._set_timer(request)

    def on_hedge_timer(self, op: str) -> None:
        """Ask one more replica if the student's part says so."""
        request = self.open.get(op)
        if not isinstance(request, GetRequest) or request.replied:
            return
        untried = [home for home in request.homes if home not in request.asked and home not in request.answers]
        waited = (self.desk.now_us - request.started_us) / 1000
        chosen = student.next_replica(self.desk, waited, self.latencies, untried) if untried else None
        if chosen is not None:
            self.desk.count("hedges")
            self.asking.ask(request, chosen, "")
        self.desk.set_timer(f"hedge:{op}", HEDGE_MS)

    def _end(self, request: Request) -> None:
        """The deadline has passed, or an answered request has waited for its laggards."""
        if isinstance(request, PutRequest) and self.desk.config.hints:
            for home in [home for home in request.homes if home in request.uncovered]:
                self.asking.keep_hint_here(request, home)
        if isinstance(request, GetRequest) and request.replied:
            self._repair(request)
        if not request.replied:
            self._fail(request, self._no_quorum(request))
        else:
            self._close(request)

    def _no_quorum(self, request: Request) -> DynalabError:
        nodes = list(request.answered_by())
        late = ", ".join([*request.silent, *sorted(request.given_up)]) or "nobody else"
        said = f"{len(nodes)} of {request.need} nodes answered in time ({', '.join(nodes) or 'none'}; not: {late})"
        if isinstance(request, PutRequest):
            return WriteQuorumNotReached(f"{said}; the write may be stored and may yet appear: get, then decide")
        return ReadQuorumNotReached(f"{said}; nothing was changed: try again, or with a smaller r")

    def _verdict(self, request: Request, answered: int) -> str:
        """Whether the request waits, is done or has failed: R or W distinct nodes make a quorum (4.5)."""
        part = self.desk.parts.quorum
        if part is None:
            return "done" if answered >= request.need else "wait"
        return student.decide(self.desk, part, request.replies(), request.need, len(request.asked) + 1)

    # Bookkeeping -------------------------------------------------------------------------------

    def _op(self, request: str) -> str:
        self._numbers += 1
        return f"{request}/{self._nonce}{self._numbers}"

    def _open(self, request: Request, timeout_us: int) -> None:
        request.started_us = now_us = self.desk.now_us
        request.deadline_us = now_us + timeout_us
        self.open[request.op] = request
        self._set_timer(request)

    def _set_timer(self, request: Request) -> None:
        now_us, patience_ms = self.desk.now_us, self.desk.config.replica_timeout_ms
        left_ms = (request.deadline_us - now_us) / 1000
        wait_ms = patience_ms if patience_ms < left_ms else left_ms  # noqa: FURB136 - the faster form
        request.look_us = now_us + int(wait_ms * 1000)
        self.desk.set_timer(request.alarm, wait_ms)

    def _answered(self, request: Request) -> None:
        request.replied = True
        if not request.given_up:  # Who was silent kept it waiting, and that says nothing of the load here.
            self.admission.served(self.desk.now_us - request.started_us)
        self.desk.count(request.counted)
        if self.desk.tracing:
            detail = {"outcome": "ok", "nodes": list(request.answered_by()), "need": request.need}
            self.desk.note("reply", request.kind, "", request.key, request.request, **detail)

    def _fail(self, request: Request, error: DynalabError, traceback: str = "") -> None:
        if not request.replied:
            request.replied = True
            nodes = tuple(request.answered_by())
            failed = failure(request.request, error, request.need, nodes, traceback)
            for waiter in request.waiters:
                self.desk.reply(waiter, failed)
            self.desk.count(f"{request.kind}s_failed")
            self.desk.note("fail", request.kind, "", request.key, request.request, error=type(error).__name__)
        self._close(request)

    def _close(self, request: Request) -> None:
        self.open.pop(request.op, None)
        if self.puts.get(request.request) is request:
            del self.puts[request.request]
        self.desk.cancel_timer(request.alarm)

    def fail(self, op_or_request: str, error: DynalabError) -> bool:
        """End the request with this op, or client's id, by `error`; answers whether there was one."""
        for request in [each for each in self.open.values() if op_or_request in (each.op, each.request)]:
            self._fail(request, error)
            return True
        return False
