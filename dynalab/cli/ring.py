"""`dynalab ring`: the nodes of a running cluster, and where a key lives."""

from __future__ import annotations

import argparse

from dynalab.cli import remote
from dynalab.cli.shown import print_json, print_table

HELP = "show the nodes of a running cluster, and where a key lives"
EXAMPLES = (
    "dynalab ring",
    "dynalab ring --key cart      the key's preference list",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("--key", help="whose preference list to show")
    remote.add_arguments(parser, via=False)


def run(options: argparse.Namespace) -> int:
    """Show the ring; 1 when a node is not up."""
    from dynalab.cli import DONE, FAILED

    there = remote.Remote(options)
    ring, health = there.ask("GET", "/admin/ring", query={"key": options.key}), there.ask("GET", "/admin/health")
    is_whole = all(node["state"] == "up" for node in ring["nodes"])
    if options.json:
        print_json(ring)
        return DONE if is_whole else FAILED
    rows = [
        [
            node["node"],
            node["state"],
            node["port"],
            node["pid"],
            f"{node['share']:.0%}",
            health["hints"].get(node["node"]),
        ]
        for node in ring["nodes"]
    ]
    title = f"N={ring['n']} R={ring['r']} W={ring['w']}, placement by strategy {ring['strategy']}"
    print_table(("node", "state", "port", "process", "of all keys", "hints kept"), rows, title)
    if "key" in ring:
        found = ring["key"]
        print(f"{found['key']!r} lives on {', '.join(found['preferenceList'])}", end="")
        print(f"; {', '.join(found['fallbacks'])} stand in" if found["fallbacks"] else "")
    for fault in health["faults"]:
        print(fault)
    return DONE if is_whole else FAILED
