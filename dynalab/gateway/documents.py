"""What the OpenAPI document says of each address beyond its path: parameters, bodies, answers."""

from __future__ import annotations

from typing import Any

from dynalab.gateway import models
from dynalab.gateway.wishes import FaultBody

_REASONS = {
    400: "malformed; definite",
    401: "no bearer token, or an unknown one",
    403: "the token is not for this",
    404: "nothing is called so",
    409: "too many siblings: read, merge, put with the context",
    413: "longer than a value may be",
    500: "a bug, or a replaced part that failed",
    503: "no quorum, node down, or deadline passed; `definite` says whether something may be stored",
}


def _answers(model: Any, *others: int) -> dict[int | str, dict[str, Any]]:
    refusals = {status: {"model": models.Refusal, "description": _REASONS[status]} for status in others}
    return {200: {"model": model}, **refusals}  # type: ignore[dict-item]


def parameter(name: str, schema: dict[str, Any], about: str, where: str = "query") -> dict[str, Any]:
    """One parameter that is read by hand."""
    required = {"required": True} if where == "path" else {}
    return {"name": name, "in": where, "schema": schema, "description": about, **required}


def quorum(name: str, about: str) -> dict[str, Any]:
    """N, R or W in the query."""
    return parameter(name, {"type": "integer", "minimum": 1, "maximum": 16}, about)


KEY = parameter("key", {"type": "string", "minLength": 1, "maxLength": 1024}, "1 to 1024 bytes, any of them", "path")
DEADLINE = parameter(
    "X-Deadline-Ms", {"type": "integer", "minimum": 1, "maximum": 600_000}, "how long to try", "header"
)
LABEL = parameter("nodeId", {"type": "string", "maxLength": 128}, "a label for logs")
OP = parameter("opId", {"type": "string", "minLength": 1, "maxLength": 256}, "the same again is the same write")
CONTEXT = parameter("context", {"type": "string"}, "from a get or an answer; empty: a blind write")
_N, _R, _W = (
    quorum("N", "replicas"),
    quorum("R", "answers to wait for"),
    quorum("W", "stored replicas to wait for"),
)


def definitions() -> dict[str, Any]:
    """The schemas of request bodies, by name: for the document's components."""
    named: dict[str, Any] = {}
    for model in (models.PutBody, models.DeleteBody, FaultBody):
        schema = model.model_json_schema(ref_template="#/components/schemas/{model}")
        named |= {**schema.pop("$defs", {}), model.__name__: schema}
    return named


def body(model: Any, required: bool, raw: bool = False) -> dict[str, Any]:
    """A request body that is read by hand."""
    schema = {"$ref": f"#/components/schemas/{model.__name__}"}
    content: dict[str, Any] = {"application/json": {"schema": schema}}
    if raw:
        content["application/octet-stream"] = {"schema": {"type": "string", "format": "binary"}}
    return {"required": required, "content": content}


_OTHERS = (400, 401, 403, 413, 500, 503)
_WRITES = {"responses": _answers(models.Written, *_OTHERS, 409)}
_OPTIONS = [KEY, DEADLINE, LABEL, OP, CONTEXT, _N, _W]

PUT_KEY: dict[str, Any] = {
    **_WRITES,
    "openapi_extra": {"parameters": _OPTIONS, "requestBody": body(models.PutBody, required=True, raw=True)},
}
DELETE_KEY: dict[str, Any] = {
    **_WRITES,
    "openapi_extra": {"parameters": _OPTIONS, "requestBody": body(models.DeleteBody, required=False)},
}
GET_KEY: dict[str, Any] = {
    "responses": {
        **_answers(models.Found, *_OTHERS),
        404: {"model": models.Absent, "description": "never written, or deleted"},
    },
    "openapi_extra": {"parameters": [KEY, DEADLINE, LABEL, _N, _R]},
}
SCAN: dict[str, Any] = {
    "responses": _answers(models.Scan, 400, 401, 403, 500, 503),
    "openapi_extra": {
        "parameters": [
            parameter("prefix", {"type": "string", "maxLength": 1024}, "keys begin with it"),
            parameter("limit", {"type": "integer", "minimum": 1, "maximum": 1000, "default": 100}, "keys at the most"),
            parameter("after", {"type": "string", "maxLength": 1024}, "keys come after it"),
        ]
    },
}


def look(model: Any, *parameters: dict[str, Any]) -> dict[str, Any]:
    """The document of an address that only looks."""
    return {"responses": _answers(model, 400, 401, 403, 404, 500, 503), "openapi_extra": {"parameters": [*parameters]}}


def changes(answer: Any, asked: Any) -> dict[str, Any]:
    """The document of an address that changes the cluster."""
    return {
        "responses": _answers(answer, 400, 401, 403, 404, 413, 500, 503),
        "openapi_extra": {"requestBody": body(asked, required=True)},
    }
