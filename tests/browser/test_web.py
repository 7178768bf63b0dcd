"""`dynalab demo --web`: the workbench as a page of its own, by a real Voila, in a real Chromium."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import psutil
import pytest
from playwright.sync_api import expect

from tests.browser.rig import PATIENCE_MS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.browser.rig import Watch

pytestmark = [pytest.mark.browser, pytest.mark.live, pytest.mark.timeout(300)]


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The command under way, and the address it tells; its temporary files lie in `tmp_path`."""
    command = [sys.executable, "-m", "dynalab.cli", "demo", "--web", "--no-browser", "--port", "0"]
    process = subprocess.Popen(command, env={**os.environ, "TMPDIR": str(tmp_path)}, stdout=subprocess.PIPE, text=True)
    try:
        told = next(line for line in process.stdout if "http://" in line)
        yield process, re.search(r"http://127\.0\.0\.1:\d+/", told)[0]
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        process.wait(60)
        process.stdout.close()


def test_the_page_breaks_a_cluster_and_ends_without_a_trace(
    chromium_page: Page, watch: Watch, served: tuple[subprocess.Popen[str], str], tmp_path: Path
) -> None:
    """A click on the page crashes a real process, nothing is asked of another host, and a signal ends it all."""
    process, address = served
    chromium_page.goto(address)
    panel = chromium_page.locator(".dyna")
    expect(panel.locator(".dyna-node[data-node=A]")).to_be_visible(timeout=PATIENCE_MS)
    panel.locator("[data-verb=put]").click()
    expect(panel.locator(".dyna-line-done code")).to_have_text('alice.put("cart", ["milk"])', timeout=PATIENCE_MS)
    expect(panel.locator(".dyna-held").first).to_be_visible(timeout=PATIENCE_MS)
    panel.locator(".dyna-node[data-node=C]").click()
    panel.get_by_role("menuitem", name="crash").click()
    expect(panel.locator(".dyna-line-done code")).to_have_text('cluster.crash("C")', timeout=PATIENCE_MS)
    expect(panel.locator(".dyna-node[data-node=C]")).to_have_class(re.compile("dyna-crashed"))
    watch.assert_quiet()
    family = psutil.Process(process.pid).children(recursive=True)
    assert len(family) >= 6, "Voila, a kernel, and what is left of five nodes"
    process.send_signal(signal.SIGTERM)
    assert process.wait(60) == 0
    _, alive = psutil.wait_procs(family, 30)
    assert alive == []
    assert list(tmp_path.iterdir()) == []
