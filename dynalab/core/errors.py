"""Every error a user of dynalab can meet, definite or indefinite.

A definite error means that the operation surely had and will have no effect.
An indefinite one means that it may have happened, or may yet.
"""

from __future__ import annotations


class DynalabError(Exception):
    """Something a user of dynalab can meet.

    Attributes:
        definite: surely nothing was or will be stored; else it may have been, or may yet be.
        needed, got, nodes: a quorum's size, how many distinct nodes answered, and which.
        retry_ms: come back after so long (Overloaded).
        traceback: of a student's part that failed.
    """

    definite: bool = True
    needed: int = 0
    got: int = 0
    nodes: tuple[str, ...] = ()
    retry_ms: int = 0
    traceback: str = ""


class BadRequest(DynalabError, ValueError):
    """The request itself is wrong; nothing was sent."""


class InvalidKey(BadRequest):
    """A key is text or bytes, 1 to 1024 bytes encoded."""


class InvalidValue(BadRequest):
    """A value is bytes, text, or what JSON can say."""


class ValueTooLarge(BadRequest):
    """A value has at most 1 MiB encoded."""


class InvalidQuorum(BadRequest):
    """1 <= R, W <= N <= the cluster's N."""


class InvalidContext(BadRequest):
    """The context was not given by this cluster for this key."""


class InvalidPartition(BadRequest):
    """A partition names known nodes, each on one side."""


class UnknownNode(BadRequest):
    """No node of the cluster has this name."""


class InvalidSetting(BadRequest):
    """A setting or an argument is out of its range."""


class SeveralValues(DynalabError):
    """`.value` was asked of a reply with several siblings; use `.values` and merge them."""


class NodeIsDown(DynalabError):
    """The node the request was sent through is not running; nothing was sent."""


class Overloaded(DynalabError):
    """The node refuses new requests for now; come back after `retry_ms`."""


class TooManySiblings(DynalabError):
    """The put would leave more siblings, or more clock pairs, than the limit; read and merge first."""


class ReadQuorumNotReached(DynalabError):
    """Fewer than R nodes answered in time; a read changes nothing, so this is definite."""


class WriteQuorumNotReached(DynalabError):
    """Fewer than W nodes confirmed in time; the write may be stored on some, and may yet appear."""

    definite = False


class RequestTimedOut(DynalabError):
    """The coordinator did not answer in time; the write may have happened, or may yet."""

    definite = False


class PartFailed(DynalabError):
    """A replaced part raised, answered nonsense or took too long; the text has its traceback."""

    definite = False


class NotSettled(DynalabError):
    """The cluster did not become quiet in time; the text says what is left."""


ERRORS: tuple[type[DynalabError], ...] = (
    *(BadRequest, InvalidKey, InvalidValue, ValueTooLarge, InvalidQuorum, InvalidContext, InvalidPartition),
    *(UnknownNode, InvalidSetting, SeveralValues, NodeIsDown, Overloaded, TooManySiblings, ReadQuorumNotReached),
    *(WriteQuorumNotReached, RequestTimedOut, PartFailed, NotSettled),
)
