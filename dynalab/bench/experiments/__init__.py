"""Experiments: each measures one promise of the paper, draws it, and says whether it held.

One module per experiment, with `EXPERIMENT`; `frame.py` has what they share, `page.py` writes the results.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dynalab.bench.experiments.frame import Experiment

NAMES = ("functional", "ycsb", "chaos", "staleness", "repair", "slo", "balance", "versions", "mechanisms", "scale")
"""The experiments by number, 0 to 9; each is a module here."""


def experiment(name: str) -> "Experiment":
    """The experiment of this name."""
    found: Experiment = import_module(f"dynalab.bench.experiments.{name}").EXPERIMENT
    return found
