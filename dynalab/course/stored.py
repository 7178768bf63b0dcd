"""How a notebook is stored: run once, with its outputs, small, and the same from machine to machine.

`python -m dynalab.course.stored notebooks/00-tour.ipynb` runs a notebook and stores it so.

Rule 1: a picture is stored once, as PNG; the HTML twin with its words comes back when the cell is run.
Rule 2: no widget state: it is large, and means nothing without the kernel that had it.
Rule 3: no metadata but the kernel's name and the cells' own tags; nothing tells on which machine it ran.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

WIDGET = "application/vnd.jupyter.widget-view+json"
KERNEL = {"display_name": "Python 3", "language": "python", "name": "python3"}


def tidied(notebook: Any) -> Any:
    """A copy of a notebook as it is to be stored."""
    tidy = deepcopy(notebook)
    tidy.metadata = {"kernelspec": dict(KERNEL), "language_info": {"name": "python"}}
    for number, cell in enumerate(tidy.cells):
        cell.id = f"cell-{number:02}"
        cell.metadata = {"tags": list(cell.metadata["tags"])} if cell.metadata.get("tags") else {}
        if cell.cell_type == "code":
            cell.outputs = [_tidied_output(output) for output in cell.outputs]
    return tidy


def _tidied_output(output: Any) -> Any:
    data = output.get("data", {})
    if "image/png" in data:
        data.pop("text/html", None)
        data.pop(WIDGET, None)
    if "metadata" in output:
        output["metadata"] = {}
    return output


def run_and_store(path: Path) -> None:
    """Run a notebook in a fresh kernel of this interpreter, and store it with its outputs.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed; nothing is stored.
    """
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]  # nbformat has none
    NotebookClient(notebook, timeout=60, kernel_name="python3", resources={"metadata": {"path": path.parent}}).execute()
    nbformat.write(tidied(notebook), path)  # type: ignore[no-untyped-call]  # nbformat has none


def main(paths: Sequence[str]) -> None:
    """Run and store every notebook named."""
    for path in paths:
        run_and_store(Path(path))


if __name__ == "__main__":
    main(sys.argv[1:])
