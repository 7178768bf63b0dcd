"""The table of the fifty scenarios is complete, and names only tests that exist."""

from __future__ import annotations

from pathlib import Path

from tests.scenarios.table import TABLE, belongs, lines, named_tests, own_tests, verdict


def test_all_fifty_have_a_row(root_dir: Path):
    """S01 to S50 each have a row, with worlds, invariants and at least one test that exists."""
    assert list(TABLE) == [f"S{number:02}" for number in range(1, 51)]
    own = own_tests(root_dir)
    for name, row in TABLE.items():
        assert row.title
        assert row.worlds
        assert set(row.invariants.split()) <= {f"I{number}" for number in range(1, 14)}
        assert row.elsewhere or any(belongs(name, test) for test in own), name


def test_the_named_proofs_exist(root_dir: Path):
    """Every test that a row names is there."""
    for row in TABLE.values():
        for proof in row.elsewhere:
            file, _, test = proof.partition("::")
            known = named_tests(root_dir, root_dir / file)
            assert known
            assert not test or proof in known, proof


def test_every_scenario_test_has_its_row(root_dir: Path):
    """A test of this folder is about a scenario of the table, or about the table."""
    for test in own_tests(root_dir):
        if "test_table.py" not in test:
            assert any(belongs(name, test) for name in TABLE), test


def test_the_table_tells_what_happened():
    """A scenario holds when its tests passed, is broken when one failed, and has no line when none was run."""
    ran = [
        ("tests/scenarios/test_naive.py::test_s01_x[sim]", "passed"),
        ("tests/scenarios/test_naive.py::test_s01_x[live]", "passed"),
        ("tests/scenarios/test_naive.py::test_s02_y[sim]", "passed"),
        ("tests/scenarios/test_naive.py::test_s02_y[live]", "failed"),
        ("tests/disk/test_engines.py::test_one_process_at_a_time[log]", "skipped"),
    ]
    assert verdict("S01", ran) == "holds (2 tests)"
    assert verdict("S02", ran) == "BROKEN: test_s02_y[live]"
    assert verdict("S40", ran) == "skipped"
    assert verdict("S03", ran) == ""
    assert [line[:3] for line in lines(ran)] == ["S01", "S02", "S40"]
