"""The shapes of JSON that the HTTP face takes and gives, for its checks and its OpenAPI document."""

# ruff: noqa: N815 - JSON is written in camel case, and these names are JSON's.

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, model_validator

BASE64 = r"^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"


def whole_number(value: Any) -> Any:
    """JSON has one kind of number, and 2.0 is an integer (JSON Schema, 6.1.1)."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Clock = dict[str, int]
QuorumField = Annotated[int, Field(ge=1, le=16), BeforeValidator(whole_number)]
Name = Annotated[str, Field(min_length=1, max_length=64)]


class Asked(BaseModel):
    """What every request body has in common: unknown fields and near misses are refused."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Quorum(Asked):
    """Options of a get."""

    R: QuorumField | None = Field(None, description="answers to wait for; default: the cluster's R")
    N: QuorumField | None = Field(None, description="replicas to ask, at most the cluster's N")
    nodeId: str | None = Field(None, max_length=128, description="who asks: a label for logs")


class DeleteBody(Asked):
    """Options of a delete, and of a put of raw bytes (there in the query)."""

    nodeId: str | None = Field(None, max_length=128, description="who writes: a label for logs")
    opId: str | None = Field(
        None, min_length=1, max_length=256, description="the same again makes a retry the same write"
    )
    context: str | None = Field(
        None, description="from a get or an answer; null: a blind write; left out: replace what the coordinator holds"
    )
    N: QuorumField | None = Field(None, description="replicas, at most the cluster's N")
    W: QuorumField | None = Field(None, description="stored replicas to wait for; default: the cluster's W")


class PutBody(DeleteBody):
    """A value, as base64 or as JSON, with options."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [{"required": ["value"]}, {"required": ["valueBase64"]}],
            "examples": [{"value": {"milk": 1}, "W": 2}, {"valueBase64": "aGVsbG8=", "nodeId": "node-a"}],
        }
    )

    value: JsonValue = Field(None, description="any JSON")
    valueBase64: str = Field("", pattern=BASE64, description="bytes")

    @model_validator(mode="after")
    def _has_one_value(self) -> PutBody:
        if len({"value", "valueBase64"} & self.model_fields_set) != 1:
            raise ValueError("give exactly one of value and valueBase64")
        return self


# Answers ---------------------------------------------------------------------------------------


class Told(BaseModel):
    """What every answer has in common."""

    model_config = ConfigDict(extra="forbid")


class Written(Told):
    """W distinct nodes have stored it."""

    ok: Literal[True]
    tombstone: bool
    key: str
    keyBase64: str | None = Field(None, description="only for keys that are not UTF-8")
    coordinator: str
    replicasWritten: int = Field(description="distinct nodes that had stored it when W was reached")
    nodes: list[str]
    hinted: dict[str, str] = Field(description="{holder: home} for copies that wait for their home")
    vectorClock: Clock
    lwwMillis: int = Field(description="wall clock of the coordinator, for last-writer-wins only")
    context: str
    traceId: str


class SiblingTold(Told):
    """One of several concurrent versions."""

    valueBase64: str | None = Field(description="null: a deletion")
    value: JsonValue = Field(None, description="when it is text or JSON")
    vectorClock: Clock
    lwwMillis: int
    tombstone: bool


class Resolved(Told):
    """One value for whoever cannot merge: by the key's merger, or else by wall clock."""

    valueBase64: str
    value: JsonValue = None
    resolvedBy: str


class Found(Told):
    """The value, or all siblings and one value made of them."""

    found: Literal[True]
    key: str
    keyBase64: str | None = None
    valueBase64: str
    value: JsonValue = Field(None, description="when it is text or JSON")
    vectorClock: Clock
    lwwMillis: int
    siblings: list[SiblingTold] | None = None
    resolved: Resolved | None = None
    context: str
    coordinator: str
    nodes: list[str]
    staleNodes: list[str] = Field(description="those of nodes that had missed a write")
    traceId: str


class Absent(Told):
    """Never written, or deleted."""

    found: Literal[False]
    key: str
    keyBase64: str | None = None
    tombstone: bool = Field(description="it was deleted")
    vectorClock: Clock
    context: str
    coordinator: str
    nodes: list[str]
    staleNodes: list[str]
    traceId: str


class Scanned(Told):
    """One key of a range scan."""

    key: str
    keyBase64: str | None = None
    valueBase64: str
    value: JsonValue = None
    vectorClock: Clock
    siblings: int = Field(description="concurrent versions; above 1 the value is the last writer's")


class Scan(Told):
    """A best-effort scan: what the running nodes hold now, no quorum, no snapshot."""

    consistency: Literal["eventual, best effort"]
    items: list[Scanned]
    next: str | None = Field(description="where to go on; null: that was all")
    nodes: list[str] = Field(description="who was asked")
    missing: list[str] = Field(description="nodes that did not answer")


class Refusal(Told):
    """Why not. `definite`: surely nothing was or will be stored."""

    ok: Literal[False]
    error: str
    text: str
    definite: bool
    needed: int | None = None
    got: int | None = None
    nodes: list[str] | None = None
    retryMs: int | None = None
    traceId: str


class MerkleLeaf(Told):
    """One slice of the ring: its first place, and the digest of all keys in it."""

    token: int
    digestBase64: str


class MerkleSnapshot(Told):
    """The Merkle tree over a stretch of the ring on one node; equal data give equal roots."""

    rootHashBase64: str
    leafCount: int
    digests: list[MerkleLeaf]


class Health(Told):
    """How this node and the others are; `hints`: copies that wait for their home."""

    status: Literal["ok", "degraded", "down"]
    node: str
    state: str
    nodes: dict[str, str]
    suspected: list[str] = Field(description="whom this node believes down")
    hints: dict[str, int] = Field(description="{node: hints it keeps}")
    faults: list[str] = Field(description="in words")


class Faults(Told):
    """All that is wrong now, in words and as it was said."""

    states: dict[str, str]
    faults: list[str]
    cuts: list[list[str]] = Field(description="(from, to): links that deliver nothing")
    links: list[dict[str, str]]


Free = dict[str, Any]
"""Answers for people, whose fields are those of the node's own inspection."""
