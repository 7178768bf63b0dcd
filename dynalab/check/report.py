"""What a judge says: violations in clear words, and what was not judged and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class Violation(NamedTuple):
    """One broken rule.

    Attributes:
        invariant: ``I1`` to ``I13``.
        text: what was expected and what was found, naming key, writes, clients and nodes.
        key: the key it is about, or empty.
        writes: the ids of the writes it is about.
    """

    invariant: str
    text: str
    key: str = ""
    writes: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.invariant}: {self.text}"


@dataclass
class Report:
    """The verdict on one run.

    Attributes:
        violations: every broken rule, in the order of the invariants.
        held: the invariants that were checked and hold.
        not_checked: ``{invariant: why}``: exempt by the mode, or without the evidence.
        story: the history, for people; printed when something is broken.
    """

    violations: list[Violation] = field(default_factory=list)
    held: list[str] = field(default_factory=list)
    not_checked: dict[str, str] = field(default_factory=dict)
    story: str = ""

    @property
    def ok(self) -> bool:
        """Whether nothing is broken."""
        return not self.violations

    def of(self, invariant: str) -> list[Violation]:
        """The violations of one invariant."""
        return [violation for violation in self.violations if violation.invariant == invariant]

    def __str__(self) -> str:
        lines = [f"held: {' '.join(self.held) or 'nothing'}"]
        lines += [f"not checked: {name}, {why}" for name, why in self.not_checked.items()]
        lines += [str(violation) for violation in self.violations]
        lines += ["what happened:", self.story] if self.violations and self.story else []
        return "\n".join(lines)
