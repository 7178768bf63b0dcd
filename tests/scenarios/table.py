"""The fifty scenarios: where each is proved, in which worlds, and which invariants it keeps.

The tests of a scenario are those named ``test_sNN_...`` here, and those named in its row;
at the end of a test run the table is printed with a verdict for every scenario of which a test was run.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

HERE = "tests/scenarios"


class Row(NamedTuple):
    """One scenario.

    Attributes:
        title: what happens.
        worlds: ``sim``, ``live``, ``disk`` (a store alone), ``core`` (values alone).
        invariants: what must hold.
        elsewhere: ``file::test`` outside this folder that prove it, or share in proving it.
    """

    title: str
    worlds: str
    invariants: str
    elsewhere: tuple[str, ...] = ()


PIECES = "tests/live/test_pieces.py"
STRANGERS = "tests/live/test_strangers.py"
LIFE = "tests/live/test_lifecycle.py"
LOG = "tests/disk/test_log.py"
LAWS = "tests/test_laws.py"
PAPER = "tests/test_paper.py"

TABLE: dict[str, Row] = {
    "S01": Row("same context, same coordinator, two writers", "sim live", "I1 I4 I9"),
    "S02": Row("blind write over existing data", "sim live", "I1 I4"),
    "S03": Row("ring differs between processes", "sim live", "I6 I12"),
    "S04": Row("old replica write arrives late", "sim live", "I3 I8"),
    "S05": Row("write times out below W", "sim live", "I7 I2"),
    "S06": Row("retry of the same put", "sim live", "I1 I4 I9"),
    "S07": Row("delete while a replica is down", "sim live", "I3 I5"),
    "S08": Row("sloppy quorum breaks R+W>N", "sim live", "I1 I5 I7"),
    "S09": Row("read repair makes no events", "sim live", "I5 I4"),
    "S10": Row("read repair covers missing keys and all siblings", "sim live", "I4 I5"),
    "S11": Row("one slow or dead replica in the read set", "sim live", "I11"),
    "S12": Row("hint lost between send and ack", "sim live", "I1 I5"),
    "S13": Row(
        "interleaved read-modify-write, 100 rounds",
        "sim live core",
        "I1 I4 I10",
        (f"{LAWS}::test_two_interleaved_clients_never_make_more_than_two_siblings",),
    ),
    "S14": Row("context of an ack covers unseen siblings", "sim live", "I1"),
    "S15": Row("coordinator lost its copy", "sim live", "I1 I9 I8"),
    "S16": Row("tombstone reaped, an old tombstone returns", "sim live", "I1 I3 I9"),
    "S17": Row("tombstone reaped before the last replica heard", "sim live", "I3"),
    "S18": Row("repair races a newer write", "sim live", "I3 I8"),
    "S19": Row(
        "distinct replicas with many tokens",
        "sim live core",
        "I6 I7",
        (
            f"{LAWS}::test_preference_lists_are_distinct_and_stable",
            f"{PAPER}::test_a_preference_list_holds_more_than_n_distinct_nodes",
            "tests/sim/test_simulation.py::test_small_clusters_shrink_what_nobody_named",
        ),
    ),
    "S20": Row("fallback order", "sim live", "I6"),
    "S21": Row("duplicate replies counted twice", "sim live", "I7"),
    "S22": Row("late or foreign replies", "sim live", "I7 I11"),
    "S23": Row(
        "crash between local write and reply",
        "sim live disk",
        "I1 I7",
        (
            "tests/disk/test_crash.py::test_a_killed_process_keeps_its_word",
            f"{LOG}::test_a_crash_between_any_two_steps",
        ),
    ),
    "S24": Row(
        "torn or corrupt record on disk",
        "live disk",
        "I1 I13 I9",
        (
            f"{LOG}::test_a_torn_record_that_nobody_was_told_of_costs_nothing",
            f"{LOG}::test_a_torn_record_that_was_acknowledged_is_a_loss",
            f"{LOG}::test_a_flipped_bit_in_an_older_record_is_found",
            "tests/disk/test_sqlite.py::test_a_changed_value_is_found",
        ),
    ),
    "S25": Row("Merkle trees disagree for ever", "sim live", "I5 I12"),
    "S26": Row(
        "Merkle trees agree although data differ",
        "sim core",
        "I5",
        (
            f"{LAWS}::test_merkle_trees_differ_in_exactly_the_keys_whose_states_differ",
            f"{LAWS}::test_equal_values_with_unequal_histories_have_unequal_digests",
        ),
    ),
    "S27": Row(
        "simulator is not deterministic",
        "sim",
        "I12",
        (
            "tests/test_determinism.py::test_ten_seeds_give_the_same_trace_in_two_processes",
            "tests/test_determinism.py::test_a_run_replayed_is_the_same_run",
        ),
    ),
    "S28": Row(
        "simulator and processes disagree",
        "sim live",
        "I4 I12",
        ("tests/test_same_story.py::test_both_worlds_tell_the_same_story",),
    ),
    "S29": Row("one-way partition and flapping link", "sim live", "I7 I11 I5 I10"),
    "S30": Row("process pause", "sim live", "I7 I11"),
    "S31": Row(
        "clock jumps and equal timestamps",
        "sim live core",
        "I1 I11",
        ("tests/live/test_faults.py::test_skew_reaches_the_stamp_and_no_timer", "tests/core/test_merge.py"),
    ),
    "S32": Row("clock truncation", "sim core", "I1 I9 I10", (f"{PAPER}::test_a_long_vector_clock_is_truncated",)),
    "S33": Row("hint storm", "sim live", "I10 I5 I11"),
    "S34": Row("background work starves requests", "sim", "I11"),
    "S35": Row(
        "send queue full",
        "live",
        "I10 I11",
        ("tests/live/test_pieces.py::test_what_a_link_cannot_take_is_dropped_and_counted",),
    ),
    "S36": Row(
        "node joins under load",
        "sim live",
        "I1 I6 I5",
        (f"{PAPER}::test_only_the_new_nodes_ranges_move",),
    ),
    "S37": Row("node leaves holding hints", "sim live", "I1"),
    "S38": Row("remove, then re-add the same node", "sim live", "I6 I9"),
    "S39": Row(
        "logical partition at bootstrap",
        "core",
        "I6 I5",
        (f"{PAPER}::test_seeds_end_a_logical_partition",),
    ),
    "S40": Row(
        "two processes with the same node id",
        "live disk",
        "I9 I6",
        (
            f"{LIFE}::test_a_second_cluster_on_the_same_data_is_refused",
            "tests/disk/test_engines.py::test_one_process_at_a_time",
        ),
    ),
    "S41": Row(
        "whole-cluster restart",
        "sim live",
        "I1 I5",
        ("tests/live/test_faults.py::test_the_whole_cluster_may_restart",),
    ),
    "S42": Row(
        "write buffer crash",
        "sim live",
        "I1 I7",
        ("tests/sim/test_disk.py::test_buffered_loses_a_tail_and_only_a_tail",),
    ),
    "S43": Row(
        "malformed frames",
        "live core",
        "I13 I10",
        (
            f"{STRANGERS}::test_fuzzed_frames_leave_the_node_serving",
            f"{STRANGERS}::test_any_bytes_are_survived",
            "tests/codec/test_wire.py",
        ),
    ),
    "S44": Row("forged context", "sim live", "I13 I1"),
    "S45": Row(
        "raw TCP and half-open connections",
        "live",
        "I13 I11",
        (f"{STRANGERS}::test_raw_tcp_text_and_half_open_connections",),
    ),
    "S46": Row(
        "oversize message",
        "sim live",
        "I10 I13",
        (f"{STRANGERS}::test_an_oversize_message_only_hurts_its_sender",),
    ),
    "S47": Row(
        "stranger connects",
        "live",
        "I13",
        (
            f"{STRANGERS}::test_a_stranger_delivers_nothing",
            f"{STRANGERS}::test_a_routing_id_proves_nothing",
            f"{STRANGERS}::test_the_next_owner_of_a_routing_id_is_judged_by_his_own_key",
            f"{PIECES}::test_the_next_owner_of_a_secret_routing_id_has_his_own_name",
            f"{PIECES}::test_frames_too_many_are_nobody_elses",
        ),
    ),
    "S48": Row("pickle on the wire", "live", "I13", ("tests/test_layout.py::test_no_bytes_become_code",)),
    "S49": Row(
        "notebook kernel restarts or cell is re-run",
        "live",
        "I10 I11",
        (
            f"{LIFE}::test_running_a_cell_again_replaces_the_cluster",
            f"{LIFE}::test_a_killed_parent_leaves_nothing",
        ),
    ),
    "S50": Row(
        "everything at once",
        "sim live",
        "I1 I2 I3 I4 I5 I7 I8 I9 I10 I11 I12",
        ("tests/check/test_random_runs.py::test_the_invariants_hold_after_any_schedule",),
    ),
}


def belongs(scenario: str, nodeid: str) -> bool:
    """Whether a test shares in proving a scenario."""
    file, _, test = nodeid.partition("::")
    if file.startswith(HERE):
        return test.startswith(f"test_{scenario.lower()}_")
    name = f"{file}::{test.partition('[')[0]}"
    return any(name == proof or name.startswith(f"{proof}::") for proof in TABLE[scenario].elsewhere)


def own_tests(root: Path) -> list[str]:
    """``file::test`` of every test function in this folder."""
    return [test for file in sorted((root / HERE).glob("test_*.py")) for test in named_tests(root, file)]


def named_tests(root: Path, file: Path) -> list[str]:
    """``file::test`` of every test function of a file."""
    import ast

    tree = ast.parse(file.read_text(encoding="utf-8"))
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
    return [f"{file.relative_to(root).as_posix()}::{name}" for name in names if name.startswith("test_")]


def verdict(scenario: str, outcomes: Iterable[tuple[str, str]]) -> str:
    """``holds (7 tests)``, ``BROKEN: ...``, ``skipped`` or empty when none of its tests was run.

    Args:
        scenario: like ``S07``.
        outcomes: ``(node id, "passed" | "failed" | "error" | "skipped")`` of all tests of the run.
    """
    mine = [(nodeid, outcome) for nodeid, outcome in outcomes if belongs(scenario, nodeid)]
    broken = [nodeid.rpartition("::")[2] for nodeid, outcome in mine if outcome in ("failed", "error")]
    passed = sum(outcome == "passed" for _, outcome in mine)
    if broken:
        return f"BROKEN: {', '.join(broken)}"
    return f"holds ({passed} test{'s' if passed > 1 else ''})" if passed else "skipped" if mine else ""


def lines(outcomes: list[tuple[str, str]]) -> list[str]:
    """The table of a run, a line for each scenario of which a test was run."""
    told = [(name, verdict(name, outcomes)) for name in TABLE]
    return [
        f"{name}  {TABLE[name].title:<52.52} {TABLE[name].worlds:<13} {TABLE[name].invariants:<36} {said}"
        for name, said in told
        if said
    ]
