"""Submissions as no grader wants them: each a disguise around a wrong answer, a right one, or an attack."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from dynalab.course.exercises import Notebook, mark_of, read, source_of
from dynalab.course.transplant import Key, key_of
from tests.course.answering import ROOT

TASK, CHECK = "ring-1", "check-ring-1"
RIGHT = "def owner(tokens, position):\n    return next((n for at, n in tokens if at >= position), tokens[0][1])\n"
WRONG = "def owner(tokens, position):\n    return tokens[0][1]\n"


class Hostile(NamedTuple):
    """One submission.

    Attributes:
        name: what is odd about it.
        bytes: of the file.
        right: whether its answer keeps its points.
        beside: other files in its folder.
    """

    name: str
    bytes: bytes
    right: bool
    beside: Mapping[str, str] = MappingProxyType({})


def key() -> Key:
    """Exercise 01 with its first task alone."""
    whole = key_of(ROOT / "solutions" / "01-ring.ipynb")
    unwanted = {f"{kind}{task}" for task in ("ring-2", "ring-3") for kind in ("", "check-", "text-")} | {"progress"}
    cells = [cell for cell in whole.notebook["cells"] if mark_of(cell).get("grade_id") not in unwanted]
    notebook = {**whole.notebook, "cells": cells}
    only = {TASK: 1}
    one = {TASK: whole.names[TASK]}
    return Key(whole.name, notebook, only, one, {TASK: whole.solutions[TASK]}, {TASK: whole.stubs[TASK]})


def _exercise(answer: str) -> Notebook:
    notebook = read(ROOT / "exercises" / "01-ring.ipynb")
    _cell(notebook, TASK)["source"] = answer
    return notebook


def _cell(notebook: Notebook, name: str) -> dict[str, Any]:
    return next(cell for cell in notebook["cells"] if mark_of(cell).get("grade_id") == name)


def _edited_check(notebook: Notebook) -> None:
    _cell(notebook, CHECK)["source"] = "print('ring-1: PASS (1/1 points)')"


def _deleted_check(notebook: Notebook) -> None:
    notebook["cells"].remove(_cell(notebook, CHECK))


def _edited_output(notebook: Notebook) -> None:
    cell = _cell(notebook, CHECK)
    cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "ring-1: PASS (1/1 points)\n"}]
    cell["execution_count"] = 3


def _cleared(notebook: Notebook) -> None:
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None


def _skip_marker(notebook: Notebook) -> None:
    for name in (TASK, CHECK):
        cell = _cell(notebook, name)
        cell["source"] = "# NBVAL_SKIP\n" + source_of(cell)


def _tags(notebook: Notebook) -> None:
    for cell in notebook["cells"]:
        cell["metadata"]["tags"] = ["raises-exception", "nbval-skip", "nbval-ignore-output"]


def _duplicated(notebook: Notebook) -> None:
    cells = notebook["cells"]
    cells.insert(cells.index(_cell(notebook, TASK)), dict(_cell(notebook, TASK)))


def _duplicated_before_its_stub(notebook: Notebook) -> None:
    stub = dict(_cell(read(ROOT / "exercises" / "01-ring.ipynb"), TASK))
    notebook["cells"].append(stub)


def _lost_metadata(notebook: Notebook) -> None:
    for cell in notebook["cells"]:
        cell["metadata"] = {}


def _lost_all_names(notebook: Notebook) -> None:
    for number, cell in enumerate(notebook["cells"]):
        cell["metadata"], cell["id"] = {}, f"new-{number}"


def _retyped_metadata(notebook: Notebook) -> None:
    _cell(notebook, TASK)["metadata"]["nbgrader"] |= {"locked": True, "solution": False, "points": "many"}
    for cell in notebook["cells"][:2]:
        cell["metadata"] = ["not", "a", "dict"]


def _retyped_cell(notebook: Notebook) -> None:
    _cell(notebook, TASK)["cell_type"] = "markdown"


def _lines_for_text(notebook: Notebook) -> None:
    for cell in notebook["cells"]:
        cell["source"] = source_of(cell).splitlines(keepends=True)


DISGUISES: dict[str, Callable[[Notebook], None]] = {
    "edited check cell": _edited_check,
    "deleted check cell": _deleted_check,
    "edited output": _edited_output,
    "cleared outputs": _cleared,
    "NBVAL_SKIP": _skip_marker,
    "tags": _tags,
    "duplicated cell": _duplicated,
    "duplicated cell, one untouched": _duplicated_before_its_stub,
    "lost metadata": _lost_metadata,
    "lost metadata and ids": _lost_all_names,
    "retyped metadata": _retyped_metadata,
    "answer cell is markdown": _retyped_cell,
    "sources as lines": _lines_for_text,
}

ATTACKS = {
    "monkeypatched check": f"{RIGHT}\ncourse.check.ring_1 = lambda *answers: None",
    "monkeypatched check, imported": f"from dynalab.course import check\ncheck.ring_1 = print\n{RIGHT}",
    "monkeypatched by dynamic import": f"{RIGHT}\n__import__('dynalab').course.check.ring_1 = print",
    "through a module's own imports": f"import random\nrandom._os.system('true')\n{RIGHT}",
    "prints the success line": f"{WRONG}\nprint('ring-1: PASS (1/1 points)')",
    "writes a result line": WRONG + '\nprint(\'{"task": "ring-1", "passed": true, "text": ""}\')',
    "equal to everything": "class Any(str):\n    def __eq__(self, other):\n        return True\n    __hash__ = None\n"
    "def owner(tokens, position):\n    return Any('A')",
    "endless loop in the cell": f"{WRONG}\nwhile True:\n    pass",
    "endless loop in the function": "def owner(tokens, position):\n    while True:\n        pass",
    "endless loop that swallows": "def owner(tokens, position):\n    while True:\n        try:\n"
    "            while True:\n                pass\n        except BaseException:\n            pass",
    "child processes left behind": "import subprocess\n"
    f"for _ in range(100):\n    subprocess.Popen(['sleep', '600'])\n{RIGHT}",
    "kernel kill": f"import os\n{RIGHT}\nos.kill(os.getpid(), 9)",
    "exits": f"{WRONG}\nraise SystemExit(0)",
    "1 GB of output": f"{WRONG}\nfor _ in range(1000):\n    print('x' * 10**6)",
    "much memory": "def owner(tokens, position):\n    return 'A' * (8 * 10**9)",
    "deep recursion": "def owner(tokens, position):\n    return owner(tokens, position)",
    "no Python": "def owner(tokens, position:\n    return",
    "a shell command": f"!touch here\n{RIGHT}",
    "delegates to dynalab": "from dynalab import Ring\ndef owner(tokens, position):\n"
    "    return Ring(dict(tokens)).preference_list_at(position, 1)[0]",
    "delegates quietly": "import importlib\nRing = importlib.import_module('dyna' + 'lab').Ring\n"
    "def owner(tokens, position):\n    return Ring(dict(tokens)).preference_list_at(position, 1)[0]",
    "knows the classroom's cases": "def owner(tokens, position):\n    return 'B' if position in (101, 699) else 'A'",
}


def _bytes(notebook: Any) -> bytes:
    return json.dumps(notebook).encode()


def _format_3(answer: str) -> bytes:
    cells = [
        {
            "cell_type": "code",
            "input": source_of(cell),
            "language": "python",
            "outputs": [],
            "metadata": cell["metadata"],
        }
        for cell in _exercise(answer)["cells"]
    ]
    return _bytes({"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": [{"cells": cells}]})


def _of_another_task() -> bytes:
    return _bytes(read(ROOT / "solutions" / "03-quorums.ipynb"))


def hostile_set() -> list[Hostile]:
    """The whole set, each disguise around a wrong and around a right answer."""
    found = []
    for right, answer in ((False, WRONG), (True, RIGHT)):
        for name, disguise in DISGUISES.items():
            notebook = _exercise(answer)
            disguise(notebook)
            found.append(Hostile(name, _bytes(notebook), right))
        found.append(Hostile("format 3", _format_3(answer), right))
        found.append(Hostile("byte order mark", b"\xef\xbb\xbf" + _bytes(_exercise(answer)), right))
        found.append(
            Hostile("conftest.py beside it", _bytes(_exercise(answer)), right, {"conftest.py": "raise SystemExit"})
        )
        shadows = {
            "random.py": "raise SystemExit",
            "dynalab.py": "course = None",
            "pytest.ini": "[pytest]\naddopts = -k no",
        }
        found.append(Hostile("shadowing modules", _bytes(_exercise(answer)), right, shadows))
    found += [Hostile(name, _bytes(_exercise(answer)), False) for name, answer in ATTACKS.items()]
    found += [
        Hostile("invalid JSON", b'{"cells": [', False),
        Hostile("empty file", b"", False),
        Hostile("not UTF-8", b"\xff\xfe\x00", False),
        Hostile("JSON of another kind", b'"notebook"', False),
        Hostile("cells of another kind", b'{"cells": [1, null, {"source": 5}, {"metadata": 3}]}', False),
        Hostile("very deep JSON", b"[" * 100_000, False),
        Hostile("notebook for another task", _of_another_task(), False),
        Hostile("untouched", _bytes(read(ROOT / "exercises" / "01-ring.ipynb")), False),
    ]
    return found


def stored(hostile: Hostile, folder: Path) -> Path:
    """The submission as a file in a folder of its own."""
    for name, text in hostile.beside.items():
        (folder / name).write_text(text, encoding="utf-8")
    path = folder / "01-ring.ipynb"
    path.write_bytes(hostile.bytes)
    return path
