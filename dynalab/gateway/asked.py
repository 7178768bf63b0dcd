"""What a request asks for, read from its path, query, headers and body, and checked before anything is sent."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import unquote_to_bytes

from fastapi import Request
from pydantic import ValidationError
from starlette.convertors import PathConvertor, register_url_convertor

from dynalab.codec.bounds import WireError
from dynalab.codec.token import decode_context
from dynalab.core.clock import Context
from dynalab.core.errors import BadRequest, InvalidContext, InvalidSetting
from dynalab.core.session import encode_key
from dynalab.gateway.models import Asked, DeleteBody, PutBody, Quorum

JSON_TYPES = ("application/json", "application/x-www-form-urlencoded")
"""The second is what `curl -d` says of whatever it sends."""

Body = TypeVar("Body", bound=Asked)


@dataclass(frozen=True, slots=True)
class Wish:
    """A put or a delete, as a client's verb takes it.

    Attributes:
        value: to put.
        deletes: it is a delete instead.
        context: `Context.LOCAL` unless the request said something else.
        op: the client's own name for the write, with which a retry is the same write; empty: none.
        label: who says it is asking.
    """

    value: Any
    deletes: bool
    context: Context | None
    op: str
    label: str
    n: int | None
    w: int | None


class KeyConvertor(PathConvertor):
    """The rest of the path, line ends too; `key_of` has its bytes."""

    regex = r"[\s\S]*"


register_url_convertor("key", KeyConvertor())


def key_of(request: Request, head: str) -> bytes:
    """The key behind `head` in the path, byte for byte as it was sent: %ff is one byte, %2F a slash."""
    raw: bytes = request.scope.get("raw_path") or request.scope["path"].encode()
    return unquote_to_bytes(raw.partition(b"?")[0].removeprefix(head.encode()))


def only(request: Request, *names: str) -> None:
    """Refuse a query that names what this address does not take, or one thing twice: a slip would go unnoticed.

    Raises:
        BadRequest: it does.
    """
    seen: set[str] = set()
    for name, _ in request.query_params.multi_items():
        if name not in names:
            raise BadRequest(f"no option is called {name!r:.80}; there are {', '.join(names)}")
        if name in seen:
            raise BadRequest(f"the option {name} is given twice")
        seen.add(name)


def query_bytes(request: Request, name: str) -> bytes:
    """One parameter of the query, byte for byte; empty when it is not there."""
    for pair in request.scope["query_string"].split(b"&"):
        key, _, value = pair.partition(b"=")
        if unquote_to_bytes(key.replace(b"+", b" ")) == name.encode():
            return unquote_to_bytes(value.replace(b"+", b" "))
    return b""


def optional_key(request: Request) -> bytes:
    """The key in the query; empty when there is none.

    Raises:
        InvalidKey: it is too long.
    """
    key = query_bytes(request, "key")
    return encode_key(key) if key else key


def deadline_of(request: Request) -> int | None:
    """`X-Deadline-Ms`, 1 to 600,000; None: the cluster's default.

    Raises:
        InvalidSetting: it is no such number.
    """
    text = request.headers.get("x-deadline-ms")
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 6 or not 1 <= int(text) <= 600_000:
        raise InvalidSetting(f"X-Deadline-Ms must be an integer from 1 to 600000; got {text!r:.80}")
    return int(text)


async def put_of(request: Request) -> Wish:
    """The put in a request: JSON, or raw bytes of any other content type with the options in the query."""
    body = await request.body()
    if _is_json(request):
        said = checked(PutBody, {**_options(request, DeleteBody), **_object(body)})
        has_value = "value" in said.model_fields_set
        return _wish(said, said.value if has_value else base64.b64decode(said.valueBase64))
    return _wish(checked(DeleteBody, _options(request, DeleteBody)), body)


async def delete_of(request: Request) -> Wish:
    """The delete in a request, with or without a JSON body."""
    return _wish(checked(DeleteBody, await _options_and_body(request, DeleteBody)), None, deletes=True)


async def quorum_of(request: Request) -> Quorum:
    """N and R of a get, in the query or in a JSON body."""
    return checked(Quorum, await _options_and_body(request, Quorum))


async def json_of(request: Request) -> dict[str, Any]:
    """The JSON object in a body that must say it is one: no page of another site can send that unasked."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise BadRequest("this takes JSON, with `Content-Type: application/json`")
    return _object(await request.body())


async def _options_and_body(request: Request, shape: type[Asked]) -> dict[str, Any]:
    body = await request.body()
    return {**_options(request, shape), **(_object(body) if body else {})}


def _is_json(request: Request) -> bool:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind in JSON_TYPES or kind.endswith("+json")


def _options(request: Request, shape: type[Asked]) -> dict[str, Any]:
    """The options in the query, in the types of `shape`; a body's own have precedence."""
    only(request, *shape.model_fields)
    options: dict[str, Any] = {
        name: _number(name, value) if name in ("N", "R", "W") else value
        for name, value in request.query_params.multi_items()
    }
    if options.get("context") == "":
        options["context"] = None
    return checked(shape, options).model_dump(exclude_unset=True)


def _number(name: str, text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise BadRequest(f"{name} must be an integer; got {text!r:.80}")
    return int(text)


def _object(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body, parse_constant=_refuse_constant, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise BadRequest(
            f"the body is not JSON: {error!s:.200}; send raw bytes with `Content-Type: application/octet-stream`"
        ) from None
    if not isinstance(said, dict):
        raise BadRequest(f"the body is a JSON object; got a {type(said).__name__}")
    return said


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    said = dict(pairs)
    if len(said) < len(pairs):
        raise ValueError("an object names one field twice")
    return said


def checked(shape: type[Body], said: dict[str, Any]) -> Body:
    """`said` as `shape`.

    Raises:
        BadRequest: it is not of this shape; the text says where.
    """
    try:
        return shape.model_validate(said)
    except ValidationError as error:
        raise BadRequest("; ".join(_problem(each) for each in error.errors()[:5])) from None


def _problem(told: Any) -> str:
    """One finding of pydantic, in words of ours."""
    if told["type"] == "string_pattern_mismatch":
        return f"{told['loc'][-1]}: no base64: letters, digits, + and /, filled up with = to a multiple of four"
    return f"{'.'.join(map(str, told['loc'])) or 'body'}: {told['msg'].removeprefix('Value error, ')}"


def _wish(said: DeleteBody, value: Any, deletes: bool = False) -> Wish:
    context = _context(said.context) if "context" in said.model_fields_set else Context.LOCAL
    return Wish(value, deletes, context, said.opId or "", said.nodeId or "", said.N, said.W)


def _context(text: str | None) -> Context | None:
    if text is None:
        return None
    try:
        return decode_context(text)
    except WireError as error:
        raise InvalidContext(f"context: {error}; send what a get or an answer gave, or null to write blindly") from None
