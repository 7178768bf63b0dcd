"""The faults of a running cluster over HTTP: which there are, and new ones."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse
from pydantic import ValidationError

from dynalab.core.errors import BadRequest
from dynalab.gateway import models
from dynalab.gateway.asked import json_of
from dynalab.gateway.documents import changes, look
from dynalab.gateway.face import Face, note
from dynalab.gateway.wishes import FaultBody, Join, Leave


def router(face: Face) -> APIRouter:
    """The address /admin/faults."""
    routes = APIRouter(tags=["faults"])

    @routes.get("/admin/faults", **look(models.Faults))
    async def faults(request: Request) -> JSONResponse:
        """All that is wrong with the network and the nodes now."""
        face.may(request, "admin")
        return JSONResponse(_now(face))

    @routes.post("/admin/faults", **changes(models.Faults, FaultBody))
    async def fault(request: Request) -> JSONResponse:
        """Cut, heal, crash, recover, pause, resume, skew, join, leave, settle; answers once it has taken effect."""
        face.may(request, "admin")
        wish = _wish(await json_of(request))
        note(request, verb=wish.verb)
        await asyncio.to_thread(wish.carry_out, face.cluster)
        if isinstance(wish, (Join, Leave)):
            await face.on_change()
        return JSONResponse(_now(face))

    return routes


def _wish(said: dict[str, Any]) -> Any:
    try:
        return FaultBody.model_validate(said).root
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, each['loc'][1:])) or 'verb'}: {each['msg']}" for each in error.errors()[:5]]
        raise BadRequest("; ".join(problems)) from None


def _now(face: Face) -> dict[str, Any]:
    faults = face.cluster.faults
    return {
        "states": face.cluster.states(),
        "faults": faults.words(),
        "cuts": [list(cut) for cut in faults.cuts],
        "links": [{"a": a, "b": b, "rule": str(rule)} for (a, b), rule in faults.rules.items()],
    }
