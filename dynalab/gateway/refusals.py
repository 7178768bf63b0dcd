"""Errors as HTTP: a status, and a body that says why, what was reached, and whether it is definite."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from fastapi.responses import JSONResponse

from dynalab.core.errors import (
    BadRequest,
    DynalabError,
    NodeIsDown,
    NotSettled,
    Overloaded,
    PartFailed,
    ReadQuorumNotReached,
    RequestTimedOut,
    TooManySiblings,
    UnknownNode,
    ValueTooLarge,
    WriteQuorumNotReached,
)
from dynalab.live.roll import NodeFailed

logger = logging.getLogger("dynalab.http")


class Unauthorised(DynalabError):
    """No bearer token, or one that nobody was given."""


class Forbidden(DynalabError):
    """This token may not do this."""


class TooLarge(DynalabError):
    """The body is longer than any value may be."""


class NotFound(DynalabError):
    """Nothing is at this address."""


_STATUS: tuple[tuple[type[DynalabError], int], ...] = (
    (ValueTooLarge, 413),
    (TooLarge, 413),
    (Unauthorised, 401),
    (Forbidden, 403),
    (NotFound, 404),
    (UnknownNode, 404),
    (BadRequest, 400),
    (TooManySiblings, 409),
    (NodeIsDown, 503),
    (NodeFailed, 503),
    (Overloaded, 503),
    (ReadQuorumNotReached, 503),
    (WriteQuorumNotReached, 503),
    (RequestTimedOut, 503),
    (NotSettled, 503),
    (PartFailed, 500),
)


def status_of(error: Exception) -> int:
    """The HTTP status of an error; of one that nobody foresaw, 500.

    >>> status_of(ValueTooLarge()), status_of(WriteQuorumNotReached())
    (413, 503)
    """
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 500)


def refusal(error: Exception, trace_id: str) -> JSONResponse:
    """The answer for a request that failed; an unforeseen error is logged and its text kept back."""
    if isinstance(error, DynalabError):
        body = _told(error)
    else:
        logger.error("request %s met a bug of dynalab", trace_id, exc_info=error)
        text = f"dynalab met a bug; its log has a traceback under {trace_id}"
        body = {"error": "InternalError", "text": text, "definite": False}
    headers = {"Retry-After": str(-(-body["retryMs"] // 1000))} if "retryMs" in body else {}
    if isinstance(error, Unauthorised):
        headers["WWW-Authenticate"] = 'Bearer realm="dynalab"'
    return JSONResponse({"ok": False, **body, "traceId": trace_id}, status_of(error), headers)


def _told(error: DynalabError) -> dict[str, Any]:
    body: dict[str, Any] = {"error": type(error).__name__, "text": str(error), "definite": error.definite}
    if error.needed:
        body |= {"needed": error.needed, "got": error.got, "nodes": list(error.nodes)}
    return body | ({"retryMs": error.retry_ms} if error.retry_ms else {})


def no_such_address(status: int, trace_id: str, headers: dict[str, str] | None = None) -> JSONResponse:
    """The answer to a path or a method that is not there."""
    phrase = HTTPStatus(status).phrase
    body = {"ok": False, "error": phrase.replace(" ", ""), "definite": True, "traceId": trace_id}
    return JSONResponse({**body, "text": f"{phrase}; / lists what is there"}, status, headers)
