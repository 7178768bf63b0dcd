"""Keys and values as bytes, and back: what a user may name and store (paper 4.1: both are opaque arrays of bytes).

A value travels as one byte that says what it was, and its content: bytes, text, or JSON.

Rule 1: what has no place in the store is refused here, definitely, by an error that names value and range.
"""

from __future__ import annotations

import json
from typing import Any

from dynalab.core.config import KEY_BYTES_MAX
from dynalab.core.errors import InvalidKey, InvalidValue, ValueTooLarge

_BYTES, _TEXT, _JSON = b"b", b"t", b"j"


def encode_key(key: str | bytes) -> bytes:
    """A key as bytes.

    Raises:
        InvalidKey: not text or bytes, empty, or above 1024 bytes.

    >>> encode_key("cart")
    b'cart'
    """
    try:
        encoded = key.encode() if isinstance(key, str) else key
    except UnicodeEncodeError:
        raise InvalidKey(f"the key {key!r:.80} holds characters that UTF-8 cannot say; pass bytes instead") from None
    if not isinstance(encoded, bytes):
        raise InvalidKey(f"a key is str or bytes; got {type(key).__name__} {key!r:.80}")
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
    if type(value) is bytes:
        encoded = _BYTES + value
    elif isinstance(value, (bytes, bytearray)):
        encoded = _BYTES + bytes(value)
    else:
        encoded = _encode_text_or_json(value)
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
