"""Buttons that cut, crash, pause and heal a cluster, the picture of it, and the line of code each click ran.

Theory of operation.
A toggle is a wish: down means cut, crashed or paused.
One worker takes the wishes in their order and runs the verbs that fulfil them, so a click returns at once.
When no wish waits, every toggle is set to what is, whoever did it, and the picture is drawn again.

Rule 1: a callback may run on any thread, even while a cell runs; it only hands work to the worker.
Rule 2: a simulation is not shared between threads: its verbs take no time, so they run in the callback itself.
Rule 3: what is read is read at once, and drawn by the worker; only the latest is drawn.
"""

from __future__ import annotations

import base64
import html
import threading
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import ipywidgets

from dynalab.core.errors import DynalabError
from dynalab.core.faults import said
from dynalab.sim.cluster import Simulation
from dynalab.views.picture import alt_of, png_of
from dynalab.views.ring_drawing import draw_scene
from dynalab.views.scene import CRASHED, PAUSED, Scene

LINES_KEPT = 5
"""Lines of code shown under the buttons."""
RUN_MS = 1_000
"""Virtual time that one press lets pass in a simulation."""


class Controls(ipywidgets.VBox):  # type: ignore[misc]  # ipywidgets is untyped
    """The controls of one cluster.

    Args:
        cluster: a `Cluster` or a `Simulation`.
        key: the picture also shows where this key lives.

    Attributes:
        sides: the text of the partition, like ``AB|CDE``.
        partition: its toggle.
        crash, pause: ``{node: toggle}``.
        heal, look: buttons. `run`: a button too, in a simulation, else None.
        image: the picture. `words`: what it shows, in words. `code`: the lines that were run.
        lines: these lines, the latest last.
    """

    def __init__(self, cluster: Any, key: str | bytes | None = None) -> None:
        self.cluster = cluster
        self.key = key
        self.lines: deque[str] = deque(maxlen=LINES_KEPT)
        self._is_simulation = isinstance(cluster, Simulation)
        self._lock = threading.RLock()
        #: the thread that sets toggles to what is, while it does; such a change is no wish
        self._syncing: int | None = None
        self._worker = ThreadPoolExecutor(max_workers=1, thread_name_prefix="controls")
        #: clicks not yet carried out; and tasks of the worker not yet done
        self._wishes = 0
        self._pending = 0
        self._quiet = threading.Condition()
        self._make_widgets(list(cluster.nodes))
        super().__init__(self._rows())
        self._listen()
        self._do(lambda: None)
        self.wait()

    # Widgets ---------------------------------------------------------------------------------

    def _make_widgets(self, nodes: list[str]) -> None:
        self.sides = ipywidgets.Text(
            value=_halves(nodes),
            description="Sides",
            tooltip="who is on which side, like AB|CDE",
            layout=ipywidgets.Layout(width="18em"),
        )
        self.partition = _toggle("Partition", "scissors", "cut the network between the sides; up again: heal it")
        self.heal = _button("Heal", "medkit", "end all cuts and link rules")
        self.look = _button("Look again", "refresh", "draw the picture anew")
        self.run = _button(f"Run {RUN_MS} ms", "forward", "let virtual time pass") if self._is_simulation else None
        self.crash = {node: _toggle(f"Crash {node}", "bolt", f"kill {node}; up again: recover it") for node in nodes}
        self.pause = {node: _toggle(f"Pause {node}", "pause", f"stop {node}; up again: resume it") for node in nodes}
        self.image = ipywidgets.Image(format="png", layout=ipywidgets.Layout(max_width="100%", width="52em"))
        self.words = ipywidgets.HTML()
        self.code = ipywidgets.HTML()

    def _listen(self) -> None:
        self._observe(self.partition, self._wish_cut)
        for node in self.crash:
            self._observe(self.crash[node], partial(self._wish_crash, node))
            self._observe(self.pause[node], partial(self._wish_pause, node))
        self.heal.on_click(lambda _: self._do(lambda: self._run("heal")))
        self.look.on_click(lambda _: self._do(lambda: None))
        if self.run is not None:
            self.run.on_click(lambda _: self._do(lambda: self._run("run", ms=RUN_MS)))

    def _rows(self) -> list[ipywidgets.Widget]:
        above = [self.sides, self.partition, self.heal, self.run, self.look]
        rows = [[widget for widget in above if widget is not None], [*self.crash.values()], [*self.pause.values()]]
        return [_row(row) for row in rows] + [self.code, self.image, self.words]

    # Wishes ----------------------------------------------------------------------------------

    def _observe(self, toggle: ipywidgets.ToggleButton, wish: Callable[[bool], None]) -> None:
        def changed(change: Any) -> None:
            if self._syncing != threading.get_ident():
                self._do(partial(wish, change["new"]))

        toggle.observe(changed, names="value")

    def _wish_cut(self, cut: bool) -> None:
        if cut and not self._is_cut():
            self._run("partition", self.sides.value)
        elif not cut and self._is_cut():
            self._run("heal")

    def _wish_crash(self, node: str, crashed: bool) -> None:
        if crashed != (self.cluster.states()[node] == CRASHED):
            self._run("crash" if crashed else "recover", node)

    def _wish_pause(self, node: str, paused: bool) -> None:
        if paused != (self.cluster.states()[node] == PAUSED):
            self._run("pause" if paused else "resume", node)

    def _run(self, verb: str, *arguments: Any, **named: Any) -> None:
        getattr(self.cluster, verb)(*arguments, **named)
        self.lines.append(f"cluster.{said(verb, *arguments, **named)}")

    # Work ------------------------------------------------------------------------------------

    def _do(self, work: Callable[[], None]) -> None:
        """Have `work` done and shown: at once in a simulation, else by the worker."""
        with self._quiet:
            self._wishes += 1
        if self._is_simulation:
            with self._lock:
                self._work(work)
        else:
            self._hand_over(self._work, work)

    def _hand_over(self, work: Callable[..., None], *arguments: Any) -> None:
        with self._quiet:
            self._pending += 1
        self._worker.submit(work, *arguments).add_done_callback(self._done)

    def _done(self, future: Future[None]) -> None:
        """Nobody waits for the worker's results, so what went wrong there is shown here."""
        error = future.exception()
        if error is not None:
            self.code.value = _code_html(self.lines, f"{type(error).__name__}: {error}")
        with self._quiet:
            self._pending -= 1
            self._quiet.notify_all()

    def _work(self, work: Callable[[], None]) -> None:
        trouble = ""
        try:
            work()
        except DynalabError as error:
            trouble = str(error)
        with self._quiet:
            self._wishes -= 1
            is_last = self._wishes == 0
        if is_last:
            self._sync()
        self.code.value = _code_html(self.lines, trouble)
        self._scene = Scene.of(self.cluster)
        self._hand_over(self._draw, self._scene)

    def _sync(self) -> None:
        """Set every toggle to what is."""
        self._syncing = threading.get_ident()
        try:
            self.partition.value = self._is_cut()
            for node, state in self.cluster.states().items():
                if node in self.crash:
                    self.crash[node].value = state == CRASHED
                    self.pause[node].value = state == PAUSED
                    self.pause[node].disabled = state == CRASHED
        finally:
            self._syncing = None

    def _is_cut(self) -> bool:
        return bool(self.cluster.faults.cuts)

    def _draw(self, scene: Scene) -> None:
        """Draw what was read, unless something newer waits to be drawn."""
        if scene is not self._scene:
            return
        picture = draw_scene(scene, self.key)
        self.image.value = png_of(picture)
        self.words.value = f'<p role="status">{html.escape(alt_of(picture))}</p>'

    # For people and tests --------------------------------------------------------------------

    def wait(self, timeout_ms: int = 60_000) -> None:
        """Return when everything asked for so far is done and drawn.

        Raises:
            TimeoutError: it is not, after `timeout_ms`.
        """
        with self._quiet:
            if not self._quiet.wait_for(lambda: self._pending == 0, timeout_ms / 1000):
                raise TimeoutError(f"the controls are still at work after {timeout_ms} ms")

    def close(self) -> None:
        """Forget the widgets; the cluster goes on."""
        self._worker.shutdown(wait=False)
        super().close()

    def __repr__(self) -> str:
        return f"<Controls of {len(self.crash)} nodes>"

    def _repr_mimebundle_(self, **options: Any) -> dict[str, Any]:
        """The widget, and the bare picture for viewers that cannot run it."""
        bundle: dict[str, Any] = super()._repr_mimebundle_(**options)
        return {**bundle, "image/png": base64.b64encode(self.image.value).decode()}


def controls(cluster: Any, key: str | bytes | None = None) -> Controls:
    """The controls of `cluster`, of either world; with `key`, the picture shows where it lives."""
    return Controls(cluster, key)


def _halves(nodes: list[str]) -> str:
    """A partition in the middle, as `partition` reads it: ``AB|CDE``, or ``ann|bob,cy``."""
    middle, between = len(nodes) // 2, "" if all(len(node) == 1 for node in nodes) else ","
    return f"{between.join(nodes[:middle])}|{between.join(nodes[middle:])}"


def _row(widgets: list[ipywidgets.Widget]) -> ipywidgets.Box:
    return ipywidgets.Box(widgets, layout=ipywidgets.Layout(flex_flow="row wrap"))


def _toggle(words: str, icon: str, tooltip: str) -> ipywidgets.ToggleButton:
    layout = ipywidgets.Layout(width="auto")
    return ipywidgets.ToggleButton(description=words, icon=icon, tooltip=tooltip, layout=layout)


def _button(words: str, icon: str, tooltip: str) -> ipywidgets.Button:
    return ipywidgets.Button(description=words, icon=icon, tooltip=tooltip, layout=ipywidgets.Layout(width="auto"))


def _code_html(lines: Iterable[str], trouble: str) -> str:
    shown = "\n".join(lines) or "# press a button: the line of code it ran will stand here"
    said_so = f'<p role="alert"><b>{html.escape(trouble)}</b></p>' if trouble else ""
    return f"<pre>{html.escape(shown, quote=False)}</pre>{said_so}"
