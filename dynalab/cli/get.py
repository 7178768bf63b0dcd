"""`dynalab get`: read one key of a running cluster."""

from __future__ import annotations

import argparse
import base64
import json
import sys
from typing import Any

from dynalab.cli import remote
from dynalab.cli.shown import clock_text, print_json, print_table

HELP = "read one key of a running cluster"
EXAMPLES = (
    "dynalab get cart                 its value; or all siblings, and the one that was written last",
    "dynalab get cart --r 3 --json    with clocks and context",
    "dynalab get photo --raw > cat.jpg",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("key", help="a text of 1 to 1024 bytes")
    parser.add_argument("--n", type=int, help="replicas to ask, at most the cluster's N")
    parser.add_argument("--r", type=int, help="answers to wait for (default: the cluster's R)")
    parser.add_argument("--raw", action="store_true", help="write the value's bytes and nothing else")
    remote.add_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Read; 1 when there is no value."""
    from dynalab.cli import DONE, FAILED

    query = {"N": options.n, "R": options.r}
    answer = remote.Remote(options).ask("GET", remote.key_path(options.key), query=query)
    if options.json:
        print_json(answer)
    elif not answer["found"]:
        why = "was deleted" if answer["tombstone"] else "was never written"
        print(f"dynalab get: {options.key!r} {why}, as far as {', '.join(answer['nodes'])} know", file=sys.stderr)
    elif options.raw:
        sys.stdout.buffer.write(base64.b64decode(answer["valueBase64"]))
    else:
        _print(answer)
    return DONE if answer["found"] else FAILED


def _print(answer: remote.Answer) -> None:
    siblings = answer.get("siblings")
    if not siblings:
        print(_text(answer))
        return
    rows = [[_text(each), clock_text(each["vectorClock"])] for each in siblings]
    print_table(("value", "clock"), rows, f"{len(siblings)} siblings")
    print(f"resolved by {answer['resolved']['resolvedBy']}: {_text(answer['resolved'])}")


def _text(told: dict[str, Any]) -> str:
    """A value for people."""
    if told["valueBase64"] is None:
        return "(deleted)"
    if "value" not in told:
        return repr(base64.b64decode(told["valueBase64"]))
    return told["value"] if isinstance(told["value"], str) else json.dumps(told["value"], ensure_ascii=False)
