"""dynalab: a teaching workbench for Amazon's Dynamo paper (SOSP 2007).

The public names, and nothing else.
Each is loaded from its module when it is first asked for (PEP 562),
so `import dynalab` costs milliseconds and a node process never pays for a notebook's libraries.

A new public name is one line in `_HOME` and one under `TYPE_CHECKING`;
tests/test_public.py holds the two together.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

#: {public name: the module it lives in, or "package:" when the name is itself a module of that package}
_HOME = {
    # the two worlds
    "Cluster": "dynalab.live.cluster",
    "Simulation": "dynalab.sim.cluster",
    # what a cluster is told, and what a student may replace
    "Config": "dynalab.core.config",
    "Parts": "dynalab.core.config",
    # causality and values (paper 4.1, 4.4)
    "Context": "dynalab.core.clock",
    "Ordering": "dynalab.core.clock",
    "VectorClock": "dynalab.core.clock",
    "Siblings": "dynalab.core.version",
    "Version": "dynalab.core.version",
    "reconcile": "dynalab.core.version",
    "merge": "dynalab.core:",
    # placement and repair (paper 4.2, 4.3, 4.7, 4.8)
    "KeyRange": "dynalab.core.ring",
    "Ring": "dynalab.core.ring",
    "MerkleTree": "dynalab.core.merkle",
    "diff": "dynalab.core.merkle",
    "phi": "dynalab.core.membership",
    # the record of what happened
    "Trace": "dynalab.codec.trace",
    "TraceEvent": "dynalab.core.trace",
    "replay": "dynalab.panels.replay",
    # for notebooks
    "show_source": "dynalab.course.source",
    # what may go wrong; each has `.definite`
    "BadRequest": "dynalab.core.errors",
    "DynalabError": "dynalab.core.errors",
    "InvalidContext": "dynalab.core.errors",
    "InvalidKey": "dynalab.core.errors",
    "InvalidPartition": "dynalab.core.errors",
    "InvalidQuorum": "dynalab.core.errors",
    "InvalidSetting": "dynalab.core.errors",
    "InvalidValue": "dynalab.core.errors",
    "NodeIsDown": "dynalab.core.errors",
    "NotSettled": "dynalab.core.errors",
    "Overloaded": "dynalab.core.errors",
    "PartFailed": "dynalab.core.errors",
    "ReadQuorumNotReached": "dynalab.core.errors",
    "RequestTimedOut": "dynalab.core.errors",
    "SeveralValues": "dynalab.core.errors",
    "TooManySiblings": "dynalab.core.errors",
    "UnknownNode": "dynalab.core.errors",
    "ValueTooLarge": "dynalab.core.errors",
    "WriteQuorumNotReached": "dynalab.core.errors",
}

#: With DYNALAB_WORLD=sim a notebook written for processes runs in virtual time, unchanged.
_IN_SIMULATION = {"Cluster": "Simulation"}

__all__ = [*sorted(_HOME), "__version__"]  # noqa: PLE0604 - all strings; ruff cannot see through the table

if TYPE_CHECKING:
    from dynalab.codec.trace import Trace as Trace
    from dynalab.core import merge as merge
    from dynalab.core.clock import Context as Context
    from dynalab.core.clock import Ordering as Ordering
    from dynalab.core.clock import VectorClock as VectorClock
    from dynalab.core.config import Config as Config
    from dynalab.core.config import Parts as Parts
    from dynalab.core.errors import BadRequest as BadRequest
    from dynalab.core.errors import DynalabError as DynalabError
    from dynalab.core.errors import InvalidContext as InvalidContext
    from dynalab.core.errors import InvalidKey as InvalidKey
    from dynalab.core.errors import InvalidPartition as InvalidPartition
    from dynalab.core.errors import InvalidQuorum as InvalidQuorum
    from dynalab.core.errors import InvalidSetting as InvalidSetting
    from dynalab.core.errors import InvalidValue as InvalidValue
    from dynalab.core.errors import NodeIsDown as NodeIsDown
    from dynalab.core.errors import NotSettled as NotSettled
    from dynalab.core.errors import Overloaded as Overloaded
    from dynalab.core.errors import PartFailed as PartFailed
    from dynalab.core.errors import ReadQuorumNotReached as ReadQuorumNotReached
    from dynalab.core.errors import RequestTimedOut as RequestTimedOut
    from dynalab.core.errors import SeveralValues as SeveralValues
    from dynalab.core.errors import TooManySiblings as TooManySiblings
    from dynalab.core.errors import UnknownNode as UnknownNode
    from dynalab.core.errors import ValueTooLarge as ValueTooLarge
    from dynalab.core.errors import WriteQuorumNotReached as WriteQuorumNotReached
    from dynalab.core.membership import phi as phi
    from dynalab.core.merkle import MerkleTree as MerkleTree
    from dynalab.core.merkle import diff as diff
    from dynalab.core.ring import KeyRange as KeyRange
    from dynalab.core.ring import Ring as Ring
    from dynalab.core.trace import TraceEvent as TraceEvent
    from dynalab.core.version import Siblings as Siblings
    from dynalab.core.version import Version as Version
    from dynalab.core.version import reconcile as reconcile
    from dynalab.course.source import show_source as show_source
    from dynalab.live.cluster import Cluster as Cluster
    from dynalab.panels.replay import replay as replay
    from dynalab.sim.cluster import Simulation as Simulation


def __getattr__(name: str) -> Any:
    if os.environ.get("DYNALAB_WORLD") == "sim":
        name = _IN_SIMULATION.get(name, name)
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"dynalab has no public name {name!r}; dir(dynalab) lists them")
    if home.endswith(":"):
        return import_module(f"{home.removesuffix(':')}.{name}")
    return getattr(import_module(home), name)


def __dir__() -> list[str]:
    return list(__all__)
