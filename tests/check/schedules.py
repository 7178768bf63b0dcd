"""Random runs of a simulation: clients, faults and joins drawn from one seed, ended before the judge."""

from __future__ import annotations

from random import Random
from typing import Any

from dynalab.check.recorder import Recorder
from dynalab.check.report import Report
from dynalab.check.verdict import judge_run
from dynalab.core.clock import Context
from dynalab.core.errors import DynalabError
from dynalab.sim.cluster import Simulation

KEYS = ("cart", "list", "note")
CONTEXTS: tuple[dict[str, Any], ...] = ({}, {}, {}, {"context": None}, {"context": Context.LOCAL})


def cluster_of(seed: int, **settings: Any) -> Recorder:
    """A recorded simulation whose settings follow from the seed; `settings` overrule."""
    random = Random(seed)
    drawn: dict[str, Any] = {
        "storage": random.choice(["memory", "log", "log"]),
        "durability": random.choice(["durable", "durable", "buffered"]),
        "strategy": random.choice([1, 2, 3, 3, 3]),
        "strict": random.random() < 0.15,
        "r": random.choice([1, 2, 3]),
        "w": random.choice([1, 2, 2, 3]),
        "anti_entropy_ms": random.choice([200, 1000]),
        "timeout_ms": random.choice([100, 400]),
        "replica_timeout_ms": random.choice([20, 60]),
        "hint_ttl_ms": random.choice([3_600_000, 3_600_000, 1_000]),
    }
    return Recorder(Simulation(random.choice([3, 4, 5, 5]), seed=seed, n=3, **{**drawn, **settings}))


def disturbed(recorder: Recorder, seed: int, steps: int) -> None:
    """Clients at work while the cluster is cut, crashed, wiped, paused, skewed, joined and left."""
    chaos = _Chaos(recorder, Random(seed))
    for number in range(steps):
        try:
            chaos.step(number)
        except DynalabError:
            continue  # The history has it, and a refused verb changed nothing.


def judged(recorder: Recorder) -> Report:
    """The faults end, every node runs, and the judge looks."""
    recorder.heal()
    for node, state in recorder.states().items():
        if state == "crashed":
            recorder.recover(node)
        elif state == "paused":
            recorder.resume(node)
    return judge_run(recorder, recorder.cluster.events)


class _Chaos:
    """One random step after the other."""

    def __init__(self, recorder: Recorder, random: Random) -> None:
        self.recorder = recorder
        self.random = random
        nodes = recorder.nodes
        self.clients = [recorder.client(f"c{i}", via=None if i == 0 else random.choice(nodes)) for i in range(4)]
        self.joined = 0
        #: (verb, weight)
        self.verbs = {
            "put": 35,
            "get": 20,
            "delete": 7,
            "wait": 6,
            "partition": 6,
            "heal": 5,
            "link": 6,
            "skew": 1,
            "crash": 3,
            "recover": 4,
            "pause": 2,
            "resume": 2,
            "join": 1.5,
            "leave": 1.5,
        }

    def step(self, number: int) -> None:
        """One verb, drawn by weight."""
        verb = self.random.choices(list(self.verbs), list(self.verbs.values()))[0]
        getattr(self, f"_{verb}")(number)

    def _put(self, number: int) -> None:
        client, key = self.random.choice(self.clients), self.random.choice(KEYS)
        client.put(key, f"v{number}", **self.random.choice(CONTEXTS))

    def _get(self, number: int) -> None:
        self.random.choice(self.clients).get(self.random.choice(KEYS))

    def _delete(self, number: int) -> None:
        self.random.choice(self.clients).delete(self.random.choice(KEYS))

    def _wait(self, number: int) -> None:
        self.recorder.run(ms=self.random.choice([1, 10, 200, 1500]))

    def _partition(self, number: int) -> None:
        nodes = self.random.sample(self.recorder.nodes, len(self.recorder.nodes))
        cut = self.random.randrange(1, len(nodes))
        self.recorder.partition(nodes[:cut], nodes[cut:], one_way=self.random.random() < 0.3)

    def _heal(self, number: int) -> None:
        self.recorder.heal()

    def _link(self, number: int) -> None:
        a, b = self.random.sample(self.recorder.nodes, 2)
        drop, delay_ms = self.random.choice([0, 0.3, 0.9]), self.random.choice([0, (0, 50), (0, 400)])
        duplicate, reorder = self.random.choice([0, 0.5]), self.random.choice([0, 0.5])
        self.recorder.link(a, b, drop=drop, delay_ms=delay_ms, duplicate=duplicate, reorder=reorder)

    def _skew(self, number: int) -> None:
        self.recorder.skew(self.random.choice(self.recorder.nodes), self.random.choice([-300_000, 0, 300_000]))

    def _crash(self, number: int) -> None:
        self.recorder.crash(self._one("up", keep=1))

    def _recover(self, number: int) -> None:
        self.recorder.recover(self._one("crashed"), wipe=self.random.random() < 0.25)

    def _pause(self, number: int) -> None:
        self.recorder.pause(self._one("up", keep=1))

    def _resume(self, number: int) -> None:
        self.recorder.resume(self._one("paused"))

    def _join(self, number: int) -> None:
        self.joined += 1
        self.recorder.join(f"J{self.joined}")

    def _leave(self, number: int) -> None:
        if len(self.recorder.nodes) > 3:
            self.recorder.leave(self.random.choice(self.recorder.nodes))

    def _one(self, state: str, keep: int = 0) -> str:
        """A node in this state, leaving `keep` of them alone; else the first node, for a verb that refuses it."""
        nodes = [node for node, now in self.recorder.states().items() if now == state]
        return self.random.choice(nodes) if len(nodes) > keep else self.recorder.nodes[0]
