"""Same seed, same bytes of trace: in any process, under any PYTHONHASHSEED, on any day (I12)."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.sim.scripts import digest, rich

SEEDS = range(10)


def digests(hash_seed: str) -> dict[int, str]:
    """``{seed: digest of its trace}`` from a fresh process whose text hashes are salted with `hash_seed`."""
    finished = subprocess.run(
        [sys.executable, "-m", "tests.sim.scripts", *map(str, SEEDS)],
        cwd=Path(__file__).parent.parent,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [line.split() for line in finished.stdout.splitlines()]
    return {int(seed): seen for seed, seen in lines}


@pytest.fixture(scope="module")
def salted_with_one() -> dict[int, str]:
    return digests("1")


def test_ten_seeds_give_the_same_trace_in_two_processes(salted_with_one: dict[int, str]) -> None:
    """A trace depends on the seed and the script alone, not on the process or its salt for hashing text."""
    assert digests("4242") == salted_with_one


def test_this_process_gives_the_same_trace_too(salted_with_one: dict[int, str]) -> None:
    """What has run before in a process leaves no mark on a simulation."""
    assert {seed: digest(rich(seed).events) for seed in (3, 7)} == {seed: salted_with_one[seed] for seed in (3, 7)}


def test_different_seeds_give_different_traces(salted_with_one: dict[int, str]) -> None:
    """The seed is what chance follows from: ten seeds, ten runs."""
    assert len(set(salted_with_one.values())) == len(SEEDS)


def test_a_run_replayed_is_the_same_run() -> None:
    """Time travel to the present finds the very trace that was recorded, whatever was done at any time."""
    sim = rich(5)
    assert sim.at(ms=sim.now_ms).events == sim.events
