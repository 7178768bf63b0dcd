"""The workbench in a real JupyterLab: each hand, each tab, each story, in both worlds."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from dynalab.panels.stories import STORIES
from tests.browser.rig import PATIENCE_MS, Cells, restart_kernel

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import BrowserContext, Locator, Page

    from tests.browser.rig import LabServer

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

CELLS = {
    "sim": "from dynalab import Simulation\nsim = Simulation(5, seed=7)\nsim",
    "live": "from dynalab import Cluster\ncluster = Cluster(5)\ncluster",
    "file": (
        "import dynalab\nsim = dynalab.Simulation(5, seed=7)\nsim.put('cart', ['milk'], w=3)\n"
        "sim.trace.save('x.trace')\ndynalab.replay('x.trace').panel()"
    ),
    "long": (
        "import dynalab\nsim = dynalab.Simulation(5, seed=7)\n"
        "for number in range(5_800):\n    sim.put(f'k{number}', number)\n"
        "sim.trace.save('long.trace')\ndynalab.replay('long.trace').panel()"
    ),
    "twice": (
        "from dynalab import Simulation\nsim = Simulation(5, seed=7)\npanel = sim.panel()\npanel.beat_ms = 300\n"
        "display(panel, panel)"
    ),
}


@pytest.fixture(scope="module")
def cells(chromium: BrowserContext, lab_server: LabServer) -> Iterator[Cells]:
    """One notebook for all tests of this file: each runs one of its cells anew."""
    page = chromium.new_page()
    yield Cells(page, lab_server, "panel", CELLS)
    page.close()
    lab_server.end_kernels()


class Bench:
    """A panel on a page, and what a hand or an eye does with it."""

    def __init__(self, page: Page, place: Locator) -> None:
        self.page = page
        self.place = place

    def tab(self, name: str) -> None:
        self.place.get_by_role("tab", name=name, exact=True).click()

    def click(self, verb: str) -> None:
        self.place.locator(f".dyna-hands [data-verb={verb}]").click()

    def fill(self, **values: str) -> None:
        for name, value in values.items():
            control = self.place.locator(f"[data-hand={name}]")
            if control.evaluate("each => each.tagName") == "SELECT":
                control.select_option(value)
            else:
                control.fill(value)

    def says(self, code: str, state: str = "done") -> None:
        """The last line is this code, and has come to this."""
        line = self.place.locator(f".dyna-line-{state} code").last
        expect(line).to_have_text(code, timeout=PATIENCE_MS)

    def node(self, name: str) -> Locator:
        return self.place.locator(f".dyna-node[data-node={name}]")

    def box(self, selector: str) -> dict[str, float]:
        """Where something is on the page."""
        found = self.place.locator(selector).bounding_box()
        assert found, f"{selector} is not on the page"
        return dict(found)

    def pane(self) -> Locator:
        return self.place.get_by_role("tabpanel")


def _open(cells: Cells, name: str) -> Bench:
    """The panel of a cell that has just been run."""
    cells.show(name)
    bench = Bench(cells.page, cells.page.locator(".dyna").first)
    expect(bench.node("A")).to_be_visible(timeout=PATIENCE_MS)
    return bench


def _every_hand(bench: Bench, name: str) -> None:
    """Each control of the hands once, and its line of code."""
    bench.fill(client="bob", via="C", key="cart", value='["tea"]', n="3", w="3", context="none")
    bench.click("put")
    bench.says('bob.put("cart", ["tea"], context=None, n=3, w=3, via="C")')
    bench.fill(r="3", n="", via="")
    bench.click("get")
    bench.says('got = bob.get("cart", r=3)')
    bench.fill(context="got", w="", value="milk")
    bench.click("put")
    bench.says('bob.put("cart", "milk", context=got.context)')
    bench.fill(context="session")
    bench.click("delete")
    bench.says('bob.delete("cart")')
    bench.fill(node="D")
    for verb, state in (("crash", "crashed"), ("recover", "up"), ("pause", "paused"), ("resume", "up")):
        bench.click(verb)
        bench.says(f'{name}.{verb}("D")')
        expect(bench.node("D")).to_have_class(re.compile(f"dyna-{state}"))
    bench.click("crash")
    bench.click("wipe")
    bench.says(f'{name}.recover("D", wipe=True)')
    bench.fill(ms="-250")
    bench.click("skew")
    bench.says(f'{name}.skew("D", ms=-250)')
    bench.fill(sides="AB|CDE")
    bench.click("partition")
    bench.says(f'{name}.partition("AB|CDE")')
    expect(bench.place.locator(".dyna-cut")).to_have_count(2)
    bench.click("heal")
    bench.says(f"{name}.heal()")
    expect(bench.place.locator(".dyna-cut")).to_have_count(0)
    bench.place.locator("[data-hand=one_way]").check()
    bench.click("partition")
    bench.says(f'{name}.partition("AB|CDE", one_way=True)')
    expect(bench.place.locator(".dyna-oneway")).to_have_count(6)
    bench.fill(**{"from": "A", "to": "B", "drop": "30", "delay": "5", "duplicate": "10", "reorder": "20"})
    bench.place.locator("[data-hand=both_ways]").check()
    bench.click("link")
    bench.says(f'{name}.link("A", "B", drop=0.3, duplicate=0.1, reorder=0.2, delay_ms=5, both_ways=True)')
    expect(bench.place.locator(".dyna-rule")).to_have_count(2)
    bench.click("heal")
    bench.click("join")
    bench.says(f'{name}.join("F")')
    expect(bench.node("F")).to_be_visible()
    bench.fill(node="B")
    bench.click("leave")
    bench.says(f'{name}.leave("B")')
    expect(bench.node("B")).to_have_count(0)


def test_every_hand_on_a_simulation(cells: Cells) -> None:
    """Each control runs its verb on a simulation, shows its line of code, and the stage shows the effect."""
    bench = _open(cells, "sim")
    _every_hand(bench, "sim")
    cells.page.locator("[data-run='1000']").click()
    bench.says("sim.run(ms=1000)")
    cells.watch.assert_quiet()


def test_every_hand_on_a_live_cluster(cells: Cells) -> None:
    """Each control does the same to five real processes."""
    bench = _open(cells, "live")
    _every_hand(bench, "cluster")
    cells.watch.assert_quiet()


def test_nodes_are_clicked_and_the_network_is_cut_by_a_line(cells: Cells) -> None:
    """A node's menu crashes it, from the keyboard too; a line drawn across the ring cuts between its two sides."""
    bench = _open(cells, "sim")
    bench.node("C").click()
    bench.place.get_by_role("menuitem", name="crash").click()
    bench.says('sim.crash("C")')
    expect(bench.node("C")).to_be_focused()
    expect(bench.node("C")).to_have_class(re.compile("dyna-crashed"))
    cells.page.keyboard.press("Enter")
    expect(bench.place.get_by_role("menuitem", name="recover").first).to_be_focused()
    cells.page.keyboard.press("Enter")
    bench.says('sim.recover("C")')
    for size in ("usual", "large"):
        stage, ring = bench.box(".dyna-svg"), bench.box(".dyna-node[data-node=A]")
        height = ring["y"] + ring["height"] + 18
        cells.page.mouse.move(stage["x"] + 40, height)
        cells.page.mouse.down()
        cells.page.mouse.move(stage["x"] + stage["width"] - 40, height, steps=5)
        cells.page.mouse.up()
        bench.says('sim.partition("A|BCDE")')
        bench.click("heal")
        bench.says("sim.heal()")
        if size == "usual":
            bench.place.locator("[data-do=big]").click()
            expect(bench.place).to_have_class(re.compile("dyna-big"))
            expect(bench.place.locator("[data-do=big]")).to_have_attribute("aria-pressed", "true")
    bench.place.locator("[data-do=bare]").click()
    expect(bench.place.locator(".dyna-hands")).to_be_hidden()
    cells.watch.assert_quiet()


def test_an_element_stays_while_news_come(cells: Cells) -> None:
    """While messages, states and tables change, what is on the page is mended and not drawn anew.

    Else a press that began on an element would end on another one, and be no click.
    """
    bench = _open(cells, "live")
    bench.tab("Messages")
    bench.place.locator("[data-do=diagram]").focus()
    seats = "panel => [...panel.querySelectorAll('.dyna-node, .dyna-tab, .dyna-button')]"
    bench.place.evaluate(f"panel => {{ panel.seated = ({seats})(panel); }}")
    for step, verb in enumerate(("put", "get", "delete", "put")):
        bench.click(verb)
        expect(bench.place.locator(".dyna-line-done")).to_have_count(1)
        expect(bench.place.locator("tr.dyna-kind-reply")).to_have_count(step + 1, timeout=PATIENCE_MS)
    bench.fill(node="D")
    bench.click("pause")
    bench.says('cluster.pause("D")')
    expect(bench.node("D")).to_have_class(re.compile("dyna-paused"))
    gone = bench.place.evaluate(
        f"panel => panel.seated.filter(each => !({seats})(panel).includes(each)).map(each => each.outerHTML)"
    )
    assert [html for html in gone if "dyna-node" in html or "dyna-tab" in html] == []
    assert all("data-verb" in html for html in gone), "only the verbs that a paused node does not have"
    cells.watch.assert_quiet()


def test_each_tab_shows_what_it_is_for(cells: Cells) -> None:
    """Messages, inspector, time, metrics and Merkle show a put and a crash that were made by hand."""
    bench = _open(cells, "sim")
    bench.fill(w="3")
    bench.click("put")
    bench.says('alice.put("cart", ["milk"], w=3)')
    expect(bench.pane()).to_contain_text("Where cart lives")
    bench.tab("Messages")
    expect(bench.pane().locator("tbody tr")).not_to_have_count(0)
    bench.place.locator("[data-filter=kind]").select_option("requests")
    expect(bench.pane().locator("tbody tr")).to_have_count(2)
    bench.place.locator("[data-filter=kind]").select_option("")
    bench.place.locator("[data-do=diagram]").click()
    expect(bench.place.locator(".dyna-spacetime .dyna-arrow")).not_to_have_count(0)
    bench.place.locator(".dyna-event.dyna-kind-reply .dyna-hit").first.click()
    expect(bench.place.locator(".dyna-event.dyna-past")).not_to_have_count(0)
    bench.tab("Inspector")
    bench.place.locator(".dyna-chip", has_text="E").click()
    expect(bench.pane()).to_contain_text("['milk']")
    bench.tab("Time")
    bench.place.locator("[data-do=slider]").fill("1")
    expect(bench.place.locator(".dyna-where")).to_contain_text("1 of")
    expect(bench.place.locator(".dyna-held")).to_have_count(0)
    bench.place.locator("[data-do=next]").click()
    expect(bench.place.locator(".dyna-held")).to_have_count(1)
    bench.place.locator("[data-do=previous]").click()
    expect(bench.place.locator(".dyna-where")).to_contain_text("1 of")
    bench.place.locator("[data-do=play]").click()
    expect(bench.place.locator(".dyna-held")).to_have_count(3, timeout=PATIENCE_MS)
    bench.tab("Metrics")
    expect(bench.pane()).to_contain_text("Latency by operation")
    bench.place.locator("[data-do=load-switch]").click()
    expect(bench.place.locator("[data-do=load-switch]")).to_have_attribute("aria-pressed", "true")
    expect(bench.pane().locator("tr", has_text="get").locator("td").nth(1)).not_to_have_text("0")
    bench.place.locator("[data-do=load-switch]").click()
    bench.tab("Merkle")
    expect(bench.pane()).to_contain_text("key ranges that both keep")
    cells.watch.assert_quiet()


def test_steps_are_real_and_speed_is_chosen(cells: Cells) -> None:
    """Paused, a put waits, and steps carry it out to its end; at 1/1000 messages are seen on their way."""
    bench = _open(cells, "sim")
    bench.place.locator("[data-do=pause]").click()
    bench.click("put")
    bench.says('alice.submit_put("cart", ["milk"])', "waiting")
    for _ in range(60):
        bench.place.locator("[data-do=step]").click()
        if bench.place.locator(".dyna-held").count() >= 2:
            break
    expect(bench.place.locator(".dyna-held")).not_to_have_count(0)
    bench.place.locator("[data-do=pause]").click()
    bench.place.locator("[data-do=speed]").select_option("1000")
    bench.click("put")
    expect(bench.place.locator(".dyna-sky .dyna-flight[data-message=ReplicaPut]").first).to_be_visible()
    cells.watch.assert_quiet()


#: Waits in the page itself: 46 steps in two worlds are too many for a test that looks twice a second.
TOLD = """([place, step]) => {
    const told = place.querySelector('.dyna-told');
    return told?.dataset.step === String(step) && told.dataset.status !== 'running' && told.dataset.status;
}"""


def _tell(bench: Bench, world: str) -> None:
    """Every story to its end, each step shown."""
    bench.tab("Stories")
    place = bench.place.element_handle()
    for story in STORIES:
        bench.place.locator(f"[data-story={story.name}] [data-world={world}]").click()
        bench.page.wait_for_function(TOLD, arg=[place, 0], timeout=PATIENCE_MS)
        for number in range(1, len(story.steps) + 1):
            bench.place.locator("[data-story-do=next]").click()
            status = bench.page.wait_for_function(TOLD, arg=[place, number], timeout=PATIENCE_MS).json_value()
            assert (story.name, number, status) == (story.name, number, "shown"), bench.pane().inner_text()
        bench.place.locator("[data-story-do=leave]").click()
        bench.place.locator("[data-story]").first.wait_for(timeout=PATIENCE_MS)


def test_each_story_in_the_simulation(cells: Cells) -> None:
    """All nine stories are told from the first step to the last, by clicks, on the seeded simulation."""
    _tell(_open(cells, "sim"), "sim")
    cells.watch.assert_quiet()


def test_each_story_on_a_live_cluster(cells: Cells) -> None:
    """All nine stories are told on real processes."""
    _tell(_open(cells, "live"), "live")
    cells.watch.assert_quiet()


def test_a_remote_control_tells_a_story(cells: Cells) -> None:
    """Page down, page up and Home tell a story on, back, and anew, from wherever the click has left the focus."""
    bench = _open(cells, "sim")
    bench.tab("Stories")
    bench.place.locator("[data-story=handoff] [data-world=sim]").click()
    for key, step in (("PageDown", 1), ("PageDown", 2), ("PageUp", 1), ("Home", 0)):
        cells.page.keyboard.press(key)
        expect(bench.pane()).to_contain_text(f"{step} of 4", timeout=PATIENCE_MS)
    bench.tab("Messages")
    bench.place.locator(".dyna-svg").click(position={"x": 5, "y": 5})
    cells.page.keyboard.press("PageDown")
    expect(bench.place.locator(".dyna-strip")).to_contain_text("1/4", timeout=PATIENCE_MS)
    cells.watch.assert_quiet()


def test_a_key_pressed_too_early_is_not_lost(cells: Cells) -> None:
    """What is pressed while the story's cluster is still being made, or a step is under way, is done after that."""
    bench = _open(cells, "live")
    bench.tab("Stories")
    bench.place.locator("[data-story=merkle] [data-world=live]").click()
    cells.page.keyboard.press("PageDown")
    expect(bench.pane()).to_contain_text("1 of 4", timeout=PATIENCE_MS)
    expect(bench.place.locator(".dyna-told")).to_have_attribute("data-status", "shown", timeout=PATIENCE_MS)
    for _ in range(3):  # One is under way, one waits, and one is too many.
        cells.page.keyboard.press("PageDown")
    expect(bench.pane()).to_contain_text("3 of 4", timeout=PATIENCE_MS)
    expect(bench.place.locator(".dyna-told")).to_have_attribute("data-status", "shown", timeout=PATIENCE_MS)
    cells.watch.assert_quiet()


def test_a_saved_trace_is_travelled(cells: Cells) -> None:
    """A trace file opens in time travel, without hands, and shows what a node held then."""
    bench = _open(cells, "file")
    expect(bench.place.locator(".dyna-hands")).to_be_hidden()
    expect(bench.place.locator(".dyna-where")).to_contain_text("1 of")
    bench.place.locator("[data-do=next]").click()
    expect(bench.place.locator(".dyna-held")).to_have_count(1)
    cells.watch.assert_quiet()


@pytest.mark.slow
def test_a_hundred_thousand_events_are_searched_and_travelled(cells: Cells) -> None:
    """The table says what it leaves out, finds the oldest key among all events, and the slider jumps to any moment."""
    bench = _open(cells, "long")
    bench.tab("Messages")
    expect(bench.pane()).to_contain_text("The newest 400 events that match", timeout=PATIENCE_MS)
    bench.place.locator("[data-filter=key]").fill("k0")
    expect(bench.pane().locator("tbody tr", has_text="'k0'")).not_to_have_count(0, timeout=PATIENCE_MS)
    bench.tab("Time")
    where = bench.place.locator(".dyna-where")
    moments = int(where.text_content().split("of")[1].split("·")[0].replace(",", ""))
    assert moments > 30_000  # Not every event changes what is seen.
    bench.place.locator("[data-do=slider]").fill(str(moments // 2))
    expect(where).to_contain_text(f"{moments // 2} of", timeout=PATIENCE_MS)
    bench.place.locator("[data-do=next]").click()
    expect(where).to_contain_text(f"{moments // 2 + 1} of", timeout=PATIENCE_MS)
    cells.watch.assert_quiet()


def test_two_views_stay_in_step_and_a_dead_kernel_is_told(cells: Cells) -> None:
    """What is chosen and done in one view shows in the other; when the kernel goes, both say so until a cell is run."""
    bench = _open(cells, "twice")
    views = [Bench(cells.page, cells.page.locator(".dyna").nth(place)) for place in (0, 1)]
    bench.tab("Inspector")
    expect(views[1].place.get_by_role("tab", name="Inspector")).to_have_attribute("aria-selected", "true")
    views[1].node("C").click()
    views[1].place.get_by_role("menuitem", name="crash").click()
    for view in views:
        expect(view.node("C")).to_have_class(re.compile("dyna-crashed"))
        view.says('sim.crash("C")')
    cells.watch.assert_quiet()
    restart_kernel(cells.page)
    for view in views:
        expect(view.place.get_by_role("alert")).to_contain_text("No sign of life", timeout=PATIENCE_MS)
    bench = _open(cells, "sim")
    bench.click("put")
    bench.says('alice.put("cart", ["milk"])')
    expect(bench.place.get_by_role("alert")).to_be_hidden()


def test_reduced_motion_and_names_for_readers(cells: Cells) -> None:
    """Nothing is animated for those who asked for less motion, and every node and control has a name."""
    bench = _open(cells, "sim")
    cells.page.emulate_media(reduced_motion="reduce")
    bench.place.locator("[data-do=speed]").select_option("1000")
    bench.click("put")
    flight = bench.place.locator(".dyna-sky .dyna-flight").first
    expect(flight).to_be_visible()
    places = {flight.get_attribute("transform") for _ in range(5)}
    assert len(places) == 1
    expect(bench.node("A")).to_have_attribute("aria-label", re.compile("node A, up"))
    cells.page.emulate_media(reduced_motion="no-preference")
    nameless = bench.place.evaluate(
        """panel => [...panel.querySelectorAll("button, input, select")].filter(each =>
            !each.textContent.trim() && !each.getAttribute("aria-label") && !each.closest("label")).length"""
    )
    assert nameless == 0
    cells.watch.assert_quiet()
