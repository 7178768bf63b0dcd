"""What teaches: the tour's story, helpers for notebooks, the checks of the exercises, and the grader.

In a notebook: ``from dynalab import course``, then one line per check, ``course.check.ring_1(owner)``.
Loaded when asked for, so that the command line does not pay for a cluster.
"""

from importlib import import_module
from typing import Any


def __getattr__(name: str) -> Any:
    if name == "check":
        return import_module("dynalab.course.check")
    if name == "progress":
        return import_module("dynalab.course.checking").progress
    if name == "play":
        return import_module("dynalab.course.broken").play
    raise AttributeError(f"dynalab.course has no name {name!r}; it has check, play and progress")
