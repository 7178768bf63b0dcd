"""What a client remembers and says: contexts by key, the encoding of keys and values, replies and errors (4.1).

Theory of operation.
A client is a session.
A put without `context=` carries two contexts: of the client's last read of that key, and of its last
acknowledgement. The coordinator verifies and joins them.
So a client's second put replaces its first, and a stale read never makes it forget its own write.

Rule 1: `None` and `Context.EMPTY` are a blind write everywhere; only leaving the context out uses the session.
Rule 2: bad input is refused here, before anything is sent, by a definite error that names value and range.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, Final, NamedTuple

from dynalab.core.clock import Context, Dot, VectorClock
from dynalab.core.config import KEY_BYTES_MAX, Config
from dynalab.core.errors import (
    ERRORS,
    BadRequest,
    DynalabError,
    InvalidContext,
    InvalidKey,
    InvalidQuorum,
    InvalidSetting,
    InvalidValue,
    SeveralValues,
    ValueTooLarge,
)
from dynalab.core.messages import ClientFailed, ClientGet, ClientGetDone, ClientPut, ClientPutDone
from dynalab.core.version import Version


class _UseSession:
    """The default of `context=`: what this client has seen."""

    def __repr__(self) -> str:
        return "what this client has seen"


USE_SESSION: Final = _UseSession()
ContextChoice = Context | None | _UseSession

REQUEST_ID_LENGTH_MAX, REQUEST_ID_SHOWN = 256, 64
"""A user may name a write by so many characters; so many of them are readable in the id on the wire."""

_BYTES, _TEXT, _JSON = b"b", b"t", b"j"


def encode_key(key: str | bytes) -> bytes:
    """A key as bytes.

    Raises:
        InvalidKey: not text or bytes, empty, or above 1024 bytes.

    >>> encode_key("cart")
    b'cart'
    """
    if not isinstance(key, (str, bytes)):
        raise InvalidKey(f"a key is str or bytes; got {type(key).__name__} {key!r:.80}")
    try:
        encoded = key if isinstance(key, bytes) else key.encode()
    except UnicodeEncodeError:
        raise InvalidKey(f"the key {key!r:.80} holds characters that UTF-8 cannot say; pass bytes instead") from None
    if not 1 <= len(encoded) <= KEY_BYTES_MAX:
        raise InvalidKey(f"a key has 1 to {KEY_BYTES_MAX} bytes; {key!r:.40} has {len(encoded)}")
    return encoded


def key_text(key: bytes) -> str:
    """A key for people: as text when it is UTF-8, else in hexadecimal."""
    try:
        return key.decode()
    except UnicodeDecodeError:
        return "0x" + key.hex()


def encode_value(value: Any, bytes_max: int) -> bytes:
    """A value as bytes that remember whether it was bytes, text or JSON.

    Raises:
        InvalidValue: JSON cannot say it.
        ValueTooLarge: more than `bytes_max` bytes encoded.

    >>> decode_value(encode_value({"milk": 1}, 100))
    {'milk': 1}
    """
    is_bytes = isinstance(value, (bytes, bytearray))
    encoded = _BYTES + bytes(value) if is_bytes else _encode_text_or_json(value)
    if len(encoded) - 1 > bytes_max:
        raise ValueTooLarge(f"a value has at most {bytes_max:,} bytes encoded; this one has {len(encoded) - 1:,}")
    return encoded


def _encode_text_or_json(value: Any) -> bytes:
    try:
        if isinstance(value, str):
            return _TEXT + value.encode()
        text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        _check_names(value)
        return _JSON + text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidValue(
            f"a value is bytes, str, or what JSON can say; {type(value).__name__} {_short(value)} is not: {error}"
        ) from None


def _check_names(value: Any) -> None:
    """JSON names the entries of an object by text only; other names would silently come back as text."""
    if isinstance(value, dict):
        for name, entry in value.items():
            if not isinstance(name, str):
                raise TypeError(f"JSON names entries by text, not by {type(name).__name__} {name!r:.40}")
            _check_names(entry)
    elif isinstance(value, (list, tuple)):
        for entry in value:
            _check_names(entry)


def _short(value: Any) -> str:
    try:
        return f"{value!r:.80}"
    except RecursionError:
        return "(nested too deeply to show)"


def decode_value(encoded: bytes) -> Any:
    """The value that `encode_value` made these bytes of; bytes of other origin stay bytes."""
    kind, content = encoded[:1], encoded[1:]
    if kind == _TEXT:
        return content.decode()
    if kind == _JSON:
        return json.loads(content)
    return content if kind == _BYTES else encoded


@dataclass(frozen=True, slots=True)
class Ack:
    """A put or delete that W distinct nodes have stored."""

    key: str
    coordinator: str
    nodes: list[str]
    """Who had stored it when W was reached."""
    hinted: dict[str, str]
    """``{holder: home}`` for the copies that wait for their home."""
    context: Context
    """Covers this client's own context and its own new write, nothing unread."""
    used_context: Context
    """The context the coordinator used, after joining and resolving."""
    latency_ms: float
    request: str = field(repr=False, default="")
    wall_us: int = field(repr=False, default=0)


class Sibling(NamedTuple):
    """One version as a client sees it: its value decoded.

    Attributes:
        value: what was put; None for a deletion, or when None was put.
        clock: what its writer had seen, plus the write itself.
        dot: the name of the write.
        wall_us: the coordinator's wall clock when it wrote.
        deleted: whether it is a deletion.
    """

    value: Any
    clock: VectorClock
    dot: Dot
    wall_us: int
    deleted: bool


@dataclass(frozen=True, slots=True)
class Got:
    """All causally unrelated versions that R answers held."""

    key: str
    values: list[Any]
    """All siblings, decoded; empty when the key is absent or deleted."""
    context: Context
    coordinator: str
    nodes: list[str]
    stale_nodes: list[str]
    """Those of `nodes` that had missed a write."""
    latency_ms: float
    versions: list[Sibling] = field(repr=False, default_factory=list)
    """The siblings with their clocks, deletions among them."""
    resolved_by: str = ""
    request: str = field(repr=False, default="")

    @property
    def found(self) -> bool:
        """Whether there is a live value."""
        return bool(self.values)

    @property
    def value(self) -> Any:
        """The only value.

        Raises:
            SeveralValues: there are siblings, or none (a KeyError would hide which).
        """
        if len(self.values) != 1:
            raise SeveralValues(
                f"{self.key!r} has {len(self.values)} values: {self.values!r:.200}; "
                + ("use .values and put their merge with context=got.context" if self.values else "check .found first")
            )
        return self.values[0]


class Session:
    """The memory of one client, and the translation of its verbs into messages.

    Args:
        name: the client's name, for traces.
        config: the cluster's settings: default N, R, W, deadline and limits.
        prefix: makes request ids unique among clients and restarts.
    """

    def __init__(self, name: str, config: Config, prefix: str) -> None:
        self.name = name
        self.config = config
        self._prefix = prefix
        self._usual = {"r": (config.n, min(config.r, config.n)), "w": (config.n, min(config.w, config.n))}
        self._requests = 0
        #: {key: context of the last get}
        self._read: dict[bytes, Context] = {}
        #: {key: context of the last acknowledgement}
        self._acked: dict[bytes, Context] = {}

    def put(
        self,
        key: str | bytes,
        value: Any,
        context: ContextChoice = USE_SESSION,
        n: int | None = None,
        w: int | None = None,
        timeout_ms: int | None = None,
        request_id: str | None = None,
    ) -> ClientPut:
        """The message for a put; see `delete` for value None.

        `request_id` names this write: repeated with the same key and value it is the same write, not another one.
        """
        encoded = encode_value(value, self.config.max_value_bytes)
        return self._put(key, encoded, context, n, w, timeout_ms, request_id)

    def delete(
        self,
        key: str | bytes,
        context: ContextChoice = USE_SESSION,
        n: int | None = None,
        w: int | None = None,
        timeout_ms: int | None = None,
        request_id: str | None = None,
    ) -> ClientPut:
        """The message for a delete: a put of a tombstone."""
        return self._put(key, None, context, n, w, timeout_ms, request_id)

    def get(
        self, key: str | bytes, n: int | None = None, r: int | None = None, timeout_ms: int | None = None
    ) -> ClientGet:
        """The message for a get."""
        copies, need = self._quorum("r", n, r)
        return ClientGet(self._next_request(), encode_key(key), copies, need, self._deadline(timeout_ms))

    def contexts(self, key: bytes) -> tuple[Context, ...]:
        """What a put of `key` carries when no context is named: last read and last acknowledgement."""
        known = (self._read.get(key), self._acked.get(key))
        return tuple([context for context in known if context is not None])

    def has_seen(self, key: str | bytes) -> bool:
        """Whether this client has read or written `key`."""
        return bool(self.contexts(encode_key(key)))

    def forget(self) -> None:
        """Forget all contexts: for a go-between whose own clients say with each request what they have seen."""
        self._read.clear()
        self._acked.clear()

    def answer(self, reply: Any, latency_ms: float) -> Ack | Got:
        """The result of a request, remembered; raises the error the reply carries."""
        if isinstance(reply, ClientPutDone):
            self._acked[reply.key] = reply.context
            return _ack(reply, latency_ms)
        if isinstance(reply, ClientGetDone):
            self._read[reply.key] = reply.context
            return _got(reply, latency_ms)
        raise error_of(reply)

    def _put(
        self,
        key: str | bytes,
        encoded: bytes | None,
        context: ContextChoice,
        n: int | None,
        w: int | None,
        timeout_ms: int | None,
        request_id: str | None,
    ) -> ClientPut:
        key = encode_key(key)
        copies, need = self._quorum("w", n, w)
        contexts = self._chosen(key, context)
        request = self._next_request() if request_id is None else _request_name(request_id, key, encoded)
        local = context is Context.LOCAL
        return ClientPut(request, key, encoded, contexts, local, copies, need, self._deadline(timeout_ms))

    def _chosen(self, key: bytes, context: ContextChoice) -> tuple[Context, ...]:
        if isinstance(context, _UseSession):
            return self.contexts(key)
        if context is None or context is Context.LOCAL:
            return ()
        if not isinstance(context, Context):
            raise InvalidContext(f"context= takes what a get or an ack gave as .context, or None; got {context!r:.80}")
        return (context,) if context.entries or context.dots else ()

    def _quorum(self, name: str, n: int | None, need: int | None) -> tuple[int, int]:
        if n is None and need is None:
            return self._usual[name]
        copies = self.config.n if n is None else n
        if not _is_int(copies) or not 1 <= copies <= self.config.n:
            raise InvalidQuorum(f"n must be from 1 to the cluster's N={self.config.n}; got {copies!r}")
        quorum = min(getattr(self.config, name), copies) if need is None else need
        if not _is_int(quorum) or not 1 <= quorum <= copies:
            raise InvalidQuorum(f"{name} must be from 1 to n={copies}; got {quorum!r}")
        return copies, quorum

    def _deadline(self, timeout_ms: int | None) -> int:
        chosen = self.config.timeout_ms if timeout_ms is None else timeout_ms
        if not _is_int(chosen) or not 1 <= chosen <= 600_000:
            raise InvalidSetting(f"timeout_ms must be an integer from 1 to 600000; got {chosen!r}")
        return chosen * 1000

    def _next_request(self) -> str:
        self._requests += 1
        return f"{self._prefix}-{self._requests}"


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _request_name(request_id: str, key: bytes, encoded: bytes | None) -> str:
    """The id on the wire: the same for the same write only, so an id used again for another one loses nothing."""
    if not isinstance(request_id, str) or not 1 <= len(request_id) <= REQUEST_ID_LENGTH_MAX:
        text = f"request_id must be text of 1 to {REQUEST_ID_LENGTH_MAX} characters; got {request_id!r:.120}"
        raise BadRequest(text)
    write = blake2b(repr((request_id, key, encoded is None)).encode(), digest_size=8)
    write.update(encoded or b"")
    return f"{request_id[:REQUEST_ID_SHOWN]}@{write.hexdigest()}"


def _ack(reply: ClientPutDone, latency_ms: float) -> Ack:
    return Ack(
        key=key_text(reply.key),
        coordinator=reply.coordinator,
        nodes=list(reply.nodes),
        hinted=dict(reply.hinted),
        context=reply.context,
        used_context=reply.used,
        latency_ms=latency_ms,
        request=reply.request,
        wall_us=reply.wall_us,
    )


def _got(reply: ClientGetDone, latency_ms: float) -> Got:
    versions = [_decoded(version) for version in reply.siblings.versions]
    return Got(
        key=key_text(reply.key),
        values=[version.value for version in versions if not version.deleted],
        context=reply.context,
        coordinator=reply.coordinator,
        nodes=list(reply.nodes),
        stale_nodes=list(reply.stale_nodes),
        latency_ms=latency_ms,
        versions=versions,
        resolved_by=reply.resolved_by,
        request=reply.request,
    )


def _decoded(version: Version) -> Sibling:
    value = None if version.deleted else decode_value(version.value)
    return Sibling(value, VectorClock(version.clock), version.dot, version.wall_us, version.deleted)


def error_of(reply: ClientFailed) -> DynalabError:
    """The exception a refused or failed request raises, with the counts it carries."""
    by_name = {error.__name__: error for error in ERRORS}
    error = by_name.get(reply.error, DynalabError)(reply.text)
    error.definite = reply.definite
    error.needed, error.got, error.nodes = reply.needed, reply.got, reply.nodes
    error.retry_ms, error.traceback = reply.retry_ms, reply.traceback
    return error
