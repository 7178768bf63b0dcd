"""A cluster that nobody uses closes itself, and one that is used does not."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import psutil
import pytest

from dynalab.core.config import Config
from dynalab.core.errors import BadRequest
from dynalab.live import usage as usages
from dynalab.live.tally import Tally
from dynalab.live.usage import Usage

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.live

LIMIT_MS = 60_000


def test_an_abandoned_cluster_closes_itself(start, tmp_path: Path) -> None:
    """Its processes and its temporary folder go, an explicit data_dir stays, and a verb is told what happened."""
    cluster = start(2, close_after_ms=400, storage="log", data_dir=str(tmp_path / "data"))
    keeper = psutil.Process(cluster._owner._keeper.pid)
    processes, folder = [keeper, *keeper.children()], cluster._owner.folder
    _, alive = psutil.wait_procs(processes, timeout=30)
    assert not alive
    cluster.close()  # It waits until the end has come to its own end.
    assert not folder.exists()
    assert (tmp_path / "data").exists()
    assert cluster.closed
    assert repr(cluster) == "<Cluster 2 nodes, closed after 0.4 s without use, N=2 R=2 W=2>"
    for verb in (lambda: cluster.put("k", 1), cluster.heal, cluster.client):
        with pytest.raises(BadRequest, match=r"closed itself after 0\.4 s .*close_after_ms=0") as refused:
            verb()
        assert refused.value.definite
    assert cluster.trace is not None


def test_one_that_was_closed_does_not_speak_of_use(start) -> None:
    """The end that somebody asked for is told as before."""
    cluster = start(1, storage="memory")
    cluster.close()
    with pytest.raises(BadRequest, match=r"^this cluster is closed; start another$"):
        cluster.heal()


class Watched:
    """A `Usage` over an owner that only notes its end, and a clock that the test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, limit_ms: int = LIMIT_MS) -> None:
        self.now_s = 1_000.0
        self.owner: Any = SimpleNamespace(config=Config(close_after_ms=limit_ms), tally=Tally(), closed=False)
        self.owner.close = lambda: setattr(self.owner, "closed", True)
        self.asked = False
        self.owner.is_asked = lambda: self.asked
        monkeypatch.setattr(usages.time, "monotonic", lambda: self.now_s)
        self.usage = Usage(self.owner)

    def closes_after(self, seconds: float) -> bool:
        """Whether it is closed after so long."""
        self.now_s += seconds
        self.usage.look()
        return bool(self.owner.closed)


def test_requests_are_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answered request counts, and a failed one too; the time begins anew when it is noticed."""
    watched = Watched(monkeypatch)
    assert not watched.closes_after(59)
    watched.owner.tally.answered("put", 100)
    assert not watched.closes_after(59)
    watched.owner.tally.failed("get", BadRequest("no"))
    assert not watched.closes_after(59)
    assert watched.closes_after(61)


def test_a_request_under_way_is_use(monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that waits for its answer is not cut short, however long it waits."""
    watched = Watched(monkeypatch)
    watched.asked = True
    assert not watched.closes_after(1_000)
    watched.asked = False
    assert not watched.closes_after(59)
    assert watched.closes_after(2)


def test_a_verb_is_use_until_it_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """No verb is cut short, however long it takes; afterwards there is all the time again."""
    watched = Watched(monkeypatch)
    begun, may_end = threading.Event(), threading.Event()

    def verb() -> None:
        with watched.usage:
            begun.set()
            may_end.wait(30)

    thread = threading.Thread(target=verb)
    thread.start()
    assert begun.wait(30)
    assert not watched.closes_after(1_000)
    may_end.set()
    thread.join(30)
    assert not watched.closes_after(59)
    assert watched.closes_after(2)
    with pytest.raises(BadRequest, match="1 min without"), watched.usage:
        pass


def test_without_a_limit_nobody_watches(monkeypatch: pytest.MonkeyPatch) -> None:
    """With close_after_ms=0 there is no watch at all."""
    before = threading.active_count()
    Watched(monkeypatch, limit_ms=0).usage.watch()
    assert threading.active_count() == before


def test_opening_a_panel_is_use_and_looking_is_not(start) -> None:
    """An open panel looks all the time, and would keep a forgotten cluster for ever."""
    cluster = start(1, storage="memory")
    usage = cluster._usage
    for look in (
        lambda: cluster.inspect("A"),
        cluster.metrics,
        lambda: cluster.trace,
        cluster.states,
        cluster.processes,
    ):
        usage._used_s = 0.0
        look()
        assert usage._used_s == 0.0
    for use in (cluster.client, cluster.heal, cluster._repr_mimebundle_, lambda: cluster.values("k")):
        usage._used_s = 0.0
        use()
        assert usage._used_s > 0.0
