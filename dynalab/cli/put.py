"""`dynalab put`: write one key of a running cluster."""

from __future__ import annotations

import argparse
import base64
import json
import sys
from pathlib import Path
from typing import Any

from dynalab.cli import remote
from dynalab.cli.shown import clock_text, print_json
from dynalab.core.errors import BadRequest

HELP = "write one key of a running cluster"
EXAMPLES = (
    "dynalab put cart milk                        a text",
    "dynalab put cart '[\"milk\"]' --parse          what JSON can say",
    "dynalab put photo --file cat.jpg --w 3       the bytes of a file, on three nodes before it answers",
    "dynalab put cart tea --via B --blind         through node B, replacing nothing: siblings",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("key", help="a text of 1 to 1024 bytes")
    parser.add_argument("value", nargs="?", help="a text; - reads it from the standard input")
    parser.add_argument("--parse", action="store_true", help="the value is JSON")
    parser.add_argument("--file", type=Path, help="the value is what this file holds")
    add_write_arguments(parser)


def add_write_arguments(parser: argparse.ArgumentParser) -> None:
    """What put and delete have in common."""
    seen = parser.add_mutually_exclusive_group()
    seen.add_argument("--context", metavar="TEXT", help="what you have seen: `context` of a get or an answer, as JSON")
    seen.add_argument("--blind", action="store_true", help="you have seen nothing: replace nothing")
    parser.add_argument("--n", type=int, help="replicas, at most the cluster's N")
    parser.add_argument("--w", type=int, help="stored replicas to wait for (default: the cluster's W)")
    parser.add_argument("--op-id", metavar="NAME", help="the same name again makes a retry the same write")
    remote.add_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Write; 0 when W nodes have stored it, 2 when that is not known."""
    from dynalab.cli import DONE

    body = {**_value(options), **write_options(options)}
    answer = remote.Remote(options).ask("PUT", remote.key_path(options.key), body)
    print_written(answer, options.json)
    return DONE


def _value(options: argparse.Namespace) -> dict[str, Any]:
    if (options.value is None) == (options.file is None):
        raise BadRequest("name one value: as text, as - for the standard input, or as --file")
    if options.file is not None:
        return {"valueBase64": base64.b64encode(options.file.read_bytes()).decode()}
    text = sys.stdin.read() if options.value == "-" else options.value
    if not options.parse:
        return {"value": text}
    try:
        return {"value": json.loads(text)}
    except ValueError as error:
        raise BadRequest(f"the value is not JSON: {error}; without --parse it is a text") from None


def write_options(options: argparse.Namespace) -> dict[str, Any]:
    """The fields of a body that put and delete have in common."""
    given = {"N": options.n, "W": options.w, "opId": options.op_id, "context": options.context, "nodeId": "dynalab"}
    body = {name: value for name, value in given.items() if value is not None}
    return {**body, "context": None} if options.blind else body


def print_written(answer: remote.Answer, as_json: bool) -> None:
    """What a put or a delete has reached."""
    if as_json:
        print_json(answer)
        return
    kept = "".join(f", kept by {holder} for {home}" for holder, home in answer["hinted"].items())
    done = "deleted" if answer["tombstone"] else "stored"
    print(f"{done} on {', '.join(answer['nodes'])}{kept}; clock {clock_text(answer['vectorClock'])}")
