"""`dynalab bench`: our speed beside the yardstick's, on this machine, in these minutes."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

HELP = "measure speed as ratios to raw ZeroMQ on this machine"
EXAMPLES = (
    "dynalab bench                    every figure, beside its target",
    "dynalab bench puts gets          two of them",
    "dynalab bench floor              the yardstick alone",
    "dynalab bench curves             how speed grows: requests under way, size of values, nodes, keys; minutes",
    "dynalab bench screen             the workbench in a real browser: clicks and frames; never judged by --check",
    "dynalab bench --check            exit code 1 when a figure misses its target",
    "dynalab bench --json             for programs",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument(
        "figures",
        nargs="*",
        metavar="figure",
        help="names of figures, or floor, curves or screen",
    )
    parser.add_argument("--check", action="store_true", help="exit with 1 when a figure misses its target")
    parser.add_argument("--json", action="store_true", help="print one JSON list instead of the table")
    parser.add_argument("--list", action="store_true", help="name the figures and their targets, measure nothing")


def run(options: argparse.Namespace) -> int:
    """Measure; 0 unless --check finds a figure off its target."""
    from dynalab.bench.figures import FIGURES
    from dynalab.cli import DONE, FAILED, NOT_UNDERSTOOD

    if options.figures == ["floor"]:
        return _floor(options.json)
    if options.figures == ["curves"]:
        return _curves(options.json)
    if options.figures == ["screen"]:
        return _screen(options.json)
    unknown = sorted(set(options.figures) - {figure.name for figure in FIGURES})
    if unknown:
        names = ", ".join(figure.name for figure in FIGURES)
        print(
            f"dynalab bench: no figure is called {unknown[0]!r}; there are floor, curves, screen, {names}",
            file=sys.stderr,
        )
        return NOT_UNDERSTOOD
    chosen = [figure for figure in FIGURES if not options.figures or figure.name in options.figures]
    if options.list:
        for figure in chosen:
            print(
                f"{figure.name:<10} {'at least' if figure.at_least else 'at most':<8} {figure.target:<8g} {figure.says}"
            )
        return DONE
    results = [figure.run(lambda line: print(line, file=sys.stderr, flush=True)) for figure in chosen]
    print(json.dumps(results)) if options.json else _print_table(results)
    return FAILED if options.check and not all(result["met"] for result in results) else DONE


def _print_table(results: list[dict[str, Any]]) -> None:
    print(f"{'figure':<10} {'median':>9} {'spread':>19}  {'target':<15} met")
    for result in results:
        low, high = result["spread"]
        target = f"{'at least' if result['at_least'] else 'at most'} {result['target']:g}"
        spread = f"{low:.3g} to {high:.3g}"
        met = "yes" if result["met"] else "NO"
        print(f"{result['name']:<10} {result['median']:>9.3g} {spread:>19}  {target:<15} {met}")


def _floor(as_json: bool) -> int:
    from dynalab.bench.floor import measure

    loads = [(kind, under_way) for kind in ("put", "get") for under_way in (1, 64, 256)]
    rates = [(*load, measure(*load, 1_500 if load[1] == 1 else 15_000)) for load in loads]
    if as_json:
        print(json.dumps([{"kind": kind, "outstanding": under_way, **vars(rate)} for kind, under_way, rate in rates]))
        return 0
    for kind, under_way, rate in rates:
        took = f"p50 {rate.p50_us:>7,.0f} us  p99 {rate.p99_us:>7,.0f} us"
        print(f"{kind}  {under_way:>3} under way  {rate.per_second:>8,.0f}/s  {took}")
    return 0


def _curves(as_json: bool) -> int:
    from dynalab.bench.curves import Point, measure

    def show(point: Point) -> None:
        if as_json:
            return
        took = f"p50 {point.p50_us:>9,.0f} us  p99 {point.p99_us:>9,.0f} us"
        where = f"{point.curve:<16} {point.at:>9,}"
        print(f"{where}  {point.per_second:>8,.0f}/s  {took}  ratio {point.ratio:.2f}", flush=True)

    points = measure(show)
    if as_json:
        print(json.dumps([point._asdict() for point in points]))
    return 0


def _screen(as_json: bool) -> int:
    from dynalab.bench import screen
    from dynalab.cli import DONE, FAILED

    if lacks := screen.missing():
        print(f"dynalab bench: {lacks}", file=sys.stderr)
        return FAILED
    seen = screen.measure(lambda line: print(line, file=sys.stderr, flush=True))
    if as_json:
        print(json.dumps(seen))
        return DONE
    for what, (middle, worst) in seen["click_ms"].items():
        print(f"from a click to {what:<22} {middle:>6.0f} ms   worst {worst:.0f} ms   aim {screen.CLICK_TARGET_MS} ms")
    print(f"frames, {seen['fewest']} or more messages in flight  {seen['fps']:>6.1f} /s   aim {screen.FPS_TARGET}/s")
    print(f"frames, no message in flight           {seen['idle_fps']:>6.1f} /s   the most this browser draws here")
    print(f"over 25 ms: {seen['late']:.1%} of the frames; the longest took {seen['worst_ms']:.0f} ms")
    spent = ", ".join(f"{name} {ms:.1f} ms" for name, ms in seen["frame_ms"].items())
    print(f"a frame takes of the page's one thread: {spent}")
    print("Drawn without a graphics card, on the cores the cluster runs on: a screen of your own is faster.")
    return DONE
