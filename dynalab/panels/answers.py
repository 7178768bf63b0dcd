"""What a view can ask for, and how the panel answers: one function for each word.

Theory of operation.
A view sends ``{"ask": word, ...}``.  `ANSWERS` says which function answers, and which runner it runs on.
Answers for one view carry its ``token``; what all views show lies in a trait.

Rule: a message from a browser is checked here; what makes no sense is left unanswered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from dynalab.panels import table
from dynalab.panels.stories import BY_NAME, KEY
from dynalab.panels.subject import FILE, LIVE, SIM, Subject
from dynalab.panels.tape import is_worth_seeing
from dynalab.panels.teller import FAILED, Teller, cluster_of
from dynalab.panels.trees import compared

if TYPE_CHECKING:
    from dynalab.panels.workbench import Workbench

Content = Mapping[str, Any]

STEPS_MAX = 2_000
"""Events one click on 'step' carries out at the most to reach one worth seeing."""


def hello(panel: Workbench, _content: Content) -> None:
    """A view has opened: what was sent before it could hear is lost, so it is told where things stand."""
    feed = panel.show.feed
    panel.send({"hello": {"head": feed.tape.last_us, "flights": feed.flights.open()[-200:]}})


def verb(panel: Workbench, content: Content) -> None:
    """Run a verb of the hands."""
    arguments = content.get("arguments")
    panel.act(str(content.get("verb")), arguments if isinstance(arguments, dict) else {})


def step(panel: Workbench, _content: Content) -> None:
    """One thing happens in a simulation: the next that is worth seeing."""
    subject = panel.show.subject
    if subject.kind != SIM:
        return
    steps, events = 0, None
    while steps < STEPS_MAX:
        steps += 1
        events = subject.target.step()
        if events is None or panel.background or any(is_worth_seeing(event) for event in events):
            break
    panel.show.hands.stepped(steps)
    panel.update(look=True)


def rows(panel: Workbench, content: Content) -> None:
    """The message table of one view."""
    wanted = content.get("wanted")
    found = table.rows(panel.show.feed.tape, wanted if isinstance(wanted, dict) else {})
    panel.send({"rows": {**found, "token": content.get("token")}})


def past(panel: Workbench, content: Content) -> None:
    """The causal past of one event."""
    seq = content.get("seq")
    if isinstance(seq, int):
        seqs = table.past_of(panel.show.feed.tape, seq)
        panel.send({"past": {"seqs": seqs, "seq": seq, "token": content.get("token")}})


def travel(panel: Workbench, content: Content) -> None:
    """Show the moment with this number; 0: the last."""
    wanted = content.get("to")
    show = panel.show
    show.wanted_step = wanted if isinstance(wanted, int) and wanted > 0 else 0
    mine = show.wanted_step
    show.beside.post(lambda: panel.show_moment() if mine == show.wanted_step else None)


def load(panel: Workbench, content: Content) -> None:
    """Set the rate of the background load."""
    rate = content.get("rate")
    if isinstance(rate, int) and not isinstance(rate, bool) and panel.show.subject.kind != FILE:
        panel.show.load.set_rate(rate)
        panel.measure()


def merkle(panel: Workbench, content: Content) -> None:
    """Compare the Merkle trees of two nodes."""
    names = [content.get("left"), content.get("right")]
    end = content.get("end")
    seen = panel.show.subject.inspections_of([name for name in names if isinstance(name, str)])
    ring = panel.show.feed.ring
    if len(seen) == 2 and ring.nodes:
        left, right = (seen[str(name)] for name in names)
        panel.merkle = compared(left, right, ring, end if isinstance(end, str) else "")
    else:
        panel.merkle = {"left": names[0], "right": names[1], "down": [name for name in names if name not in seen]}


# Stories ---------------------------------------------------------------------------------------


def story(panel: Workbench, content: Content) -> None:
    """Begin a story, or go on with it."""
    told = _STORY.get(str(content.get("do")))
    if told is not None:
        told(panel, content)


def _begin(panel: Workbench, content: Content) -> None:
    name, world = str(content.get("name")), content.get("world")
    if name in BY_NAME and world in (SIM, LIVE):
        panel.desk.ask("beside", lambda: tell(panel, name, str(world)))


def tell(panel: Workbench, name: str, world: str, steps: int = 0) -> None:
    """Begin a story on a new cluster of its own, and run its first `steps` steps."""
    before, panel.story = panel.story, {**panel.story, "status": "running"}
    try:
        target, code = cluster_of(BY_NAME[name], world)
    except Exception:
        panel.story = before
        raise
    panel.bring_on(Subject(target, "cluster" if world == LIVE else "sim"))
    show = panel.show
    show.hands.say(code)
    panel.view = {**panel.view, "key": KEY, "paused": False, "tab": "stories"}
    show.teller = Teller(name, show.subject, show.hands, show.feed, panel.say)
    panel.story = show.teller.told()
    for _ in range(steps):
        _run_next(panel)


def _next(panel: Workbench, _content: Content) -> None:
    panel.desk.ask("doing", lambda: _run_next(panel))


def _run_next(panel: Workbench) -> None:
    show = panel.show
    if show.teller is None or not show.teller.begin_next():
        return
    panel.story = show.teller.told()
    show.teller.run()
    if show.teller.status == FAILED:
        panel.desk.forget()
    panel.story = show.teller.told()
    show.watching.post(lambda: panel.update(look=True))


def _again(panel: Workbench, steps: Callable[[int], int], world: str = "") -> None:
    """Tell the story from its beginning, up to a step that is found from the one it has come to."""

    def again() -> None:
        teller = panel.show.teller
        if teller is not None:
            tell(panel, teller.story.name, world or panel.show.subject.kind, steps(teller.step))

    panel.desk.ask("beside", again)


def _back(panel: Workbench, _content: Content) -> None:
    """The step before: what cannot be undone is done again up to there."""
    _again(panel, lambda step: max(0, step - 1))


def _restart(panel: Workbench, _content: Content) -> None:
    _again(panel, lambda _: 0)


def _in_simulation(panel: Workbench, _content: Content) -> None:
    """The same story in the seeded simulation, up to the step that failed."""
    _again(panel, lambda step: step, SIM)


def _leave(panel: Workbench, _content: Content) -> None:
    panel.desk.ask("beside", panel.bring_back)


_STORY: dict[str, Callable[[Workbench, Content], None]] = {
    "begin": _begin,
    "next": _next,
    "back": _back,
    "restart": _restart,
    "simulation": _in_simulation,
    "leave": _leave,
}

#: {what a view asks for: (the runner of the show that does it; empty: it finds one itself, how)}
ANSWERS: dict[str, tuple[str, Callable[[Workbench, Content], None]]] = {
    "hello": ("watching", hello),
    "verb": ("doing", verb),
    "step": ("doing", step),
    "rows": ("watching", rows),
    "past": ("watching", past),
    "travel": ("watching", travel),
    "load": ("doing", load),
    "merkle": ("watching", merkle),
    "story": ("", story),
}
