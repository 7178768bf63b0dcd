"""Merkle exchanges between two homes of a key range, and the transfer of key ranges (paper 4.7, 4.9).

Theory of operation.
Every round a node shows one peer the Merkle roots of all key ranges both keep.
For each range that differs the two descend together, level by level, only where digests differ;
at the leaves they learn which keys differ, and swap their states. Both merge; both are equal then.

    RootsGet {range: root}      ->   <-  RootsGetDone (ranges that differ)
    TreeGet  (paths)            ->   <-  TreeGetDone (digests below them)      until leaves
    KeysGet  (keys, my states)  ->   <-  KeysGetDone (your states)

A node that joins fetches its key ranges by the same conversation with the homes it displaces,
and a node that leaves brings its key ranges to their next homes (4.9).

Rule 1: an exchange makes no versions; where states are equal it sends nothing but digests.
Rule 2: a node runs one exchange at a time; it is given up when the peer stays silent.
Rule 3: a join (leave) is through only when every key range has been exchanged with its donor (gainer).
"""

from __future__ import annotations

import json

from dynalab.core.admission import Admission
from dynalab.core.desk import Desk, nonsense
from dynalab.core.errors import DynalabError
from dynalab.core.membership import Membership, pending_moves
from dynalab.core.merkle import ROOT, MerkleTree, is_leaf
from dynalab.core.messages import KeysGet, KeysGetDone, RootsGet, RootsGetDone, TreeGet, TreeGetDone
from dynalab.core.priority import in_order
from dynalab.core.replica import NOTHING, Replica
from dynalab.core.ring import KeyRange, position_of
from dynalab.core.store import weight
from dynalab.core.version import Siblings

SILENCE_MS = 1_000
"""An exchange whose peer says nothing for so long is given up."""

RANGES_PER_MESSAGE = 1_024
PATHS_PER_MESSAGE = 512
BYTES_PER_MESSAGE = 512 * 1024
"""A swap carries so many bytes, and one key more, in each direction."""


class Exchange:
    """One conversation under way, as its initiator sees it.

    Attributes:
        ranges: key ranges still to compare.
        key_range: the one in hand.
        paths: its branches that differ, still to ask for.
        keys: keys that differ, still to swap: of this key range, or with another order of repair, of all.
        asked: those of them that the peer was asked for last.
        all_found: whether no key range is left.
    """

    def __init__(self, name: str, peer: str, ranges: list[KeyRange], why: str, started_us: int) -> None:
        self.name = name
        self.started_us = started_us
        self.peer = peer
        self.ranges = ranges
        self.why = why
        self.key_range: KeyRange | None = None
        self.paths: list[int] = []
        self.keys: list[bytes] = []
        self.asked: tuple[bytes, ...] = ()
        self.keys_swapped = 0
        self.all_found = False


class AntiEntropy:
    """The exchanges one node begins, and its answers to those of others."""

    def __init__(self, desk: Desk, replica: Replica, membership: Membership, admission: Admission) -> None:
        self.desk = desk
        self.replica = replica
        self.membership = membership
        self.admission = admission
        self.exchange: Exchange | None = None
        #: {(last position, gainer): key range} still to be exchanged before a join or leave is through
        self.transfers: dict[tuple[int, str], KeyRange] = {}
        self._numbers = 0
        self._next_peer = 0

    # Rounds ------------------------------------------------------------------------------------

    def round(self) -> None:
        """Begin an exchange with the next peer that shares key ranges with us (4.7)."""
        if self.exchange is not None or self.replica.forest is None:
            return
        shared = self.membership.shared_ranges()
        peers = [peer for peer in sorted(shared) if self.membership.detector.believes_up(peer)]
        if not peers:
            return
        self._next_peer += 1
        peer = peers[self._next_peer % len(peers)]
        self._begin(peer, shared[peer], "anti-entropy")

    def _begin(self, peer: str, ranges: list[KeyRange], why: str) -> None:
        self._numbers += 1
        first = self._numbers * RANGES_PER_MESSAGE % len(ranges) if len(ranges) > RANGES_PER_MESSAGE else 0
        ranges = ranges[first : first + RANGES_PER_MESSAGE]
        name = f"{self.desk.name}.{self.desk.now_us:x}.{self._numbers:x}"
        exchange = Exchange(name, peer, ranges, why, self.desk.now_us)
        self.exchange = exchange
        self.desk.count("exchanges")
        if self.desk.parts.merkle is None:
            self.desk.set_timer("exchange", SILENCE_MS)
            self.desk.send(peer, RootsGet(exchange.name, {_end(each): self._root(each.end) for each in ranges}))
        else:
            self._next_step(exchange)

    def on_silence(self) -> None:
        """The peer has said nothing for too long."""
        if self.exchange is not None:
            self.desk.count("exchanges_given_up")
            self.membership.detector.suspect(self.exchange.peer, "an exchange timed out")
            self.exchange = None

    def abandon(self, error: DynalabError) -> None:
        """A part failed: this exchange leads nowhere."""
        assert self.exchange is not None
        self.desk.note("exchange", self.exchange.why, self.exchange.peer, failed=str(error)[:200])
        self.desk.cancel_timer("exchange")
        self.exchange = None

    # The initiator's side ------------------------------------------------------------------------

    def on_roots_get_done(self, sender: str, message: RootsGetDone) -> None:
        """The peer says which key ranges differ; the others are done."""
        exchange = self._current(sender, message.exchange)
        if exchange is None:
            return
        differ = set(message.differ)
        ranges, exchange.ranges = exchange.ranges, []
        for key_range in ranges:
            if _end(key_range) in differ:
                exchange.ranges.append(key_range)
            else:
                self._range_done(exchange, key_range)
        self._next_step(exchange)

    def on_tree_get_done(self, sender: str, message: TreeGetDone) -> None:
        """Digests of the peer: go on where they differ from ours."""
        exchange = self._current(sender, message.exchange)
        if exchange is None or exchange.key_range is None:
            return
        tree = self._tree(exchange.key_range)
        keys = self._student_difference(tree, message.whole) if message.whole else []
        for path, children in sorted(message.branches.items()):
            exchange.paths += tree.paths_that_differ(path, children)
        for path, leaf in sorted(message.leaves.items()):
            keys += tree.keys_that_differ(path, leaf)
        exchange.keys += [key for key in keys if exchange.why != "transfer" or self._moves(key, sender)]
        self._next_step(exchange)

    def on_keys_get_done(self, sender: str, message: KeysGetDone) -> None:
        """The peer's states of the keys that differed: merge them, and ask again for those that had no room."""
        exchange = self._current(sender, message.exchange)
        if exchange is None:
            return
        for key, siblings in message.held.items():
            self.desk.count("keys_repaired", self.replica.absorb(key, siblings, exchange.why))
        exchange.keys_swapped += len(message.held)
        if message.held:
            exchange.keys[:0] = [key for key in exchange.asked if key not in message.held]
        self._next_step(exchange)

    def _next_step(self, exchange: Exchange) -> None:
        """Swap the next keys, or ask for the next branches, or take up the next key range, or end."""
        self.desk.set_timer("exchange", SILENCE_MS)
        collects = exchange.why == "anti-entropy" and self.desk.config.repair_order != "plain"
        while not exchange.paths and (collects or not exchange.keys) and not exchange.all_found:
            self._take_next_range(exchange)
        if exchange.keys and (exchange.all_found or not collects):
            self._swap_keys(exchange)
        elif exchange.key_range is not None:
            asked, exchange.paths = exchange.paths[:PATHS_PER_MESSAGE], exchange.paths[PATHS_PER_MESSAGE:]
            self.desk.send(exchange.peer, TreeGet(exchange.name, _end(exchange.key_range), tuple(asked)))
        else:
            self._end_exchange(exchange)

    def _take_next_range(self, exchange: Exchange) -> None:
        if exchange.key_range is not None:
            self._range_done(exchange, exchange.key_range)
        exchange.key_range = exchange.ranges.pop(0) if exchange.ranges else None
        exchange.paths = [ROOT] if exchange.key_range is not None else []
        if exchange.key_range is None:
            exchange.all_found = True
            order, replica = self.desk.config.repair_order, self.replica
            exchange.keys = in_order(order, exchange.keys, replica.heat, replica.record)

    def _swap_keys(self, exchange: Exchange) -> None:
        offered: dict[bytes, Siblings] = {}
        size, slice_ = 0, max(16, self.admission.background_slice())
        while exchange.keys and size < BYTES_PER_MESSAGE and len(offered) < slice_:
            key = exchange.keys.pop(0)
            offered[key] = self.replica.record(key)
            size += weight(offered[key]) + len(key)
        self.desk.count("keys_exchanged", len(offered))
        exchange.asked = tuple(offered)
        self.desk.send(exchange.peer, KeysGet(exchange.name, exchange.asked, offered))

    def _end_exchange(self, exchange: Exchange) -> None:
        self.exchange = None
        self.desk.cancel_timer("exchange")
        self.desk.count("exchanges_ended")
        self.desk.count("exchange_us", self.desk.now_us - exchange.started_us)
        self.desk.note("exchange", exchange.why, exchange.peer, request=exchange.name, keys=exchange.keys_swapped)
        if self.transfers:
            self.transfer()

    def _current(self, sender: str, name: str) -> Exchange | None:
        exchange = self.exchange
        if exchange is None or exchange.name != name or exchange.peer != sender:
            self.desk.count("late_replies")
            return None
        return exchange

    # The other side ------------------------------------------------------------------------------

    def on_roots_get(self, sender: str, message: RootsGet) -> None:
        """Which of these roots differ from ours?"""
        differ = [end for end, root in message.roots.items() if self._root(int.from_bytes(end)) != root]
        self.desk.send(sender, RootsGetDone(message.exchange, tuple(differ)))

    def on_tree_get(self, sender: str, message: TreeGet) -> None:
        """Show what is below the asked paths."""
        tree = self._tree_ending(message.end)
        if self.desk.parts.merkle is not None:
            self.desk.send(sender, TreeGetDone(message.exchange, {}, {}, self._student_tree(tree)))
            return
        branches = {path: tree.children(path) for path in message.paths if not is_leaf(path)}
        leaves = {path: tree.leaf(path) for path in message.paths if is_leaf(path)}
        self.desk.send(sender, TreeGetDone(message.exchange, branches, leaves))

    def on_keys_get(self, sender: str, message: KeysGet) -> None:
        """Take what is offered, and show what we hold then, as much as one message carries."""
        for key, siblings in message.offered.items():
            self.desk.count("keys_repaired", self.replica.absorb(key, siblings, "anti-entropy"))
        held: dict[bytes, Siblings] = {}
        size = 0
        for key in message.keys:
            state = self.replica.record(key)
            if state != NOTHING and size < BYTES_PER_MESSAGE:
                held[key] = state
                size += weight(state) + len(key)
        self.desk.send(sender, KeysGetDone(message.exchange, held))

    # Joins and leaves ----------------------------------------------------------------------------

    def find_transfers(self) -> None:
        """The ring changed: which key ranges must we fetch, or bring away, before the change is through? (4.9)

        Besides the joiner, an old node may move up into a preference list; it fetches its new key ranges, too.
        """
        self.transfers = {}
        if not self.membership.is_changing:
            return
        for key_range in (*self.membership.ring.ranges, *self.membership.target.ranges):
            for gainer in self._gainers(key_range):
                self.transfers[key_range.end, gainer] = key_range

    def _gainers(self, key_range: KeyRange) -> list[str]:
        """Who must get the range from us when we leave; ourselves when we are to fetch it."""
        n, here = self.desk.config.n, self.desk.name
        newcomers = self.membership.newcomers(key_range.end, n)
        if self.membership.status == "leaving":
            return newcomers if here in self.membership.walk(key_range.end)[:n] else []
        return [here] if here in newcomers else []

    def _counterpart(self, key_range: KeyRange, gainer: str) -> str | None:
        """The node to exchange the range with: the gainer, or a donor, the displaced home first (4.9)."""
        believes_up = self.membership.detector.believes_up
        if gainer != self.desk.name:
            return gainer if believes_up(gainer) else None
        n = self.desk.config.n
        staying = self.membership.target_homes(key_range.end, n)
        donors = sorted(self.membership.walk(key_range.end)[:n], key=lambda home: home in staying)
        return next((donor for donor in donors if believes_up(donor)), None)

    def transfer(self) -> None:
        """Exchange the next key ranges with one counterpart; when none is left, the change is through."""
        if not self.transfers:
            self._change_is_through()
        if self.exchange is not None or not self.transfers:
            return
        by_peer: dict[str, list[KeyRange]] = {}
        for (_, gainer), key_range in self.transfers.items():
            peer = self._counterpart(key_range, gainer)
            if peer is not None:
                by_peer.setdefault(peer, []).append(key_range)
        if by_peer:
            peer = min(by_peer)
            self._begin(peer, by_peer[peer], "transfer")

    def _moves(self, key: bytes, peer: str) -> bool:
        """Whether the change gives `key` to us (or, when we leave, to the peer): nothing else is transferred."""
        gainer = peer if self.membership.status == "leaving" else self.desk.name
        return gainer in self.membership.newcomers(position_of(key), self.desk.config.n)

    def _change_is_through(self) -> None:
        through = {"joining": "up", "leaving": "left"}.get(self.membership.status)
        if through is not None and self.membership.ring.nodes:
            self.membership.announce(self.desk.name, through)
        moved = [event.slot for event in pending_moves(self.membership.history) if event.node == self.desk.name]
        if moved:
            self.membership.announce(self.desk.name, "moved", moved)

    def _range_done(self, exchange: Exchange, key_range: KeyRange) -> None:
        if exchange.why == "transfer":
            gainer = exchange.peer if self.membership.status == "leaving" else self.desk.name
            self.transfers.pop((key_range.end, gainer), None)

    def roots(self) -> dict[str, str]:
        """``{last position of a key range this node is a home of: Merkle root}``, both in hexadecimal."""
        if self.replica.forest is None:
            return {}
        return {f"{each.end:032x}": self._root(each.end).hex() for each in self.membership.home_ranges()}

    # Trees ---------------------------------------------------------------------------------------

    def _root(self, position: int) -> bytes:
        assert self.replica.forest is not None
        return self.replica.forest.root(position)

    def _tree(self, key_range: KeyRange) -> MerkleTree:
        assert self.replica.forest is not None
        return self.replica.forest.tree(key_range)

    def _tree_ending(self, end: bytes) -> MerkleTree:
        return self._tree(self.membership.ring.range_at(int.from_bytes(end)))

    def _student_tree(self, tree: MerkleTree) -> bytes:
        """The student's tree over the same leaves, as JSON."""
        leaves = {key.hex(): (tree.get(key) or b"").hex() for key in tree}
        built = self.desk.call_part("merkle", self.desk.parts.merkle.build, leaves)  # type: ignore[union-attr]
        try:
            return json.dumps(built).encode()
        except (TypeError, ValueError):
            raise nonsense("merkle", built, "a tree of lists, dicts, numbers and text") from None

    def _student_difference(self, tree: MerkleTree, whole: bytes) -> list[bytes]:
        """The keys in which the student finds two trees to differ."""
        mine = json.loads(self._student_tree(tree))
        keys = self.desk.call_part("merkle", self.desk.parts.merkle.differ, mine, json.loads(whole))  # type: ignore[union-attr]
        try:
            return [bytes.fromhex(key) for key in keys]
        except (TypeError, ValueError):
            raise nonsense("merkle", keys, "a list of keys of the trees") from None


def _end(key_range: KeyRange) -> bytes:
    return key_range.end.to_bytes(16)
