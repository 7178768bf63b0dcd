"""`dynalab up` and the commands that talk to it: real processes, real ports, exit codes."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from unittest import mock

import psutil
import pytest

from dynalab.cli import main
from dynalab.cli.clusterfile import SERVED, HttpSettings, read
from dynalab.core.config import CLOCKS, DURABILITIES, STORAGES, Config, setting_names

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.live

DYNALAB = [sys.executable, "-m", "dynalab"]


@dataclass
class Up:
    """A running `dynalab up --json`."""

    program: subprocess.Popen[str]
    nodes: dict[str, Any]

    @property
    def url(self) -> str:
        return next(iter(self.nodes.values()))["url"]

    def end(self, by: int = signal.SIGTERM) -> int:
        """Its exit code."""
        self.program.send_signal(by)
        code = self.program.wait(timeout=30)
        self.program.communicate()
        return code


def up(*arguments: str, cwd: Path | None = None) -> Up:
    """Start it; ports chosen by the system unless the arguments say others."""
    command = [*DYNALAB, "up", "--json", *arguments]
    program = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=cwd)
    assert program.stdout is not None
    line = program.stdout.readline()
    if not line:
        raise AssertionError(program.communicate()[1])
    return Up(program, json.loads(line)["nodes"])


@pytest.fixture(scope="module")
def running() -> Iterator[Up]:
    """Three nodes for tests that leave them as they were."""
    began = up("--http", "0", "--set", "storage=memory", "--set", "timeout_ms=2000")
    yield began
    assert began.end() == 0


def dynalab(running: Up, *arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    """One command against the running cluster, in this process: a Python of its own for each would take a minute."""
    return ran(*arguments, text=text, DYNALAB_URL=running.url)


def ran(*arguments: str, text: str = "", **environment: str) -> subprocess.CompletedProcess[str]:
    """What `dynalab` says and how it ends."""
    out, err = io.StringIO(), io.StringIO()
    with (
        mock.patch.dict(os.environ, environment),
        mock.patch("sys.stdin", io.StringIO(text)),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            code = main(arguments)
        except SystemExit as ended:
            code = int(ended.code or 0)
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


def told(running: Up, *arguments: str) -> Any:
    """The JSON of one command that went well."""
    finished = dynalab(running, *arguments, "--json")
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout)


# Keys ------------------------------------------------------------------------------------------


def test_put_get_delete(running, tmp_path):
    """A text, JSON, standard input and a file's bytes come back; what was deleted exits 1 and says so."""
    assert dynalab(running, "put", "cart", "milk").stdout.startswith("stored on A, ")
    assert dynalab(running, "get", "cart").stdout == "milk\n"
    assert told(running, "put", "cart", '["milk"]', "--parse", "--w", "3", "--via", "B")["coordinator"] == "B"
    assert told(running, "get", "cart", "--r", "3")["value"] == ["milk"]
    assert dynalab(running, "put", "letter", "-", text="dear all").returncode == 0
    assert dynalab(running, "get", "letter").stdout == "dear all\n"
    (tmp_path / "picture").write_bytes(b"\x00\xffpicture")
    assert dynalab(running, "put", "picture", "--file", str(tmp_path / "picture")).returncode == 0
    raw = subprocess.run([*DYNALAB, "get", "picture", "--raw", "--url", running.url], capture_output=True, check=False)
    assert raw.stdout == b"\x00\xffpicture"
    assert dynalab(running, "delete", "cart").stdout.startswith("deleted on")
    gone = dynalab(running, "get", "cart")
    assert (gone.returncode, gone.stdout) == (1, "")
    assert "was deleted" in gone.stderr


def test_siblings_are_shown_with_their_clocks(running):
    """Two blind puts: a table of both, and which one was resolved; a put with the context replaces both."""
    dynalab(running, "put", "shelf", "first", "--blind", "--w", "3")
    dynalab(running, "put", "shelf", "second", "--blind", "--w", "3")
    shown = dynalab(running, "get", "shelf")
    assert shown.returncode == 0
    assert "2 siblings" in shown.stdout
    assert "[A1]" in shown.stdout
    assert "resolved by LWW: second" in shown.stdout
    context = told(running, "get", "shelf")["context"]
    dynalab(running, "put", "shelf", "both", "--context", context)
    assert dynalab(running, "get", "shelf").stdout == "both\n"


def test_a_key_may_be_any_text(running):
    """Slashes, blanks and other scripts travel as they are."""
    for key in ("a/b c", "caf\u00e9?", "50%", "\u9375"):
        assert dynalab(running, "put", key, "here").returncode == 0
        assert dynalab(running, "get", key).stdout == "here\n"


# Looking and breaking --------------------------------------------------------------------------


def test_ring_inspect_and_trace_tell_of_a_put(running):
    """Where a key lives, what each node holds of it, and its way through the nodes."""
    trace_id = told(running, "put", "where", "here", "--w", "3")["traceId"]
    ring = dynalab(running, "ring", "--key", "where")
    assert ring.returncode == 0
    assert "'where' lives on" in ring.stdout
    assert {node["node"]: node["pid"] for node in told(running, "ring")["nodes"]} == {
        node: at["pid"] for node, at in running.nodes.items()
    }
    assert dynalab(running, "inspect", "--key", "where").stdout.count("replica") == 3
    assert "where" in dynalab(running, "inspect", "B").stdout
    lines = dynalab(running, "trace", "--request", trace_id).stdout
    assert "client:http-A -> A ClientPut 'where'" in lines
    assert dynalab(running, "trace", "--request", "never-asked").returncode == 1


def test_faults_are_caused_shown_and_ended():
    """Each verb says what is so now; a ring with a node down exits 1; a write without its quorum exits 2: unknown."""
    running = up("--http", "0", "--set", "storage=memory")
    assert "A and B do not hear each other" in dynalab(running, "fault", "partition", "A", "BC").stdout
    cut = dynalab(running, "put", "cut", "1", "--w", "3")
    assert cut.returncode == 2
    assert "WriteQuorumNotReached" in cut.stderr
    assert "the network has no fault" in dynalab(running, "fault", "heal").stdout
    assert told(running, "fault", "link", "A", "B", "--drop", "0.3", "--delay-ms", "5", "50")["links"]
    assert told(running, "fault", "heal")["links"] == []
    assert told(running, "fault", "skew", "A", "-5000")["states"]["A"] == "up"
    assert told(running, "fault", "crash", "C")["states"]["C"] == "crashed"
    assert dynalab(running, "ring").returncode == 1
    assert dynalab(running, "inspect", "C").returncode == 1
    assert told(running, "fault", "recover", "C")["states"]["C"] == "up"
    assert told(running, "fault", "settle")["states"] == dict.fromkeys("ABC", "up")
    assert dynalab(running, "fault").stdout.count("up") == 3
    assert running.end() == 0


@pytest.mark.parametrize(
    "arguments",
    [
        ["put", "cart"],
        ["put", "cart", "milk", "--file", "x"],
        ["put", "cart", "{", "--parse"],
        ["put", "cart", "milk", "--w", "9"],
        ["put", "cart", "milk", "--via", "Z"],
        ["put", "cart", "milk", "--context", "nonsense"],
        ["put", "", "milk"],
        ["get", "cart", "--r", "0"],
        ["get", "cart", "--url", "ftp://there"],
        ["inspect"],
        ["inspect", "Z"],
        ["fault", "crash", "Z"],
        ["fault", "resume", "A"],
        ["fault", "melt"],
        ["trace", "--limit", "0"],
    ],
)
def test_misuse_is_2_and_says_why(running, arguments):
    """What a command cannot do as it was said is exit code 2, with a reason and no traceback."""
    finished = dynalab(running, *arguments)
    assert finished.returncode == 2
    assert "dynalab" in finished.stderr
    assert "Traceback" not in finished.stderr
    assert finished.stdout == ""


def test_where_nothing_listens_is_1_with_a_remedy(running):
    """Without a running cluster, the text says how to start one."""
    finished = dynalab(running, "get", "cart", "--url", "http://127.0.0.1:9")
    assert finished.returncode == 1
    assert "start a cluster with `dynalab up`" in finished.stderr


# dynalab up ------------------------------------------------------------------------------------


def test_ctrl_c_ends_every_process_and_exits_0(tmp_path):
    """On SIGINT the nodes end, an explicit data folder stays, and another `up` finds the data there."""
    arguments = ("--names", "ann,bob,cy", "--http", "0", "--data-dir", str(tmp_path / "data"))
    first = up(*arguments)
    assert list(first.nodes) == ["ann", "bob", "cy"]
    assert dynalab(first, "put", "kept", "here", "--w", "3").returncode == 0
    processes = [psutil.Process(at["pid"]) for at in first.nodes.values()]
    assert first.end(signal.SIGINT) == 0
    _, alive = psutil.wait_procs(processes, timeout=10)
    assert not alive
    second = up(*arguments)
    assert dynalab(second, "get", "kept").stdout == "here\n"
    assert second.end() == 0


def test_a_cluster_file_says_it_all_and_the_command_line_more(tmp_path):
    """cluster.toml names nodes, settings, ports, tokens and log; what the command line says has precedence."""
    (tmp_path / "cluster.toml").write_text(
        """
        [cluster]
        nodes = ["x", "y"]
        n = 2
        w = 1
        storage = "memory"
        mergers = {"set:" = "set_union"}
        [http]
        port = 0
        log = "requests.jsonl"
        [[http.tokens]]
        token = "secret"
        prefixes = ["set:"]
        admin = false
        """,
        encoding="utf-8",
    )
    began = up("cluster.toml", "--set", "w=2", cwd=tmp_path)
    assert list(began.nodes) == ["x", "y"]
    assert dynalab(began, "get", "set:1").returncode == 1
    assert "Unauthorised" in dynalab(began, "get", "set:1").stderr
    for element in ("1", "2"):
        assert dynalab(began, "put", "set:1", f"[{element}]", "--parse", "--blind", "--token", "secret").returncode == 0
    assert told(began, "get", "set:1", "--token", "secret")["value"] == [1, 2]
    assert dynalab(began, "put", "other", "1", "--token", "secret").returncode == 1
    assert told(began, "ring", "--token", "secret")["w"] == 2
    assert began.end() == 0
    log = [json.loads(line) for line in (tmp_path / "requests.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {"PUT", "GET"} <= {line["method"] for line in log}


@pytest.mark.parametrize(
    ("arguments", "file"),
    [
        (["--nodes", "0"], ""),
        (["--names", "a,a"], ""),
        (["--ports", "1,2"], ""),
        (["--ports", "one,two,three"], ""),
        (["--set", "w"], ""),
        (["--set", "w=9"], ""),
        (["--set", "speed=9"], ""),
        (["--nodes", "2", "--names", "a,b"], ""),
        (["cluster.toml"], "[cluster]\nnode = 3"),
        (["cluster.toml"], "[http]\nprotect = 'some'"),
        (["cluster.toml"], "[http]\nport = 'x'"),
        (["cluster.toml"], "[[http.tokens]]\nprefixes = []"),
        (["cluster.toml"], "[net]\nport = 1"),
        (["cluster.toml"], "nodes = 3"),
        (["cluster.toml"], "[cluster"),
    ],
)
def test_what_up_cannot_be_told_is_2(arguments, file, tmp_path, monkeypatch):
    """A wrong file or option is refused with a reason, and nothing stays running."""
    (tmp_path / "cluster.toml").write_text(file, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("signal.signal", lambda *_: None)  # Signals of these tests are pytest's.
    finished = ran("up", *arguments)
    assert finished.returncode == 2, finished.stderr
    assert "dynalab" in finished.stderr
    assert "Traceback" not in finished.stderr


def test_a_mistake_ends_the_program_with_2(tmp_path):
    """The same as a program: exit code 2, one line on the error stream, nothing else."""
    command = [*DYNALAB, "up", "--set", "w=9"]
    finished = subprocess.run(command, capture_output=True, text=True, check=False, timeout=100)
    assert (finished.returncode, finished.stdout) == (2, "")
    assert finished.stderr == "dynalab up: w must be from 1 to n=3; got 9\n"


def test_it_ends_by_itself_only_when_told_so():
    """What is served stays until Ctrl-C; with `close_after_ms` it ends when nobody has used it for so long."""
    began = up("--http", "0", "--nodes", "1", "--set", "storage=memory", "--set", "close_after_ms=300")
    assert began.program.wait(timeout=60) == 0
    began.program.communicate()


def test_a_taken_port_is_1(running, monkeypatch):
    """A port that somebody else has is named, and nothing stays running."""
    port = running.url.rpartition(":")[2]
    monkeypatch.setattr("signal.signal", lambda *_: None)
    finished = ran("up", "--http", port, "--set", "storage=memory")
    assert finished.returncode == 1
    assert f"port {port}" in finished.stderr


def test_the_example_file_documents_every_setting_and_works(tmp_path):
    """`--example` names every setting with its default and its meaning; its defaults, said aloud, change nothing."""
    shown = ran("up", "--example").stdout
    for name in setting_names():
        assert f"\n#{name} = " in shown, name
    entries = {name: words for words, name in re.findall(r"((?:^# .*\n)+)#(\w+) = ", shown, re.MULTILINE)}
    assert set(setting_names()) <= set(entries), "each has a sentence above it"
    assert 'One of "plain", "hot", "cold".' in entries["repair_order"]
    for name, allowed in {"storage": STORAGES, "durability": DURABILITIES, "clocks": CLOCKS}.items():
        assert all(f'"{choice}"' in entries[name] for choice in allowed), name
    assert "\n#w = 2\n" in shown
    assert "sloppy quorum" in shown
    path = tmp_path / "cluster.toml"
    path.write_text(re.sub(r"^#(?=[a-z])", "", shown, flags=re.MULTILINE).partition("#[[")[0], encoding="utf-8")
    said = read(path)
    assert Config(**{**said.settings, "data_dir": said.settings["data_dir"] or None}) == Config(**SERVED)
    assert (said.nodes, said.http) == (3, HttpSettings())
