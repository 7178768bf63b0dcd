"""`dynalab inspect`: the inside of one node of a running cluster, or of one key on every node."""

from __future__ import annotations

import argparse
import base64
from typing import Any

from dynalab.cli import remote
from dynalab.cli.shown import clock_text, print_json, print_table
from dynalab.core.errors import BadRequest

HELP = "look inside a node of a running cluster, or at a key on every node"
EXAMPLES = (
    "dynalab inspect B                records, hints, whom it believes down, counters",
    "dynalab inspect --key cart       what every node holds of this key",
    "dynalab inspect B --json",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("node", nargs="?", help="its name")
    parser.add_argument("--key", help="what every node holds of this key, instead")
    remote.add_arguments(parser, via=False)


def run(options: argparse.Namespace) -> int:
    """Look."""
    from dynalab.cli import DONE

    if (options.node is None) == (options.key is None):
        raise BadRequest("name a node, or a key with --key")
    there = remote.Remote(options)
    if options.key is not None:
        told = there.ask("GET", remote.key_path(options.key, "/debug/siblings/"))
    else:
        told = there.ask("GET", remote.key_path(options.node, "/admin/inspect/"))
    if options.json:
        print_json(told)
    elif options.key is not None:
        _print_key(told)
    else:
        _print_node(told)
    return DONE


def _print_key(told: remote.Answer) -> None:
    rows = []
    for node, replica in told["replicas"].items():
        rows += [[node, "replica", _value(each), clock_text(each["vectorClock"])] for each in replica["siblings"]]
        for home, kept in told["hints"].get(node, {}).items():
            rows += [[node, f"for {home}", _value(each), clock_text(each["vectorClock"])] for each in kept["siblings"]]
    print_table(("node", "kept as", "value", "clock"), rows, f"{told['key']!r} on {', '.join(told['preferenceList'])}")


def _value(sibling: dict[str, Any]) -> str:
    if sibling["tombstone"]:
        return "(deleted)"
    return str(sibling["value"]) if "value" in sibling else repr(base64.b64decode(sibling["valueBase64"]))[:80]


def _print_node(told: remote.Answer) -> None:
    down = [peer for peer, opinion in told["up"].items() if not opinion["believed_up"]]
    print(f"node {told['node']}, counting as {told['incarnation']}; {told['status']} in the ring")
    print(f"{told['keys']} keys, {told['hint_count']} hints, {len(told['requests'])} requests under way")
    print(f"believes down: {', '.join(down) or 'nobody'}")
    rows = [
        [key, sibling["value"] if not sibling["deleted"] else "(deleted)", clock_text(sibling["clock"])]
        for key, record in told["records"].items()
        for sibling in record["siblings"]
    ]
    if rows:
        print_table(("key", "value", "clock"), rows, "records")
    if told["hints"]:
        print_table(("for", "key", "age, ms"), [[h["home"], h["key"], h["age_ms"]] for h in told["hints"]], "hints")
    if told["counters"]:
        print_table(("counter", "count"), sorted(told["counters"].items()), "since its start")
