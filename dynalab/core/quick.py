"""Cheaper forms of two things that every request passes: named tuples, and MD5.

Calling the class of a named tuple costs as much as seven method calls: Python code sorts out names and defaults.
What `maker` answers takes all fields as one tuple, in their order, and costs half of that.

`hashlib.md5` is OpenSSL's, which looks the algorithm up anew for every digest: that takes longer than the digest of a
key. Python brings an MD5 of its own, which its builders may leave out.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

try:
    from _md5 import md5  # type: ignore[import-not-found]  # It has no public name.
except ImportError:
    import hashlib

    md5 = partial(hashlib.md5, usedforsecurity=False)

__all__ = ["maker", "md5"]

Kind = TypeVar("Kind", bound="tuple[Any, ...]")


def maker(kind: type[Kind]) -> Callable[[tuple[Any, ...]], Kind]:
    """A function that makes a `kind` of a tuple of all its fields; none may be left out.

    >>> from dynalab.core.messages import Ping
    >>> maker(Ping)((7,))
    Ping(number=7)
    """
    return partial(tuple.__new__, kind)
