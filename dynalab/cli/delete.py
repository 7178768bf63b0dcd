"""`dynalab delete`: delete one key of a running cluster."""

from __future__ import annotations

import argparse

from dynalab.cli import remote
from dynalab.cli.put import add_write_arguments, print_written, write_options

HELP = "delete one key of a running cluster"
EXAMPLES = (
    "dynalab delete cart",
    "dynalab delete cart --w 3 --json",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes."""
    parser.add_argument("key", help="a text of 1 to 1024 bytes")
    add_write_arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Delete; 0 when W nodes have stored the deletion, 2 when that is not known."""
    from dynalab.cli import DONE

    answer = remote.Remote(options).ask("DELETE", remote.key_path(options.key), write_options(options))
    print_written(answer, options.json)
    return DONE
