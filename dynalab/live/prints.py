"""What a student's parts have printed on one node, until its owner is told."""

from __future__ import annotations

PRINTED_MAX = 1024 * 1024
"""Characters that are kept between two tellings."""

Line = tuple[str, str, str]
"""``(request, part, text)``"""


class Prints:
    """Lines of text.

    Attributes:
        request: what the last message was about; a timer's work still belongs to it.
        lost: lines that did not fit.
    """

    def __init__(self) -> None:
        self.request = ""
        self.lost = 0
        self._lines: list[Line] = []
        self._size = 0

    def __len__(self) -> int:
        return len(self._lines)

    def add(self, part: str, text: str) -> None:
        """A part has printed this."""
        if self._size < PRINTED_MAX:
            self._size += len(text)
            self._lines.append((self.request, part, text))
        else:
            self.lost += 1

    def take(self) -> tuple[Line, ...]:
        """All of them; they are kept no longer."""
        lines, self._lines, self._size = tuple(self._lines), [], 0
        return lines
