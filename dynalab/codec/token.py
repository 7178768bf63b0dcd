"""A context as text that any client can carry: in JSON, in a URL, on a command line (paper 4.1).

The text is the url-safe base64, without padding, of one byte for the version of this format
and the context's fields as msgpack. It is opaque to clients; the seal inside says whether it is genuine.
"""

from __future__ import annotations

import base64
import binascii

import msgspec

from dynalab.codec.bounds import WireError, readers
from dynalab.core.clock import Context

VERSION = 1
TOKEN_CHARACTERS_MAX = 512 * 1024
"""A context of `ITEMS_MAX` long names would be longer; no cluster's limits let one grow so far."""

_encode = msgspec.msgpack.Encoder().encode
(_read,) = readers([Context])


def encode_context(context: Context) -> str:
    """The text of a context.

    >>> decode_context(encode_context(Context({"A": 2}, (), b"seal"))).entries
    {'A': 2}
    """
    return base64.urlsafe_b64encode(bytes([VERSION]) + _encode(context)).rstrip(b"=").decode()


def decode_context(text: str) -> Context:
    """The context in a text that may come from anyone; whether the cluster gave it, its seal will tell.

    Raises:
        WireError: it is no such text, or not within its bounds.
    """
    if not isinstance(text, str) or len(text) > TOKEN_CHARACTERS_MAX or not text.isascii():
        raise WireError(f"a context is text of at most {TOKEN_CHARACTERS_MAX:,} characters; got {text!r:.80}")
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        if data[:1] != bytes([VERSION]):
            raise WireError(f"a context begins with version {VERSION}; got {data[:1]!r}")
        context: Context = _read(data[1:])
    except (binascii.Error, msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise WireError(f"not a context of dynalab: {error}") from None
    return context
