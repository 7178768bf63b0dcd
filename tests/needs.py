"""What a test needs of the machine, and what happens without it: skipped by people, refused by CI."""

from __future__ import annotations

import os
import shutil
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


def _program(*names: str) -> str | None:
    return next(filter(None, map(shutil.which, names)), None)


def _root() -> str | None:
    return "root" if hasattr(os, "geteuid") and os.geteuid() == 0 else None


#: {need: (what finds it, how a reader gets it)}
NEEDS: dict[str, tuple[Callable[[], str | None], str]] = {
    "chromium": (
        lambda: _program("chromium", "chromium-browser", "google-chrome"),
        "install Chromium or Chrome (Debian: apt-get install chromium fonts-dejavu-core)",
    ),
    "redis": (lambda: _program("redis-server"), "install a Redis server (Debian: apt-get install redis-server)"),
    "prometheus": (lambda: _program("prometheus"), "install Prometheus (Debian: apt-get install prometheus)"),
    "root": (_root, "run the tests as root"),
}

#: {marker: the need it states}
MARKER_NEEDS = {"browser": "chromium", "prometheus": "prometheus", "redis": "redis", "root": "root"}


def in_ci() -> bool:
    """Nothing may be skipped for want of a program."""
    return os.environ.get("CI") == "true"


def require(what: str) -> str:
    """Where the needed thing is; without it the test ends here."""
    find, remedy = NEEDS[what]
    found = find()
    if found is not None:
        return found
    if in_ci():
        pytest.fail(f"CI must not skip: this test needs {what}; {remedy}", pytrace=False)
    pytest.skip(f"needs {what}: to run this test, {remedy}")
