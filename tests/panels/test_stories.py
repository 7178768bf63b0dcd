"""The stories: each shows what it promises, in both worlds, and says so when it does not."""

from __future__ import annotations

import re
import threading
from dataclasses import replace

import pytest

from dynalab.panels import teller
from dynalab.panels.catalogue import Words, translate
from dynalab.panels.stories import BY_NAME, PLACES, STORIES
from tests.panels.acting import Acted, acted


@pytest.mark.parametrize("name", list(BY_NAME))
def test_a_story_shows_what_it_promises(name: str) -> None:
    """Every step of every story ends as shown in the seeded simulation, twice alike."""
    told = []
    for _ in range(2):
        at = acted()
        at.ask("story", do="begin", name=name, world="sim")
        steps = []
        for _ in BY_NAME[name].steps:
            at.ask("story", do="next")
            steps.append((at.panel.story["narration"], at.panel.story["status"], at.panel.story["why"]))
        assert [status for _, status, _ in steps] == ["shown"] * len(BY_NAME[name].steps), steps
        told.append((steps, at.panel.show.subject.target.trace))
    assert told[0] == told[1]


@pytest.mark.live
@pytest.mark.parametrize("name", list(BY_NAME))
def test_a_story_shows_what_it_promises_on_processes(name: str) -> None:
    """Every step of every story ends as shown on five real processes, which go when the story is left."""
    at = acted()
    told = threading.Condition()
    steps: dict[int, tuple[str, str]] = {}

    def hear(change: dict) -> None:
        with told:
            story = change["new"]
            steps[story.get("step", -1)] = (story.get("status", ""), story.get("why", ""))
            told.notify_all()

    at.panel.observe(hear, names="story")
    at.ask("story", do="begin", name=name, world="live")
    for number in range(1, len(BY_NAME[name].steps) + 1):
        at.ask("story", do="next")
        with told:
            assert told.wait_for(lambda n=number: steps.get(n, ("", ""))[0] in ("shown", "failed"), 40)
            assert steps[number] == ("shown", "")
    at.ask("story", do="leave")
    with told:
        assert told.wait_for(lambda: -1 in steps, 20)
    at.panel.close()


@pytest.mark.parametrize("name", [name for name, story in BY_NAME.items() if not all(s.calls for s in story.steps)])
def test_a_story_waits_for_its_reader(name: str) -> None:
    """What a step only waits for may have come while its reader was still reading the step before."""
    at = acted()
    at.ask("story", do="begin", name=name, world="sim")
    for step in BY_NAME[name].steps:
        if not step.calls:
            at.panel.show.subject.target.run(ms=10_000)
        at.ask("story", do="next")
        assert at.panel.story["status"] == "shown", at.panel.story


def test_a_story_turns_its_rivals_off() -> None:
    """A story of one repair runs where no other repair could have done it."""
    for name, rivals in {
        "read_repair": {"hints": False, "anti_entropy_ms": 0},
        "handoff": {"read_repair": False, "anti_entropy_ms": 0},
        "merkle": {"hints": False, "read_repair": False},
    }.items():
        assert {rival: BY_NAME[name].settings[rival] for rival in rivals} == rivals


def test_a_step_that_does_not_show_its_promise_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing event, a wrong result and a refused verb each end the step as failed, with the reason."""
    story = BY_NAME["quorum_write"]
    first = story.steps[0]
    for step, reason in [
        (replace(first, events=({"kind": "repair"},)), "without repair"),
        (replace(first, result={"count": 7}), "expected 7"),
        (replace(first, calls=(("crash", {"node": "Q"}),)), "UnknownNode"),
    ]:
        monkeypatch.setitem(teller.BY_NAME, "broken", replace(story, name="quorum_write", steps=(step,)))
        monkeypatch.setitem(BY_NAME, "broken", teller.BY_NAME["broken"])
        at = acted()
        at.ask("story", do="begin", name="broken", world="sim")
        at.ask("story", do="next")
        assert at.panel.story["status"] == "failed"
        assert reason in at.panel.story["why"]


def test_back_restart_and_leave() -> None:
    """Back is the state after the step before; restart begins anew; leaving shows the first cluster again."""
    at = acted()
    at.verb("put", client="alice", key="cart", value="mine")
    at.ask("story", do="begin", name="handoff", world="sim")
    for _ in range(2):
        at.ask("story", do="next")
    hinted = at.panel.show.subject.target.trace
    at.ask("story", do="next")
    at.ask("story", do="back")
    assert at.panel.story["step"] == 2
    assert at.panel.show.subject.target.trace == hinted
    at.ask("story", do="restart")
    assert at.panel.story["step"] == 0
    assert at.panel.story["status"] == "ready"
    at.ask("story", do="leave")
    assert at.panel.story == {}
    assert any("mine" in held[0]["value"] for held in at.panel.placement["held"].values())
    assert at.verb("put", client="alice", key="cart", value="more")["code"] == 'alice.put("cart", "more")'


def test_a_failed_story_goes_on_in_the_simulation() -> None:
    """The same story, up to the same step, is told in the seeded simulation, where it shows."""
    at = acted()
    at.ask("story", do="begin", name="handoff", world="sim")
    at.ask("story", do="next")
    at.ask("story", do="next")
    at.ask("story", do="simulation")
    assert (at.panel.story["step"], at.panel.story["status"], at.panel.story["world"]) == (2, "shown", "sim")


def test_every_step_has_its_sentence() -> None:
    """Each story has a title, a promise and one text for each step, and names nodes by their places only."""
    texts = Words().texts()
    for story in STORIES:
        names = ["title", "about", *(str(number) for number in range(1, len(story.steps) + 1))]
        for name in names:
            text = texts[f"story.{story.name}.{name}"]
            assert set(re.findall(r"\{(\w+)\}", text)) <= set(PLACES)
        assert f"story.{story.name}.{len(story.steps) + 1}" not in texts


def test_the_catalogue_can_be_translated() -> None:
    """A translation replaces what it has, in the panel and in its stories; an unknown id is refused."""
    translate("xx", {"tab.stage": "Bühne", "story.handoff.title": "Weitergabe"})
    sim = acted().panel.show.subject.target
    panel = Acted(sim, language="xx").panel
    assert panel.words["tab.stage"] == "Bühne"
    assert panel.words["tab.time"] == "Time"
    assert "Weitergabe" in [story["title"] for story in panel.stories]
    with pytest.raises(ValueError, match="no text"):
        translate("xx", {"tab.nowhere": "?"})
    with pytest.raises(ValueError, match="texts in"):
        Words("yy")
