"""Checks of exercise 10: an invariant, the seed that breaks it, and shrinking (RELIABILITY: reproduce, then reduce)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dynalab.core.config import Parts
from dynalab.course.broken import SEED_MAX, play
from dynalab.course.checking import Case, check, shown

__all__ = ["chaos_1", "chaos_2", "chaos_3"]

TRIES_PER_BIT = 8


@check("chaos-1", 1, 10, "acknowledged, not there at the end, and no write that happened has replaced it")
def chaos_1(case: Case, lost_writes: Callable[..., Any]) -> None:
    """The invariant: no acknowledged write is lost that nobody replaced."""
    for _ in range(50):
        writes: list[dict[str, Any]] = []
        for number in range(case.random.randint(1, 6)):
            before = [write["value"] for write in writes]
            replaced = sorted(case.random.sample(before, case.random.randint(0, min(2, len(before)))))
            writes.append({"value": f"v{number}", "acked": case.random.random() < 0.7, "replaces": replaced})
        final = [write["value"] for write in writes if case.random.random() < 0.4]
        happened = [write for write in writes if write["acked"] or write["value"] in final]
        kept = {*final, *(value for write in happened for value in write["replaces"])}
        right = sorted(write["value"] for write in writes if write["acked"] and write["value"] not in kept)
        case.equal(case.ask(lost_writes, writes, final), right, f"lost_writes({shown(writes, 600)}, {final})")


@check("chaos-2", 3, 20, "try many seeds in a cell of your own: for seed in range(...): if course.play(seed): ...")
def chaos_2(case: Case, seed: Any) -> None:
    """A seed with which the broken node shows what is wrong with it, and a right one does not."""
    case.started(seed)
    tried = f"course.play({shown(seed)})"
    good = type(seed) is int and 0 <= seed <= SEED_MAX
    case.holds(good, tried, shown(seed), f"a whole number from 0 to {SEED_MAX}")
    case.holds(bool(play(seed)), tried, "no promise was broken", "a run that the judge objects to")
    clean = not play(seed, Parts())
    case.holds(clean, tried, "dynalab's own node breaks it, too", "a run that only the broken node fails")


@check("chaos-3", 2, 20, "leave out large pieces first, then smaller ones, at last single steps; each in its place")
def chaos_3(case: Case, candidates: Callable[..., Any]) -> None:
    """Smaller versions of a run, good enough to shrink it until every single step is needed."""
    for size in (1, 2, 7, 24, 200):
        steps = [f"step {number}" for number in range(size)]
        needed = sorted(case.random.sample(range(size), min(size, case.random.randint(1, 3))))
        want = [steps[place] for place in needed]
        _shrunk(case, candidates, steps, want)


def _shrunk(case: Case, candidates: Callable[..., Any], steps: list[str], want: list[str]) -> None:
    """Shrink by the answer's candidates: the first that still holds all that is wanted, again and again."""
    size, tries = len(steps), 0
    while True:
        tried = f"candidates({shown(steps)})"
        offered = case.ask(candidates, steps)
        case.holds(type(offered) in (list, tuple), tried, offered, "a list of lists of steps")
        for each in offered:
            smaller = type(each) in (list, tuple) and len(each) < len(steps) and _is_part(list(each), steps)
            case.holds(smaller, tried, each, "shorter lists, with the steps in their order")
        hits = [place for place, each in enumerate(offered) if all(step in each for step in want)]
        tries += hits[0] + 1 if hits else len(offered)
        if not hits:
            break
        steps = list(offered[hits[0]])
    case.equal(steps, want, f"shrinking {size} steps of which {len(want)} matter: what is left")
    most = 10 + TRIES_PER_BIT * size.bit_length() * len(want)
    case.holds(
        tries <= most, f"shrinking {size} steps of which {len(want)} matter", f"{tries} tries", f"at most {most}"
    )


def _is_part(part: list[Any], whole: list[str]) -> bool:
    rest = iter(whole)
    return all(step in rest for step in part)
