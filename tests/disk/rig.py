"""What tests of storage engines share: opening each engine, crashing it, and looking at all it holds."""

from __future__ import annotations

import itertools
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from dynalab.core.store import Hint, Record
from dynalab.core.version import Siblings
from dynalab.disk.log import LogStore
from dynalab.disk.sqlite import SqliteTable
from dynalab.disk.table import open_table


class Engine(NamedTuple):
    """How tests open one engine: ``open(folder, durability="durable", complete=True)``."""

    name: str
    open: Callable[..., Any]


def _log(folder: Path, durability: str = "durable", complete: bool = True) -> Any:
    return LogStore(folder, durability, complete=complete, log_bytes=4_000)


def _sqlite(folder: Path, durability: str = "durable", complete: bool = True) -> Any:
    return open_table(SqliteTable, folder, durability == "durable", complete)


def _rocks(folder: Path, durability: str = "durable", complete: bool = True) -> Any:
    from dynalab.disk.rocks import RocksTable

    return open_table(RocksTable, folder, durability == "durable", complete)


def redis_engine(url: str) -> Engine:
    """The Redis engine on the server at `url`."""
    from dynalab.disk.redis import RedisTable

    def table(folder: Path, durable: bool) -> RedisTable:
        return RedisTable(folder, durable, url)

    def opened(folder: Path, durability: str = "durable", complete: bool = True) -> Any:
        return open_table(table, folder, durability == "durable", complete)

    return Engine("redis", opened)


LOG, SQLITE, ROCKS = Engine("log", _log), Engine("sqlite", _sqlite), Engine("rocks", _rocks)

_copies = itertools.count()


def crash(folder: Path) -> Path:
    """What a killed process leaves of a store that is still open: a copy of its files as they are."""
    left = folder.with_name(f"{folder.name}-after-crash-{next(_copies)}")
    shutil.copytree(folder, left, ignore=shutil.ignore_patterns("LOCK"))
    return left


def record(text: str, actor: str = "A") -> Record:
    """A record with one version that says `text`."""
    return Record(Siblings().put(actor, text.encode(), None), actor)


def hint(home: str, key: bytes, text: str, kept_us: int = 0) -> Hint:
    """A hint for `home`."""
    return Hint(home, key, record(text), kept_us)


def contents(store: Any, names: tuple[str, ...] = ("history", "incarnation")) -> dict[str, Any]:
    """Everything that a store holds, comparable."""
    return {
        "records": {key: store.get(key) for key in sorted(store.keys())},
        "count": len(store),
        "hints": sorted(store.hints(), key=repr),
        "hint_bytes": store.hint_bytes(),
        "small": {name: store.meta(name) for name in names},
    }


@contextmanager
def redis_server(program: str, folder: Path, *options: str) -> Iterator[str]:
    """A Redis server on a socket in `folder`; answers its URL, and ends it in the end."""
    socket = folder / "redis.sock"
    command = [program, "--port", "0", "--unixsocket", str(socket), "--dir", str(folder), "--save", "", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        try:
            lines = itertools.takewhile(lambda line: "ready to accept connections" not in line.lower(), server.stdout)
            said = "".join(lines)
            assert server.poll() is None, said
            yield f"unix://{socket}"
        finally:
            server.kill()
            server.stdout.read()
