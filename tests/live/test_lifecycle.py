"""Clusters begin and end: whatever happens, nothing is left behind."""

from __future__ import annotations

import contextlib
import gc
import os
import tempfile
from pathlib import Path

import psutil
import pytest

from dynalab.core.errors import BadRequest, InvalidSetting
from dynalab.live import cluster as clusters
from dynalab.live.cluster import Cluster
from dynalab.live.folder import LOGS, Lock, new_runtime_folder, sweep
from dynalab.live.roll import NodeFailed
from tests.live.parents import start_parent

pytestmark = pytest.mark.live

MEMORY = {"storage": "memory", "anti_entropy_ms": 0}


def processes_of(cluster: Cluster) -> list[psutil.Process]:
    keeper = psutil.Process(cluster._owner._keeper.pid)
    return [keeper, *keeper.children()]


def assert_gone(processes: list[psutil.Process], folder: Path) -> None:
    _, alive = psutil.wait_procs(processes, timeout=20)
    assert not alive
    assert not folder.exists()


def test_five_nodes_answer_and_go():
    """Cluster(5) is five processes that answer, and close() ends them and removes their folder."""
    cluster = Cluster(5, **MEMORY)
    processes, folder = processes_of(cluster), cluster._owner.folder
    assert len(processes) == 6
    assert cluster.put("cart", ["milk"]).coordinator in "ABCDE"
    assert cluster.get("cart").value == ["milk"]
    assert repr(cluster) == "<Cluster 5 nodes, 5 up, N=3 R=2 W=2>"
    cluster.close()
    assert_gone(processes, folder)
    assert repr(cluster) == "<Cluster 5 nodes, closed, N=3 R=2 W=2>"


def test_closing_twice_is_fine_and_a_closed_cluster_says_so():
    """close() is idempotent; every later verb is refused with a definite error."""
    cluster = Cluster(1, **MEMORY)
    cluster.close()
    cluster.close()
    for verb in (lambda: cluster.put("k", 1), cluster.heal, cluster.client):
        with pytest.raises(BadRequest, match="closed"):
            verb()


def test_an_exception_in_a_with_block_ends_the_cluster():
    """Leaving the `with` by an exception closes the cluster too."""
    seen = []

    def fail():
        with Cluster(2, **MEMORY) as cluster:
            seen.extend([processes_of(cluster), cluster._owner.folder])
            _ = 1 / 0

    with pytest.raises(ZeroDivisionError):
        fail()
    assert_gone(*seen)


def test_a_forgotten_cluster_is_collected():
    """A cluster that nobody holds any more is closed by the garbage collector."""
    cluster = Cluster(2, name="forgotten", **MEMORY)
    processes, folder = processes_of(cluster), cluster._owner.folder
    del cluster
    gc.collect()
    assert_gone(processes, folder)


def test_running_a_cell_again_replaces_the_cluster():
    """A second cluster of the same name closes the first, also while that has a paused node."""
    first = Cluster(2, **MEMORY)
    first.pause("A")
    processes, folder = processes_of(first), first._owner.folder
    with Cluster(2, **MEMORY) as second, Cluster(2, name="other", **MEMORY) as other:
        assert_gone(processes, folder)
        assert second.put("k", 1).nodes
        assert other.states() == {"A": "up", "B": "up"}


PAUSED = "cluster.pause('B')"


@pytest.mark.parametrize("then", ["", PAUSED], ids=["running", "one paused"])
@pytest.mark.parametrize("end", ["kill", "kill_group"])
def test_a_killed_parent_leaves_nothing(then, end):
    """SIGKILL of the parent, or of its whole process group, ends every node and removes the folder."""
    parent = start_parent(then=then)
    getattr(parent, end)()
    parent.assert_nothing_left()


@pytest.mark.parametrize("end", ["cluster.close()", "", "raise SystemExit(3)", "del cluster; 1/0"])
def test_a_parent_that_ends_leaves_nothing(end):
    """The end of the program closes the cluster, with or without close(), also by an exception."""
    parent = start_parent(then=PAUSED, end=end)
    parent.end_normally()
    parent.assert_nothing_left()


@pytest.mark.parametrize("end", ["kill", "terminate"])
def test_nodes_go_with_their_keeper(start, end):
    """If even the keeper is killed, its nodes end, paused ones too, and close() still removes the folder."""
    cluster = start(3, **MEMORY)
    processes, folder = processes_of(cluster), cluster._owner.folder
    cluster.pause("C")
    getattr(processes[0], end)()
    _, alive = psutil.wait_procs(processes[1:], timeout=20)
    assert not alive
    cluster.close()
    assert_gone(processes, folder)


def test_an_interrupt_while_starting_leaves_nothing(monkeypatch):
    """Ctrl-C before the cluster is up ends what has been started."""
    seen = []

    def interrupted(owner, *_):
        seen.append(owner)
        raise KeyboardInterrupt

    monkeypatch.setattr(clusters.Owner, "found", interrupted)
    with pytest.raises(KeyboardInterrupt):
        Cluster(3, **MEMORY)
    assert seen[0].closed
    assert not seen[0].folder.exists()


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
@pytest.mark.parametrize("trace", [True, False])
def test_a_forked_child_is_refused_and_never_waits(start, trace):
    """A fork has no thread that would answer: each verb says so at once, and changes nothing for the parent."""
    cluster = start(3, trace=trace)
    alice = cluster.client("alice")
    cluster.put("k", 1)
    verbs = [
        *(lambda: cluster.put("k", 2), lambda: alice.get("k"), lambda: alice.many([("get", "k")]), cluster.heal),
        *(lambda: cluster.crash("A"), lambda: cluster.join("X"), lambda: cluster.inspect("A"), cluster.settle),
    ]
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        said = b"nothing"
        with contextlib.suppress(BaseException):
            said = b"".join(b"1" if _is_refused(verb) else b"0" for verb in verbs)
        os.write(write, said)
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(read, 100) == b"1" * len(verbs)
    assert cluster.get("k").value == 1
    assert cluster.states() == dict.fromkeys("ABC", "up")


def _is_refused(verb) -> bool:
    try:
        verb()
    except BadRequest as error:
        return "belongs to the process that started it" in str(error)
    return False


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")
def test_a_forked_child_does_not_end_the_cluster(start):
    """A process forked from the parent (multiprocessing) may drop its copy; the cluster lives on."""
    cluster = start(2, **MEMORY)
    child = os.fork()
    if child == 0:
        cluster._owner.close()
        os._exit(0)
    os.waitpid(child, 0)
    assert cluster.put("k", 1).nodes


def test_dead_nodes_are_buried_at_once(start):
    """A crashed node leaves no zombie."""
    cluster = start(3, **MEMORY)
    process = cluster._owner.roll.entries["B"].process
    cluster.crash("B")
    assert not process.is_running()
    assert all(child.status() != psutil.STATUS_ZOMBIE for child in processes_of(cluster))


def test_a_node_killed_from_outside_is_noticed(start):
    """A process that ends without a verb is crashed: the states say so, and recover starts it again."""
    cluster = start(3, **MEMORY)
    roll = cluster._owner.roll
    roll.entries["B"].process.kill()
    roll.wait_state("B", "crashed", 20)
    assert cluster.states()["B"] == "crashed"
    stops = [event for event in cluster.trace if event.kind == "stop"]
    assert [(event.node, "status -9" in event.detail["why"]) for event in stops] == [("B", True)]
    cluster.recover("B")
    assert cluster.states()["B"] == "up"


def test_an_explicit_data_dir_stays_and_serves_the_next_cluster(tmp_path, start):
    """What a cluster stored in an explicit data_dir is there for the next one: values, and valid contexts."""
    first = start(3, data_dir=str(tmp_path))
    got_before = first.get("cart")
    assert not got_before.found
    first.put("cart", ["milk"])
    context = first.get("cart").context
    first.close()
    second = start(3, data_dir=str(tmp_path))
    assert second.get("cart").value == ["milk"]
    second.put("cart", ["tea"], context=context)
    assert second.get("cart", r=3).value == ["tea"]


def test_a_second_cluster_on_the_same_data_is_refused(tmp_path, start):
    """A node whose folder another process holds does not start, says why, and leaves nothing running."""
    first = start(2, data_dir=str(tmp_path), n=1, r=1, w=1)
    with pytest.raises(NodeFailed, match="another process holds"):
        start(2, name="second", data_dir=str(tmp_path), n=1, r=1, w=1)
    assert first.put("k", 1).nodes


def test_a_wrong_setting_starts_nothing():
    """A bad setting is a definite error that names it, before any process is started."""
    with pytest.raises(InvalidSetting, match="n=3"):
        Cluster(2, n=3)
    with pytest.raises(InvalidSetting, match="storage must be one of"):
        Cluster(1, storage="tape")


def test_a_data_dir_wants_all_its_nodes_named(start, tmp_path):
    """Who joined in an earlier run keeps data: a cluster that does not name it is refused, and told the names."""
    first = start(3, name="first", data_dir=tmp_path)
    first.put("k", 1, w=3)
    first.join("D")
    first.leave("A")
    first.close()
    with pytest.raises(InvalidSetting, match="has the nodes B, C, D; name them all: Cluster"):
        start(3, name="second", data_dir=tmp_path)
    third = start(["B", "C", "D"], name="third", data_dir=tmp_path)
    assert third.get("k", r=3).value == 1


def test_a_node_that_ends_just_before_it_is_killed_has_left(start, monkeypatch):
    """A node that leaves is told to stop; that it has done so by the time it is killed is no error."""

    def late(process):
        process.wait(20)
        kill(process)

    kill = psutil.Process.kill
    monkeypatch.setattr(psutil.Process, "kill", late)
    cluster = start(3, storage="memory")
    cluster.leave("A")
    assert cluster.nodes == ["B", "C"]


def test_a_data_dir_that_cannot_be_used_is_named(tmp_path):
    """A folder that cannot be made is a definite error that names it, and leaves nothing behind."""
    (tmp_path / "file").write_text("")
    before = set(Path(tempfile.gettempdir()).glob(f"dynalab-{os.getpid()}-*"))
    for wrong in (tmp_path / "file" / "x", "a\0b"):
        with pytest.raises(InvalidSetting, match=r"data_dir=.* cannot be used: .*; name a folder you may write"):
            Cluster(1, data_dir=wrong)
    assert set(Path(tempfile.gettempdir()).glob(f"dynalab-{os.getpid()}-*")) == before


def test_runtime_folders_of_dead_owners_are_swept(monkeypatch):
    """The next start removes the folder of an owner that is gone, and only when nobody holds its lock."""
    mine = new_runtime_folder()
    dead = Path(tempfile.gettempdir()) / "dynalab-999999999-abandoned"
    held = Path(tempfile.gettempdir()) / "dynalab-999999998-held"
    for folder in (dead, held):
        (folder / LOGS).mkdir(parents=True)
    with Lock(held):
        assert sweep() == [dead]
    assert sweep() == [held]
    assert mine.exists()
    for path in sorted(mine.rglob("*"), reverse=True):
        path.rmdir()
    mine.rmdir()
