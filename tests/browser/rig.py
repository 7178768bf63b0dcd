"""How to drive a notebook in JupyterLab, and how to know that the page stayed quiet and at home.

Every wait here is for something the page shows.
JupyterLab accepts a click on "Run All" before its kernel is ready and then does nothing,
so `open_notebook` waits for three signs of readiness, and `run_all` looks for the effect and asks again.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import nbformat
from playwright.sync_api import TimeoutError as PageTimeout
from playwright.sync_api import expect

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Page

#: How long a page may take for one thing on a machine that is busy with the other tests.
PATIENCE_MS = 60_000

LAB_ARGUMENTS = [
    "--no-browser",
    "--allow-root",
    "--ip=127.0.0.1",
    "--port=0",  # The system chooses.
    "--ServerApp.port_retries=0",
    "--IdentityProvider.token=",
    "--ServerApp.password=",
    "--ServerApp.disable_check_xsrf=True",
    "--ServerApp.terminals_enabled=False",
    "--LabApp.news_url=",
    "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
    "--LabApp.extension_manager=readonly",
]

#: {folder/file under the settings directory: what a test does not want to depend on}
LAB_SETTINGS = {
    # Else a pop-up about news covers a corner.
    "apputils-extension/notification": {"fetchNews": "false", "checkForUpdates": False},
    # Else cells outside the window are not in the page.
    "notebook-extension/tracker": {"windowingMode": "none"},
}

CHROMIUM_ARGUMENTS = [
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-default-apps",
    "--disable-domain-reliability",
    "--disable-dev-shm-usage",
    # No name but ours can be looked up: the classroom is offline.
    "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1",
]


class LabServer:
    """One JupyterLab of its own, with its files in `home`: `url`, and `root`, the folder it serves."""

    def __init__(self, home: Path) -> None:
        self.root = home / "served"
        self.root.mkdir(parents=True)
        for name, setting in LAB_SETTINGS.items():
            path = home / "settings" / "@jupyterlab" / f"{name}.jupyterlab-settings"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(setting), encoding="utf-8")
        self._log: list[str] = []
        self._up = threading.Event()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "jupyterlab", *LAB_ARGUMENTS, f"--ServerApp.root_dir={self.root}"],
            env=_lab_environment(home),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self._up.wait(PATIENCE_MS / 1000)
        if not self.url:
            self.close()
            raise RuntimeError("JupyterLab did not start:\n" + self.log)

    @property
    def log(self) -> str:
        return "".join(self._log)

    @property
    def url(self) -> str:
        words = (word for line in self._log if "http://127.0.0.1:" in line for word in line.split())
        for word in words:
            if word.startswith("http://127.0.0.1:"):
                return f"http://{urlsplit(word).netloc}"
        return ""

    def _read(self) -> None:
        for line in self._process.stdout:
            self._log.append(line)
            if "http://127.0.0.1:" in line:
                self._up.set()
        self._up.set()  # It has ended; the waiter finds no address.

    def end_kernels(self) -> None:
        """End every session, so that the next test starts with no kernel of this one's."""
        for session in json.load(urlopen(f"{self.url}/api/sessions")):
            urlopen(Request(f"{self.url}/api/sessions/{session['id']}", method="DELETE")).close()

    def close(self) -> None:
        """Stop the server; it stops its kernels."""
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(PATIENCE_MS / 1000)
        self._reader.join()


def _lab_environment(home: Path) -> dict[str, str]:
    """The user's own settings are neither read nor touched."""
    folders = {
        "JUPYTER_CONFIG_DIR": "config",
        "JUPYTER_DATA_DIR": "data",
        "JUPYTER_RUNTIME_DIR": "runtime",
        "IPYTHONDIR": "ipython",
        "MPLCONFIGDIR": "matplotlib",
        "JUPYTERLAB_SETTINGS_DIR": "settings",
        "JUPYTERLAB_WORKSPACES_DIR": "workspaces",
    }
    ours = {name: str(home / folder) for name, folder in folders.items()}
    return os.environ | ours | {"JUPYTER_PREFER_ENV_PATH": "1"}


@dataclass
class Watch:
    """What a page complained about, and what it asked for outside this machine."""

    errors: list[str] = field(default_factory=list)
    outside: list[str] = field(default_factory=list)

    def attach(self, page: Page) -> None:
        page.on("console", lambda message: message.type == "error" and self.errors.append(message.text))
        page.on("pageerror", lambda error: self.errors.append(str(error)))
        page.on("request", lambda request: self._note(request.url))

    def _note(self, url: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"data", "blob"} and parts.hostname != "127.0.0.1":
            self.outside.append(url)

    def forget(self) -> None:
        """Another test begins on the same page."""
        self.errors.clear()
        self.outside.clear()

    def assert_quiet(self) -> None:
        assert (self.errors, self.outside) == ([], [])


def open_notebook(page: Page, path: str) -> None:
    """Open a notebook of the server's folder, and wait until its kernel can really run a cell."""
    page.goto(f"/lab/tree/{path}?reset")
    expect(page.locator("#jupyterlab-splash")).to_have_count(0, timeout=PATIENCE_MS)
    wait_idle(page)


def wait_idle(page: Page) -> None:
    """Wait until the kernel has nothing to do, by the notebook's indicator and by the status bar."""
    expect(page.locator(".jp-Notebook-ExecutionIndicator[data-status=idle]")).to_be_visible(timeout=PATIENCE_MS)
    expect(page.locator(".jp-StatusBar-Widget, #jp-bottom-panel").first).to_contain_text("| Idle", timeout=PATIENCE_MS)


#: What the prompts of the code cells say together: not begun, busy, done, or stopped at a cell that raised.
PROMPTS = """() => {
    const prompts = [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')].map(prompt => prompt.textContent);
    if (prompts.some(text => text.includes('*'))) return 'busy';
    if (prompts.every(text => /\\d/.test(text))) return 'done';
    return prompts.some(text => /\\d/.test(text)) ? 'stopped' : 'not begun';
}"""


def run_all(page: Page) -> None:
    """Run every cell from the menu, and wait until the last has run; a cell that raises fails the test."""
    # Stored numbers would look like a run that is already done.
    _choose(page, "Edit", "editmenu:clear-all")
    page.wait_for_function(f"({PROMPTS})() === 'not begun'", timeout=PATIENCE_MS)
    for _ in range(5):
        _choose(page, "Run", "runmenu:run-all")
        if _has_begun(page):
            break
    page.wait_for_function(f"!['busy', 'not begun'].includes(({PROMPTS})())", timeout=PATIENCE_MS)
    if page.evaluate(PROMPTS) == "stopped":
        raise AssertionError("Run All stopped:\n" + "\n".join(page.locator(".jp-OutputArea-output").all_inner_texts()))
    wait_idle(page)


class Cells:
    """An open notebook whose cells are run one at a time; what others have shown is gone by then.

    Opening a notebook and starting its kernel takes seconds, running a cell does not:
    tests that do not destroy the page share one.

    Args:
        page: it opens here.
        server: it is written to its folder.
        name: of the notebook.
        cells: ``{what to call it: its code}``.
    """

    CLEAN = "import ipywidgets; ipywidgets.Widget.close_all()"

    def __init__(self, page: Page, server: LabServer, name: str, cells: dict[str, str]) -> None:
        self.page = page
        self.watch = Watch()
        self.watch.attach(page)
        self._names = list(cells)
        write_notebook(server.root / f"{name}.ipynb", *(f"{self.CLEAN}\n{code}" for code in cells.values()))
        open_notebook(page, f"{name}.ipynb")

    def show(self, name: str) -> None:
        """Run this cell; its output is the only one on the page."""
        wait_idle(self.page)
        self.watch.forget()
        _choose(self.page, "Edit", "editmenu:clear-all")
        cell = self.page.locator(".jp-CodeCell").nth(self._names.index(name))
        cell.locator(".jp-InputPrompt").click()
        self.page.keyboard.press("Control+Enter")
        expect(cell.locator(".jp-InputPrompt")).to_have_text(re.compile(r"\d"), timeout=PATIENCE_MS)
        expect(cell.locator("[data-mime-type='application/vnd.jupyter.error']")).to_have_count(0)
        cell.locator(".jp-OutputArea").scroll_into_view_if_needed()


def restart_kernel(page: Page) -> None:
    """Restart the kernel from its menu."""
    _choose(page, "Kernel", "kernelmenu:restart")
    page.locator(".jp-Dialog .jp-mod-accept").click()
    expect(page.locator(".jp-Dialog")).to_have_count(0)


def _choose(page: Page, menu: str, command: str) -> None:
    page.locator(".lm-MenuBar-itemLabel", has_text=menu).first.click()
    page.locator(f".lm-Menu-item[data-command='{command}']").click()


def _has_begun(page: Page) -> bool:
    try:
        page.wait_for_function(f"({PROMPTS})() !== 'not begun'", timeout=5_000)
    except PageTimeout:
        return False
    return True


def write_notebook(path: Path, *cells: str) -> None:
    """A notebook of these code cells, for a test that needs a small one."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, path)
