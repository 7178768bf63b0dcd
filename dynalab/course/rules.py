"""What an answer may not do, read off its text before it runs.

An answer stands alone: harmless modules of Python's own, and nothing of dynalab.
So no answer can hand its task to dynalab's own part, meddle with a check, or leave the process it runs in;
and the student is told by name what is refused, instead of losing points for a mystery.
"""

from __future__ import annotations

import ast
import re

MAY_IMPORT = frozenset(
    """
    __future__ abc bisect collections copy dataclasses decimal enum fractions functools hashlib heapq itertools json
    math operator random re statistics string struct textwrap typing zlib
    """.split()
)

REFUSED_NAMES = frozenset(
    """
    dynalab course eval exec compile open input breakpoint globals locals vars exit quit get_ipython getattr setattr
    delattr memoryview In Out
    """.split()
)

REFUSED_ATTRIBUTES = frozenset(
    """
    sys os builtins modules codecs subprocess io threading importlib f_back f_globals f_locals f_builtins gi_frame
    cr_frame tb_frame tb_next func_globals mro
    """.split()
)

DUNDERS = frozenset(
    """
    __init__ __call__ __repr__ __str__ __len__ __iter__ __next__ __contains__ __getitem__ __setitem__ __delitem__
    __lt__ __le__ __gt__ __ge__ __add__ __or__ __and__ __sub__ __post_init__ __slots__ __doc__ __name__ __bool__
    """.split()
)

SOURCE_MAX = 50_000
_MARKERS = re.compile(r"#[ \t]*(?:NBVAL_\w+|PYTEST_VALIDATE_\w+)[^\n]*", re.IGNORECASE)


def cleaned(source: str) -> str:
    """An answer without the comments that would tell nbval to look away."""
    return _MARKERS.sub("#", source)


def broken_rules(source: str) -> list[str]:
    """Why an answer is refused, in words, with lines; empty: it may run.

    >>> broken_rules("from dynalab import Ring")
    ["line 1: imports dynalab; an answer may not use dynalab's own parts"]
    """
    if len(source) > SOURCE_MAX:
        return [f"it has {len(source)} characters; an answer has at most {SOURCE_MAX}"]
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return [f"it is not Python: {getattr(error, 'msg', error)} (line {getattr(error, 'lineno', '?')})"]
    found = []
    for node in ast.walk(tree):
        said = _refused(node)
        if said:
            found.append(f"line {getattr(node, 'lineno', '?')}: {said}")
    return list(dict.fromkeys(found))


def _refused(node: ast.AST) -> str:
    if isinstance(node, ast.Import):
        return _refused_import([alias.name for alias in node.names])
    if isinstance(node, ast.ImportFrom):
        return _refused_import([node.module or "."]) or _refused_attribute([alias.name for alias in node.names])
    if isinstance(node, ast.Name):
        return _refused_name(node.id)
    if isinstance(node, ast.Attribute):
        return _refused_attribute(
            [node.attr], own=isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
        )
    if isinstance(node, (ast.FunctionDef, ast.ClassDef, ast.AsyncFunctionDef)):
        return _refused_name(node.name)
    return _refused_name(node.arg) if isinstance(node, ast.arg) else ""


def _refused_import(modules: list[str]) -> str:
    for module in modules:
        top = module.split(".")[0]
        if top == "dynalab":
            return "imports dynalab; an answer may not use dynalab's own parts"
        if top not in MAY_IMPORT:
            return f"imports {module}; an answer may import {', '.join(sorted(MAY_IMPORT - {'__future__'}))}"
    return ""


def _refused_name(name: str) -> str:
    if name in ("dynalab", "course"):
        return f"uses {name}; an answer may not use dynalab's own parts or its checks"
    if name in REFUSED_NAMES or (name.startswith("__") and name.endswith("__") and name not in DUNDERS):
        return f"uses {name}, which no answer needs"
    return ""


def _refused_attribute(names: list[str], own: bool = False) -> str:
    for name in names:
        if name in REFUSED_ATTRIBUTES or (name.startswith("_") and not own and name not in DUNDERS):
            return f"uses .{name}, which no answer needs"
    return ""
