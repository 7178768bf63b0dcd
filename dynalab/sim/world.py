"""What can be done to a simulated cluster, act by act; each is recorded, so that it can be replayed.

Theory of operation.
An act's arguments are values, already checked; its effect depends on them and on the world alone.
An act tells the trace: a `fault` at ``cluster``, and `stop` or `start` at the node it befalls.
"""

from __future__ import annotations

from dynalab.core.config import Config, Parts
from dynalab.core.desk import Guard
from dynalab.core.effects import Start
from dynalab.core.faults import Faults
from dynalab.core.membership import founding
from dynalab.core.messages import Member
from dynalab.core.node import Node
from dynalab.core.ring import EmptyRing, position_of
from dynalab.sim.chance import secret, stream
from dynalab.sim.disk import SimDisk
from dynalab.sim.host import CRASHED, EPOCH_US, PAUSED, UP, Host
from dynalab.sim.loop import Founding, Loop

SEEDS = 3
"""A node that starts knows so many others without gossip (4.8.2)."""


class World(Loop):
    """A simulated cluster.

    Args:
        founded: what it follows from.
        guard: runs replaced parts.
    """

    def __init__(self, founded: Founding, guard: Guard) -> None:
        super().__init__(founded)
        self.founded = founded
        self.guard = guard
        self.parts = founded.parts
        self.secret = secret(founded.seed, "secret")
        #: {name: how often a node of this name was started}
        self._lives: dict[str, int] = {}
        self._founders = founding(founded.names, founded.config)
        for name in founded.names:
            self._begin(self._new_host(name, founded.config), 0)

    def members(self) -> tuple[Member, ...]:
        """The longest membership history that a running node knows."""
        known = [host.node.membership.history for host in self.running()]
        return max([self._founders, *known], key=len)

    def coordinator_of(self, key: bytes) -> str | None:
        """Whom a partition-aware client asks: the first node of the key's walk that is up (6.4); None: nobody is."""
        hosts = self.hosts
        for knowing in hosts.values():
            if knowing.state is not UP:
                continue
            try:
                walk = knowing.node.membership.ring.walk(position_of(key))
            except EmptyRing:  # It has only begun to join.
                continue
            for name in walk:
                host = hosts.get(name)
                if host is not None and host.state is UP:
                    return name
            return knowing.name
        return next((name for name, host in hosts.items() if host.state is not CRASHED), None)

    def is_running(self, name: str) -> bool:
        """Whether there is a node of this name that has not crashed; one that is paused will hear what it is asked."""
        return name in self.hosts and self.hosts[name].state is not CRASHED

    def running(self) -> list[Host]:
        """The hosts that are up, in the order they came."""
        return [host for host in self.hosts.values() if host.state is UP]

    # Acts ------------------------------------------------------------------------------------

    def _act_faults(self, said: str, faults: Faults) -> None:
        self._fault(said)
        self.network.change(faults)

    def _act_crash(self, said: str, name: str) -> None:
        host = self.hosts[name]
        self._stop(host, self._fault(said))
        host.state = CRASHED

    def _act_recover(self, said: str, name: str, wipe: bool) -> None:
        host = self.hosts[name]
        cause = self._fault(said)
        host.disk = host.disk.after_crash(wipe)
        host.node = self._new_node(host)
        host.state = UP
        known = {member.node for member in self.members()}  # One that nobody has heard of yet still wants to join.
        self._begin(host, cause, joining=name not in known)

    def _act_pause(self, said: str, name: str) -> None:
        self._fault(said)
        self.hosts[name].state = PAUSED

    def _act_resume(self, said: str, name: str) -> None:
        self._fault(said)
        host = self.hosts[name]
        host.state = UP
        held, host.held = host.held, []
        for entry in held:
            token = self._push(self.now_us, *entry[2:])
            if entry[2] == self._fire:
                host.timers[entry[4]] = token

    def _act_skew(self, said: str, name: str, skew_us: int) -> None:
        self._fault(said)
        self.hosts[name].epoch_us = EPOCH_US + skew_us

    def _act_join(self, said: str, name: str, weight: float, zone: str) -> None:
        config = self.founded.config
        weights, zones = {**config.weights, name: weight}, {**config.zones, **({name: zone} if zone else {})}
        cause = self._fault(said)
        host = self._new_host(name, config.with_(weights=weights, zones=zones))
        self._begin(host, cause, joining=True)

    def _act_leave(self, said: str) -> None:
        self._fault(said)

    def _act_rebalance(self, said: str) -> None:
        self._fault(said)

    def _act_remove(self, name: str) -> None:
        """A node that has left the ring is switched off."""
        host = self.hosts.pop(name)
        if host.state is not CRASHED:
            self._stop(host, 0)
        host.state = CRASHED

    def _act_redeploy(self, said: str, parts: Parts) -> None:
        self._fault(said)
        self.parts = parts
        for host in self.running():
            host.node.replace_parts(parts)

    # Inside ----------------------------------------------------------------------------------

    def _fault(self, said: str) -> int:
        return self.record.add(self.now_us, "cluster", "fault", detail={"verb": said})

    def _new_host(self, name: str, config: Config) -> Host:
        known = name in self._lives
        disk = SimDisk(config, stream(self.founded.seed, "disk", name), complete=not known)
        host = self.hosts[name] = Host(name, config, self._node(name, config, disk), disk)
        return host

    def _new_node(self, host: Host) -> Node:
        return self._node(host.name, host.config, host.disk)

    def _node(self, name: str, config: Config, disk: SimDisk) -> Node:
        life = self._lives[name] = self._lives.get(name, 0) + 1
        random = stream(self.founded.seed, "node", name, life)
        return Node(name, config, self.secret, disk, random, self.parts, self.guard)

    def _begin(self, host: Host, cause: int, joining: bool = False) -> None:
        seq = self.record.add(self.now_us, host.name, "start", cause=cause)
        members = () if joining else self.members()
        self._handle(host, Start(members, self._seeds(host.name), joining), seq)

    def _seeds(self, name: str) -> tuple[str, ...]:
        return tuple(other for other in self.hosts if other != name)[:SEEDS]

    def _stop(self, host: Host, cause: int) -> None:
        self.record.add(self.now_us, host.name, "stop", cause=cause)
        host.timers.clear()
        held, host.held = host.held, []
        for entry in held:
            if entry[2] == self._deliver:
                _, _, _, to, event, sent = entry
                self.record.drop(self.now_us, event.sender, to, sent, "down")
