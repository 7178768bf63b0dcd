"""One JupyterLab and one Chromium for all tests of this folder; a fresh page for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import sync_playwright

from tests.browser.rig import CHROMIUM_ARGUMENTS, PATIENCE_MS, LabServer, Watch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from playwright.sync_api import BrowserContext, Page


@pytest.fixture(scope="session")
def lab_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabServer]:
    """A JupyterLab: `lab_server.root` is the folder to put notebooks into."""
    server = LabServer(tmp_path_factory.mktemp("lab"))
    yield server
    server.close()


@pytest.fixture(scope="package")
def chromium(
    need: Callable[[str], str], lab_server: LabServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[BrowserContext]:
    """A Chromium that can look up no other host.

    It ends with this folder, not with the session:
    while it lives an event loop counts as running in this thread, and no other test could start one.
    """
    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            tmp_path_factory.mktemp("chromium"),
            executable_path=need("chromium"),
            headless=True,
            args=CHROMIUM_ARGUMENTS,
            base_url=lab_server.url,
            viewport={"width": 1280, "height": 1400},
        )
        context.set_default_timeout(PATIENCE_MS)
        yield context
        context.close()


@pytest.fixture
def watch() -> Watch:
    """What this test's page said and asked for: `watch.assert_quiet()`."""
    return Watch()


@pytest.fixture
def chromium_page(chromium: BrowserContext, lab_server: LabServer, watch: Watch) -> Iterator[Page]:
    """A new page, watched from its first request; its kernels end with it."""
    page = chromium.new_page()
    watch.attach(page)
    yield page
    page.close()
    lab_server.end_kernels()
