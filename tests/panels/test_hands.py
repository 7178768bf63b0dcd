"""The hands: every control is the verb it says, and its line can be run."""

from __future__ import annotations

from typing import Any

import pytest

from dynalab import Simulation
from dynalab.core.clock import Context
from dynalab.panels.asked import literal, typed
from dynalab.panels.hands import VERBS
from tests.panels.acting import acted

CLICKS: list[tuple[str, dict[str, Any]]] = [
    ("put", {"client": "alice", "key": "cart", "value": '["milk"]', "n": 3, "w": 3, "via": "C"}),
    ("get", {"client": "bob", "key": "cart", "r": 1}),
    ("put", {"client": "bob", "key": "cart", "value": "it's", "context": "got"}),
    ("put", {"client": "bob", "key": "cart", "value": "null", "context": "none"}),
    ("put", {"client": "bob", "key": "cart", "value": '{"n": true}', "context": "local"}),
    ("partition", {"sides": [["A", "B"], ["C", "D", "E"]]}),
    ("partition", {"sides": "A|B", "one_way": True}),
    ("heal", {}),
    ("link", {"from": "A", "to": "B", "drop": 0.3, "delay_low": 5, "delay_high": 50, "both_ways": True}),
    ("link", {"from": "B", "to": "C", "duplicate": 0.1, "reorder": 0.2, "delay_low": 3}),
    ("crash", {"node": "D"}),
    ("recover", {"node": "D", "wipe": True}),
    ("pause", {"node": "E"}),
    ("resume", {"node": "E"}),
    ("skew", {"node": "A", "ms": -5000}),
    ("heal", {}),
    ("join", {"node": "F"}),
    ("leave", {"node": "B"}),
    ("delete", {"client": "alice", "key": "cart"}),
    ("run", {"ms": 100}),
    ("settle", {}),
]


def test_the_lines_of_all_controls_run_again_give_the_same_trace() -> None:
    """Whatever is clicked, its lines of code, run in a cell on an equal simulation, do exactly the same."""
    at = acted()
    for verb, arguments in CLICKS:
        line = at.verb(verb, **arguments)
        assert line["state"] == "done", line
    assert {verb for verb, _ in CLICKS} == VERBS
    cell = {"sim": Simulation(5, seed=7), "Context": Context}
    for line in at.panel.lines:
        exec(line["code"], cell)
    assert cell["sim"].trace == at.panel.show.subject.target.trace


@pytest.mark.parametrize(
    ("text", "meant", "code"),
    [
        ("milk", "milk", '"milk"'),
        ('["milk"]', ["milk"], '["milk"]'),
        ('{"a": [1, null]}', {"a": [1, None]}, '{"a": [1, None]}'),
        ("3.5", 3.5, "3.5"),
        ("", "", '""'),
        ("[milk", "[milk", '"[milk"'),
    ],
)
def test_a_typed_value_is_what_somebody_means(text: str, meant: Any, code: str) -> None:
    """What looks like a list, a dictionary or a number is one; everything else is text; both can be said in code."""
    assert typed(text) == meant
    assert literal(meant) == code


def test_the_context_of_a_last_get_needs_a_get() -> None:
    """Sending the context of one's last get before there was one is refused, in words."""
    line = acted().verb("put", client="bob", key="cart", value="x", context="got")
    assert line["state"] == "refused"
    assert "bob has not got cart" in line["outcome"]


def test_a_cut_of_long_names_is_said_in_lists() -> None:
    """Nodes with long names stand in lists, which the verb takes as they are."""
    at = acted(nodes=["ann", "bob", "cy"])
    assert at.verb("partition", sides=[["ann"], ["bob", "cy"]])["code"] == 'sim.partition(["ann"], ["bob", "cy"])'
    assert at.panel.scene["faults"]["sides"] == [["ann"], ["bob", "cy"]]
