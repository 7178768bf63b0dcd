"""The Redis engine: a node whose persistence is another process (paper 5).

Needs the package redis (``dynalab[disk]``) and a Redis server, named by the environment variable `DYNALAB_REDIS`:
``redis://127.0.0.1:6379/0`` when it is not set, ``unix:///path/to/socket`` for one without a port.

Theory of operation.
The node's folder holds the name of its store in the server, and the mark.
A store is one hash of names and values, and one sorted set of the names, for scans in order.
A commit is one ``MULTI``; the server answers it when it is as durable as its own settings say,
so those must be what the cluster promises: ``appendonly yes``, and ``appendfsync always`` for durable.
A buffered cluster that wants the one durable write of 6.1 needs ``appendfsync always`` as well, on some servers:
a server that syncs every second cannot be asked to do so at once.

Rule 1: a server that keeps less than is promised is refused when the store is opened.
Rule 2: a server that forgot commits is found out by the mark.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from errno import EIO
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from dynalab.core.errors import InvalidSetting
from dynalab.disk import files

URL_VARIABLE = "DYNALAB_REDIS"
URL = "redis://127.0.0.1:6379/0"
SCAN_NAMES = 500


class RedisTable:
    """`dynalab.disk.table.Table` in a Redis server.

    Args:
        folder: holds the name of the store.
        durable: the server must sync every commit.
        url: of the server; default: the environment variable, then this machine's.

    Raises:
        InvalidSetting: the server keeps less than is promised.
        OSError: there is no server.
    """

    def __init__(self, folder: Path, durable: bool, url: str | None = None) -> None:
        self.damage: list[str] = []
        self.url = url or os.environ.get(URL_VARIABLE, URL)
        name = _name(folder / "redis-name")
        self._values, self._names = f"dynalab:{name}:values", f"dynalab:{name}:names"
        self._server: Any = Redis.from_url(self.url, socket_timeout=30)
        with _as_os_error(self.url):
            self._refuse_forgetful(durable)

    def _refuse_forgetful(self, durable: bool) -> None:
        settings = self._server.config_get("append*")
        wanted = {"appendonly": "yes", **({"appendfsync": "always"} if durable else {})}
        lacking = {name: value for name, value in wanted.items() if settings.get(name) != value}
        if lacking:
            options = " ".join(f"--{name} {value}" for name, value in lacking.items())
            raise InvalidSetting(f"the Redis server at {self.url} keeps less than is promised: start it with {options}")

    def get(self, name: bytes) -> bytes | None:
        with _as_os_error(self.url):
            value: bytes | None = self._server.hget(self._values, name)
        return value

    def scan(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        last = b"[" + prefix + b"\xff" * 2048
        first = b"[" + prefix
        with _as_os_error(self.url):
            while names := self._server.zrangebylex(self._names, first, last, 0, SCAN_NAMES):
                yield from zip(names, self._server.hmget(self._values, names), strict=True)
                first = b"(" + names[-1]

    def write(self, changes: Mapping[bytes, bytes | None]) -> None:
        kept = {name: value for name, value in changes.items() if value is not None}
        removed = [name for name, value in changes.items() if value is None]
        with _as_os_error(self.url):
            batch = self._server.pipeline(transaction=True)
            if kept:
                batch.hset(self._values, mapping=kept)
                batch.zadd(self._names, dict.fromkeys(kept, 0))
            if removed:
                batch.hdel(self._values, *removed)
                batch.zrem(self._names, *removed)
            batch.execute()

    def sync(self) -> None:
        """Nothing is left to do: an answered commit is in the server's hands, as rule 1 made sure."""
        with _as_os_error(self.url):
            self._server.ping()

    def close(self) -> None:
        self._server.close()


def _name(path: Path) -> str:
    """The store's name in the server: made once, kept in the node's folder, so that a wiped folder is a new store."""
    if not path.exists():
        partial = path.with_suffix(".partial")
        partial.write_text(secrets.token_hex(8))
        partial.replace(path)
        files.sync_folder(path.parent)
    return path.read_text()


@contextmanager
def _as_os_error(url: str) -> Iterator[None]:
    """What Redis cannot do, the device could not do."""
    try:
        yield
    except RedisError as error:
        raise OSError(EIO, f"the Redis server at {url} ({URL_VARIABLE}): {error}") from error
