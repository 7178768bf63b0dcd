"""`dynalab up`: a cluster with one HTTP port per node, until Ctrl-C."""

from __future__ import annotations

import argparse
import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from dynalab.cli.clusterfile import SERVED, ClusterFile, documented, read
from dynalab.cli.shown import print_json, print_table, waiting
from dynalab.core.errors import InvalidSetting

if TYPE_CHECKING:
    from dynalab.http import Gateway
    from dynalab.live.cluster import Cluster

LOOK_S = 1.0
"""How often to look whether the cluster has closed itself, which it does only with `close_after_ms`."""

HELP = "start a cluster with one HTTP port per node, and keep it until Ctrl-C"
EXAMPLES = (
    "dynalab up                                   three nodes A, B, C on ports 8080, 8081, 8082",
    "dynalab up --nodes 5 --http 9000 --set w=1",
    "dynalab up --names ann,bob,cy --ports 5001,5002,5003",
    "dynalab up cluster.toml",
    "dynalab up --example > cluster.toml          a file with every key, its default and what it means",
    "curl localhost:8080/metrics                  while it runs: what Prometheus scrapes from every port",
    "curl localhost:8080/admin/dashboard          a Grafana dashboard of it (dynalab/gateway/dashboard.json)",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What the command takes; what is said here has precedence over the file."""
    parser.add_argument("file", nargs="?", type=Path, help="a cluster.toml")
    who = parser.add_mutually_exclusive_group()
    who.add_argument("--nodes", type=int, help="how many (default: 3)")
    who.add_argument("--names", help="their names, with commas between")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--http", type=int, metavar="PORT", help="of the first node; the others follow (default: 8080)")
    where.add_argument("--ports", help="of each node, with commas between")
    parser.add_argument("--host", help="where to listen (default: 127.0.0.1, this machine only)")
    parser.add_argument("--token", help="a bearer token that every request needs")
    parser.add_argument("--log", metavar="FILE", help="one JSON line per request into this file; - is the error stream")
    parser.add_argument("--data-dir", metavar="FOLDER", help="keep the data there (default: it goes with the cluster)")
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a setting of the cluster, like w=1; repeatable",
    )
    parser.add_argument("--example", action="store_true", help="print a cluster.toml with every key, and end")
    parser.add_argument("--json", action="store_true", help="print one JSON object when the cluster is ready")


def run(options: argparse.Namespace) -> int:
    """Start, wait for Ctrl-C or SIGTERM, end cleanly; 0 unless it could not start."""
    from dynalab.cli import DONE, FAILED

    if options.example:
        print(documented(), end="")
        return DONE
    asked = _asked(options)
    missing = [name for name in ("fastapi", "uvicorn", "prometheus_client") if find_spec(name) is None]
    if missing:
        print(f'dynalab up: {missing[0]} is not installed; pip install "dynalab[http]"', file=sys.stderr)
        return FAILED
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with contextlib.ExitStack() as stack:
        with waiting("starting the nodes ...", quiet=options.json):
            cluster, gateway = _started(asked, stack)
        _say(cluster, gateway, options.json)
        while not ended.wait(LOOK_S) and not cluster.closed:
            pass
        if not options.json:
            print(f"ending: {cluster!r}" if cluster.closed else "ending ...", flush=True)
    return DONE


def _started(asked: ClusterFile, stack: contextlib.ExitStack) -> tuple[Cluster, Gateway]:
    """The running cluster and its ports, both ended with `stack`."""
    from dynalab.gateway.access import PROTECT, Token
    from dynalab.http import Gateway
    from dynalab.live.cluster import Cluster

    http = asked.http
    if http.protect not in PROTECT:
        raise InvalidSetting(f"protect must be one of {', '.join(PROTECT)}; got {http.protect!r:.80}")
    tokens = [
        Token(**{"secret" if name == "token" else name: _fixed(value) for name, value in token.items()})
        for token in http.tokens
    ]
    log = stack.enter_context(_log(http.log))
    cluster = stack.enter_context(Cluster(asked.nodes, **_with_config(asked)))
    gateway = Gateway(cluster, http.port, http.ports or None, http.host, tokens, http.protect, log)
    return cluster, stack.enter_context(gateway)


def _fixed(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _with_config(asked: ClusterFile) -> dict[str, Any]:
    """Settings as `Cluster` takes them: an empty text for a folder is none."""
    settings = dict(asked.settings)
    if not settings.get("data_dir"):
        settings.pop("data_dir", None)
    return {"name": "up", **SERVED, **settings}


@contextlib.contextmanager
def _log(path: str) -> Iterator[IO[str] | None]:
    if path in ("", "-"):
        yield sys.stderr if path else None
        return
    with Path(path).open("a", encoding="utf-8") as file:
        yield file


def _asked(options: argparse.Namespace) -> ClusterFile:
    """The file, with what the command line says instead."""
    asked = read(options.file) if options.file is not None else ClusterFile()
    if options.nodes is not None or options.names is not None:
        asked.nodes = options.nodes if options.names is None else _words(options.names)
    asked.settings |= dict(_setting(text) for text in options.set)
    if options.data_dir is not None:
        asked.settings["data_dir"] = options.data_dir
    http = asked.http
    if options.http is not None or options.ports is not None:
        http.port, http.ports = options.http or 0, _numbers(options.ports) if options.ports else []
    http.host = options.host or http.host
    http.log = options.log if options.log is not None else http.log
    http.tokens = [{"token": options.token}] if options.token else http.tokens
    return asked


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",")]


def _numbers(text: str) -> list[int]:
    try:
        return [int(word) for word in _words(text)]
    except ValueError:
        raise InvalidSetting(f"--ports takes numbers with commas between; got {text!r:.80}") from None


def _setting(text: str) -> tuple[str, Any]:
    """``w=1`` as a name and a value: a number, true, false, a table or list in TOML, or else a text."""
    import tomllib

    name, sign, value = text.partition("=")
    if not sign:
        raise InvalidSetting(f"--set takes NAME=VALUE; got {text!r:.80}")
    try:
        return name.strip(), tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        return name.strip(), value


def _say(cluster: Cluster, gateway: Gateway, as_json: bool) -> None:
    processes = cluster.processes()
    nodes = {node: {"url": gateway.url(node), "pid": processes.get(node)} for node in gateway.ports}
    if as_json:
        print_json({"nodes": nodes})
        sys.stdout.flush()
        return
    quorum = f"N={cluster.config.n} R={cluster.config.r} W={cluster.config.w}"
    print_table(("node", "address", "process"), [[node, at["url"], at["pid"]] for node, at in nodes.items()], quorum)
    first = gateway.url()
    print(f"curl -X PUT {first}/kv/cart -H 'Content-Type: application/json' -d '{{\"value\": [\"milk\"]}}'")
    print(f"curl {first}/kv/cart          {first}/ has the rest; Ctrl-C ends it", flush=True)
