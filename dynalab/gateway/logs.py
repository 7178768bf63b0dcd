"""One line of JSON per request: enough to follow it, nothing of what is stored.

A key appears as the first digits of its position, a clock as a short summary, a value and a token never.
`traceId` is the request id that every node's trace events carry, so one line leads to all of them.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import IO, Any

from dynalab.core.ring import position_of

CLOCK_ENTRIES = 4
HASH_DIGITS = 8


def key_hash(key: bytes) -> str:
    """The first digits of a key's position on the ring.

    >>> key_hash(b"cart")
    '54013ba6'
    """
    return f"{position_of(key):032x}"[:HASH_DIGITS]


def summary(clock: Mapping[str, int]) -> str:
    """A clock in few words.

    >>> summary({"A": 3, "B": 1}), summary({actor: 1 for actor in "ABCDEF"})
    ('A3 B1', 'A1 B1 C1 D1 and 2 more')
    """
    shown = [f"{actor}{counter}" for actor, counter in list(clock.items())[:CLOCK_ENTRIES]]
    more = len(clock) - len(shown)
    return " ".join(shown) + (f" and {more} more" if more else "")


class Log:
    """Writes log lines.

    Args:
        file: where to; None: nowhere.
    """

    def __init__(self, file: IO[str] | None = None) -> None:
        self._file = file

    def request(self, node: str, method: str, path: str, status: int, took_s: float, about: dict[str, Any]) -> None:
        """One request has ended; `about` is what its handler noted."""
        if self._file is None:
            return
        level = "error" if status >= 500 else "warning" if status >= 400 else "info"
        at = time.time()
        line = {"time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(at)) + f".{int(at % 1 * 1000):03}Z"}
        line |= {"level": level, "node": node, "method": method, "path": path, "status": status}  # type: ignore[dict-item]
        print(json.dumps({**line, "ms": round(took_s * 1000, 3), **about}), file=self._file, flush=True)
