"""What a browser asks for, taken out by name and type, and values as a person would type them.

Rule: a browser is a stranger; what is not of the right type is refused, and named.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from dynalab.core.errors import BadRequest

TEXT_MAX = 100_000


class Asked:
    """Arguments from outside, taken out by name and type.

    Raises:
        BadRequest: one is missing, or of another type.
    """

    def __init__(self, arguments: Mapping[str, Any]) -> None:
        self._arguments = arguments

    def text(self, name: str, default: str = "") -> str:
        value = self._arguments.get(name, default)
        if not isinstance(value, str) or len(value) > TEXT_MAX or (not value and not default and name != "value"):
            raise BadRequest(f"{name} is missing or is no text: {value!r:.40}")
        return value or default

    def number(self, name: str, default: float) -> float:
        value = self._arguments.get(name, default)
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise BadRequest(f"{name} must be a number; got {value!r:.40}")
        return value

    def flag(self, name: str) -> bool:
        value = self._arguments.get(name, False)
        if not isinstance(value, bool):
            raise BadRequest(f"{name} must be true or false; got {value!r:.40}")
        return value

    def sides(self, name: str) -> list[Any]:
        """One text like ``AB|CDE``, or several sides, each a list of names."""
        value = self._arguments.get(name)
        if isinstance(value, str):
            return [value]
        lists = isinstance(value, list) and all(isinstance(side, list) for side in value)
        if lists and all(isinstance(node, str) for side in value or [] for node in side):
            return self._joined(value or [])
        raise BadRequest(f"{name} must be like 'AB|CDE'; got {value!r:.40}")

    @staticmethod
    def _joined(sides: list[list[str]]) -> list[Any]:
        if all(len(node) == 1 for side in sides for node in side):
            return ["|".join("".join(side) for side in sides)]
        return list(sides)

    def options(self, *names: str) -> dict[str, Any]:
        """Those of these arguments that were given."""
        given = {}
        for name in names:
            value = self._arguments.get(name)
            if value in (None, ""):
                continue
            if name == "via" and not isinstance(value, str):
                raise BadRequest(f"via must be the name of a node; got {value!r:.40}")
            given[name] = value
        return given


def typed(text: str) -> Any:
    """What somebody means who types this as a value: a list, dict or number if it is one, else the text.

    >>> typed('["milk"]'), typed("milk"), typed("3")
    (['milk'], 'milk', 3)
    """
    try:
        return json.loads(text)
    except ValueError:
        return text


def literal(value: Any) -> str:
    """A value as a person would type it in Python, texts in double quotes.

    >>> literal(["milk", {"n": True}])
    '["milk", {"n": True}]'
    """
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, (list, tuple)):
        inside = ", ".join(map(literal, value))
        return f"[{inside}]" if isinstance(value, list) else f"({inside})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{literal(name)}: {literal(item)}" for name, item in value.items()) + "}"
    return repr(value)


def shown_named(named: Mapping[str, Any]) -> list[str]:
    """``w=2``, ``via="C"`` ..."""
    return [f"{name}={literal(value)}" for name, value in named.items()]


def variable(name: str) -> str:
    """A client's name as a Python variable."""
    return name if name.isidentifier() else "client"
