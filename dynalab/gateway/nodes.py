"""Looking at the nodes: the ring, who is well, which hints wait, and the inside of each (paper 4.3, 4.6, 4.8)."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse

from dynalab.core.errors import UnknownNode
from dynalab.gateway import models, values
from dynalab.gateway.asked import only, optional_key
from dynalab.gateway.documents import look, parameter
from dynalab.gateway.face import Face
from dynalab.live import control

_KEY = parameter("key", {"type": "string", "maxLength": 1024}, "whose preference list to show")
_NODE = parameter("node", {"type": "string"}, "which", where="path")


def router(face: Face) -> APIRouter:
    """The addresses under /admin that change nothing."""
    routes = APIRouter(tags=["nodes"])

    @routes.get("/admin/ring", **look(models.Free, _KEY))
    async def ring(request: Request) -> JSONResponse:
        """Who is in the ring, where each listens, what share each keeps; of a key, its preference list (4.3)."""
        face.may(request, "read")
        only(request, "key")
        return JSONResponse(_ring(face, optional_key(request)))

    @routes.get("/admin/health", **look(models.Health))
    async def health(request: Request) -> JSONResponse:
        """Whether this node runs, whom it believes down, and which hints wait; 503 when it does not run."""
        face.may(request, "read")
        told = await asyncio.to_thread(_health, face)
        return JSONResponse(told, 503 if told["status"] == "down" else 200)

    @routes.get("/admin/hints", **look(models.Free))
    async def hints(request: Request) -> JSONResponse:
        """The hints of every running node: for whom, of which key, since when (4.6)."""
        face.may(request, "admin")
        seen = await asyncio.to_thread(face.cluster.told_by_all, control.Inspect(True))
        return JSONResponse({"hints": {node: told["hints"] for node, told in seen.items()}})

    @routes.get("/admin/inspect/{node}", **look(models.Free, _NODE))
    async def inspect(request: Request) -> JSONResponse:
        """The inside of one node: records, clocks, hints, opinions, Merkle roots, counters."""
        face.may(request, "admin")
        node = request.path_params["node"]
        if node not in face.cluster.nodes:
            raise UnknownNode(f"no node is called {node!r:.80}; the nodes are {', '.join(face.cluster.nodes)}")
        return JSONResponse(_plain(await asyncio.to_thread(face.cluster.inspect, node)))

    return routes


def _ring(face: Face, key: bytes) -> dict[str, Any]:
    cluster, config = face.cluster, face.cluster.config
    states, ports, processes, shares = cluster.states(), face.ports(), cluster.processes(), cluster.ring.share(config.n)
    nodes = [
        {
            "node": node,
            "state": state,
            "port": ports.get(node),
            "pid": processes.get(node),
            "share": shares.get(node, 0),
        }
        for node, state in states.items()
    ]
    told = {"n": config.n, "r": config.r, "w": config.w, "strategy": config.strategy, "nodes": nodes}
    told["ranges"] = [{"end": f"{position:032x}", "node": node} for position, node in cluster.ring.tokens]
    if key:
        walk = cluster.ring.preference_list(key, len(states))
        told["key"] = {**values.key_fields(key), "preferenceList": walk[: config.n], "fallbacks": walk[config.n :]}
    return told


def _health(face: Face) -> dict[str, Any]:
    states = face.cluster.states()
    seen = face.cluster.told_by_all(control.Inspect(False))
    mine = seen.get(face.node, {})
    is_whole = all(state == "up" for state in states.values())
    hints = {node: told["hint_count"] for node, told in seen.items()}
    faults = face.cluster.faults.words()
    return {
        "status": "down" if not mine else "ok" if is_whole and not faults else "degraded",
        "node": face.node,
        "state": states.get(face.node, "gone"),
        "nodes": states,
        "suspected": [peer for peer, opinion in mine.get("up", {}).items() if not opinion["believed_up"]],
        "hints": hints,
        "faults": faults,
    }


def _plain(value: Any) -> Any:
    """What JSON can say: an infinite phi is none, bytes are text."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return None
    return value.decode(errors="replace") if isinstance(value, bytes) else value
