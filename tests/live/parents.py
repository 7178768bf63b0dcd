"""A parent process of its own that starts a cluster, so that a test can end it in every way there is."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).parent.parent.parent

PROGRAM = """
import json, sys
import psutil
from dynalab import Cluster

cluster = Cluster({nodes}, storage="memory", anti_entropy_ms=0)
cluster.put("cart", ["milk"])
{then}
pids = [child.pid for child in psutil.Process().children(recursive=True)]
print(json.dumps({{"pids": pids, "folder": str(cluster._owner.folder)}}), flush=True)
sys.stdin.readline()
{end}
"""


@dataclass
class Parent:
    """The process, and what it has started."""

    process: subprocess.Popen[str]
    children: list[psutil.Process]
    folder: Path

    def end_normally(self) -> None:
        """Let the program come to its end."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        self.process.wait(timeout=30)

    def kill(self) -> None:
        """SIGKILL, to it alone."""
        self.process.kill()
        self.process.wait(timeout=30)

    def kill_group(self) -> None:
        """SIGKILL to its process group, as a notebook server does with a kernel."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait(timeout=30)

    def assert_nothing_left(self) -> None:
        """Every process it started is gone, and its runtime folder too."""
        _, alive = psutil.wait_procs(self.children, timeout=20)
        assert not alive
        assert not self.folder.exists()


def start_parent(nodes: int = 3, then: str = "", end: str = "cluster.close()") -> Parent:
    """Start it, and wait until its cluster runs."""
    process = subprocess.Popen(
        [sys.executable, "-c", PROGRAM.format(nodes=nodes, then=then, end=end)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        process_group=0,
    )
    assert process.stdout is not None
    told = json.loads(process.stdout.readline())
    return Parent(process, [psutil.Process(pid) for pid in told["pids"]], Path(told["folder"]))
