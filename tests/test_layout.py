"""The house of dynalab: who may import whom, how long a file may grow, what a core may know.

A failing test here is not pedantry: the core stays testable because it knows no I/O,
a node stays small because it imports little, and a reader finds things because the layers hold.
"""

from __future__ import annotations

import ast
import graphlib
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "dynalab"

#: What `dynalab/core` may import of the standard library: nothing that knows time, chance, files or sockets.
CORE_MAY_IMPORT = set(
    """
    __future__ abc bisect collections dataclasses enum functools hashlib _md5 heapq hmac itertools json math struct
    typing
    """.split()
)

#: The main files of the core in reading order: each needs only those before it, and helpers of its own.
CORE_ORDER = (
    "owners ring clock version merge merkle errors config founding store messages trace effects session faults desk "
    "admission student detector membership replica requests asking resolve refusals coordinator handoff antientropy "
    "reaper forwarding "
    "inspection operations node"
).split()

_WORLDS = {"core", "guard", "codec", "disk", "sim", "live", "check", "views"}
_SHOWN = _WORLDS | {"panels", "explore"}

#: {part of dynalab: the parts it may import, besides itself}
MAY_IMPORT = {
    "core": set(),
    "guard": {"core"},
    "codec": {"core"},
    "disk": {"core", "codec"},
    "sim": {"core", "guard"},
    "check": {"core"},
    "live": {"core", "guard", "codec", "disk"},
    "views": {"core", "codec"},
    "panels": _WORLDS,
    "explore": _WORLDS,
    "course": _SHOWN,
    "bench": _SHOWN,
    "gateway": _SHOWN,
    "http": _SHOWN | {"course", "bench", "gateway"},
    "__main__": {"cli"},
    "cli": _SHOWN | {"course", "bench", "gateway", "http"},
}

#: (importer, imported): upward imports allowed inside a function: for `cluster.panel()` and the notebook display,
#: and for `sim.trace`, whose files need a codec that the simulation itself does without.
ONLY_INSIDE_A_METHOD = {("live", "panels"), ("sim", "panels"), ("sim", "codec")}

#: (importer, module): one module of a higher part that a lower one may know, and why.
SINGLE_MODULES = {
    ("sim", "dynalab.codec.trace"),  # Both worlds hand out the same Trace; it needs the standard library alone.
}

#: What turns bytes into running code. Nothing that comes from a socket or a disk may meet it.
BYTES_TO_CODE = {"pickle", "_pickle", "cloudpickle", "dill", "marshal", "shelve", "yaml", "joblib", "jsonpickle"}

#: Methods that unpickle or execute what they are given, whatever they belong to.
METHODS_TO_CODE = {"recv_pyobj", "send_pyobj", "recv_serialized", "runsource", "runcode", "read_pickle"}

NAMES_TO_CODE = {"eval", "exec", "__import__"} | {f".{method}" for method in METHODS_TO_CODE}

#: Student code travels from a parent to its own child over standard input; these two ends handle it.
STANDARD_INPUT_FILES = {"live/instructions.py", "live/spawn.py"}

NOT_IN_A_NODE = {"numpy", "pandas", "networkx", "matplotlib", "IPython", "ipywidgets", "anywidget", "rich", "fastapi"}
NOT_IN_A_BROWSER = {"zmq", "msgspec", "psutil", "cloudpickle", "multiprocessing"}

MODULES = sorted(PACKAGE.rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("test_*.py"))


def _name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def _dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def _part(module: str) -> str:
    """'dynalab.core.ring' is in the part 'core'; 'dynalab' itself is in the part ''."""
    return [*module.split("."), ""][1]


def _imports(path: Path) -> Iterator[tuple[str, bool]]:
    """Every module that a file imports, and whether it does so inside a function."""
    package = _dotted(path) if path.name == "__init__.py" else _dotted(path).rpartition(".")[0]

    def walk(node: ast.AST, inside: bool) -> Iterator[tuple[str, bool]]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.Import):
                yield from ((alias.name, inside) for alias in child.names)
            elif isinstance(child, ast.ImportFrom):
                yield from ((module, inside) for module in _from(child, package))
            else:
                yield from walk(child, inside or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef))

    yield from walk(_tree(path), inside=False)


def _from(statement: ast.ImportFrom, package: str) -> Iterator[str]:
    """The modules behind one `from ... import ...`: a name that is itself a module of ours counts as one."""
    base = statement.module or ""
    if statement.level:
        anchor = package.split(".")[: len(package.split(".")) - statement.level + 1]
        base = ".".join([*anchor, *filter(None, [base])])
    for alias in statement.names:
        candidate = ROOT.joinpath(*f"{base}.{alias.name}".split("."))
        ours = candidate.with_suffix(".py").exists() or (candidate / "__init__.py").exists()
        yield f"{base}.{alias.name}" if ours else base


def _ours(path: Path) -> list[tuple[str, bool]]:
    return [(module, inside) for module, inside in _imports(path) if module.split(".")[0] == "dynalab"]


def _functions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _called(path: Path) -> Iterator[tuple[str, int]]:
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            yield node.func.id, node.lineno
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            yield f".{node.func.attr}", node.lineno


# --- directions -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", [path for path in MODULES if path.parent != PACKAGE or path.stem != "__init__"], ids=_name
)
def test_imports_point_down(path: Path) -> None:
    """A part imports only the parts below it; siblings are strangers; nobody below imports the public face."""
    part = _part(_dotted(path))
    assert part in MAY_IMPORT, f"a new part of dynalab: give {part!r} its place in MAY_IMPORT"
    wrong = []
    for module, inside in _ours(path):
        target = _part(module)
        if target == part or target in MAY_IMPORT[part] or (part, module) in SINGLE_MODULES:
            continue
        if inside and (part, target) in ONLY_INSIDE_A_METHOD:
            continue
        if target == "" and part in {"course", "bench", "http", "cli"}:
            continue
        wrong.append(module)
    assert not wrong, f"{_name(path)} imports upwards or sideways: {wrong}"


@pytest.mark.parametrize("path", sorted((PACKAGE / "core").glob("*.py")), ids=_name)
def test_core_is_pure(path: Path) -> None:
    """The core imports only the pure part of the standard library, and `Random` as a type for injected chance."""
    foreign = {name for name, _ in _imports(path) if name.split(".")[0] not in CORE_MAY_IMPORT | {"dynalab", "random"}}
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            foreign |= {alias.name for alias in node.names} & {"random"}
        elif isinstance(node, ast.ImportFrom) and node.module == "random":
            foreign |= {f"random.{alias.name}" for alias in node.names} - {"random.Random"}
    assert not foreign, f"{_name(path)} may not know {sorted(foreign)}"


def _core_needs() -> dict[str, set[str]]:
    """{file of the core: the files of the core that it imports}."""
    files = {path.stem: path for path in (PACKAGE / "core").glob("*.py") if path.stem != "__init__"}
    return {stem: {module.split(".")[2] for module, _ in _ours(path)} for stem, path in files.items()}


def test_core_files_stand_on_those_above() -> None:
    """Read in order, each main file of the core needs only what was already read; no file needs itself."""
    order = list(graphlib.TopologicalSorter(_core_needs()).static_order())  # Raises CycleError.
    reached: dict[str, set[str]] = {}
    for stem in order:
        direct = _core_needs()[stem]
        reached[stem] = direct.union(*(reached[other] for other in direct))
    for place, stem in enumerate(CORE_ORDER):
        below = reached.get(stem, set()) & set(CORE_ORDER[place:])
        assert not below, f"core/{stem}.py needs {sorted(below)}, which stand below it"


@pytest.mark.parametrize("path", sorted((PACKAGE / "core").glob("*.py")), ids=_name)
def test_core_keeps_out_what_no_import_shows(path: Path) -> None:
    """No built-in that reads the world, no salted `hash`, no module-level variable that a run could change."""
    hashing = {
        call.lineno
        for function in _functions(path)
        if function.name == "__hash__"
        for call in ast.walk(function)
        if isinstance(call, ast.Call)
    }
    worldly = {"open", "print", "input", "hash", "id", "eval", "exec", "compile", "__import__"}
    calls = [f"{name}() in line {line}" for name, line in _called(path) if name in worldly and line not in hashing]
    assert not calls, f"{_name(path)} calls {calls}"
    assert not [node.lineno for node in ast.walk(_tree(path)) if isinstance(node, ast.Global)]
    variables = [
        ast.unparse(target)
        for node in _tree(path).body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        and isinstance(node.value, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp)
        for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
    ]
    assert not [name for name in variables if not (name.isupper() or name.startswith("__"))], variables


def test_node_side_packages_have_bare_fronts() -> None:
    """Importing one module of a node's packages loads that module, not its neighbours."""
    for part in ("core", "codec", "disk", "sim", "live", "check"):
        (_docstring,) = _tree(PACKAGE / part / "__init__.py").body


def test_a_node_process_stays_small() -> None:
    """A node process loads neither numpy nor anything that draws or shows."""
    _load_without(NOT_IN_A_NODE, ["dynalab.live.process"])


def test_who_asks_a_node_is_none() -> None:
    """A notebook's process talks to nodes, and loads nothing of what they are made of."""
    _load_without({"dynalab.core.node", "dynalab.core.coordinator", "dynalab.core.replica"}, ["dynalab.live.cluster"])


def test_graphs_come_late() -> None:
    """What a page imports loads no networkx, which takes long and is of use to graphs alone."""
    drawings = ["ring_drawing", "timeline", "version_drawing", "chart"]
    _load_without({"networkx"}, ["dynalab.panels.workbench", *(f"dynalab.views.{name}" for name in drawings)])


@pytest.mark.parametrize("part", ["core", "sim", "check"])
def test_pure_packages_run_in_a_browser(part: str) -> None:
    """Every module of core, sim and check can be loaded where there are no sockets, processes or compiled codecs."""
    modules = [_dotted(path) for path in MODULES if _part(_dotted(path)) == part]
    _load_without(NOT_IN_A_NODE | NOT_IN_A_BROWSER, modules)


def _load_without(unwanted: set[str], modules: list[str]) -> None:
    """Load modules in a fresh interpreter, and hold that nothing unwanted came with them."""
    program = f"import sys, {', '.join(modules)}; print(sorted({unwanted!r} & set(sys.modules)))"
    finished = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (finished.returncode, finished.stdout.strip()) == (0, "[]"), finished.stderr


# --- strangers' bytes -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", [path for path in MODULES if _part(_dotted(path)) != "course"], ids=_name)
def test_no_bytes_become_code(path: Path) -> None:
    """Nothing unpickles, evaluates or executes; student code alone travels by cloudpickle, over standard input."""
    inside = path.relative_to(PACKAGE).as_posix()
    allowed = {"cloudpickle"} if inside in STANDARD_INPUT_FILES else set()
    imported = {module.split(".")[0] for module, _ in _imports(path)} & BYTES_TO_CODE - allowed
    assert not imported, f"{_name(path)} imports {sorted(imported)}"
    called = [(name, line) for name, line in _called(path) if name in NAMES_TO_CODE]
    assert not called, f"{_name(path)} calls {called}"


# --- size and words ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_modules_and_functions_stay_readable(path: Path) -> None:
    """No module is longer than 400 lines, no function longer than a screen of 60."""
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= 400, f"{_name(path)} has {lines} lines"
    long = {function.name: function.end_lineno - function.lineno + 1 for function in _functions(path)}
    assert not {name: length for name, length in long.items() if length > 60}


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_every_module_says_what_it_is(path: Path) -> None:
    """Each module of dynalab opens with a docstring."""
    assert ast.get_docstring(_tree(path)), f"{_name(path)} does not say what it is"


@pytest.mark.parametrize("path", TESTS, ids=_name)
def test_every_test_states_its_rule(path: Path) -> None:
    """Each test function has a docstring: the rule that it holds."""
    silent = [
        function.name
        for function in _functions(path)
        if function.name.startswith("test_") and not ast.get_docstring(function)
    ]
    assert not silent, f"{_name(path)}: {silent}"


def test_no_file_names_a_machine() -> None:
    """No tracked file holds a path of one person's machine or the host of a package registry."""
    homes = re.compile(r"(?<![\w.$}])/(?:root|work|Users/\w+|home/(?!jovyan)\w+)/")
    hosts = re.compile(
        "|".join(["py" + r"pi\.org", "python" + r"hosted\.org", "npm" + r"js\.(?:org|com)", "deb" + r"ian\.org"])
    )
    listed = subprocess.run(["git", "ls-files", "-z"], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    found = []
    for name in filter(None, listed.split("\0")):
        path = ROOT / name
        if path.suffix in {".png", ".gif", ".zip"} or not path.is_file():
            continue
        text = path.read_text(encoding="utf-8", errors="replace")
        found += [f"{name}: {match.group()}" for match in (homes.search(text), hosts.search(text)) if match]
    assert not found, found
