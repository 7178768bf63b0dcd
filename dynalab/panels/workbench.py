"""The workbench: one widget in which a cluster is seen live, and broken with a click.

Theory of operation.
Python says facts: `scene` and other traits are how things are now, batches of flights are what has just happened.
The browser draws and animates them by itself, at its own pace.
What it wants done it asks for by a message; `_hear` hands it to a runner and returns at once.

Rule 1: no callback waits for a cluster (see `runner`).
Rule 2: what a view has chosen (tab, node, key, speed) lies in the trait `view`, so two views stay in step.
Rule 3: batches are at most `refresh_hz` a second; what is too much is counted, not sent.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast
from uuid import uuid4

import anywidget
import traitlets

from dynalab.core.session import key_text
from dynalab.panels import answers, teller
from dynalab.panels.catalogue import Words
from dynalab.panels.desk import Desk
from dynalab.panels.runner import InlineRunner, Runner
from dynalab.panels.show import Show
from dynalab.panels.still import still_of
from dynalab.panels.subject import FILE, SIM, Subject
from dynalab.panels.tape import HISTORY

HERE = Path(__file__).parent
SCRIPTS = ("dom.js", "stage.js", "tabs.js", "workbench.js")
"""One ES module in four files, read in this order; only the last one exports."""

REFRESH_HZ = 12
REFRESH_HZ_MAX = 25
BEAT_S = 2.0
"""A panel that has not said so for some beats has lost its kernel."""

MEASURE_S = 1.0
"""Pause between two looks at the metrics, while somebody sees them."""

VIEW = {
    "tab": "stage",
    "node": "",
    "key": "",
    "speed": 0,
    "paused": False,
    "background": False,
    "big": False,
    "bare": False,
}
"""What a view can choose; speed 0: what the eyes can follow; big: for a projector; bare: without the hands."""


class Workbench(anywidget.AnyWidget):
    """The panel of one cluster, simulation or trace.

    Args:
        target: what to show.
        name: what to call it in code lines; None: what the notebook calls it.
        refresh_hz: how often news may reach the browser, 1 to 25 a second.
        history: trace events the panel remembers.
        language: of the texts; see `catalogue`.
        big: larger, for a projector.
    """

    _esm = "\n".join((HERE / name).read_text(encoding="utf-8") for name in SCRIPTS)
    _css = (HERE / "workbench.css").read_text(encoding="utf-8")

    ident = traitlets.Unicode().tag(sync=True)
    scene = traitlets.Dict().tag(sync=True)
    ring = traitlets.Dict().tag(sync=True)
    placement = traitlets.Dict().tag(sync=True)
    inside = traitlets.Dict().tag(sync=True)
    lines: traitlets.List[Any] = traitlets.List().tag(sync=True)
    travel = traitlets.Dict().tag(sync=True)
    metrics = traitlets.Dict().tag(sync=True)
    merkle = traitlets.Dict().tag(sync=True)
    story = traitlets.Dict().tag(sync=True)
    stories: traitlets.List[Any] = traitlets.List().tag(sync=True)
    view = traitlets.Dict(VIEW).tag(sync=True)
    words = traitlets.Dict().tag(sync=True)
    trouble = traitlets.Unicode().tag(sync=True)
    beat = traitlets.Int(0).tag(sync=True)
    beat_ms = traitlets.Int(int(BEAT_S * 1000)).tag(sync=True)

    def __init__(
        self,
        target: Any,
        name: str | None = None,
        refresh_hz: float = REFRESH_HZ,
        history: int = HISTORY,
        language: str = "en",
        big: bool = False,
    ) -> None:
        if not 1 <= refresh_hz <= REFRESH_HZ_MAX:
            raise ValueError(f"refresh_hz must be from 1 to {REFRESH_HZ_MAX}; got {refresh_hz!r}")
        self.say = Words(language)
        super().__init__(
            ident=uuid4().hex, words=self.say.texts(), stories=teller.listed(self.say), view={**VIEW, "big": big}
        )
        self._refresh_s = 1 / refresh_hz
        self._history = history
        self._beaten_s = self._measured_s = time.monotonic()
        self._switching = threading.RLock()
        self.desk = Desk(lambda name: cast("Runner", getattr(self.show, name)), self._on_error)
        self._first = self.show = self._new_show(Subject(target, name), own=False)
        self._open(self.show)
        if self.show.subject.kind == FILE:
            self._begin_with_a_trace()
        self.on_msg(self._hear)
        self.observe(self._on_view, names="view")

    @property
    def background(self) -> bool:
        """Whether pings and gossip are to be seen."""
        return bool(self.view.get("background"))

    # What is shown -----------------------------------------------------------------------------

    def _new_show(self, subject: Subject, own: bool) -> Show:
        return Show(subject, self._history, self.say, self._on_lines, self._on_error, own)

    def _open(self, show: Show) -> None:
        """Show this cluster from now on."""
        with self._switching:
            inline = isinstance(getattr(self._first, "watching", None), InlineRunner)
            self.show = show
            show.open(inline)
            self.travel, self.metrics, self.merkle, self.trouble = {}, {}, {}, ""
            show.feed.poll()
            self.send({"reset": {"head": show.feed.tape.last_us}})
            self.look()
            show.hands.tell()
        show.watching.every(self._refresh_s, lambda: self._tick(show))

    def bring_on(self, subject: Subject) -> None:
        """Show a cluster of the panel's own instead; it is closed when another one, or the first, is shown."""
        self.show.close()
        self._open(self._new_show(subject, own=True))

    def bring_back(self) -> None:
        """Show again what the panel was made for."""
        if self.show is not self._first:
            self.show.close()
            self.story = {}
            self._open(self._first)

    def _begin_with_a_trace(self) -> None:
        """Show the first moment, before any browser can ask for another one."""
        written = next((event.key for event in self.show.feed.tape if event.kind == "write"), b"")
        self.view = {**self.view, "tab": "time", "key": key_text(written)}
        self.look()
        self.show.wanted_step = 1
        self.show_moment()

    # News ----------------------------------------------------------------------------------------

    def refresh(self) -> None:
        """Bring the panel up to date, now and on this thread; only scripts without an event loop need it."""
        self.update(look=True)

    def _tick(self, show: Show) -> None:
        if show is not self.show:
            return
        if show.subject.closed:
            self.look()
            show.watching.close()
            return
        show.load.tick()
        self.update(look=show.feed.is_due())
        now_s = time.monotonic()
        if now_s - self._beaten_s >= BEAT_S:
            self._beaten_s = now_s
            self.beat += 1
        if self.view.get("tab") == "metrics" and now_s - self._measured_s >= MEASURE_S:
            self.measure()

    def update(self, look: bool) -> None:
        """Tell the browser what is new."""
        batch = self.show.feed.poll(self.background)
        if batch is not None:
            self.send({"batch": batch})
        if look:
            self.look()

    def look(self) -> None:
        """Look at the nodes, and tell how they are."""
        show = self.show
        told = self._last_moment() if show.subject.kind == FILE else show.feed.look(*self.chosen())
        with self._switching:
            if show is self.show:
                for trait, value in told.items():
                    setattr(self, trait, value)

    def _last_moment(self) -> dict[str, Any]:
        """What a saved trace shows: its end."""
        traveller = self.show.traveller
        last = traveller.at(traveller.refresh(self.background), *self.chosen())
        return {trait: last.get(trait, {}) for trait in ("scene", "ring", "placement", "inside")}

    def show_moment(self) -> None:
        """Show the moment somebody has travelled to."""
        show = self.show
        count = show.traveller.refresh(self.background)
        told = show.traveller.at(show.wanted_step or count, *self.chosen())
        with self._switching:
            if show is self.show:
                self.travel = told

    def measure(self) -> None:
        """Look at the metrics, and tell them."""
        show = self.show
        self._measured_s = time.monotonic()
        load = {"rate": show.load.rate, "sent": show.load.sent, "unsent": show.load.unsent}
        self.metrics = {**show.meter.read(show.feed.ring), "load": load}

    def chosen(self) -> tuple[str, str]:
        """The chosen node and key; empty: none."""
        node, key = self.view.get("node"), self.view.get("key")
        return node if isinstance(node, str) else "", key if isinstance(key, str) else ""

    def _on_view(self, change: Mapping[str, Any]) -> None:
        before, now = change["old"], change["new"]
        if any(before.get(name) != now.get(name) for name in ("node", "key")):
            self.show.watching.post(self.look)
            if self.travel:
                self.show.beside.post(self.show_moment)
        if now.get("tab") == "metrics" != before.get("tab"):
            self.show.watching.post(self.measure)

    def _on_lines(self, lines: list[dict[str, Any]]) -> None:
        self.lines = lines

    def _on_error(self, error: Exception) -> None:
        """A mistake of the panel, or of a part: it is shown, and the panel goes on."""
        self.trouble = f"{type(error).__name__}: {error}"[:500]

    # What the browser asks for -------------------------------------------------------------------

    def _hear(self, _widget: Any, content: Any, _buffers: Any) -> None:
        """A message from a view: hand it over and return."""
        if not isinstance(content, dict):
            return
        known = answers.ANSWERS.get(str(content.get("ask")))
        if known is not None:
            runner, answer = known
            if runner:
                getattr(self.show, runner).post(lambda: answer(self, content))
            else:
                answer(self, content)

    def act(self, verb: str, arguments: Mapping[str, Any]) -> None:
        """Run a verb of the hands on this thread, and show what came of it."""
        self.trouble = ""
        waits = not (self.show.subject.kind == SIM and self.view.get("paused"))
        self.show.hands.run(verb, arguments, waits)
        self._follow_key(arguments)
        if self.show.doing is self.show.watching:
            self.update(look=True)
        else:
            self.show.watching.post(lambda: self.update(look=True))

    def _follow_key(self, arguments: Mapping[str, Any]) -> None:
        """The key somebody works on is the key the stage shows."""
        key = arguments.get("key")
        if isinstance(key, str) and key and key != self.view.get("key"):
            self.view = {**self.view, "key": key[:200]}

    # Life ----------------------------------------------------------------------------------------

    def close(self) -> None:
        """End the panel; the cluster goes on, one of a story does not."""
        if hasattr(self, "show"):  # Not yet, when its arguments were refused.
            self.show.close()
        super().close()

    def __repr__(self) -> str:
        return f"<Workbench of {self._first.subject.target!r}>"

    def _repr_mimebundle_(self, **kwargs: Any) -> Any:
        shown, metadata = super()._repr_mimebundle_(**kwargs) or ({}, {})
        return {**shown, **still_of(self._first.subject)}, metadata


#: {id of a cluster: its panel}, so that a cluster shown twice has one panel and two views
_PANELS: weakref.WeakValueDictionary[int, Workbench] = weakref.WeakValueDictionary()
_MAKING = threading.Lock()


def panel(target: Any, **options: Any) -> Workbench:
    """The workbench of a cluster, a simulation or a trace; asked for again without options, the same one."""
    with _MAKING:
        known = _PANELS.get(id(target))
        if known is not None and known._first.subject.target is target and not options and known.comm is not None:
            return known
        made = Workbench(target, **options)
        _PANELS[id(target)] = made
        return made
