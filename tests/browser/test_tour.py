"""The tour in a real page: it runs from top to bottom, and its buttons break and mend real processes."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.browser.rig import open_notebook, run_all

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Locator, Page

    from tests.browser.rig import LabServer, Watch

pytestmark = [pytest.mark.browser, pytest.mark.live]

CUT = "The network is cut: A B | C D E."


def test_the_tour_runs_and_its_partition_toggle_works(
    chromium_page: Page, lab_server: LabServer, watch: Watch, root_dir: Path
) -> None:
    """All cells run without an error, the toggle cuts the network and the picture shows it; up again heals it."""
    shutil.copyfile(root_dir / "notebooks" / "00-tour.ipynb", lab_server.root / "00-tour.ipynb")
    open_notebook(chromium_page, "00-tour.ipynb")
    run_all(chromium_page)
    output = chromium_page.locator(".jp-OutputArea")
    expect(output.locator("[data-mime-type='application/vnd.jupyter.error']")).to_have_count(0)
    expect(output.locator("img[alt^='Timeline from']")).to_be_visible()

    toggle = output.get_by_role("button", name="Partition")
    picture = output.locator("img.widget-image, .widget-image img").first
    whole = _pixels(picture)
    toggle.click()
    expect(output.get_by_text('cluster.partition("AB|CDE")')).to_be_visible()
    expect(output.get_by_role("status")).to_contain_text(CUT)
    assert _pixels(picture) != whole

    toggle.click()
    expect(output.get_by_text("cluster.heal()")).to_be_visible()
    expect(output.get_by_role("status")).not_to_contain_text(CUT)
    watch.assert_quiet()


def _pixels(picture: Locator) -> str:
    """The image a page shows now, as a data URL of its pixels."""
    drawn: str = picture.evaluate(
        """async image => {
            await image.decode();
            const canvas = document.createElement("canvas");
            [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
            canvas.getContext("2d").drawImage(image, 0, 0);
            return canvas.toDataURL();
        }"""
    )
    assert len(drawn) > 10_000, "the picture is empty"
    return drawn
