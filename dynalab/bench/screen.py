"""How the workbench feels: from a click to the screen, and frames a second with forty messages in flight.

Theory of operation.
``dynalab demo --web`` serves the workbench of five real processes, and a headless Chromium opens it.
The page itself takes the times: from a click until what it did has been drawn; and from frame to frame while
made-up messages fly, always forty of them.
Chromium's own counters say where the time of a frame goes.

Headless Chromium draws without a graphics card, on the same cores the cluster runs on: the figures are a lower bound.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from statistics import median
from typing import Any

FLYING = 40
SECONDS = 4
ROUNDS = 10

FPS_TARGET, CLICK_TARGET_MS = 50, 150

ARGUMENTS = ("--no-sandbox", "--disable-dev-shm-usage", "--disable-background-networking")

_CLICK = """([button, effect, text]) => new Promise((done, failed) => {
    const late = setTimeout(() => failed(new Error(`no ${effect} 20 s after a click on ${button}`)), 20000);
    const seen = new MutationObserver(() => {
        if (!document.querySelector(effect)?.textContent.includes(text)) return;
        seen.disconnect();
        clearTimeout(late);
        requestAnimationFrame(() => setTimeout(() => done(performance.now() - began), 0));
    });
    seen.observe(document.body, { subtree: true, childList: true, attributes: true });
    const began = performance.now();
    document.querySelector(button).click();
})"""

_FRAMES = """([flying, seconds]) => new Promise((done) => {
    const [player] = globalThis[Symbol.for("dynalab.players")].values();
    player.reset({ head: player.now }); // What the clicks before have sent is not counted.
    const nodes = [...document.querySelectorAll(".dyna-node")].map((each) => each.dataset.node);
    const kinds = ["ReplicaPut", "ReplicaPutDone", "ReplicaGet", "ClientPut"];
    const times = [];
    let [number, fewest] = [0, Infinity];
    const send = () => {
        const flights = [];
        for (let aloft = player.flights.length; aloft < flying; aloft += 1) {
            number += 1;
            const [from, to] = [nodes[number % nodes.length], nodes[(number * 2 + 1) % nodes.length]];
            const lasts = 800 + (number * 397) % 1600; // Microseconds of the story, milliseconds at 1/1000.
            flights.push([`bench ${number}`, from, from === to ? nodes[(number + 1) % nodes.length] : to,
                          player.now, player.now + lasts, kinds[number % kinds.length], "", "", ""]);
        }
        player.add({ flights, marks: [], head: player.now + 100000 });
    };
    const frame = (at) => {
        times.push(at);
        send();
        if (at - times[0] > 500) fewest = Math.min(fewest, document.querySelectorAll(".dyna-sky .dyna-flight").length);
        if (at - times[0] < seconds * 1000) return requestAnimationFrame(frame);
        const gaps = times.slice(1).map((each, i) => each - times[i]).sort((a, b) => a - b);
        done({ fps: (1000 * gaps.length) / (times.at(-1) - times[0]), fewest, frames: gaps.length,
               worst_ms: gaps.at(-1), late: gaps.filter((gap) => gap > 25).length / gaps.length });
    };
    requestAnimationFrame(frame);
})"""


def missing() -> str:
    """What is needed and not here, and how to get it; empty: nothing."""
    if find_spec("playwright") is None:
        return "the screen's figures need playwright, and it is not installed: pip install playwright"
    if find_spec("voila") is None:
        return 'the screen\'s figures need Voila, and it is not installed: pip install "dynalab[lab]"'
    if _chromium() is None:
        return "the screen's figures need Chromium, and none is on the path: install the package chromium"
    return ""


def _chromium() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for path in map(shutil.which, names) if path), None)


def measure(told: Callable[[str], object]) -> dict[str, Any]:
    """All figures of the screen; `told` hears how it goes.

    Returns:
        ``click_ms``: ``{what: [median, worst]}``; ``idle_fps``; ``fps``, ``fewest`` messages on screen, ``late``
        (share of frames over 25 ms), ``worst_ms``; ``frame_ms``: where the time of a frame goes.
    """
    from playwright.sync_api import sync_playwright

    with _served() as address, sync_playwright() as playwright:
        told(f"the workbench of five processes is at {address}")
        browser = playwright.chromium.launch(executable_path=_chromium(), headless=True, args=list(ARGUMENTS))
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        page.set_default_timeout(60_000)
        page.goto(address)
        page.locator(".dyna-node[data-node=E]").wait_for()
        clicks = _clicks(page, told)
        page.locator("[data-do=speed]").select_option("1000")
        told(f"frames with no message, and with {FLYING}, {SECONDS} s each")
        idle = page.evaluate(_FRAMES, [0, SECONDS])
        counters = page.context.new_cdp_session(page)
        counters.send("Performance.enable")
        before = _counted(counters)
        busy = page.evaluate(_FRAMES, [FLYING, SECONDS])
        after = _counted(counters)
        browser.close()
    per_frame = {name: 1000 * (after[name] - before[name]) / busy["frames"] for name in after}
    return {"click_ms": clicks, "idle_fps": idle["fps"], **busy, "frame_ms": per_frame}


def _clicks(page: Any, told: Callable[[str], object]) -> dict[str, list[float]]:
    """From a click until its code line stands there, and until its effect is drawn on the stage."""
    page.locator("[data-hand=node]").select_option("E")
    node, verb = ".dyna-node[data-node=E]", ".dyna-hands [data-verb={}]"
    rounds: dict[str, list[float]] = {"its line of code": [], "a pause on the stage": [], "a resume on the stage": []}
    for number in range(ROUNDS):
        page.locator("[data-hand=value]").fill(f"value {number}")
        shows = (".dyna-line code", f"{node}.dyna-paused", f"{node}.dyna-up")
        for what, button, effect in zip(rounds, ("put", "pause", "resume"), shows, strict=True):
            page.locator(verb.format(button)).wait_for()
            text = f"value {number}" if button == "put" else ""
            rounds[what].append(page.evaluate(_CLICK, [verb.format(button), effect, text]))
    told(f"{ROUNDS} clicks each on put, pause and resume")
    return {what: [median(times), max(times)] for what, times in rounds.items()}


def _counted(counters: Any) -> Mapping[str, float]:
    """Seconds the page has spent so far, by what it did."""
    known = {each["name"]: each["value"] for each in counters.send("Performance.getMetrics")["metrics"]}
    names = {"script": "ScriptDuration", "style": "RecalcStyleDuration", "layout": "LayoutDuration"}
    return {**{word: known[name] for word, name in names.items()}, "all tasks": known["TaskDuration"]}


@contextmanager
def _served() -> Iterator[str]:
    """The workbench as a page of its own; its address."""
    command = [sys.executable, "-m", "dynalab.cli", "demo", "--web", "--no-browser", "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            found = (re.search(r"http://127\.0\.0\.1:\d+/", line) for line in process.stdout or ())
            address = next((match[0] for match in found if match), None)
            if address is None:
                raise OSError("the workbench could not be served: `dynalab demo --web` says why")
            yield address
        finally:
            process.terminate()
            process.wait()
