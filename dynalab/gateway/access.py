"""Who may do what: bearer tokens, each with the key prefixes and the kinds of requests it is for.

Without a token the HTTP face is open to whoever reaches its ports; it listens on this machine only by default.

Rule 1: a token is compared in constant time, and never logged.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass

from dynalab.gateway.refusals import Forbidden, Unauthorised

PROTECT = ("all", "writes")


@dataclass(frozen=True, slots=True)
class Token:
    """One bearer token.

    Attributes:
        secret: what the client sends.
        prefixes: of the keys it is for; none: all keys.
        write: it may put and delete.
        admin: it may look inside nodes and cause faults.
    """

    secret: str
    prefixes: tuple[str, ...] = ()
    write: bool = True
    admin: bool = True

    def is_for(self, key: bytes) -> bool:
        """Whether keys like this one are its own."""
        return not self.prefixes or any(key.startswith(prefix.encode()) for prefix in self.prefixes)


ANYONE = Token("")


class Access:
    """The tokens of one gateway.

    Args:
        tokens: none of them: everybody may do everything.
        protect: ``all`` requests need a token, or only ``writes`` (puts, deletes and what changes the cluster).
    """

    def __init__(self, tokens: Sequence[Token] = (), protect: str = "all") -> None:
        self._tokens = tuple(tokens)
        self._protect = protect

    @property
    def is_guarded(self) -> bool:
        """Whether there are tokens."""
        return bool(self._tokens)

    def check(self, header: str | None, kind: str, key: bytes | None = None) -> None:
        """Let a request pass.

        Args:
            header: of `Authorization`.
            kind: ``read``, ``write`` or ``admin``.
            key: the key, or the prefix of a scan; None: it is about no key.

        Raises:
            Unauthorised: no token, or an unknown one.
            Forbidden: the token is not for this.
        """
        token = self._token(header, kind)
        if kind == "write" and not token.write:
            raise Forbidden("this token may only read")
        if kind == "admin" and not token.admin:
            raise Forbidden("this token may not look inside nodes or change the cluster")
        if key is not None and not token.is_for(key):
            raise Forbidden(f"this token is only for keys that begin with {' or '.join(map(repr, token.prefixes))}")

    def _token(self, header: str | None, kind: str) -> Token:
        if not self._tokens or (header is None and kind == "read" and self._protect == "writes"):
            return ANYONE
        scheme, _, secret = (header or "").partition(" ")
        if scheme.lower() != "bearer":
            raise Unauthorised("this needs the header `Authorization: Bearer <token>`")
        found = [token for token in self._tokens if hmac.compare_digest(token.secret.encode(), secret.strip().encode())]
        if not found:
            raise Unauthorised("this bearer token is not known here")
        return found[0]
