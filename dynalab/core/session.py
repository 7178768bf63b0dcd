"""What a client remembers and says: contexts by key, requests, and what it is answered (4.1).

Theory of operation.
A client is a session.
A put without `context=` carries two contexts: of the client's last read of that key, and of its last
acknowledgement. The coordinator verifies and joins them.
So a client's second put replaces its first, and a stale read never makes it forget its own write.

Rule 1: `None` and `Context.EMPTY` are a blind write everywhere; only leaving the context out uses the session.
Rule 2: bad input is refused here, before anything is sent, by a definite error that names value and range.
"""

from __future__ import annotations

from hashlib import blake2b
from itertools import count
from typing import Any, Final

from dynalab.core.answers import Ack, Got, Sibling, error_of
from dynalab.core.clock import Context
from dynalab.core.config import Config
from dynalab.core.encoding import decode_value, encode_key, encode_value, key_text
from dynalab.core.errors import BadRequest, InvalidContext, InvalidQuorum, InvalidSetting
from dynalab.core.messages import ClientGet, ClientGetDone, ClientPut, ClientPutDone
from dynalab.core.quick import maker

__all__ = ["USE_SESSION", "Ack", "ContextChoice", "Got", "Session", "Sibling"]
__all__ += ["decode_value", "encode_key", "encode_value", "error_of", "key_text"]


class _UseSession:
    """The default of `context=`: what this client has seen."""

    def __repr__(self) -> str:
        return "what this client has seen"


USE_SESSION: Final = _UseSession()
ContextChoice = Context | None | _UseSession

_client_put, _client_get = maker(ClientPut), maker(ClientGet)

REQUEST_ID_LENGTH_MAX, REQUEST_ID_SHOWN = 256, 64
"""A user may name a write by so many characters; so many of them are readable in the id on the wire."""


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
        #: what request ids begin with, and the numbers they end with
        self._prefix = f"{prefix}-"
        self._numbers = count(1)
        #: what a request without wishes of its own says
        self._usual_r = (config.n, min(config.r, config.n))
        self._usual_w = (config.n, min(config.w, config.n))
        self._usual_timeout_us = config.timeout_ms * 1000
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
        copies, need = self._usual_r if n is None and r is None else self._quorum("r", n, r)
        request = f"{self._prefix}{next(self._numbers)}"
        timeout_us = self._usual_timeout_us if timeout_ms is None else _deadline(timeout_ms)
        return _client_get((request, encode_key(key), copies, need, timeout_us, 0))

    def contexts(self, key: bytes) -> tuple[Context, ...]:
        """What a put of `key` carries when no context is named: last read and last acknowledgement."""
        read, acked = self._read.get(key), self._acked.get(key)
        if read is None:
            return () if acked is None else (acked,)
        return (read,) if acked is None else (read, acked)

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
            return Ack(reply, latency_ms)
        if isinstance(reply, ClientGetDone):
            self._read[reply.key] = reply.context
            return Got(reply, latency_ms)
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
        copies, need = self._usual_w if n is None and w is None else self._quorum("w", n, w)
        contexts = self.contexts(key) if context is USE_SESSION else self._chosen(key, context)
        if request_id is None:
            request = f"{self._prefix}{next(self._numbers)}"
        else:
            request = _request_name(request_id, key, encoded)
        timeout_us = self._usual_timeout_us if timeout_ms is None else _deadline(timeout_ms)
        local = context is Context.LOCAL
        return _client_put((request, key, encoded, contexts, local, copies, need, timeout_us, 0))

    def _chosen(self, key: bytes, context: ContextChoice) -> tuple[Context, ...]:
        if isinstance(context, _UseSession):
            return self.contexts(key)
        if context is None or context is Context.LOCAL:
            return ()
        if not isinstance(context, Context):
            raise InvalidContext(f"context= takes what a get or an ack gave as .context, or None; got {context!r:.80}")
        return (context,) if context.entries or context.dots else ()

    def _quorum(self, name: str, n: int | None, need: int | None) -> tuple[int, int]:
        copies = self.config.n if n is None else n
        if not _is_int(copies) or not 1 <= copies <= self.config.n:
            raise InvalidQuorum(f"n must be from 1 to the cluster's N={self.config.n}; got {copies!r}")
        quorum = min(getattr(self.config, name), copies) if need is None else need
        if not _is_int(quorum) or not 1 <= quorum <= copies:
            raise InvalidQuorum(f"{name} must be from 1 to n={copies}; got {quorum!r}")
        return copies, quorum


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _deadline(timeout_ms: int) -> int:
    if not _is_int(timeout_ms) or not 1 <= timeout_ms <= 600_000:
        raise InvalidSetting(f"timeout_ms must be an integer from 1 to 600000; got {timeout_ms!r}")
    return timeout_ms * 1000


def _request_name(request_id: str, key: bytes, encoded: bytes | None) -> str:
    """The id on the wire: the same for the same write only, so an id used again for another one loses nothing."""
    if not isinstance(request_id, str) or not 1 <= len(request_id) <= REQUEST_ID_LENGTH_MAX:
        text = f"request_id must be text of 1 to {REQUEST_ID_LENGTH_MAX} characters; got {request_id!r:.120}"
        raise BadRequest(text)
    write = blake2b(repr((request_id, key, encoded is None)).encode(), digest_size=8)
    write.update(encoded or b"")
    return f"{request_id[:REQUEST_ID_SHOWN]}@{write.hexdigest()}"
