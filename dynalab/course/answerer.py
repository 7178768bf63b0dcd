"""The process an answer runs in for the second opinion: it knows Python's own modules and nothing of dynalab.

Run as a script, isolated (``python -P -s -S -B answerer.py``), it reads one line per question on standard input
and writes one line per reply; lines are Python literals, so nothing but plain values crosses in either direction.

    ("load", source, names)             ("ok", {name: ("value", value) or ("callable",)}) or ("error", text)
    ("call", "name.method", arguments)  ("ok", value) or ("error", text)
"""

from __future__ import annotations

import ast
import os
import sys
import traceback
from contextlib import suppress
from typing import Any

DEPTH_MAX = 40
SOURCE_NAME = "<answer>"
TEXT_MAX = 4_000_000
ADDRESS_BYTES_MAX = 2 * 1024**3
PLAIN = (type(None), bool, int, float, str, bytes)


def plain(value: Any, depth: int = 0) -> Any:
    """A value as exactly built-in types; TypeError when it is something else."""
    if depth > DEPTH_MAX:
        raise TypeError("the answer is nested too deeply")
    if type(value) in PLAIN:
        if type(value) is float and not float("-inf") < value < float("inf"):
            raise TypeError(f"the answer holds {value!r}, which is no ordinary number")
        return value
    if type(value) in (list, tuple):
        return type(value)(plain(part, depth + 1) for part in value)
    if type(value) in (set, frozenset):
        return {plain(part, depth + 1) for part in value}
    if isinstance(value, dict):
        return {plain(key, depth + 1): plain(part, depth + 1) for key, part in dict.items(value)}
    raise TypeError(f"the answer holds a {type(value).__name__}; it may hold plain values only")


class Answers:
    """The names that a source defines."""

    def __init__(self) -> None:
        self.source = ""
        self.namespace: dict[str, Any] = {"__name__": "answer"}
        self.objects: dict[str, Any] = {}

    def load(self, source: str, names: list[str]) -> dict[str, Any]:
        """Run a source; what each name is."""
        self.source = source
        exec(compile(source, SOURCE_NAME, "exec"), self.namespace)  # noqa: S102 - what this process is for
        return {name: self._described(name) for name in names}

    def _described(self, name: str) -> tuple[str, Any]:
        if name not in self.namespace:
            raise NameError(f"your cell does not define {name}")
        thing = self.namespace[name]
        if isinstance(thing, type):
            thing = thing()
        self.objects[name] = thing
        methods = [each for each in dir(thing) if not each.startswith("_")]
        if callable(thing):
            return ("callable", [])
        return ("value", plain(thing)) if type(thing).__module__ == "builtins" else ("object", methods)

    def call(self, path: str, arguments: tuple[Any, ...]) -> Any:
        """What a function or a method answers."""
        name, _, method = path.partition(".")
        thing = self.objects[name]
        return plain((getattr(thing, method) if method else thing)(*arguments))


def told(error: BaseException, source: str) -> str:
    """What went wrong, and on which lines of the answer, the innermost last."""
    lines = source.splitlines()
    what = traceback.format_exception_only(type(error), error)[-1].strip()
    places = [
        f"  line {place.lineno}, in {place.name}: {lines[place.lineno - 1].strip()}"
        for place in traceback.extract_tb(error.__traceback__)
        if place.filename == SOURCE_NAME and place.lineno and place.lineno <= len(lines)
    ]
    return "\n".join([f"it raised {what[:500]}", *places[-6:]])


def replied(answers: Answers, question: str) -> str:
    """The line that replies to one question."""
    verb, *arguments = ast.literal_eval(question)
    try:
        reply = repr(("ok", getattr(answers, verb)(*arguments)))
    except BaseException as error:  # noqa: BLE001 - an answer may raise anything; it is told, not obeyed
        return repr(("error", told(error, answers.source)[:2_000]))
    return reply if len(reply) <= TEXT_MAX else repr(("error", f"the answer has {len(reply)} characters"))


def main() -> None:
    """Reply until there is nothing more to reply to."""
    with suppress(ImportError, ValueError, OSError):
        import resource

        resource.setrlimit(resource.RLIMIT_AS, (ADDRESS_BYTES_MAX, ADDRESS_BYTES_MAX))
    asked, told = os.fdopen(os.dup(0), "r"), os.fdopen(os.dup(1), "w")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    sys.path[:] = [path for path in sys.path if "site-packages" not in path]
    answers = Answers()
    for question in asked:
        told.write(replied(answers, question) + "\n")
        told.flush()


if __name__ == "__main__":
    main()
