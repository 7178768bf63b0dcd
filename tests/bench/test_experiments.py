"""The experiments in their smallest form: they run, they leave their files, and what they claim holds."""

from __future__ import annotations

import csv
import html
from html.parser import HTMLParser
from typing import TYPE_CHECKING

import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Text

from dynalab.bench.experiments import NAMES, experiment
from dynalab.bench.experiments.frame import Experiment, Findings, Run, standard_error
from dynalab.bench.experiments.page import Done, write_files, write_page
from dynalab.views import draw_lines

if TYPE_CHECKING:
    from pathlib import Path

    from matplotlib.figure import Figure

    from dynalab.bench.experiments.frame import Run as AnyRun

pytestmark = pytest.mark.live

PNG = b"\x89PNG\r\n\x1a\n"


class Images(HTMLParser):
    """The images of a page, and the addresses it would load."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.alts: list[str] = []
        self.loaded: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "img":
            self.alts.append(given.get("alt") or "")
        if tag in {"img", "script", "link", "iframe"}:
            self.loaded.append(given.get("src") or given.get("href") or "")


def fits_its_picture(figure: Figure) -> None:
    """Title and axis names are all inside, and whatever is compared has an axis that says in which unit."""
    renderer = FigureCanvasAgg(figure).get_renderer()
    figure.draw(renderer)
    for ax in figure.axes:
        for words in filter(Text.get_text, (ax.title, ax.xaxis.label, ax.yaxis.label)):
            extent = words.get_window_extent(renderer)
            assert extent.x0 >= 0, words.get_text()
            assert extent.x1 <= figure.bbox.width, words.get_text()
            assert extent.y1 <= figure.bbox.height, words.get_text()


@pytest.mark.parametrize("name", NAMES)
def test_an_experiment_shows_what_it_claims(name: str, tmp_path: Path) -> None:
    """Each experiment, at its smallest, holds every claim and leaves tables, pictures and a page that explains them."""
    shares: list[float] = []
    chosen = experiment(name)
    findings = chosen.run(Run("tiny", told=lambda share, _: shares.append(share)))
    failing = [claim for claim in findings.claims if not claim.holds]
    assert not failing
    assert findings.claims
    assert findings.result.endswith(".")
    assert any(letter.isdigit() for letter in findings.result)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    done = Done(chosen, findings, "tiny", 5, 0.0)
    files = write_files(done, tmp_path)
    assert {path.suffix for path in files} == {".csv", ".png"}
    for path in files:
        if path.suffix == ".png":
            assert path.read_bytes().startswith(PNG)
            assert path.stat().st_size < 60_000
        else:
            with path.open(newline="") as file:
                assert len(list(csv.DictReader(file))) > 0
    for shown in findings.pictures:
        fits_its_picture(shown.figure)
    images = Images(write_page([done], tmp_path).read_text())
    assert len(images.alts) == len(findings.pictures) > 0
    assert all(images.alts)
    assert html.escape(findings.result) in (tmp_path / "index.html").read_text()


def test_the_experiments_are_numbered() -> None:
    """Names, numbers and order agree: 0 to 9."""
    assert [experiment(name).number for name in NAMES] == list(range(10))
    assert [experiment(name).name for name in NAMES] == list(NAMES)


def _small(holds: bool) -> Experiment:
    def run(run: AnyRun) -> Findings:
        findings = Findings(tables={"numbers": [{"x": 1, "y": 0.5, "<b>": "<i>"}]})
        findings.show("line", draw_lines({"a": [(0, 1), (1, 2)]}, "A line", "x", "y"), "It goes <up>.")
        findings.claim("It goes up & on", "1 < 2", holds)
        return findings

    return Experiment(7, "small", "Small & quick", "calculation", "Does it <work>?", run)


def test_the_page_is_one_file_and_escapes_words(tmp_path: Path) -> None:
    """The page loads nothing from elsewhere, and words of claims and tables are words, not markup."""
    chosen = _small(holds=False)
    done = Done(chosen, chosen.run(Run("tiny")), "tiny", 5, 0.1)
    page = write_page([done], tmp_path).read_text()
    assert all(address.startswith("data:image/png;base64,") for address in Images(page).loaded)
    for words in ("DOES NOT HOLD", "It goes up &amp; on", "Small &amp; quick", "Does it &lt;work&gt;?", "&lt;b&gt;"):
        assert words in page
    assert "Seed: 5" in page


def test_a_share_is_never_certain() -> None:
    """Few trials that all agree still leave an error."""
    assert standard_error(1.0, 10) > standard_error(1.0, 1000) > 0
