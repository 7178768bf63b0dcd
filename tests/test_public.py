"""The public names: lazy, complete, and the same to a reader, an editor and the interpreter."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

import dynalab

SOURCE = Path(dynalab.__file__).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", dynalab.__all__)
def test_every_public_name_resolves(name: str) -> None:
    """What `__all__` promises can be had."""
    assert getattr(dynalab, name) is not None


def test_editors_see_the_same_names() -> None:
    """The names under TYPE_CHECKING, with their modules, are exactly those of the table."""
    (guarded,) = (node for node in ast.parse(SOURCE).body if isinstance(node, ast.If))
    seen = {}
    for statement in guarded.body:
        assert isinstance(statement, ast.ImportFrom)
        for alias in statement.names:
            seen[alias.asname] = statement.module
    assert seen == {name: home.removesuffix(":") for name, home in dynalab._HOME.items()}


def test_an_unknown_name_is_an_attribute_error() -> None:
    """A misspelt name fails as Python's own do, and says where the list is."""
    with pytest.raises(AttributeError, match=r"no public name 'Clutser'"):
        _ = dynalab.Clutser


def test_import_is_lazy() -> None:
    """`import dynalab` loads none of its own modules and none of what a node does without."""
    program = (
        "import sys, dynalab; print([name for name in sys.modules if name.startswith(('dynalab.', 'zmq', 'numpy'))])"
    )
    assert _run(program) == "[]"


def test_one_switch_turns_clusters_into_simulations() -> None:
    """With DYNALAB_WORLD=sim the name Cluster is the Simulation, and nothing else changes."""
    program = "import dynalab; print(dynalab.Cluster is dynalab.Simulation)"
    assert _run(program, DYNALAB_WORLD="sim") == "True"
    assert _run(program, DYNALAB_WORLD="live") == "False"


def _run(program: str, **environment: str) -> str:
    finished = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, env=os.environ | environment
    )
    return finished.stdout.strip()
