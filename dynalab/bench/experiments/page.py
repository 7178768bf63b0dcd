"""What an experiment leaves behind: its tables as CSV, its pictures as PNG, and one HTML page for all of them.

The page needs nothing else: its pictures and its style are inside, so it can be mailed.
"""

from __future__ import annotations

import base64
import csv
import html
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from dynalab.bench.experiments.frame import Experiment, Findings, Row
from dynalab.views.picture import alt_of, png_of

ROWS_SHOWN = 12
"""Longer tables are in the CSV files."""

STYLE = """
:root { color-scheme: light }
body { font: 17px/1.5 system-ui, sans-serif; color: #1a1a1a; background: #fff; max-width: 60rem; margin: 2rem auto;
  padding: 0 1rem }
figure { margin: 1.5rem 0 } figure img { max-width: 100%; height: auto; border: 1px solid #ddd }
figcaption { margin-top: .3rem }
table { border-collapse: collapse; font-size: 15px; margin: .5rem 0 }
th, td { border-bottom: 1px solid #ddd; padding: .2rem .7rem; text-align: left } td.number { text-align: right }
.holds, .fails { font-weight: bold } .holds { color: #00664b } .fails { color: #a83800 }
.facts { color: #555 } section { border-top: 2px solid #1a1a1a; margin-top: 3rem }
nav li { margin: .1rem 0 } .scroll { overflow-x: auto }
"""


class Done(NamedTuple):
    """An experiment that was carried out: with what size and seed, what it found, and how long it took."""

    experiment: Experiment
    findings: Findings
    size: str
    seed: int
    took_s: float


def write_files(done: Done, folder: Path) -> list[Path]:
    """Write the tables and pictures of one experiment; the paths of all files."""
    folder.mkdir(parents=True, exist_ok=True)
    written = [_write_table(folder / f"{_stem(done)}-{name}.csv", rows) for name, rows in done.findings.tables.items()]
    for shown in done.findings.pictures:
        path = folder / f"{_stem(done)}-{shown.name}.png"
        path.write_bytes(png_of(shown.figure))
        written.append(path)
    return written


def write_page(all_done: Sequence[Done], folder: Path) -> Path:
    """Write the page that explains every picture."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "index.html"
    contents = "".join(
        f'<li><a href="#{each.experiment.name}">{_heading(each)}</a>: {_mark(each)}</li>' for each in all_done
    )
    sections = "".join(_section(each) for each in all_done)
    path.write_text(
        "<!doctype html>\n"
        '<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>dynalab: experiments</title><style>{STYLE}</style></head><body>"
        "<h1>What Dynamo's promises are worth, measured</h1>"
        "<p>Each experiment says what it asks, what it saw, and whether its claims hold. Claims are ratios, "
        "probabilities and counts, so they hold on a slow machine as on a fast one; times in milliseconds are of "
        "the machine this ran on. The CSV files beside this page have every number.</p>"
        f"<nav><ul>{contents}</ul></nav>{sections}</body></html>\n",
        encoding="utf-8",
    )
    return path


def _stem(done: Done) -> str:
    return f"{done.experiment.number}-{done.experiment.name}"


def _heading(done: Done) -> str:
    return html.escape(f"{done.experiment.number}. {done.experiment.title}")


def _mark(done: Done) -> str:
    holding = sum(claim.holds for claim in done.findings.claims)
    words = f"{holding} of {len(done.findings.claims)} claims hold"
    return f'<span class="{"holds" if done.findings.hold else "fails"}">{words}</span>'


def _section(done: Done) -> str:
    experiment = done.experiment
    facts = f"World: {experiment.world}. Size: {done.size}. Seed: {done.seed}. Took {done.took_s:.1f} s."
    claims = "".join(
        f'<tr><td class="{"holds" if claim.holds else "fails"}">{"holds" if claim.holds else "DOES NOT HOLD"}</td>'
        f"<td>{html.escape(claim.words)}</td><td>{html.escape(claim.seen)}</td></tr>"
        for claim in done.findings.claims
    )
    pictures = "".join(
        f'<figure><img alt="{html.escape(alt_of(shown.figure), quote=True)}" src="data:image/png;base64,'
        f'{base64.b64encode(png_of(shown.figure)).decode()}"><figcaption>{html.escape(shown.says)}</figcaption></figure>'
        for shown in done.findings.pictures
    )
    tables = "".join(_table(f"{_stem(done)}-{name}.csv", rows) for name, rows in done.findings.tables.items())
    return (
        f'<section id="{experiment.name}"><h2>{_heading(done)}</h2><p>{html.escape(experiment.question)}</p>'
        f"<p><b>What it shows.</b> {html.escape(done.findings.result)}</p>"
        f'<p class="facts">{html.escape(facts)}</p>'
        f"<table><tr><th></th><th>claim</th><th>seen</th></tr>{claims}</table>{pictures}{tables}</section>"
    )


def _table(file: str, rows: list[Row]) -> str:
    if not rows:
        return ""
    head = "".join(f"<th>{html.escape(name)}</th>" for name in rows[0])
    body = "".join(f"<tr>{''.join(_cell(value) for value in row.values())}</tr>" for row in rows[:ROWS_SHOWN])
    more = f", first {ROWS_SHOWN} of {len(rows)} rows" if len(rows) > ROWS_SHOWN else ""
    summary = f'<summary><a href="{file}">{file}</a>{more}</summary>'
    return f'<details>{summary}<div class="scroll"><table><tr>{head}</tr>{body}</table></div></details>'


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f'<td class="number">{value:.4g}</td>'
    kind = ' class="number"' if isinstance(value, int) and not isinstance(value, bool) else ""
    return f"<td{kind}>{html.escape(str(value))}</td>"


def _write_table(path: Path, rows: list[Row]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]) if rows else [])
        writer.writeheader()
        writer.writerows(rows)
    return path
