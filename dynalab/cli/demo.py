"""`dynalab demo`: the tour's story in a terminal."""

from __future__ import annotations

import argparse
import json
import sys

from dynalab.core.config import Config

HELP = "tell the tour's story in the terminal, on five real processes; or show the workbench as a web page"
EXAMPLES = (
    "dynalab demo              five processes, twelve steps, each checked",
    "dynalab demo --sim        the same in virtual time",
    "dynalab demo --json       how each step went, for programs",
    "dynalab demo --web        the workbench of five processes on a page of its own, for a projector, until Ctrl-C",
    "dynalab demo --web --sim --nodes 9 --port 8900 --no-browser",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("--sim", action="store_true", help="in the simulation instead of processes")
    parser.add_argument("--seed", type=int, default=7, help="of the simulation (default: 7)")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of the story")
    web = parser.add_argument_group("the web page")
    web.add_argument("--web", action="store_true", help="serve the workbench on 127.0.0.1 until Ctrl-C (needs voila)")
    web.add_argument("--nodes", type=int, default=5, help="of the page's cluster, 1 to 100 (default: 5)")
    web.add_argument("--port", type=int, default=8866, help="of the page; 0: any free one (default: 8866)")
    web.add_argument("--dark", action="store_true", help="dark colours")
    web.add_argument("--no-browser", action="store_true", help="only print the address")


def run(options: argparse.Namespace) -> int:
    """Tell the story; 0 only if every step showed what it claims."""
    if options.web:
        return _serve(options)
    from dynalab.cli import DONE, FAILED
    from dynalab.course.story import STEPS, tell

    said = _silent if options.json else _print
    told = tell(lambda: _cluster(options), said)
    shown = sum(step.shown for step in told)
    complete = shown == len(STEPS)
    if options.json:
        print(json.dumps({"complete": complete, "steps": [step._asdict() for step in told]}, ensure_ascii=False))
    else:
        took_s = sum(step.took_ms for step in told) / 1000
        said(f"{shown} of {len(STEPS)} steps showed what they claim, in {took_s:.1f} s.")
        said("Next: `dynalab lab` opens the same story as a notebook." if complete else f"Failed: {told[-1].step}.")
    return DONE if complete else FAILED


def _serve(options: argparse.Namespace) -> int:
    """Serve the workbench as a web page until Ctrl-C."""
    from dynalab.cli import FAILED, NOT_UNDERSTOOD

    try:
        from dynalab.panels.web import serve

        world = "sim" if options.sim else "live"
        theme = "dark" if options.dark else "light"
        browser = not options.no_browser
        return serve(options.nodes, world, options.port, browser, seed=options.seed, theme=theme, told=_print)
    except ValueError as error:
        print(f"dynalab demo: {error}", file=sys.stderr)
        return NOT_UNDERSTOOD
    except ModuleNotFoundError as error:
        print(f"dynalab demo: {error}", file=sys.stderr)
        return FAILED


def _print(line: str) -> None:
    print(line, flush=True)


def _silent(_: str) -> None:
    """With --json only the object is printed."""


def _cluster(options: argparse.Namespace) -> object:
    config = Config(n=3, r=2, w=2, storage="log")
    if options.sim:
        from dynalab.sim.cluster import Simulation

        return Simulation(5, seed=options.seed, config=config)
    from dynalab.live.cluster import Cluster

    return Cluster(5, config=config)
