"""Operations as values: what a client does many of at once.

``("put", key, value)``, ``("get", key)`` or ``("delete", key)``,
each with an optional dict of the verb's options behind it: ``("put", "cart", ["milk"], {"w": 3})``.
"""

from __future__ import annotations

from typing import Any

from dynalab.core.errors import InvalidSetting

Operation = tuple[Any, ...]
OUTSTANDING_MAX = 10_000

_ARGUMENTS = {"put": 2, "get": 1, "delete": 1}


def taken_apart(operation: Operation) -> tuple[str, list[Any], dict[str, Any]]:
    """The verb, its arguments and its options.

    Raises:
        InvalidSetting: it is none of the three forms.

    >>> taken_apart(("get", "cart", {"r": 1}))
    ('get', ['cart'], {'r': 1})
    """
    kind, *arguments = operation if isinstance(operation, (tuple, list)) and operation else ("nothing",)
    wanted = _ARGUMENTS.get(kind) if isinstance(kind, str) else None
    options = arguments.pop() if wanted is not None and len(arguments) == wanted + 1 else {}
    if len(arguments) != wanted or not isinstance(options, dict):
        forms = "('put', key, value), ('get', key) or ('delete', key), with a dict of options behind it if you like"
        raise InvalidSetting(f"an operation is {forms}; got {operation!r:.80}")
    return kind, arguments, options


def checked_outstanding(outstanding: int) -> int:
    """`outstanding`, if it is an integer from 1 to 10,000."""
    if not isinstance(outstanding, int) or isinstance(outstanding, bool) or not 1 <= outstanding <= OUTSTANDING_MAX:
        raise InvalidSetting(f"outstanding must be an integer from 1 to {OUTSTANDING_MAX}; got {outstanding!r}")
    return outstanding
