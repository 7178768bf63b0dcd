"""`dynalab bench screen`: what it measures is there; how fast it is belongs to no test."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from dynalab.bench import screen
from dynalab.cli import main


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Without playwright, Voila or Chromium the command ends with 1, and says which of them to install."""
    monkeypatch.setattr(screen, "_chromium", lambda: None)
    assert main(["bench", "screen"]) == 1
    assert "install the package chromium" in capsys.readouterr().err
    for name in ("voila", "playwright"):
        monkeypatch.setattr(screen, "find_spec", lambda asked, name=name: None if asked == name else object())
        assert main(["bench", "screen"]) == 1
        assert f"need {name}" in capsys.readouterr().err.lower().replace("needs", "need")


def test_the_screen_is_no_figure_to_be_judged(capsys: pytest.CaptureFixture[str]) -> None:
    """A bench of all figures, and so its `--check`, leaves the screen out."""
    assert main(["bench", "--list"]) == 0
    assert "screen" not in capsys.readouterr().out


@pytest.mark.slow
@pytest.mark.live
@pytest.mark.browser
def test_the_screen_is_measured() -> None:
    """Every click is timed until it is drawn, and frames are counted while messages really fly."""
    command = [sys.executable, "-m", "dynalab.cli", "bench", "screen", "--json"]
    seen = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, timeout=110).stdout)
    assert len(seen["click_ms"]) == 3
    assert all(0 < middle <= worst for middle, worst in seen["click_ms"].values())
    assert seen["fewest"] >= screen.FLYING - 5
    assert seen["frames"] > 1
