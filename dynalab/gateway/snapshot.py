"""A Merkle tree over a stretch of the ring on one node, for whoever compares replicas from outside (paper 4.7).

Places are signed 64-bit numbers: the first half of a position, less 2**63, so their order is the ring's.
A stretch has both its ends, and goes around the ring's end when its last place comes before its first.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import Any

from dynalab.core.errors import BadRequest
from dynalab.gateway.values import base64_of
from dynalab.live.looks import DIGEST_BYTES, LOWEST_PLACE, PLACES

HIGHEST_PLACE = -LOWEST_PLACE - 1
LEAVES_MAX = 65_536
LEAVES_DEFAULT = 256


def root_of(digests: Sequence[bytes]) -> bytes:
    """The root of the binary tree over these leaves; one without a neighbour moves up as it is.

    >>> root_of([b"leaf"]), len(root_of([b"a", b"b", b"c"]))
    (b'leaf', 16)
    """
    level = list(digests)
    while len(level) > 1:
        pairs = [level[place : place + 2] for place in range(0, len(level), 2)]
        level = [
            blake2b(b"".join(pair), digest_size=DIGEST_BYTES, person=b"branch").digest() if len(pair) == 2 else pair[0]
            for pair in pairs
        ]
    return level[0]


def snapshot(first: int, last: int, digests: Sequence[bytes]) -> dict[str, Any]:
    """The answer to a snapshot of the stretch from `first` to `last`, cut into as many leaves as digests."""
    span = (last - first) % PLACES + 1
    starts = [first - LOWEST_PLACE + -(-leaf * span // len(digests)) for leaf in range(len(digests))]
    return {
        "rootHashBase64": base64_of(root_of(digests)),
        "leafCount": len(digests),
        "digests": [
            {"token": start % PLACES + LOWEST_PLACE, "digestBase64": base64_of(digest)}
            for start, digest in zip(starts, digests, strict=True)
        ],
    }


def whole(name: str, text: str | None, default: int, low: int, high: int) -> int:
    """A whole number of the query.

    Raises:
        BadRequest: it is none, or out of its range.
    """
    if text is None:
        return default
    digits = text.removeprefix("-")
    if not digits.isascii() or not digits.isdigit() or len(digits) > 19 or not low <= int(text) <= high:
        raise BadRequest(f"{name} must be an integer from {low} to {high}; got {text!r:.80}")
    return int(text)
