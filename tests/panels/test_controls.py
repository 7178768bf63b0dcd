"""The controls: each click runs its verb, shows the line it ran and what became of it, in both worlds."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import pytest

from dynalab import Cluster, Simulation
from dynalab.panels.controls import LINES_KEPT, RUN_MS
from dynalab.panels.controls import controls as new_controls

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(params=["sim", pytest.param("live", marks=pytest.mark.live)])
def controls(request: pytest.FixtureRequest) -> Iterator[Any]:
    """The controls of five nodes, in each world."""
    cluster = Simulation(5, seed=7) if request.param == "sim" else Cluster(5)
    with cluster:
        panel = new_controls(cluster, key="cart")
        yield panel
        panel.wait()
        panel.close()


def test_the_partition_toggle_cuts_and_heals(controls: Any) -> None:
    """Down cuts the network between the sides and changes the picture; up heals it."""
    whole = controls.image.value
    controls.partition.value = True
    controls.wait()
    assert controls.cluster.faults.is_cut("A", "C")
    assert controls.image.value != whole
    assert "The network is cut: A B | C D E." in controls.words.value
    controls.partition.value = False
    controls.wait()
    assert not controls.cluster.faults.cuts
    assert list(controls.lines) == ['cluster.partition("AB|CDE")', "cluster.heal()"]


def test_nodes_crash_recover_pause_and_resume(controls: Any) -> None:
    """Each node has a toggle to crash and one to pause it; up again recovers and resumes it."""
    for toggles, state in ((controls.crash, "crashed"), (controls.pause, "paused")):
        toggles["C"].value = True
        controls.wait()
        assert controls.cluster.states()["C"] == state
        assert f"C {'has' if state == 'crashed' else 'is'} {state}." in controls.words.value
        toggles["C"].value = False
        controls.wait()
        assert controls.cluster.states()["C"] == "up"
    assert [line.split("(")[0] for line in controls.lines] == [
        f"cluster.{verb}" for verb in ("crash", "recover", "pause", "resume")
    ]


def test_bad_sides_are_told_and_change_nothing(controls: Any) -> None:
    """A partition with an unknown node is refused in words; the toggle goes up again."""
    controls.sides.value = "AB|XY"
    controls.partition.value = True
    controls.wait()
    assert "no node is called &#x27;X&#x27;" in controls.code.value
    assert not controls.partition.value
    assert list(controls.lines) == []


def test_toggles_follow_what_others_do(controls: Any) -> None:
    """After a look, toggles show what a cell has done; following is no wish, so nothing is run."""
    controls.cluster.partition("A|BCDE")
    controls.cluster.crash("E")
    controls.look.click()
    controls.wait()
    assert (controls.partition.value, controls.crash["E"].value, controls.pause["E"].disabled) == (True, True, True)
    assert list(controls.lines) == []
    controls.heal.click()
    controls.wait()
    assert not controls.partition.value


def test_clicks_are_right_on_any_thread(controls: Any) -> None:
    """Five threads that each crash one node and recover it leave every node up, every toggle and line in order."""
    threads = [threading.Thread(target=_crash_and_recover, args=(controls, node)) for node in "ABCDE"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    controls.wait()
    assert set(controls.cluster.states().values()) == {"up"}
    assert not any(toggle.value for toggle in controls.crash.values())
    assert len(controls.lines) == LINES_KEPT


def _crash_and_recover(controls: Any, node: str) -> None:
    controls.crash[node].value = True
    controls.crash[node].value = False


def test_controls_look_the_same_in_every_run(controls: Any) -> None:
    """The text form is stable, and viewers that run no widget get the picture."""
    bundle = controls._repr_mimebundle_()
    assert repr(controls) == bundle["text/plain"] == "<Controls of 5 nodes>"
    assert bundle["image/png"].startswith("iVBOR")


def test_time_passes_at_a_press_in_a_simulation() -> None:
    """A simulation has one more button: virtual time passes, and others begin to suspect who is silent."""
    sim = Simulation(5, seed=7)
    controls = new_controls(sim)
    controls.crash["C"].value = True
    for _ in range(5):
        controls.run.click()
    controls.wait()
    assert sim.now_ms == 5 * RUN_MS
    assert "C is suspected by A, B, D, E." in controls.words.value
    controls.close()


@pytest.mark.live
def test_a_cluster_has_no_button_for_time() -> None:
    """In a real cluster time passes by itself."""
    with Cluster(["ann", "bob", "cy"]) as cluster:
        controls = new_controls(cluster)
        assert controls.run is None
        assert controls.sides.value == "ann|bob,cy"
        controls.close()
