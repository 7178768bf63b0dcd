"""The README keeps its word: its code runs, its files exist."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("world", ["sim", pytest.param("live", marks=pytest.mark.live)])
def test_the_first_example_gives_what_it_says(world: str) -> None:
    """The lines at the top run as printed, in both worlds, and end with both carts as siblings."""
    (program,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    finished = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"DYNALAB_WORLD": world},
    )
    assert finished.returncode == 0, finished.stderr
    assert sorted(ast.literal_eval(finished.stdout)) == [["milk"], ["tea"]]


def test_where_to_change_names_real_places() -> None:
    """Every file and folder that 'Where do I change ...?' names is there."""
    table = README.split("## Where do I change ...?")[1].split("##")[0]
    places = re.findall(r"`((?:\w+/)+(?:\w+\.py)?|\w+\.py)`", table)
    assert len(places) > 15
    assert [place for place in places if not (ROOT / "dynalab" / place).exists()] == []
