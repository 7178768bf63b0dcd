"""Show the real code of dynalab in a notebook: printed where it runs, never retyped."""

from __future__ import annotations

import inspect
from typing import Any


class Source:
    """The source of a function, class or module, coloured by the notebook itself.

    Args:
        thing: whatever `inspect.getsource` can find.

    Raises:
        OSError: there is no source file to read.
        TypeError: it is not something that has source.
    """

    def __init__(self, thing: Any) -> None:
        self.text = inspect.cleandoc("\n" + inspect.getsource(thing))

    def _repr_markdown_(self) -> str:
        fence = "````" if "```" in self.text else "```"
        return f"{fence}python\n{self.text}\n{fence}"

    def __repr__(self) -> str:
        return self.text


def show_source(thing: Any) -> Source:
    """The source of `thing`, as a notebook's last expression shows it.

    >>> def half(number):
    ...     return number / 2
    >>> from dynalab.core.clock import covers
    >>> print(str(show_source(covers)).splitlines()[0])
    def covers(clock: Mapping[str, int], dots: Iterable[Dot], dot: Dot) -> bool:
    """
    return Source(thing)
