"""How a node says no: errors as messages, and the refusals of a node that cannot take a request (paper 4.5, 6.5)."""

from __future__ import annotations

from dynalab.core.errors import DynalabError, NodeIsDown
from dynalab.core.messages import ClientFailed


def failure(
    request: str, error: DynalabError, needed: int = 0, nodes: tuple[str, ...] = (), traceback: str = ""
) -> ClientFailed:
    """The message that carries an error to a client."""
    text, trace = str(error), traceback or error.traceback
    return ClientFailed(
        *(request, type(error).__name__, text, error.definite, needed, len(nodes), nodes, error.retry_ms, trace)
    )


def refusal(request: str, error: DynalabError, begun: bool) -> ClientFailed:
    """The message that turns a request away.

    Args:
        request: the client's name for it.
        error: why.
        begun: an earlier message with this request id was taken on; 'nothing was done' would be untrue.
    """
    failed = failure(request, error)
    return failed._replace(definite=False) if begun else failed


def shown(error: DynalabError) -> str:
    """An error for another node: the student's own traceback where there is one."""
    return error.traceback or str(error)


def no_ring(node: str) -> NodeIsDown:
    """The error of a node that knows no ring yet."""
    return NodeIsDown(f"node {node} is not part of a ring yet; wait for its join, or ask another node")


def no_home(node: str) -> NodeIsDown:
    """The error of a strict quorum whose request reached no home: the nodes disagree on the ring for now."""
    return NodeIsDown(f"node {node} keeps no replica of the key, and fallbacks are forbidden; try again shortly")
