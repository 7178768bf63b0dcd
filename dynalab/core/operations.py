"""Operations as values: what a client does many of at once.

``("put", key, value)``, ``("get", key)`` or ``("delete", key)``,
each with an optional dict of the verb's options behind it: ``("put", "cart", ["milk"], {"w": 3})``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from dynalab.core.errors import InvalidSetting

Operation = tuple[Any, ...]
OUTSTANDING_MAX = 10_000

_ARGUMENTS = {"put": 2, "get": 1, "delete": 1}
_WRITES = frozenset({"context", "n", "w", "timeout_ms", "via", "request_id"})
_OPTIONS = {"put": _WRITES, "get": frozenset({"n", "r", "timeout_ms", "via"}), "delete": _WRITES}


def taken_apart(operation: Operation) -> tuple[str, list[Any], dict[str, Any]]:
    """The verb, its arguments and its options.

    Raises:
        InvalidSetting: it is none of the three forms, or has an option its verb has not.

    >>> taken_apart(("get", "cart", {"r": 1}))
    ('get', ['cart'], {'r': 1})
    """
    if type(operation) is tuple and operation and type(operation[0]) is str:
        kind, *arguments = operation
        if len(arguments) == _ARGUMENTS.get(kind):  # The usual form needs no closer look.
            return kind, arguments, {}
    kind, *arguments = operation if isinstance(operation, (tuple, list)) and operation else ("nothing",)
    wanted = _ARGUMENTS.get(kind) if isinstance(kind, str) else None
    if len(arguments) == wanted:
        return kind, arguments, {}
    options = arguments.pop() if wanted is not None and len(arguments) == wanted + 1 else {}
    if len(arguments) != wanted or not isinstance(options, dict):
        forms = "('put', key, value), ('get', key) or ('delete', key), with a dict of options behind it if you like"
        raise InvalidSetting(f"an operation is {forms}; got {operation!r:.80}")
    unknown = [name for name in options if name not in _OPTIONS[kind]]
    if unknown:
        raise InvalidSetting(f"{kind} has no option {unknown[0]!r:.40}; it has {', '.join(sorted(_OPTIONS[kind]))}")
    return kind, arguments, dict(options)


def checked_operations(operations: Iterable[Operation]) -> Iterator[Operation]:
    """The operations one by one; InvalidSetting for what cannot be gone through."""
    if not isinstance(operations, Iterable):
        raise InvalidSetting(f"many takes a list of operations like ('get', key); got {operations!r:.80}")
    return iter(operations)


def checked_outstanding(outstanding: int) -> int:
    """`outstanding`, if it is an integer from 1 to 10,000."""
    if not isinstance(outstanding, int) or isinstance(outstanding, bool) or not 1 <= outstanding <= OUTSTANDING_MAX:
        raise InvalidSetting(f"outstanding must be an integer from 1 to {OUTSTANDING_MAX}; got {outstanding!r}")
    return outstanding
