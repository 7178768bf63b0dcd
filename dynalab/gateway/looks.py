"""Looking from outside: at siblings on every replica, at the trace, at digests, at metrics."""

from __future__ import annotations

import asyncio
import json
from importlib.resources import files
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, Response

from dynalab.codec.story import sentence
from dynalab.codec.trace import Trace
from dynalab.core.errors import BadRequest
from dynalab.core.session import encode_key, key_text
from dynalab.core.version import Siblings
from dynalab.gateway import models, values
from dynalab.gateway.asked import key_of, only, optional_key
from dynalab.gateway.documents import KEY, look, parameter
from dynalab.gateway.face import Face
from dynalab.gateway.snapshot import HIGHEST_PLACE, LEAVES_DEFAULT, LEAVES_MAX, snapshot, whole
from dynalab.live import control
from dynalab.live.looks import LOWEST_PLACE
from dynalab.live.owner import is_for

EVENTS_MAX = 10_000

_PLACE = {"type": "integer", "minimum": LOWEST_PLACE, "maximum": HIGHEST_PLACE}
_FIRST = parameter("startToken", {**_PLACE, "default": LOWEST_PLACE}, "first place of the stretch")
_LAST = parameter("endToken", {**_PLACE, "default": HIGHEST_PLACE}, "last place, included")
_LEAVES = parameter(
    "leafCount", {"type": "integer", "minimum": 1, "maximum": LEAVES_MAX, "default": LEAVES_DEFAULT}, "equal slices"
)
_KEY = parameter("key", {"type": "string", "maxLength": 1024}, "only of this key")
_REQUEST = parameter("request", {"type": "string", "maxLength": 128}, "only of the request with this trace id")
_LIMIT = parameter(
    "limit", {"type": "integer", "minimum": 1, "maximum": EVENTS_MAX, "default": 200}, "the last so many"
)


def router(face: Face) -> APIRouter:
    """The addresses under /debug, the Merkle snapshot, and what monitoring asks for."""
    routes = APIRouter(tags=["looking"])

    @routes.get("/debug/siblings/{key:key}", **look(models.Free, KEY))
    async def siblings(request: Request) -> JSONResponse:
        """What every running node holds of one key: its replica, and hints it keeps for others."""
        key = encode_key(key_of(request, "/debug/siblings/"))
        face.may(request, "read", key)
        return JSONResponse(_held(face, key, await face.held(key)))

    @routes.get("/debug/trace", **look(models.Free, _REQUEST, _KEY, _LIMIT))
    async def trace(request: Request) -> JSONResponse:
        """What happened lately: of one request at every node it reached, of one key, or all of it."""
        face.may(request, "admin")
        only(request, "request", "key", "limit")
        limit = whole("limit", request.query_params.get("limit"), 200, 1, EVENTS_MAX)
        key, asked = optional_key(request), request.query_params.get("request", "")
        if len(asked) > 128:
            raise BadRequest(f"a request id has at most 128 characters; got {len(asked)}")
        events = await asyncio.to_thread(lambda: face.cluster.trace)
        chosen = _chosen(events, asked, key)
        return JSONResponse({"events": [_event(event) for event in list(chosen)[-limit:]], "gaps": events.gaps})

    @routes.get("/admin/anti-entropy/merkle-snapshot", **look(models.MerkleSnapshot, _FIRST, _LAST, _LEAVES))
    async def merkle_snapshot(request: Request) -> JSONResponse:
        """The Merkle tree over a stretch of the ring on this node; equal data give equal roots on every node (4.7)."""
        face.may(request, "admin")
        only(request, "startToken", "endToken", "leafCount")
        asked = request.query_params
        first = whole("startToken", asked.get("startToken"), LOWEST_PLACE, LOWEST_PLACE, HIGHEST_PLACE)
        last = whole("endToken", asked.get("endToken"), HIGHEST_PLACE, LOWEST_PLACE, HIGHEST_PLACE)
        leaves = whole("leafCount", asked.get("leafCount"), LEAVES_DEFAULT, 1, LEAVES_MAX)
        digests = await asyncio.to_thread(face.cluster.told, face.node, control.Digest(first, last, leaves))
        return JSONResponse(snapshot(first, last, digests))

    @routes.get("/admin/dashboard", **look(models.Free))
    async def dashboard() -> JSONResponse:
        """A Grafana dashboard over this cluster's metrics; import it as it is."""
        return JSONResponse(json.loads(files("dynalab.gateway").joinpath("dashboard.json").read_text("utf-8")))

    @routes.get("/metrics", response_class=Response)
    async def metrics(request: Request) -> Response:
        """For Prometheus."""
        face.may(request, "read")
        page = await asyncio.to_thread(face.meters.page)
        return Response(page, media_type="text/plain; version=0.0.4; charset=utf-8")

    return routes


def _held(face: Face, key: bytes, held: dict[str, dict[str, Any]]) -> dict[str, Any]:
    told = {node: _replica(each["replica"]) for node, each in held.items()}
    hints = {node: {home: _replica(state) for home, state in each["hints"].items()} for node, each in held.items()}
    return {
        **values.key_fields(key),
        "preferenceList": face.cluster.ring.preference_list(key, face.cluster.config.n),
        "node": face.node,
        "siblings": told.get(face.node, {}).get("siblings", []),
        "replicas": told,
        "hints": {node: kept for node, kept in hints.items() if kept},
    }


def _replica(state: Siblings) -> dict[str, Any]:
    siblings = [
        {**values.sibling_fields(version), "dot": str(version.dot)} for version in values.decoded(state.versions)
    ]
    return {"vectorClock": dict(state.clock), "siblings": siblings}


def _chosen(trace: Trace, request: str, key: bytes) -> Trace:
    if key:
        trace = trace.filter(key=key)
    if not request:
        return trace
    ids = {event.request for event in trace if is_for(event.request, request)}
    return trace.filter(request=ids)


def _event(event: Any) -> dict[str, Any]:
    told = {"seq": event.seq, "timeMs": event.time_ms, "node": event.node, "kind": event.kind, "text": sentence(event)}
    more = {"message": event.message, "peer": event.peer, "key": key_text(event.key) if event.key else ""}
    more |= {"request": event.request, "size": event.size, "cause": event.cause}
    return told | {name: value for name, value in more.items() if value}
