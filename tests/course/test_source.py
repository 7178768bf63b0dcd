"""Real code in a notebook."""

from __future__ import annotations

import inspect

import pytest

from dynalab.core.clock import compare
from dynalab.core.ring import Ring
from dynalab.course.source import show_source


def test_source_is_the_running_code() -> None:
    """What is shown is what runs, as text and as a coloured block; a method loses its indentation."""
    shown = show_source(compare)
    assert str(shown) == inspect.getsource(compare).strip()
    assert shown._repr_markdown_() == f"```python\n{shown}\n```"
    assert str(show_source(Ring.walk)).startswith("def walk(self")


def test_code_with_fences_is_fenced_longer() -> None:
    """Source that holds a fence of its own does not end its block early."""
    assert show_source(fenced)._repr_markdown_().startswith("````python\n")


def fenced() -> str:
    """```not the end```"""
    return ""


def test_what_has_no_source_is_an_error() -> None:
    """A built-in has no Python source to show."""
    with pytest.raises(TypeError):
        show_source(len)
