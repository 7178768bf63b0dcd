"""The rig itself: a widget in a real page does what a click asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.rig import open_notebook, run_all, write_notebook

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.browser.rig import LabServer, Watch

pytestmark = pytest.mark.browser

SLOW = "runs = sum(range(20_000_000)) * 0"
COUNTER = """
import ipywidgets
runs += 1
button, shown = ipywidgets.Button(description="Cut"), ipywidgets.HTML(f"uncut in run {runs}")
button.on_click(lambda _: setattr(shown, "value", f"cut by {1 + 1} of us"))
ipywidgets.VBox([button, shown])
"""


def test_a_run_is_waited_for_and_a_click_changes_the_page(
    chromium_page: Page, lab_server: LabServer, watch: Watch
) -> None:
    """When `run_all` returns every cell has run, however slow, also the second time; then a button's click is heard."""
    write_notebook(lab_server.root / "rig.ipynb", SLOW, COUNTER)
    open_notebook(chromium_page, "rig.ipynb")
    output = chromium_page.locator(".jp-OutputArea")
    for _ in range(2):
        run_all(chromium_page)
        expect(output.get_by_text("uncut in run 1", exact=True)).to_be_visible()
    chromium_page.locator(".jupyter-widgets.jupyter-button").click()
    expect(output.get_by_text("cut by 2 of us")).to_be_visible()
    watch.assert_quiet()


def test_run_all_reports_a_cell_that_raises(chromium_page: Page, lab_server: LabServer) -> None:
    """A cell that raises ends the run and fails the test with the cell's own traceback."""
    write_notebook(lab_server.root / "raises.ipynb", "x = 1", "1 / 0", "never = 1")
    open_notebook(chromium_page, "raises.ipynb")
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        run_all(chromium_page)


def test_the_watch_sees_errors_and_outside_requests(chromium_page: Page, watch: Watch) -> None:
    """A page that complains, or asks another host for something, does not pass as quiet."""
    chromium_page.goto("/lab")
    chromium_page.evaluate("console.error('it hurts')")
    chromium_page.evaluate("fetch('http://elsewhere.invalid/x').catch(() => null)")
    assert "it hurts" in watch.errors
    assert watch.outside == ["http://elsewhere.invalid/x"]
    with pytest.raises(AssertionError):
        watch.assert_quiet()
