"""What commands print: tables for people, JSON for programs, and a sign of life while something takes long."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any


def print_json(value: Any) -> None:
    """One JSON value."""
    print(json.dumps(value, ensure_ascii=False))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[Any]], title: str = "") -> None:
    """A table; numbers stand right, what is too long wraps. Nothing in a cell is taken for markup."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title or None, title_justify="left", title_style="", box=box.SIMPLE_HEAD, pad_edge=False)
    for place, column in enumerate(columns):
        is_number = all(isinstance(row[place], (int, float)) for row in rows) and bool(rows)
        table.add_column(column, justify="right" if is_number else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(_cell(value)) for value in row))
    Console(highlight=False, soft_wrap=False).print(table)


def _cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return "" if value is None else str(value)


def clock_text(clock: dict[str, int]) -> str:
    """A vector clock for people.

    >>> clock_text({"A": 2, "B": 1})
    '[A2, B1]'
    """
    return "[" + ", ".join(f"{actor}{counter}" for actor, counter in clock.items()) + "]"


@contextmanager
def waiting(text: str, quiet: bool = False) -> Iterator[None]:
    """Say on a terminal's error stream that something is under way."""
    from rich.console import Console

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield
        return
    with console.status(text):
        yield
