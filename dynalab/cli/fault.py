"""`dynalab fault`: break and mend a running cluster."""

from __future__ import annotations

import argparse
from typing import Any

from dynalab.cli import remote
from dynalab.cli.shown import print_json, print_table, waiting

HELP = "break and mend a running cluster"
EXAMPLES = (
    "dynalab fault                              what is wrong now",
    "dynalab fault partition AB CDE             cut the network; --one-way: only from the first to the second",
    "dynalab fault heal                         end all cuts and link rules",
    "dynalab fault crash C                      kill its process",
    "dynalab fault recover C --wipe             start it again, on an empty disk",
    "dynalab fault link A B --drop 0.3 --delay-ms 5 50 --both-ways",
    "dynalab fault skew A -5000                 its wall clock is 5 s slow",
    "dynalab fault join F",
    "dynalab fault settle                       wait until nothing is left to repair",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    remote.add_arguments(parser, via=False)
    common = argparse.ArgumentParser(add_help=False)
    remote.add_arguments(common, via=False, again=True)
    verbs = parser.add_subparsers(dest="verb", metavar="<verb>")
    parser.set_defaults(verb="show")

    def verb(name: str, text: str) -> argparse.ArgumentParser:
        return verbs.add_parser(name, help=text, description=text, parents=[common])

    verb("show", "what is wrong now; also without any verb")
    _add_network_verbs(verb)
    _add_node_verbs(verb)
    settle = verb("settle", "wait until no hint is left and anti-entropy finds nothing")
    settle.add_argument("--timeout-ms", dest="timeoutMs", type=int, default=10_000)


def _add_network_verbs(verb: Any) -> None:
    partition = verb("partition", "cut the network between the sides")
    partition.add_argument("sides", nargs="+", metavar="SIDE", help="like AB, or ann,bob; or one 'AB|CDE'")
    partition.add_argument("--one-way", dest="oneWay", action="store_true", help="only from earlier to later sides")
    verb("heal", "end all cuts and link rules; crashed and paused nodes stay so")
    link = verb("link", "make one link lose, delay, double or reorder messages; without options it is perfect again")
    link.add_argument("a", metavar="FROM")
    link.add_argument("b", metavar="TO")
    for chance in ("drop", "duplicate", "reorder"):
        link.add_argument(f"--{chance}", type=float, default=0.0, help="a probability, 0 to 1")
    link.add_argument("--delay-ms", dest="delayMs", type=float, nargs="+", default=[0.0], help="one, or low and high")
    link.add_argument("--both-ways", dest="bothWays", action="store_true")


def _add_node_verbs(verb: Any) -> None:
    for name, text in (
        ("crash", "kill a node's process; its disk stays"),
        ("pause", "stop a node's process for a while"),
        ("resume", "let a paused node go on"),
    ):
        verb(name, text).add_argument("node")
    recover = verb("recover", "start a crashed node again on its own disk")
    recover.add_argument("node")
    recover.add_argument("--wipe", action="store_true", help="on an empty disk")
    skew = verb("skew", "set a node's wall clock wrong; its timers stay right")
    skew.add_argument("node")
    skew.add_argument("ms", type=float)
    join = verb("join", "add a node to the ring")
    join.add_argument("node")
    join.add_argument("--weight", type=float, default=1.0)
    join.add_argument("--zone", default="")
    leave = verb("leave", "take a node out of the ring")
    leave.add_argument("node")
    leave.add_argument("--force", action="store_true", help="it is gone for good; do without what it keeps")


_NOT_IN_A_BODY = {"command", "run", "url", "token", "json"}


def run(options: argparse.Namespace) -> int:
    """Break, mend or show."""
    from dynalab.cli import DONE

    there = remote.Remote(options)
    if options.verb == "show":
        told = there.ask("GET", "/admin/faults")
    else:
        with waiting(f"{options.verb} ...", quiet=options.json):
            told = there.ask("POST", "/admin/faults", _body(options))
    print_json(told) if options.json else _print(told)
    return DONE


def _body(options: argparse.Namespace) -> dict[str, Any]:
    body = {name: value for name, value in vars(options).items() if name not in _NOT_IN_A_BODY}
    if "delayMs" in body and len(body["delayMs"]) == 1:
        body["delayMs"] = body["delayMs"][0]
    return body


def _print(told: remote.Answer) -> None:
    print_table(("node", "state"), list(told["states"].items()))
    for fault in told["faults"] or ["the network has no fault"]:
        print(fault)
