"""Storage engines behind the port of `dynalab.core.store` (paper section 5, local persistence engine).

`engines.open_store` opens the one that `Config.storage` names:

    log       memory, an append-only log, snapshots       log.py, frames.py, recovery.py, snapshot.py
    sqlite    one SQLite file                             sqlite.py over table.py
    rocks     RocksDB, of the package rocksdict           rocks.py over table.py
    redis     a Redis server                              redis.py over table.py

All of them keep a mark (`mark.py`), which tells at the next opening whether anything acknowledged is missing.
"""
