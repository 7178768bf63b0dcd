"""Chance from one seed: an independent stream for every purpose.

Rule 1: a stream depends on the seed and its own name alone, so one more node shifts nobody's dice.
Rule 2: names are hashed with SHA-256; Python's own hash of a text differs from process to process.
"""

from __future__ import annotations

from hashlib import sha256
from random import Random

from dynalab.core.errors import InvalidSetting


def stream(seed: int, *name: str | int) -> Random:
    """The dice for one purpose.

    >>> stream(7, "node", "A").random() == stream(7, "node", "A").random() != stream(7, "node", "B").random()
    True
    """
    return Random(secret(seed, *name))


def secret(seed: int, *name: str | int) -> bytes:
    """32 bytes that follow from seed and name."""
    return sha256(repr((seed, *name)).encode()).digest()


def checked_seed(seed: int) -> int:
    """`seed`, if it is an integer.

    Raises:
        InvalidSetting: it is not.
    """
    if not isinstance(seed, int) or isinstance(seed, bool):
        raise InvalidSetting(f"seed must be an integer; got {seed!r:.80}")
    return seed
