"""What can be done to a running cluster over HTTP: the fault verbs, joining, leaving, settling.

Each is a body with a `verb`; its other fields are the verb's arguments, checked once more by the verb itself.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, RootModel

from dynalab.gateway.models import Asked, Name, whole_number
from dynalab.live.cluster import Cluster

Chance = Annotated[float, Field(ge=0, le=1)]


class Partition(Asked):
    """Cut the network between the sides, like ``["AB", "CDE"]``."""

    verb: Literal["partition"]
    sides: list[str | list[str]] = Field(min_length=1, max_length=1_000)
    oneWay: bool = False  # noqa: N815 - JSON is written in camel case.

    def carry_out(self, cluster: Cluster) -> None:
        cluster.partition(*self.sides, one_way=self.oneWay)


class Heal(Asked):
    """End all cuts and link rules."""

    verb: Literal["heal"]

    def carry_out(self, cluster: Cluster) -> None:
        cluster.heal()


class Link(Asked):
    """Make the link from `a` to `b` lose, delay, double or reorder messages."""

    verb: Literal["link"]
    a: Name
    b: Name
    drop: Chance = 0.0
    delayMs: float | Annotated[list[float], Field(min_length=2, max_length=2)] = 0.0  # noqa: N815 - see above
    duplicate: Chance = 0.0
    reorder: Chance = 0.0
    bothWays: bool = False  # noqa: N815 - see above

    def carry_out(self, cluster: Cluster) -> None:
        cluster.link(self.a, self.b, self.drop, self.delayMs, self.duplicate, self.reorder, self.bothWays)


class Crash(Asked):
    """Kill a node's process (SIGKILL); its disk stays."""

    verb: Literal["crash"]
    node: Name

    def carry_out(self, cluster: Cluster) -> None:
        cluster.crash(self.node)


class Recover(Asked):
    """Start a crashed node again on its own disk; `wipe`: on an empty one."""

    verb: Literal["recover"]
    node: Name
    wipe: bool = False

    def carry_out(self, cluster: Cluster) -> None:
        cluster.recover(self.node, wipe=self.wipe)


class Pause(Asked):
    """Stop a node's process for a while (SIGSTOP)."""

    verb: Literal["pause"]
    node: Name

    def carry_out(self, cluster: Cluster) -> None:
        cluster.pause(self.node)


class Resume(Asked):
    """Let a paused node go on."""

    verb: Literal["resume"]
    node: Name

    def carry_out(self, cluster: Cluster) -> None:
        cluster.resume(self.node)


class Skew(Asked):
    """Set a node's wall clock wrong by `ms`; its timers stay right."""

    verb: Literal["skew"]
    node: Name
    ms: float

    def carry_out(self, cluster: Cluster) -> None:
        cluster.skew(self.node, self.ms)


class Join(Asked):
    """Add a node to the ring and wait until it has its key ranges (4.8.1)."""

    verb: Literal["join"]
    node: Name
    weight: float = 1.0
    zone: str = Field("", max_length=128)

    def carry_out(self, cluster: Cluster) -> None:
        cluster.join(self.node, self.weight, self.zone)


class Leave(Asked):
    """Take a node out of the ring: it hands over its key ranges, then stops (4.8.1)."""

    verb: Literal["leave"]
    node: Name
    force: bool = False

    def carry_out(self, cluster: Cluster) -> None:
        cluster.leave(self.node, self.force)


class Settle(Asked):
    """Wait until no hint is left and anti-entropy finds nothing."""

    verb: Literal["settle"]
    timeoutMs: Annotated[int, Field(ge=0, le=600_000), BeforeValidator(whole_number)] = 10_000  # noqa: N815 - see above

    def carry_out(self, cluster: Cluster) -> None:
        cluster.settle(self.timeoutMs)


Wish = Partition | Heal | Link | Crash | Recover | Pause | Resume | Skew | Join | Leave | Settle


class FaultBody(RootModel[Annotated[Wish, Field(discriminator="verb")]]):
    """One verb with its arguments."""
