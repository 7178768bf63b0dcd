"""Causal histories as plain sets, to hold clocks and siblings against: an oracle that shares no code with them.

A replica is the set of writes it has heard of, a context is a set of writes, and a write remembers its context.
Alive is what no known write had seen:

    live(known) = { w in known : no v in known has w in its context }
"""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import strategies as st

from dynalab.core.clock import Context, Dot
from dynalab.core.version import Siblings

SERVERS = "ABC"
CLIENTS = "xyz"


@dataclass
class Client:
    """What one client remembers: the context of its last read and of its last acknowledgement, twice told."""

    read: Context = Context.EMPTY
    acked: Context = Context.EMPTY
    read_ids: frozenset[int] = frozenset()
    acked_ids: frozenset[int] = frozenset()


@dataclass
class Run:
    """One random run, done twice: by `Siblings`, and by sets of write ids."""

    states: dict[str, Siblings] = field(default_factory=lambda: {server: Siblings() for server in SERVERS})
    known: dict[str, frozenset[int]] = field(default_factory=lambda: dict.fromkeys(SERVERS, frozenset()))
    #: {write id: ids its context covered}
    contexts: dict[int, frozenset[int]] = field(default_factory=dict)
    dots: dict[int, Dot] = field(default_factory=dict)
    clients: dict[str, Client] = field(default_factory=lambda: {name: Client() for name in CLIENTS})
    #: every state that ever was, with what it had heard of
    seen: list[tuple[Siblings, frozenset[int]]] = field(default_factory=list)

    def put(self, client: str, server: str, how: str) -> None:
        """A write: blind, with the last read, with the last acknowledgement only, or with the whole session."""
        who = self.clients[client]
        context, ids = Context.EMPTY, frozenset()
        if how in ("read", "session"):
            context, ids = context.join(who.read), ids | who.read_ids
        if how in ("acked", "session"):
            context, ids = context.join(who.acked), ids | who.acked_ids
        write = len(self.contexts) + 1
        self.states[server] = state = self.states[server].put(server, str(write).encode(), context)
        dot = next(version.dot for version in state.versions if version.value == str(write).encode())
        self.contexts[write], self.dots[write] = ids, dot
        self.known[server] |= ids | {write}
        who.acked, who.acked_ids = context.join(Context({}, (dot,))), ids | {write}
        self._keep(server)

    def get(self, client: str, *servers: str) -> None:
        """A read of one or two servers, merged."""
        merged, ids = Siblings(), frozenset()
        for server in servers:
            merged, ids = merged.merge(self.states[server]), ids | self.known[server]
        self.clients[client].read, self.clients[client].read_ids = merged.context, ids
        self.seen.append((merged, ids))

    def replicate(self, source: str, target: str) -> None:
        """One server's whole state reaches another."""
        self.states[target] = self.states[target].merge(self.states[source])
        self.known[target] |= self.known[source]
        self._keep(target)

    def live(self, known: frozenset[int]) -> set[int]:
        """The writes of `known` that no write of `known` had seen."""
        replaced = {old for write in known for old in self.contexts[write]}
        return set(known) - replaced

    def _keep(self, server: str) -> None:
        self.seen.append((self.states[server], self.known[server]))


_put = st.tuples(
    st.just("put"),
    st.sampled_from(CLIENTS),
    st.sampled_from(SERVERS),
    st.sampled_from(["blind", "read", "acked", "session"]),
)
_get = st.tuples(st.just("get"), st.sampled_from(CLIENTS), st.sampled_from(SERVERS), st.sampled_from(SERVERS))
_replicate = st.tuples(st.just("replicate"), st.sampled_from(SERVERS), st.sampled_from(SERVERS))
steps = st.lists(_put | _put | _get | _replicate, min_size=1, max_size=30)


def run_of(script: list[tuple[str, ...]]) -> Run:
    """Carry out a script."""
    run = Run()
    for verb, *arguments in script:
        getattr(run, verb)(*arguments)
    return run


runs = steps.map(run_of)
