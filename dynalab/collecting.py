"""Python's search for cycles among its objects, made rare while something runs that leaves none behind."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

YOUNG_MAX = 50_000
"""So many new objects are looked through at a time.

Messages, records, requests and modules hold no cycles to be found; to look after every 700 objects, as Python does,
was a twentieth of what a simulated put costs, and of what a notebook's first cell takes."""


@contextmanager
def collecting_rarely() -> Iterator[None]:
    """Until this ends; where the collector is off, it stays so."""
    young, *older = gc.get_threshold()
    if not 0 < young < YOUNG_MAX:
        yield
        return
    gc.set_threshold(YOUNG_MAX, *older)
    try:
        yield
    finally:
        gc.set_threshold(young, *older)


def loaded(module: str) -> Any:
    """A module, which may bring many others."""
    with collecting_rarely():
        return import_module(module)
