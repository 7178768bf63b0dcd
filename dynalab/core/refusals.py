"""How a node says no: errors as messages, and the refusals of a node that cannot take a request (paper 4.5, 6.5)."""

from __future__ import annotations

from typing import Any

from dynalab.core.errors import DynalabError, NodeIsDown
from dynalab.core.messages import ClientFailed

REFUSALS_REMEMBERED = 1_000


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


class Refused:
    """The forwarded requests a node has refused of late.

    A network may deliver a forwarded request twice.
    The client was told that surely nothing was done, so the second copy must not be taken on, whatever has changed.

    Rule: a refusal holds for twice the request's own time limit; after that a copy that comes is a client's new try.
    """

    def __init__(self) -> None:
        #: {request id: (until when, the error)}, oldest first, `REFUSALS_REMEMBERED` at the most
        self._errors: dict[str, tuple[int, DynalabError]] = {}

    def __len__(self) -> int:
        """How many it remembers."""
        return len(self._errors)

    def check(self, message: Any, now_us: int) -> None:
        """Raise the error of a copy that was refused."""
        until_us, error = self._errors.get(message.request, (0, None))
        if error is not None and message.hops and now_us < until_us:
            raise error.with_traceback(None)

    def remember(self, message: Any, now_us: int, error: DynalabError) -> None:
        """A request is refused; only a forwarded one can come twice."""
        if not getattr(message, "hops", 0):
            return
        until_us, first = self._errors.pop(message.request, (0, error))
        if now_us >= until_us:
            until_us, first = now_us + 2 * message.timeout_us, error.with_traceback(None)
        if len(self._errors) == REFUSALS_REMEMBERED:
            del self._errors[next(iter(self._errors))]
        self._errors[message.request] = (until_us, first)


def shown(error: DynalabError) -> str:
    """An error for another node: the student's own traceback where there is one."""
    return error.traceback or str(error)


def no_ring(node: str) -> NodeIsDown:
    """The error of a node that knows no ring yet."""
    return NodeIsDown(f"node {node} is not part of a ring yet; wait for its join, or ask another node")


def no_home(node: str) -> NodeIsDown:
    """The error of a strict quorum whose request reached no home: the nodes disagree on the ring for now."""
    return NodeIsDown(f"node {node} keeps no replica of the key, and fallbacks are forbidden; try again shortly")
