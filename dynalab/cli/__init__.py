"""The command line: `dynalab <command>`, and what every command has in common.

A command is a module here with `NAME`, `HELP`, `EXAMPLES`, `add_arguments(parser)` and `run(options)`.
Its heavy imports stay inside `run`, so that `--help` answers at once.

Exit codes: 0, it did what was asked; 1, it did not, and said why;
2, it was not understood, or nobody knows whether it was done (an indefinite error).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec

from dynalab import __version__
from dynalab.core.errors import BadRequest, DynalabError

_ORDER = (
    *("up", "put", "get", "delete", "ring", "inspect", "fault", "trace"),
    *("demo", "lab", "bench", "experiment", "search", "torture"),
    *("exercises", "check", "grade", "restore"),
)
COMMANDS = tuple(name for name in _ORDER if find_spec(f"dynalab.cli.{name}") is not None)
"""The modules of the commands, in the order that help lists them; one that is not installed is not listed."""

DONE, FAILED, NOT_UNDERSTOOD, UNKNOWN = 0, 1, 2, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    options = parser().parse_args(arguments)
    try:
        return int(options.run(options))
    except BadRequest as error:
        print(f"dynalab {options.command}: {error}", file=sys.stderr)
        return NOT_UNDERSTOOD
    except (DynalabError, OSError) as error:
        print(f"dynalab {options.command}: {_words(error)}", file=sys.stderr)
        return FAILED if getattr(error, "definite", True) else UNKNOWN
    except KeyboardInterrupt:
        return FAILED


def _words(error: Exception) -> str:
    """What an error says, without the system's number for it."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror}"
    return str(error)


def parser() -> argparse.ArgumentParser:
    """The grammar of the whole command line."""
    whole = argparse.ArgumentParser(
        prog="dynalab",
        description="A teaching workbench for Amazon's Dynamo paper.",
        epilog="`dynalab <command> --help` has examples.",
    )
    whole.add_argument("--version", action="version", version=f"dynalab {__version__}")
    commands = whole.add_subparsers(dest="command", metavar="<command>", required=True)
    for name in COMMANDS:
        module = import_module(f"dynalab.cli.{name}")
        command = commands.add_parser(
            name,
            help=module.HELP,
            description=f"{module.HELP[0].upper()}{module.HELP[1:]}.",
            epilog="examples:\n" + "\n".join(f"  {example}" for example in module.EXAMPLES),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        module.add_arguments(command)
        command.set_defaults(run=module.run)
    return whole
