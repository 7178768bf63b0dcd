"""`dynalab trace`: what happened lately in a running cluster."""

from __future__ import annotations

import argparse

from dynalab.cli import remote
from dynalab.cli.shown import print_json

HELP = "tell what happened lately in a running cluster"
EXAMPLES = (
    "dynalab trace                                the last 200 events",
    "dynalab trace --key cart --limit 50",
    "dynalab trace --request 4d2eafd3d81ed262     one request at every node; `traceId` of an answer or a log line",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("--request", metavar="ID", help="only this request: `traceId` of an answer, or X-Trace-Id")
    parser.add_argument("--key", help="only this key")
    parser.add_argument("--limit", type=int, default=200, help="the last so many events, 1 to 10000 (default: 200)")
    remote.add_arguments(parser, via=False)


def run(options: argparse.Namespace) -> int:
    """Tell; 1 when nothing matches."""
    from dynalab.cli import DONE, FAILED

    query = {"request": options.request, "key": options.key, "limit": options.limit}
    told = remote.Remote(options).ask("GET", "/debug/trace", query=query)
    if options.json:
        print_json(told)
    else:
        for event in told["events"]:
            print(f"{event['timeMs']:12.3f}  {event['text']}")
        if told["gaps"]:
            print(f"{told['gaps']} events were not recorded")
    return DONE if told["events"] else FAILED
