from __future__ import annotations

import builtins
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynalab.codec.trace import Trace
from dynalab.core.trace import TraceEvent

STORY = Path(__file__).parent / "corpus" / "quorum-write.txt"

#: A put through A: B stores it, the copy for C is lost.
PUT = Trace(
    [
        TraceEvent(1, 0, "client:alice", "send", "ClientPut", "A", b"cart", "alice-1", 4),
        TraceEvent(2, 500, "A", "receive", "ClientPut", "client:alice", b"cart", "alice-1", 4, 1),
        TraceEvent(3, 500, "A", "write", "", "", b"cart", "alice-1", 0, 2, {"dot": "A1", "value": b"milk"}),
        TraceEvent(4, 500, "A", "send", "ReplicaPut", "B", b"cart", "alice-1", 4, 2),
        TraceEvent(5, 500, "A", "send", "ReplicaPut", "C", b"cart", "alice-1", 4, 2),
        TraceEvent(6, 900, "C", "drop", "ReplicaPut", "A", b"cart", "alice-1", 4, 5, {"why": "partition"}),
        TraceEvent(7, 1200, "B", "receive", "ReplicaPut", "A", b"cart", "alice-1", 4, 4),
        TraceEvent(8, 1200, "B", "store", "put", "", b"cart", "", 0, 7, {"siblings": 1, "clock": {"A": 1}}),
        TraceEvent(9, 1200, "B", "send", "ReplicaPutDone", "A", b"", "alice-1", 0, 7),
        TraceEvent(10, 1700, "A", "receive", "ReplicaPutDone", "B", b"", "alice-1", 0, 9),
        TraceEvent(11, 1700, "A", "quorum", "ClientPut", "", b"cart", "alice-1", 0, 10, {"nodes": ("A", "B")}),
        TraceEvent(12, 2000, "B", "suspect", "", "C", detail={"why": "silent", "phi": 4.25}),
    ],
    world="sim",
    seed=7,
)


def _seqs(trace: Trace) -> list[int]:
    return [event.seq for event in trace]


# --- a sequence -------------------------------------------------------------------------------------------------------


def test_a_trace_is_a_sequence_of_events() -> None:
    """Length, places, membership and iteration are a tuple's; a slice is a trace of the same origin."""
    assert (len(PUT), PUT[0].seq, PUT[-1].seq, PUT[2] in PUT) == (12, 1, 12, True)
    part = PUT[2:4]
    assert isinstance(part, Trace)
    assert (_seqs(part), part.world, part.seed) == ([3, 4], "sim", 7)


def test_equal_events_make_equal_traces() -> None:
    """Where a trace was recorded is no part of what happened."""
    again = Trace(list(PUT), world="live", gaps=3)
    assert again == PUT
    assert hash(again) == hash(PUT)
    assert again[1:] != PUT
    assert list(PUT) != PUT


def test_a_trace_does_not_follow_its_source() -> None:
    """A trace taken while recording goes on stays what it was."""
    source = list(PUT)
    trace = Trace(source)
    source.clear()
    assert len(trace) == 12


def test_an_unknown_world_is_refused() -> None:
    """A trace comes from one of the known worlds."""
    with pytest.raises(ValueError, match="sim, live, file"):
        Trace([], world="moon")


# --- filter -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "seqs"),
    [
        ({}, list(range(1, 13))),
        ({"node": "B"}, [7, 8, 9, 12]),
        ({"node": ["B", "C"]}, [6, 7, 8, 9, 12]),
        ({"kind": ("send", "drop")}, [1, 4, 5, 6, 9]),
        ({"message": "ReplicaPut", "kind": "send"}, [4, 5]),
        ({"peer": "C"}, [5, 12]),
        ({"key": "cart", "node": "B"}, [7, 8]),
        ({"key": b"cart", "node": "B"}, [7, 8]),
        ({"key": ["cart", b"wish"], "node": "C"}, [6]),
        ({"key": b""}, [9, 10, 12]),
        ({"request": "alice-1", "node": "B"}, [7, 9]),
        ({"since_ms": 0.9, "until_ms": 1.2}, [6]),
        ({"until_ms": 0.5}, [1]),
        ({"since_ms": 1.7}, [10, 11, 12]),
        ({"why": "partition"}, [6]),
        ({"why": ("partition", "silent")}, [6, 12]),
        ({"seq": [3, 4]}, [3, 4]),
        ({"cause": 2, "kind": "send"}, [4, 5]),
        ({"node": "Z"}, []),
        ({"nothing": "says this"}, []),
        ({"node": []}, []),
    ],
    ids=str,
)
def test_filter_keeps_what_matches_all(wanted: dict[str, Any], seqs: list[int]) -> None:
    """Every given argument must match; a collection matches with any of its values; times are half open."""
    assert _seqs(PUT.filter(**wanted)) == seqs


def test_filters_add_up() -> None:
    """Filtering twice is filtering by both, and keeps the origin."""
    twice = PUT.filter(node="A").filter(kind="send")
    assert twice == PUT.filter(node="A", kind="send")
    assert (twice.world, twice.seed) == ("sim", 7)


# --- vector times -----------------------------------------------------------------------------------------------------


def test_vector_times_follow_the_causes() -> None:
    """An event knows what its node and its cause had known, and counts itself."""
    times = PUT.vector_times()
    assert times[0] == {"client:alice": 1}
    assert times[3] == {"client:alice": 1, "A": 3}
    assert times[5] == {"client:alice": 1, "A": 4, "C": 1}
    assert times[9] == {"client:alice": 1, "A": 5, "B": 3}
    assert times[11] == {"client:alice": 1, "A": 3, "B": 4}


def test_a_cause_that_is_not_here_adds_nothing() -> None:
    """A filtered trace still has vector times, over the events that are left."""
    assert PUT.filter(node="B").vector_times() == [{"B": 1}, {"B": 2}, {"B": 3}, {"B": 4}]
    assert PUT.filter(node="B").missing_causes() == [4]


def test_an_effect_collected_before_its_cause_knows_it_all_the_same() -> None:
    """A live collector may hear the receiver first; vector times do not depend on that."""
    trace = Trace([TraceEvent(2, 5, "B", "receive", cause=1), TraceEvent(1, 0, "A", "send")], world="live")
    assert trace.vector_times() == [{"A": 1, "B": 1}, {"A": 1}]


def test_causes_in_a_circle_are_refused() -> None:
    """Nothing is its own cause."""
    trace = Trace([TraceEvent(1, 0, "A", "send", cause=2), TraceEvent(2, 0, "B", "receive", cause=1)])
    with pytest.raises(ValueError, match="circle"):
        trace.vector_times()


@st.composite
def runs(draw: st.DrawFn) -> Trace:
    """A random run: events on four nodes, some caused by an earlier one."""
    events: list[TraceEvent] = []
    for seq in range(1, draw(st.integers(1, 30)) + 1):
        cause = draw(st.integers(0, seq - 1))
        kind = "receive" if cause else "send"
        events.append(TraceEvent(seq, seq * 10, draw(st.sampled_from("ABCD")), kind, "Ping", "Z", cause=cause))
    return Trace(events)


@given(runs())
def test_vector_times_are_causality(trace: Trace) -> None:
    """One event's vector time is below another's exactly when a chain of causes leads from the one to the other."""
    times = trace.vector_times()
    past: list[set[int]] = []
    for place, event in enumerate(trace):
        before = [earlier for earlier in range(place) if trace[earlier].node == event.node][-1:]
        before += [event.cause - 1] if event.cause else []
        past.append(set().union({place}, *(past[earlier] for earlier in before)))
    for left in range(len(trace)):
        for right in range(len(trace)):
            below = all(times[right].get(node, 0) >= count for node, count in times[left].items())
            assert below == (left in past[right])


# --- ShiViz -----------------------------------------------------------------------------------------------------------


def _as_shiviz_reads(log: str) -> list[tuple[str, dict[str, int], str]]:
    """What ShiViz's default expression finds in a log."""
    found = re.findall(r"(?P<host>\S*) (?P<clock>{.*})\n(?P<event>.*)", log)
    assert len(found) * 2 == log.count("\n")
    return [(host, json.loads(clock), event) for host, clock, event in found]


@given(runs())
def test_shiviz_gets_what_it_demands(trace: Trace) -> None:
    """Own counters run 1, 2, 3 ...; a clock names only hosts and events that are there."""
    read = _as_shiviz_reads(trace.to_shiviz())
    counts: dict[str, int] = {}
    for host, clock, event in read:
        counts[host] = counts.get(host, 0) + 1
        assert clock[host] == counts[host]
        assert event
    for _, clock, _ in read:
        assert all(1 <= count <= counts[host] for host, count in clock.items())


def test_a_shiviz_log_says_what_happened() -> None:
    """The second line of an event is its sentence."""
    assert _as_shiviz_reads(PUT.to_shiviz())[5] == (
        "C",
        {"A": 4, "client:alice": 1, "C": 1},
        "-x A ReplicaPut 'cart' why=partition",
    )


def test_shiviz_never_gets_a_trace_with_holes() -> None:
    """A gap, or a cause that was filtered out, makes clocks lie: the export refuses and says which."""
    with pytest.raises(ValueError, match="misses 3"):
        Trace(PUT, world="live", gaps=3).to_shiviz()
    with pytest.raises(ValueError, match="seq 4"):
        PUT.filter(node="B").to_shiviz()
    assert PUT.filter(request="alice-1").to_shiviz()


# --- for people and for pandas ----------------------------------------------------------------------------------------


def test_the_story_reads_like_a_transcript() -> None:
    """A quorum write, as its transcript tells it."""
    assert PUT.story() == STORY.read_text()


def test_every_event_is_one_line() -> None:
    """Whatever values say, a line stays a line of bounded length."""
    detail = {"text": "two\nlines", "value": b"\xff\x00", "long": "x" * 5_000, "nested": [{"a": (b"b", None)}]}
    story = Trace([TraceEvent(1, 0, "A", "note", key=b"a\nb", detail=detail)]).story()
    assert story.count("\n") == 1
    assert len(story) < 300
    assert "text=two\\nlines value=0xff00" in story


def test_a_trace_shows_itself_briefly() -> None:
    """The printed and the shown form are short, the same every time, and safe in a page."""
    assert repr(PUT) == "<Trace 12 events, sim seed 7, 0.0 to 2.0 ms>"
    assert repr(Trace([], gaps=2)) == "<Trace 0 events, 2 missing, file, 0.0 to 0.0 ms>"
    shown = PUT._repr_html_()
    assert "&lt;Trace 12 events" in shown
    assert len(shown) < 2_000


def test_the_summary_counts() -> None:
    """Events by kind, by node and by message sent."""
    summary = PUT.summary()
    assert (summary["events"], summary["gaps"], summary["to_ms"]) == (12, 0, 2.0)
    assert summary["nodes"] == {"A": 6, "B": 4, "C": 1, "client:alice": 1}
    assert summary["sent"] == {"ClientPut": 1, "ReplicaPut": 2, "ReplicaPutDone": 1}
    assert sum(summary["kinds"].values()) == 12


def test_a_frame_has_a_row_per_event() -> None:
    """pandas gets the events' fields as columns, and the time in milliseconds."""
    pytest.importorskip("pandas")
    frame = PUT.to_frame()
    assert list(frame.columns) == [*TraceEvent._fields, "time_ms"]
    assert frame["time_ms"].tolist()[:3] == [0.0, 0.5, 0.5]
    assert len(Trace().to_frame()) == 0


def test_without_pandas_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who has no pandas reads how to get it."""
    imported = builtins.__import__

    def no_pandas(name: str, *rest: Any) -> Any:
        if name == "pandas":
            raise ImportError("no pandas here")
        return imported(name, *rest)

    monkeypatch.setattr(builtins, "__import__", no_pandas)
    with pytest.raises(ImportError, match="pip install pandas"):
        PUT.to_frame()


def test_traces_need_only_the_standard_library() -> None:
    """The simulation runs where nothing can be installed: loading traces loads nothing foreign."""
    program = (
        "import sys, dynalab.codec.trace, dynalab.codec.tracefile; "
        "print(sorted({name.split('.')[0] for name in sys.modules} - set(sys.stdlib_module_names) - {'dynalab'}))"
    )
    root = Path(__file__).parents[2]
    run = subprocess.run([sys.executable, "-S", "-c", program], capture_output=True, text=True, check=True, cwd=root)
    assert set(json.loads(run.stdout.replace("'", '"'))) <= {"__main__", "sitecustomize"}
