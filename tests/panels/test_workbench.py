"""The widget, by its traits and messages, without a browser."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import pytest

from dynalab import Cluster, Simulation, replay
from dynalab.panels import Workbench, panel
from dynalab.panels.still import text_of
from dynalab.panels.subject import Subject
from tests.panels.acting import Acted, acted

if TYPE_CHECKING:
    from pathlib import Path


def test_a_click_shows_its_effect_its_line_and_its_messages() -> None:
    """A put by click is stored, said as code with its outcome, and told to the stage as flights of its messages."""
    at = acted()
    line = at.verb("put", client="alice", key="cart", value='["milk"]', w=3)
    assert line["code"] == 'alice.put("cart", ["milk"], w=3)'
    assert line["state"] == "done"
    assert at.panel.show.subject.target.values("cart") == {name: [["milk"]] for name in at.panel.placement["homes"]}
    assert {flight[5] for flight in at.flights()} >= {"ClientPut", "ReplicaPut", "ReplicaPutDone", "ClientPutDone"}
    assert all(flight[4] is not None for flight in at.flights() if flight[5] == "ClientPutDone")


def test_the_scene_tells_state_suspicion_and_cuts() -> None:
    """The scene names crashed and suspected nodes and the sides of a partition, as the nodes themselves see them."""
    at = acted()
    at.verb("partition", sides=[["A", "B"], ["C", "D", "E"]])
    at.verb("put", client="alice", key="cart", value="x", via="E")
    at.verb("crash", node="D")
    nodes = {node["name"]: node for node in at.panel.scene["nodes"]}
    assert nodes["D"]["state"] == "crashed"
    assert "E" in nodes["A"]["suspected_by"]
    assert at.panel.scene["faults"]["sides"] == [["A", "B"], ["C", "D", "E"]]


def test_the_key_worked_on_is_the_key_shown() -> None:
    """The stage follows the key of the last request, and says who keeps it and who stands in with a hint."""
    at = acted()
    home = Simulation(5, seed=7)
    homes = home.put("cart", "x", w=3).nodes
    at.verb("crash", node=homes[-1])
    at.verb("put", client="alice", key="cart", value="x", via=homes[0])
    at.verb("run", ms=400)
    assert at.panel.view["key"] == "cart"
    assert homes[-1] in [hint["home"] for hint in at.panel.placement["hints"]]


def test_choosing_a_node_shows_its_inside() -> None:
    """The inspector follows the chosen node, and says when it does not run."""
    at = acted()
    at.verb("put", client="alice", key="cart", value="x", w=3)
    home = at.panel.placement["homes"][0]
    at.panel.view = {**at.panel.view, "node": home}
    assert at.panel.inside["records"][0]["key"] == "cart"
    assert at.panel.inside["records"][0]["siblings"][0]["value"] == "'x'"
    at.verb("crash", node=home)
    assert at.panel.inside == {"node": home, "down": True}


def test_the_inspector_tells_what_a_node_did_last_and_waits_for() -> None:
    """The chosen node's last events stand newest first, and a request it waits for has its key."""
    at = acted()
    at.verb("put", client="alice", key="cart", value="x", w=3)
    home, other = at.panel.placement["homes"][:2]
    at.verb("pause", node=other)
    at.verb("put", client="alice", key="cart", value="y", w=2, via=home)
    at.panel.view = {**at.panel.view, "node": home}
    at.panel.look()
    events = at.panel.inside["events"]
    assert [time_ms for time_ms, _ in events] == sorted((time_ms for time_ms, _ in events), reverse=True)
    assert any("reply put 'cart'" in text for _, text in events)
    assert not any("Ping" in text or "Gossip" in text for _, text in events)
    assert [request["key"] for request in at.panel.inside["requests"]] == ["cart"] * len(at.panel.inside["requests"])
    assert at.panel.inside["requests"], "the put still waits for the paused home"


def test_a_panel_for_a_projector_is_large() -> None:
    """`panel(big=True)` begins enlarged, and so does the panel of a saved trace."""
    assert acted().panel.view["big"] is False
    sim = Simulation(3, seed=1)
    assert Acted(sim, big=True).panel.view["big"] is True
    assert Acted(sim.trace, big=True).panel.view["big"] is True


def test_a_paused_simulation_really_steps() -> None:
    """While paused a put is only submitted; every step carries it on, and its line ends as done."""
    at = acted()
    at.panel.view = {**at.panel.view, "paused": True}
    line = at.verb("put", client="alice", key="cart", value="x")
    assert line["state"] == "waiting"
    assert line["code"].startswith("alice.submit_put(")
    assert at.panel.show.subject.target.now_ms == 0
    for _ in range(40):
        at.ask("step")
    states = {each["code"]: each["state"] for each in at.panel.lines}
    assert states[line["code"]] == "done"
    assert at.panel.show.subject.target.values("cart")


@pytest.mark.parametrize(
    "content",
    [
        None,
        "verb",
        {"ask": "nothing"},
        {"ask": "verb"},
        {"ask": "verb", "verb": "__init__", "arguments": {}},
        {"ask": "verb", "verb": "put", "arguments": "x"},
        {"ask": "verb", "verb": "crash", "arguments": {"node": 7}},
        {"ask": "verb", "verb": "link", "arguments": {"from": "A", "to": "B", "drop": "much"}},
        {"ask": "rows", "wanted": 7},
        {"ask": "past", "seq": "x"},
        {"ask": "travel", "to": "x"},
        {"ask": "load", "rate": True},
        {"ask": "merkle", "left": 1, "right": None},
        {"ask": "story", "do": "begin", "name": "none", "world": "sim"},
        {"ask": "story", "do": "next"},
    ],
)
def test_nonsense_from_a_browser_changes_nothing(content: object) -> None:
    """A message that makes no sense is refused in words or ignored; the cluster is as before and the panel lives."""
    at = acted()
    before = at.panel.show.subject.target.events[:]
    at.panel._hear(at.panel, content, [])
    assert at.panel.show.subject.target.events == before
    assert at.panel.trouble == ""
    assert at.verb("put", client="alice", key="cart", value="x")["state"] == "done"


def test_a_refused_verb_says_so_and_has_no_effect() -> None:
    """A verb on an unknown node is a refused line with the error's own text."""
    line = acted().verb("crash", node="Q")
    assert line["state"] == "refused"
    assert "no node is called 'Q'" in line["outcome"]


def test_an_indefinite_error_is_told_as_unknown() -> None:
    """A put that misses its quorum is not 'refused': it may be stored."""
    at = acted(hints=False)
    at.verb("crash", node="A")
    at.verb("crash", node="B")
    at.verb("crash", node="C")
    at.verb("crash", node="D")
    assert at.verb("put", client="alice", key="cart", value="x", w=3)["state"] == "unknown"


def test_a_cluster_has_one_panel() -> None:
    """Asking twice gives the same widget, so two views show one model; another cluster has another."""
    sim = Simulation(3, seed=1)
    assert panel(sim) is panel(sim)
    assert panel(sim) is not panel(Simulation(3, seed=1))


@pytest.mark.parametrize("refresh_hz", [0, 26])
def test_the_refresh_rate_is_bounded(refresh_hz: float) -> None:
    """News reach the browser 1 to 25 times a second; another wish is refused."""
    with pytest.raises(ValueError, match="refresh_hz"):
        Workbench(Simulation(3), refresh_hz=refresh_hz)


def test_a_saved_trace_opens_without_a_cluster(tmp_path: Path) -> None:
    """A trace file shows its nodes, its cut and what a node held at any moment, and has no hands."""
    sim = Simulation(5, seed=7)
    sim.put("cart", ["milk"], w=3)
    sim.partition("AB|CDE")
    at = Acted(replay(sim.trace.save(tmp_path / "x.trace")).trace)
    assert at.panel.scene["kind"] == "file"
    assert at.panel.scene["faults"]["sides"] == [["A", "B"], ["C", "D", "E"]]
    assert at.panel.view["tab"] == "time"
    assert set(at.panel.placement["held"]) == set(sim.values("cart"))
    at.ask("travel", to=1)
    assert at.panel.travel["scene"]["faults"]["sides"] == []


def test_a_saved_trace_begins_at_its_first_moment(tmp_path: Path) -> None:
    """In a notebook, where work waits its turn, the first moment is there before a browser could ask for the last."""
    sim = Simulation(5, seed=7)
    sim.put("cart", ["milk"], w=3)
    saved = replay(sim.trace.save(tmp_path / "x.trace")).trace

    async def open_panel() -> dict[str, Any]:
        at = Acted(saved)
        begun = dict(at.panel.travel)
        at.panel.close()
        return begun

    begun = asyncio.run(open_panel())
    assert begun["step"] == 1
    assert begun["of"] > 1


def test_words_of_a_panel_do_not_depend_on_time() -> None:
    """The plain text of a panel is the same whenever it is shown; a picture or a table goes with it."""
    one, other = Simulation(3, seed=1), Simulation(3, seed=1)
    other.run(ms=500)
    assert text_of(Subject(one, "sim")) == text_of(Subject(other, "sim"))
    shown, _ = panel(one)._repr_mimebundle_()
    assert set(shown) >= {"text/plain", "application/vnd.jupyter.widget-view+json"}
    assert {"image/png", "text/html"} & set(shown)


def test_a_bare_simulation_outside_a_notebook_is_its_words() -> None:
    """Without a kernel nothing is drawn: the plain text is the simulation's own."""
    sim = Simulation(3, seed=1)
    assert sim._repr_mimebundle_() == {"text/plain": repr(sim)}


@pytest.mark.live
def test_a_live_cluster_is_followed_from_threads() -> None:
    """Clicks on a live panel return at once; its threads run them, and traits and flights follow by themselves."""
    with Cluster(3) as cluster:
        at = Acted(cluster)
        stored = threading.Event()
        at.panel.observe(
            lambda change: stored.set() if at.panel.placement.get("held") and at.flights() else None,
            names=["placement", "scene"],
        )
        at.ask("verb", verb="put", arguments={"client": "alice", "key": "cart", "value": "x", "w": 3})
        assert stored.wait(20)
        crashed = threading.Event()
        at.panel.observe(
            lambda change: crashed.set() if "crashed" in [node["state"] for node in change["new"]["nodes"]] else None,
            names="scene",
        )
        at.ask("verb", verb="crash", arguments={"node": "C"})
        assert crashed.wait(20)
        closed = threading.Event()
        at.panel.observe(lambda change: closed.set() if change["new"]["closed"] else None, names="scene")
        cluster.close()
        assert closed.wait(20)
        at.panel.close()
