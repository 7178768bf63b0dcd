"""S29 and S50 with the kernel's own faults: a cluster in a network namespace whose loopback loses, delays, or is down.

The link rules of `live/transport.py` act on messages; these act on TCP, below ZeroMQ.
A kernel, or a container, may refuse either; then the test is skipped, with the reason.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

STORMY = "delay 20ms 15ms distribution normal loss 5% duplicate 5% reorder 20% 50%"

PROGRAM = """
import subprocess, sys
from dynalab.core.errors import DynalabError
from tests.worlds import World

def sh(command):
    subprocess.run(command.split(), check=True)

sh("ip link set lo up")
begin, end = sys.argv[1:]
founded = []
world = World("live", founded.append)
try:
    cluster = world.found(storage="log", timeout_ms=500)
    clients = [cluster.client(f"c{node}", via=node) for node in cluster.nodes]
    acked = {}

    def put(number):
        try:
            clients[number % 5].put(f"k{number % 8}", number, timeout_ms=500)
            acked[number] = True
        except DynalabError as error:
            assert not error.definite, error

    for number in range(20):
        put(number)
    sh(begin)
    for number in range(20, 36):
        put(number)
    sh(end)
    for number in range(36, 56):
        put(number)
    cluster.settle(timeout_ms=60_000)
    assert len(acked) >= 20, acked
    world.holds(cluster)
    print("acknowledged", len(acked), "of 56")
finally:
    for cluster in founded:
        cluster.close()
"""


def _namespaced(*command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a network namespace of its own, which has only a loopback."""
    unshare = shutil.which("unshare")
    if unshare is None or shutil.which("ip") is None:
        pytest.skip("needs the programs unshare and ip (Debian: util-linux, iproute2)")
    root = Path(__file__).parent.parent.parent
    return subprocess.run(
        [unshare, "--net", *command], capture_output=True, text=True, check=False, cwd=root, timeout=110
    )


@pytest.mark.live
@pytest.mark.root
@pytest.mark.slow
@pytest.mark.parametrize(
    ("begin", "end"),
    [
        ("ip link set lo down", "ip link set lo up"),
        (f"tc qdisc add dev lo root netem {STORMY}", "tc qdisc del dev lo root"),
    ],
    ids=["outage", "netem"],
)
def test_s29_the_kernel_loses_and_delays(begin: str, end: str):
    """S29: with TCP itself held up, or cut, a write is done or unknown, and all agree in the end (I1, I5, I7)."""
    for refused in (("ip", "link", "set", "lo", "up"), tuple(begin.split())):
        tried = _namespaced(*refused)
        if tried.returncode:
            pytest.skip(f"this kernel or container refuses `{' '.join(refused)}`: {tried.stderr.strip()}")
    ended = _namespaced(sys.executable, "-c", PROGRAM, begin, end)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "acknowledged" in ended.stdout
