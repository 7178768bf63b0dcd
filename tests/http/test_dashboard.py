"""The Grafana dashboard: whole, about metrics that there are, and every query of it answered by a real Prometheus."""

from __future__ import annotations

import json
import re
import subprocess
import time
from contextlib import contextmanager
from importlib.resources import files
from itertools import combinations
from math import isfinite
from typing import TYPE_CHECKING, Any

import httpx
import psutil
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.needs import require

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

COLUMNS = 24
LIMIT_S = 100
"""How long Prometheus may take to have seen something; awaited, never slept."""

BOARD = json.loads(files("dynalab.gateway").joinpath("dashboard.json").read_text("utf-8"))
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
QUERIES = {
    (panel["title"], target["refId"]): target["expr"].replace("$node", ".+").replace("$__rate_interval", "1m")
    for panel in PANELS
    for target in panel["targets"]
}
SUFFIXES = {"counter": ("_total",), "histogram": ("_bucket", "_count", "_sum"), "summary": ("_count", "_sum")}


# The file --------------------------------------------------------------------------------------


def test_every_panel_is_whole_and_none_covers_another():
    """Each panel has a number, a title, a sentence, a unit and a place of its own in Grafana's 24 columns."""
    assert len({panel["id"] for panel in BOARD["panels"]}) == len(BOARD["panels"])
    assert len({panel["title"] for panel in PANELS}) == len(PANELS)
    for panel in PANELS:
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert {each["datasource"]["uid"] for each in (panel, *panel["targets"])} == {"${datasource}"}
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"]) > 0
    places = [panel["gridPos"] for panel in BOARD["panels"]]
    assert all(place["x"] >= 0 and place["x"] + place["w"] <= COLUMNS for place in places)
    for one, other in combinations(places, 2):
        apart = any(one[at] + one[by] <= other[at] or other[at] + other[by] <= one[at] for at, by in ("xw", "yh"))
        assert apart, (one, other)


def test_the_variables_are_those_that_the_queries_use():
    """Grafana asks for a data source and for nodes, and no query needs another answer."""
    named = {variable["name"] for variable in BOARD["templating"]["list"]}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(PANELS)))
    assert used == named | {"__rate_interval"}


@pytest.mark.live
def test_the_dashboard_is_about_the_metrics_that_there_are(open_face):
    """Every metric that a query names is one of /metrics, and every metric of ours is shown."""
    face = open_face(3, storage="log")
    face["A"].put("/kv/seen", json={"value": 1})
    exported = {
        family.name: {family.name + suffix for suffix in SUFFIXES.get(family.type, ("",))}
        for family in text_string_to_metric_families(face["A"].get("/metrics").text)
        if family.name.startswith("dynalab_") and not family.name.endswith("_created")
    }
    named = set(re.findall(r"dynalab_\w+", " ".join(QUERIES.values())))
    assert named <= set().union(*exported.values())
    assert [name for name, samples in exported.items() if not samples & named] == []


@pytest.mark.live
def test_the_dashboard_is_served_as_it_is(face):
    """/admin/dashboard answers the file."""
    assert face["A"].get("/admin/dashboard").json() == BOARD


# Prometheus ------------------------------------------------------------------------------------


class Prometheus:
    """A Prometheus server that scrapes some ports."""

    def __init__(self, client: httpx.Client) -> None:
        self._client = client

    def values(self, query: str) -> list[float]:
        """What it answers to a query now, numbers only."""
        answer = self._client.get("/api/v1/query", params={"query": query}).json()
        assert answer["status"] == "success", answer
        values = [float(each["value"][1]) for each in answer["data"]["result"]]
        return [value for value in values if isfinite(value)]

    def until(self, holds: Callable[[], Any], doing: Callable[[], Any], what: Callable[[], str]) -> None:
        """Go on `doing` until it `holds`; an end without it says `what` is missing."""
        last = time.monotonic() + LIMIT_S
        while not holds():
            assert time.monotonic() < last, what()
            doing()


@contextmanager
def scraping(ports: list[int], folder: Path) -> Iterator[Prometheus]:
    """A Prometheus server on a port of its own, as README configures it, only quicker."""
    targets = [f"localhost:{port}" for port in ports]
    config = {"global": {"scrape_interval": "300ms", "scrape_timeout": "300ms"}}
    config["scrape_configs"] = [{"job_name": "dynalab", "static_configs": [{"targets": targets}]}]
    (folder / "prometheus.yml").write_text(json.dumps(config), encoding="utf-8")  # JSON is YAML.
    command = [require("prometheus"), f"--config.file={folder}/prometheus.yml", f"--storage.tsdb.path={folder}/tsdb"]
    command += ["--web.listen-address=127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as server:
        try:
            said = _said_until("ready to receive web requests", server)
            (port,) = {
                each.laddr.port
                for each in psutil.Process(server.pid).net_connections("tcp")
                if each.status == psutil.CONN_LISTEN
            }
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30, trust_env=False) as client:
                yield Prometheus(client)
        finally:
            server.terminate()
            said = server.communicate()[1]
    assert "panic" not in said


def _said_until(words: str, server: subprocess.Popen[str]) -> str:
    said = ""
    for line in server.stderr:
        said += line
        if words in line:
            return said
    raise AssertionError("Prometheus ended:\n" + said)


@pytest.mark.live
@pytest.mark.prometheus
def test_every_query_is_answered_by_prometheus_through_traffic_and_faults(open_face, tmp_path):
    """Four nodes, a crash, a cut and a recovery: each query of the dashboard has an answer, and tells of the faults."""
    face = open_face(4, n=3, storage="log", anti_entropy_ms=100, handoff_ms=100)
    nodes = face.cluster.nodes
    turn = 0

    def traffic() -> None:
        nonlocal turn
        turn += 1
        for number, node in enumerate(nodes):
            face[node].put(f"/kv/key{turn % 7}", json={"value": turn})
            face[node].get(f"/kv/key{(turn + number) % 7}")
            face[node].delete(f"/kv/gone{turn % 3}")
        face["A"].put("/kv/split", json={"value": turn % 3, "context": None})

    def cut_off() -> None:
        face["A"].put("/kv/cut", json={"value": turn, "W": 3}, headers={"X-Deadline-Ms": "300"})
        traffic()

    with scraping([face.gateway.ports[node] for node in nodes], tmp_path) as prometheus:

        def seen(query: str, doing: Callable[[], None] = traffic) -> None:
            prometheus.until(lambda: any(prometheus.values(query)), doing, lambda: f"never above zero: {query}")

        seen("sum(dynalab_node_up) == 4")
        face.cluster.crash("D")
        seen("dynalab_node_up == bool 0")
        seen("dynalab_hint_queue_depth", cut_off)
        face.cluster.partition("A|BC")
        seen('dynalab_operations_total{outcome="WriteQuorumNotReached"}', cut_off)
        seen("dynalab_messages_dropped_total", cut_off)
        face.cluster.heal()
        face.cluster.recover("D")
        seen('dynalab_repair_bytes_total{mechanism="hinted handoff"}')
        seen("dynalab_keys_with_siblings")
        missing = dict(QUERIES)

        def all_answered() -> bool:
            for name, query in list(missing.items()):
                if prometheus.values(query):
                    del missing[name]
            return not missing

        prometheus.until(all_answered, traffic, lambda: f"no data: {missing}")
