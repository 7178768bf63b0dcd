"""How the panel's page is mended: `dom.js` alone, on an empty page."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import dynalab.panels

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import BrowserContext, Page

pytestmark = pytest.mark.browser

TOOLS = Path(dynalab.panels.__file__).with_name("dom.js").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def empty_page(chromium: BrowserContext) -> Iterator[Page]:
    """A page with nothing on it but the tools."""
    page = chromium.new_page()
    page.evaluate(f"{{ {TOOLS}; window.tools = {{ make, patch, redraw, lasting }}; }}")
    yield page
    page.close()


def _run(page: Page, code: str) -> Any:
    """What this code gives, in an empty `place` and with the tools at hand."""
    return page.evaluate(f"""() => {{
        const {{ make, patch, redraw, lasting }} = window.tools;
        const place = make("div", {{}});
        document.body.replaceChildren(place);
        const texts = () => [...place.children].map((each) => each.textContent).join(" ");
        {code}
    }}""")


def test_what_is_alike_stays_itself(empty_page: Page) -> None:
    """An element keeps its identity and its focus; its text, attributes and handlers become the new ones."""
    told = _run(
        empty_page,
        """
        const heard = [];
        const button = (name, text, more) =>
            make("button", { "data-keep": name, onclick: () => heard.push(text), ...more }, text);
        patch(place, [button("a", "one", { title: "old" }), make("p", {}, "soft")]);
        const [first] = place.children;
        first.focus();
        patch(place, [button("z", "before"), button("a", "two", { class: "new" }), make("p", {}, "hard")]);
        first.click();
        return [place.children[1] === first, document.activeElement === first, first.hasAttribute("title"),
                first.className, heard, texts()];
        """,
    )
    assert told == [True, True, False, "new", ["two"], "before two hard"]


def test_a_click_ends_where_it_began(empty_page: Page) -> None:
    """A press that sees the page described anew between down and up is still one click, and does the newest thing."""
    _run(
        empty_page,
        """
        window.heard = [];
        window.describe = (round) => redraw(place, [round], () => [
            ...Array.from({ length: round }, (_, i) => make("p", { "data-keep": `p${i}` }, "news")),
            make("button", { "data-keep": "go", style: "position:fixed;top:300px;left:40px",
                             onclick: () => window.heard.push(round) }, `go ${round}`)]);
        window.describe(1);
        """,
    )
    empty_page.mouse.move(50, 308)
    empty_page.mouse.down()
    empty_page.evaluate("window.describe(5)")
    empty_page.mouse.up()
    assert empty_page.evaluate("window.heard") == [5]


@pytest.mark.parametrize("seed", range(5))
def test_a_patched_page_is_the_described_page(empty_page: Page, seed: int) -> None:
    """From any description to any other, the page comes out as described, and named elements that stay are the same."""
    told = _run(
        empty_page,
        f"let state = {seed + 1};"
        """
        const dice = (sides) => { state = (state * 48271) % 2147483647; return state % sides; };
        const own = lasting(make("section", {}, "own"));
        const described = () => {
            const names = [..."abcdefgh"].sort(() => dice(2) - 0.5).slice(0, dice(9));
            const parts = names.map((name) => make(dice(8) ? "b" : "i", { "data-keep": name }, name, String(dice(99))));
            for (let i = dice(4); i; i -= 1)
                parts.splice(dice(parts.length + 1), 0, dice(2) ? make("p", { title: dice(3) || null }, "p")
                                                               : document.createTextNode("text"));
            if (dice(2)) parts.splice(dice(parts.length + 1), 0, own);
            return parts;
        };
        for (let round = 0; round < 200; round += 1) {
            const wanted = described();
            const html = wanted.map((each) => each.outerHTML ?? each.data).join("");
            const before = new Map([...place.children].map((each) => [each.dataset.keep + each.nodeName, each]));
            patch(place, wanted);
            if (place.innerHTML !== html) return [round, html, place.innerHTML];
            for (const each of place.children)
                if (each.dataset.keep && (before.get(each.dataset.keep + each.nodeName) ?? each) !== each)
                    return each.outerHTML;
        }
        return "alike";
        """,
    )
    assert told == "alike"


def test_a_choice_follows_the_description_but_typing_is_not_undone(empty_page: Page) -> None:
    """Selects and check boxes show what is described; a field in which somebody types keeps what was typed."""
    told = _run(
        empty_page,
        """
        const choice = (each, number) => make("option", { value: each, selected: each === number }, String(each));
        const describe = (number) => patch(place, [
            make("select", {}, [1, 2, 3].map((each) => choice(each, number))),
            make("input", { type: "checkbox", checked: number === 2 }), make("input", { value: number })]);
        describe(1);
        const [select, box, field] = place.children;
        select.value = "3";
        box.checked = true;
        describe(2);
        const then = [select.value, box.checked, field.value];
        field.focus();
        field.value = "typed";
        describe(1);
        return [...then, select.value, box.checked, field.value];
        """,
    )
    assert told == ["2", True, "2", "1", False, "typed"]
