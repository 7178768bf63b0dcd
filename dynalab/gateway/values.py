"""Keys, values, versions and acknowledgements as the HTTP face says them in JSON."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable
from typing import Any

from dynalab.codec.token import encode_context
from dynalab.core.clock import VectorClock
from dynalab.core.session import Ack, Got, Sibling, decode_value, key_text
from dynalab.core.version import Version

LWW = "LWW"
"""What the seeds' APIs call last-writer-wins."""


def base64_of(data: bytes) -> str:
    """Standard base64.

    >>> base64_of(b"hello")
    'aGVsbG8='
    """
    return base64.b64encode(data).decode()


def key_fields(key: bytes) -> dict[str, str]:
    """A key as text; one that is no UTF-8 also as base64.

    >>> key_fields(b"cart"), key_fields(bytes([255]))
    ({'key': 'cart'}, {'key': '0xff', 'keyBase64': '/w=='})
    """
    try:
        return {"key": key.decode()}
    except UnicodeDecodeError:
        return {"key": key_text(key), "keyBase64": base64_of(key)}


def value_fields(value: Any) -> dict[str, Any]:
    """A decoded value: its bytes, and itself when it is text or JSON.

    >>> value_fields("tea")
    {'valueBase64': 'dGVh', 'value': 'tea'}
    """
    if isinstance(value, bytes):
        return {"valueBase64": base64_of(value)}
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return {"valueBase64": base64_of(text.encode()), "value": value}


def written(ack: Ack, key: bytes, deleted: bool, trace_id: str) -> dict[str, Any]:
    """The answer to a put or a delete."""
    return {
        "ok": True,
        "tombstone": deleted,
        **key_fields(key),
        "coordinator": ack.coordinator,
        "replicasWritten": len(ack.nodes),
        "nodes": ack.nodes,
        "hinted": ack.hinted,
        "vectorClock": dict(ack.context.clock),
        "lwwMillis": ack.wall_us // 1000,
        "context": encode_context(ack.context),
        "traceId": trace_id,
    }


def found(got: Got, key: bytes, siblings: list[Sibling], trace_id: str) -> dict[str, Any]:
    """The answer to a get that found something.

    Args:
        got: what the cluster answered, siblings merged if the key has a merger.
        key: the key.
        siblings: the versions before they were merged, values decoded.
        trace_id: of the request.
    """
    newest = last_writer([version for version in got.versions if not version.deleted])
    answer = {
        "found": True,
        **key_fields(key),
        **value_fields(newest.value),
        "vectorClock": dict(newest.clock if len(siblings) < 2 else got.context.clock),
        "lwwMillis": newest.wall_us // 1000,
        **_reached(got, trace_id),
    }
    if len(siblings) > 1:
        answer["siblings"] = [sibling_fields(version) for version in siblings]
        by = got.resolved_by or LWW
        by = LWW if by == "last_writer_wins" else by
        answer["resolved"] = {**value_fields(newest.value), "resolvedBy": by}
    return answer


def absent(got: Got, key: bytes, trace_id: str) -> dict[str, Any]:
    """The answer to a get that found nothing, or a deletion."""
    answer = {"found": False, **key_fields(key), "tombstone": bool(got.versions)}
    return {**answer, "vectorClock": dict(got.context.clock), **_reached(got, trace_id)}


def _reached(got: Got, trace_id: str) -> dict[str, Any]:
    return {
        "context": encode_context(got.context),
        "coordinator": got.coordinator,
        "nodes": got.nodes,
        "staleNodes": got.stale_nodes,
        "traceId": trace_id,
    }


def last_writer(versions: Iterable[Sibling]) -> Sibling:
    """The version that the latest wall clock stamped; equal stamps are decided by the dot."""
    return max(versions, key=lambda version: (version.wall_us, version.dot))


def sibling_fields(version: Sibling) -> dict[str, Any]:
    """One version, its value decoded."""
    shown = {"valueBase64": None} if version.deleted else value_fields(version.value)
    clock = dict(version.clock)
    return {**shown, "vectorClock": clock, "lwwMillis": version.wall_us // 1000, "tombstone": version.deleted}


def decoded(versions: Iterable[Version]) -> list[Sibling]:
    """Stored versions as a client sees them."""
    return [
        Sibling(
            None if version.deleted else decode_value(version.value),
            VectorClock(version.clock),
            version.dot,
            version.wall_us,
            version.deleted,
        )
        for version in versions
    ]
