"""The zip that Gradescope takes as an autograder: it installs dynalab, grades one submission, writes results.json."""

from __future__ import annotations

import zipfile
from pathlib import Path

import dynalab

SETUP = """#!/usr/bin/env bash
set -e
apt-get update && apt-get install -y python3 python3-venv
python3 -m venv /opt/dynalab
/opt/dynalab/bin/python -m pip install "dynalab[lab]=={version}"
"""

RUN = """#!/usr/bin/env bash
cd /autograder
/opt/dynalab/bin/dynalab grade /autograder/submission --solutions /autograder/source/solutions \\
    --gradescope /autograder/results/results.json --out /autograder/results/more
"""


def write_zip(solutions: Path, target: Path) -> Path:
    """Write the zip with these solutions as its keys; the path written."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in (("setup.sh", SETUP.replace("{version}", dynalab.__version__)), ("run_autograder", RUN)):
            entry = zipfile.ZipInfo(name, date_time=(2007, 10, 14, 0, 0, 0))
            entry.external_attr = 0o755 << 16
            archive.writestr(entry, text)
        for path in sorted(solutions.glob("*.ipynb")):
            entry = zipfile.ZipInfo(f"solutions/{path.name}", date_time=(2007, 10, 14, 0, 0, 0))
            archive.writestr(entry, path.read_text(encoding="utf-8"))
    return target
