"""GET, PUT and DELETE of one key, and the range scan (paper 4.1, 4.5)."""

from __future__ import annotations

import asyncio
from functools import reduce
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from dynalab.codec.record import decode_record
from dynalab.core.errors import BadRequest
from dynalab.core.session import Got, Sibling, encode_key
from dynalab.core.version import Siblings
from dynalab.gateway import values
from dynalab.gateway.asked import Wish, deadline_of, delete_of, key_of, only, put_of, query_bytes, quorum_of
from dynalab.gateway.documents import DELETE_KEY, GET_KEY, PUT_KEY, SCAN
from dynalab.gateway.face import Face, note, trace_id
from dynalab.gateway.logs import key_hash, summary
from dynalab.live import control
from dynalab.live.session import Client

SCAN_MAX = 1_000
SCAN_DEFAULT = 100


def router(face: Face) -> APIRouter:
    """The addresses under /kv."""
    routes = APIRouter(tags=["keys"])

    @routes.put("/kv/{key:key}", **PUT_KEY)
    async def put(request: Request) -> JSONResponse:
        """Write one key; answers once W distinct nodes have stored it."""
        key = _key(face, request, "write")
        return await _write(face, request, key, await put_of(request))

    @routes.delete("/kv/{key:key}", **DELETE_KEY)
    async def delete(request: Request) -> JSONResponse:
        """Delete one key: a tombstone takes its place until every home has it."""
        key = _key(face, request, "write")
        return await _write(face, request, key, await delete_of(request))

    @routes.get("/kv/{key:key}", **GET_KEY)
    async def get(request: Request) -> JSONResponse:
        """Read one key: its value, or all siblings and one value made of them."""
        key = _key(face, request, "read")
        return await _read(face, request, key)

    @routes.get("/kv", **SCAN)
    async def scan(request: Request) -> JSONResponse:
        """The keys with a prefix, in order: best effort, eventually consistent, no quorum."""
        return JSONResponse(await _scan(face, request))

    return routes


def _key(face: Face, request: Request, kind: str) -> bytes:
    key = key_of(request, "/kv/")
    face.may(request, kind, key)
    note(request, keyHash=key_hash(key))
    return encode_key(key)


async def _write(face: Face, request: Request, key: bytes, wish: Wish) -> JSONResponse:
    future = _submitted(face.client, key, wish, deadline_of(request))
    request_id = getattr(future, "request", trace_id(request))
    note(request, traceId=request_id, **({"client": wish.label} if wish.label else {}))
    ack = await face.asked("delete" if wish.deletes else "put", future)
    note(request, coordinator=ack.coordinator, nodes=ack.nodes, clock=summary(ack.context.clock))
    return JSONResponse(values.written(ack, key, wish.deletes, request_id))


def _submitted(client: Client, key: bytes, wish: Wish, timeout_ms: int | None) -> Any:
    options: dict[str, Any] = {"n": wish.n, "w": wish.w, "timeout_ms": timeout_ms, "request_id": wish.op or None}
    if wish.deletes:
        return client.submit_delete(key, wish.context, **options)
    return client.submit_put(key, wish.value, wish.context, **options)


async def _read(face: Face, request: Request, key: bytes) -> JSONResponse:
    asked = await quorum_of(request)
    future = face.client.submit_get(key, asked.N, asked.R, deadline_of(request))
    request_id = getattr(future, "request", trace_id(request))
    note(request, traceId=request_id, **({"client": asked.nodeId} if asked.nodeId else {}))
    got = await face.asked("get", future)
    note(request, coordinator=got.coordinator, nodes=got.nodes, clock=summary(got.context.clock))
    if not got.found:
        return JSONResponse(values.absent(got, key, request_id), 404)
    return JSONResponse(values.found(got, key, await _siblings(face, got, key), request_id))


async def _siblings(face: Face, got: Got, key: bytes) -> list[Sibling]:
    """The versions a get found; where the cluster has merged them, those that the answering nodes hold."""
    if not got.resolved_by:
        return got.versions
    held = await face.held(key)
    states = [held[node]["replica"] for node in got.nodes if node in held]
    return values.decoded(reduce(face.merge, states, Siblings()).versions)


# Scan ------------------------------------------------------------------------------------------


async def _scan(face: Face, request: Request) -> dict[str, Any]:
    prefix, after = query_bytes(request, "prefix"), query_bytes(request, "after")
    face.may(request, "read", prefix)
    only(request, "prefix", "limit", "after")
    limit = _limit(request.query_params.get("limit", str(SCAN_DEFAULT)))
    if max(len(prefix), len(after)) > 1024:
        raise BadRequest("prefix and after have at most 1024 bytes, as keys do")
    told = await asyncio.to_thread(face.cluster.told_by_all, control.Scan(prefix, after, limit))
    states, is_whole = _joined(face, told)
    # A deleted key is no result, yet the scan has passed it.
    live = [key for key in sorted(states) if any(not version.deleted for version in states[key].versions)]
    shown = live[:limit]
    end = shown[-1] if len(live) > limit else max(states, default=b"")
    return {
        "consistency": "eventual, best effort",
        "items": [_item(key, states[key]) for key in shown],
        "next": None if is_whole and len(live) <= limit else _address(prefix, end, limit),
        "nodes": list(told),
        "missing": [node for node in face.cluster.nodes if node not in told],
    }


def _joined(face: Face, told: dict[str, Any]) -> tuple[dict[bytes, Siblings], bool]:
    """The replicas of all nodes as one table, up to where every node's answer reaches, and whether that is all."""
    reach = [answer["found"][-1][0] for answer in told.values() if answer["more"]]
    states: dict[bytes, Siblings] = {}
    for answer in told.values():
        for key, record in answer["found"]:
            if not reach or key <= min(reach):
                states[key] = face.merge(states.get(key, Siblings()), decode_record(record).siblings)
    return states, not reach


def _item(key: bytes, state: Siblings) -> dict[str, Any]:
    live = [version for version in values.decoded(state.versions) if not version.deleted]
    newest = values.last_writer(live)
    clock = dict(newest.clock)
    return {
        **values.key_fields(key),
        **values.value_fields(newest.value),
        "vectorClock": clock,
        "siblings": len(live),
    }


def _limit(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9 or not 1 <= int(text) <= SCAN_MAX:
        raise BadRequest(f"limit must be an integer from 1 to {SCAN_MAX}; got {text!r:.80}")
    return int(text)


def _address(prefix: bytes, after: bytes, limit: int) -> str:
    return f"/kv?prefix={quote(prefix, safe='')}&limit={limit}&after={quote(after, safe='')}"
