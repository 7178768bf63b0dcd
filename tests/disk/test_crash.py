"""Real processes, really killed: what was acknowledged is there (S23)."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import THOROUGH
from tests.disk.rig import LOG, SQLITE, Engine

ROOT = Path(__file__).parents[2]

#: Writes in batches for ever, and says which number is safe after each commit.
WRITER = """
import sys
from pathlib import Path
from tests.disk.rig import {engine} as engine, record
store = engine.open(Path({folder!r}), {durability!r})
number = {start}
while True:
    for _ in range(number % 5 + 1):
        number += 1
        store.begin()
        store.put(b"key-%d" % (number % 40), record(f"{{number}} " + "x" * (number * 37 % 3000)))
        store.put_meta("last", number)
    store.commit()
    print(number, flush=True)
"""

#: Writes until the limit on file sizes stops it, and says what is safe.
FULL = """
import resource
from pathlib import Path
from tests.disk.rig import record
from dynalab.disk.log import LogStore
store = LogStore(Path({folder!r}))
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
for number in range(100):
    store.put(b"key-%d" % number, record("x" * 1000))
    try:
        store.commit()
    except OSError as error:
        print("stopped", error.errno, flush=True)
        break
    print(number, flush=True)
"""


def _killed_writer(engine: Engine, folder: Path, durability: str, start: int, acks: int) -> int:
    """The last number that a writer acknowledged before it was killed."""
    program = WRITER.format(engine=engine.name.upper(), folder=str(folder), durability=durability, start=start)
    command = [sys.executable, "-c", program]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment) as writer:
        assert writer.stdout is not None
        heard = [writer.stdout.readline() for _ in range(acks)]
        writer.send_signal(signal.SIGKILL)
        heard += writer.stdout.readlines()
    whole = [line for line in heard if line.endswith("\n")]
    return int(whole[-1])


@pytest.mark.parametrize("durability", ["durable", "buffered"])
@pytest.mark.parametrize("engine", [LOG, SQLITE], ids=lambda engine: engine.name)
def test_a_killed_process_keeps_its_word(engine: Engine, durability: str, tmp_path: Path) -> None:
    """Killed at any point, again and again, a store has every acknowledged write, and is complete."""
    dice = random.Random(f"{engine.name} {durability}")
    last = 0
    for _ in range(50 if THOROUGH else 4):
        acked = _killed_writer(engine, tmp_path / "s", durability, last, dice.randint(1, 150))
        store = engine.open(tmp_path / "s", durability)
        assert (store.complete, store.damage) == (True, [])
        last = store.meta("last")
        assert last >= acked
        for number in range(max(1, last - 39), last + 1):
            kept = store.get(b"key-%d" % (number % 40))
            assert int(kept.siblings.values[0].split()[0]) == number
        store.close()


def test_a_full_disk_stops_the_store_and_keeps_its_word(tmp_path: Path) -> None:
    """When there is no room the commit is an OSError; what was acknowledged is there, and nothing else."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", FULL.format(folder=str(tmp_path / "s"))]
    run = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, env=environment)
    *acked, stopped = run.stdout.splitlines()
    assert stopped.startswith("stopped")
    assert len(acked) > 5
    store = LOG.open(tmp_path / "s")
    assert (store.complete, store.damage) == (True, [])
    assert sorted(store.keys()) == sorted(b"key-%s" % number.encode() for number in acked)
    store.close()
