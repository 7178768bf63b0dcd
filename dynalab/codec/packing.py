"""Large messages and records made smaller with zlib (`Config.compress_bytes`), and larger again within a bound.

Theory of operation.
The first byte of what is packed says so: it is the format's version with its highest bit set.
What was not worth packing travels and lies as it is, so both kinds may be mixed, and every reader reads both.

Rule 1: what a stranger sends is never unpacked to more than `UNPACKED_MAX`, whatever it announces:
one value of the greatest size, and what goes with it. What is longer was not packed.
Rule 2: only what became smaller by an eighth or more is packed: reading it again costs time.
"""

from __future__ import annotations

import zlib

from dynalab.codec.bounds import WireError
from dynalab.core.config import VALUE_BYTES_MAX

PACKED = 0x80
"""This bit of the version byte says that the fields are packed."""

UNPACKED_MAX = VALUE_BYTES_MAX + 64 * 1024

LEVEL = 1
"""Of zlib, 1 to 9: the quickest. Of JSON, level 6 leaves a fifth less and takes three times as long."""


def packed(fields: bytes, from_bytes: int) -> bytes | None:
    """The fields made smaller; None when they go as they are.

    Args:
        fields: what follows the head of a message or record.
        from_bytes: shorter fields are left alone; 0: all are.

    >>> len(packed(b"milk" * 1000, 256)) < 100, packed(b"milk", 256)
    (True, None)
    """
    if not from_bytes or not from_bytes <= len(fields) <= UNPACKED_MAX:
        return None
    smaller = zlib.compress(fields, LEVEL)
    return smaller if len(smaller) * 8 <= len(fields) * 7 else None


def unpacked(data: bytes | memoryview) -> bytes:
    """The fields again.

    Raises:
        WireError: these bytes are not packed, are cut off, go on behind the end, or would become too long.

    >>> unpacked(packed(b"milk" * 1000, 256)) == b"milk" * 1000
    True
    """
    reader = zlib.decompressobj()
    try:
        fields = reader.decompress(data, UNPACKED_MAX)
    except zlib.error as error:
        raise WireError(f"packed fields cannot be unpacked: {error}") from None
    if not reader.eof or reader.unconsumed_tail or reader.unused_data:
        raise WireError(f"packed fields are cut off, have something behind them, or exceed {UNPACKED_MAX} bytes")
    return fields
