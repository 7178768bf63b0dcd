"""Which storage engine a node opens (`Config.storage`, `Config.durability`); each is loaded only when it is chosen.

An engine has a folder of its own under the node's, so a cluster can change engines and keep its files.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from dynalab.core.config import Config
from dynalab.core.errors import InvalidSetting
from dynalab.core.store import MemoryStore, Store

Records = Callable[[bytes], list[bytes]]


def open_store(config: Config, folder: Path, complete: bool = True, recovery: Records | None = None) -> Store:
    """The engine that `config` names, opened in `folder`.

    Args:
        config: `storage` says which; ``durability="memory"`` promises nothing, and gets the in-memory engine.
        folder: the node's own.
        complete: False when an empty store means that everything was lost: this is not the node's first start.
        recovery: the part that reads logs.

    Raises:
        InvalidSetting: a package that the engine needs is not installed; the text says which to install.
        PartFailed: the part `recovery` failed.
        OSError: the files, or the server, cannot be used.
    """
    if "memory" in (config.storage, config.durability):
        return MemoryStore(complete)
    try:
        return _OPENERS[config.storage](config, folder / config.storage, complete, recovery)
    except ModuleNotFoundError as error:
        raise InvalidSetting(
            f"storage={config.storage!r} needs the package {error.name!r}: pip install 'dynalab[disk]'"
        ) from error


def _log(config: Config, folder: Path, complete: bool, recovery: Records | None) -> Store:
    from dynalab.disk.log import LogStore

    return LogStore(folder, config.durability, recovery, complete, compress_bytes=config.compress_bytes)


def _sqlite(config: Config, folder: Path, complete: bool, _: Records | None) -> Store:
    from dynalab.disk.sqlite import SqliteTable
    from dynalab.disk.table import open_table

    return open_table(SqliteTable, folder, config.durability == "durable", complete, config.compress_bytes)


def _rocks(config: Config, folder: Path, complete: bool, _: Records | None) -> Store:
    from dynalab.disk.rocks import RocksTable
    from dynalab.disk.table import open_table

    return open_table(RocksTable, folder, config.durability == "durable", complete, config.compress_bytes)


def _redis(config: Config, folder: Path, complete: bool, _: Records | None) -> Store:
    from dynalab.disk.redis import RedisTable
    from dynalab.disk.table import open_table

    return open_table(RedisTable, folder, config.durability == "durable", complete, config.compress_bytes)


_OPENERS = {"log": _log, "sqlite": _sqlite, "rocks": _rocks, "redis": _redis}
