from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynalab.codec import tracefile
from dynalab.codec.trace import Trace
from dynalab.core.trace import KINDS, TraceEvent
from tests.codec.test_trace import PUT

HEAD = {"dynalab": "trace", "version": 1, "world": "sim", "seed": 7, "gaps": 0, "events": 1}
EVENT = {"seq": 1, "time_us": 0, "node": "A", "kind": "send"}

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=10)
built_in = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(text | st.binary(max_size=4) | st.integers() | st.sampled_from(["$bytes", "$x"]), inner)
    ),
    max_leaves=8,
)
numbers = st.integers(0, 2**63 - 1)
events = st.builds(
    TraceEvent,
    *(numbers, numbers, text.filter(bool), st.sampled_from(KINDS), text, text, st.binary(max_size=10), text),
    *(numbers, numbers, st.dictionaries(text, built_in, max_size=3)),
)


def _written(folder: Path, *lines: Any, name: str = "x.trace") -> Path:
    path = folder / name
    data = b"".join(line if isinstance(line, bytes) else json.dumps(line).encode() + b"\n" for line in lines)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("name", ["put.trace", "put.trace.gz"])
def test_a_trace_survives_its_file(tmp_path: Path, name: str) -> None:
    """A trace loaded is the trace saved: equal events, equal types inside, the same origin."""
    loaded = Trace.load(Trace(PUT, "sim", 7, gaps=2).save(tmp_path / name))
    assert loaded == PUT
    assert (loaded.world, loaded.seed, loaded.gaps) == ("sim", 7, 2)
    assert loaded[10].detail["nodes"] == ("A", "B")
    assert repr(list(loaded)) == repr(list(PUT))


@given(st.lists(events, max_size=4, unique_by=lambda event: event.seq), st.booleans())
def test_any_trace_survives_its_file(tmp_path_factory: pytest.TempPathFactory, listed: list[Any], packed: bool) -> None:
    """Bytes, tuples, nested and odd names come back as they were."""
    listed = [event._replace(seq=event.seq or 1) for event in listed if event.seq or len(listed) == 1]
    path = tmp_path_factory.mktemp("traces") / ("any.trace.gz" if packed else "any.trace")
    assert repr(list(Trace.load(Trace(listed).save(path)))) == repr(listed)


def test_equal_traces_make_equal_files(tmp_path: Path) -> None:
    """A file says nothing of when, where or under which name it was written."""
    one, two = PUT.save(tmp_path / "one.gz"), PUT.save(tmp_path / "two.gz")
    assert one.read_bytes() == two.read_bytes()


def test_a_trace_file_is_for_people_too(tmp_path: Path) -> None:
    """Each line is JSON with the fields that say something, keys as text."""
    head, first, *_ = PUT.save(tmp_path / "put.trace").read_text().splitlines()
    assert json.loads(head) == {**HEAD, "events": 12}
    assert json.loads(first)["key"] == {"$bytes": "cart"}
    assert "cause" not in json.loads(first)


def test_saving_is_all_or_nothing(tmp_path: Path) -> None:
    """An event that cannot be written leaves the old file as it was, and nothing beside it."""
    path = PUT.save(tmp_path / "put.trace")
    with pytest.raises(ValueError, match="built-in"):
        Trace([TraceEvent(1, 0, "A", "note", detail={"x": object()})]).save(path)
    assert Trace.load(path) == PUT
    assert [entry.name for entry in tmp_path.iterdir()] == ["put.trace"]


NO_TRACE = {
    "empty": [],
    "no JSON": [b"hello\n"],
    "not text": [b"\xff\xfe\n"],
    "a list": [[1, 2]],
    "another program's": [{"dynalab": "else"}],
    "another version": [{**HEAD, "version": 2}],
    "another world": [{**HEAD, "world": "moon"}],
    "seed of text": [{**HEAD, "seed": "7"}],
    "no gaps": [{name: value for name, value in HEAD.items() if name != "gaps"}],
    "cut short": [{**HEAD, "events": 2}, EVENT],
    "half a line": [HEAD, json.dumps(EVENT)[:-5].encode()],
    "repeated seq": [{**HEAD, "events": 2}, EVENT, EVENT],
    "an event that is a list": [HEAD, [1]],
    "unknown field": [HEAD, {**EVENT, "colour": "red"}],
    "missing field": [HEAD, {"seq": 1}],
    "unknown kind": [HEAD, {**EVENT, "kind": "explosion"}],
    "seq 0": [HEAD, {**EVENT, "seq": 0}],
    "seq true": [HEAD, {**EVENT, "seq": True}],
    "negative time": [HEAD, {**EVENT, "time_us": -1}],
    "fraction of a time": [HEAD, {**EVENT, "time_us": 1.5}],
    "large number": [HEAD, {**EVENT, "size": 2**63}],
    "very large number": [HEAD, b'{"seq":1,"time_us":0,"node":"A","kind":"send","size":' + b"9" * 5_000 + b"}"],
    "long node": [HEAD, {**EVENT, "node": "A" * 1_001}],
    "node of bytes": [HEAD, {**EVENT, "node": {"$bytes": "A"}}],
    "key of text": [HEAD, {**EVENT, "key": "cart"}],
    "detail that is a list": [HEAD, {**EVENT, "detail": [1]}],
    "detail with odd names": [HEAD, {**EVENT, "detail": {"$dict": [[1, 2]]}}],
    "NaN": [HEAD, b'{"seq":1,"time_us":0,"node":"A","kind":"send","detail":{"phi":NaN}}\n'],
    "infinity": [HEAD, b'{"seq":1,"time_us":0,"node":"A","kind":"send","detail":{"phi":1e999}}\n'],
    "bad base64": [HEAD, {**EVENT, "key": {"$base64": "!"}}],
    "unknown mark": [HEAD, {**EVENT, "detail": {"x": {"$call": "me"}}}],
    "mark and more": [HEAD, {**EVENT, "key": {"$bytes": "a", "b": 1}}],
    "unhashable name": [HEAD, {**EVENT, "detail": {"x": {"$dict": [[[1], 2]]}}}],
    "no pair": [HEAD, {**EVENT, "detail": {"x": {"$dict": [1]}}}],
    "deep": [HEAD, b'{"seq":1,"time_us":0,"node":"A","kind":"send","detail":{"x":' + b"[" * 40 + b"]" * 40 + b"}}\n"],
    "very deep": [HEAD, b"[" * 200_000],
}


@pytest.mark.parametrize("lines", NO_TRACE.values(), ids=NO_TRACE.keys())
def test_what_is_no_trace_is_refused(tmp_path: Path, lines: list[Any]) -> None:
    """Whatever a file holds, loading answers a trace, or a ValueError that names the file."""
    with pytest.raises(ValueError, match=r"x\.trace"):
        Trace.load(_written(tmp_path, *lines))


def test_the_error_names_the_line(tmp_path: Path) -> None:
    """Who repairs a file by hand is told where."""
    path = _written(tmp_path, {**HEAD, "events": 2}, EVENT, {**EVENT, "seq": -1})
    with pytest.raises(ValueError, match="line 3: seq is an integer"):
        Trace.load(path)


def test_a_file_that_is_not_there_is_an_os_error(tmp_path: Path) -> None:
    """Not finding a file is not the same as not liking it."""
    with pytest.raises(FileNotFoundError):
        Trace.load(tmp_path / "none.trace")


def test_reading_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines, events and bytes have their limits, also behind compression."""
    path = PUT.save(tmp_path / "put.gz")
    for limit, value in (("LINE_BYTES_MAX", 50), ("EVENTS_MAX", 11), ("FILE_BYTES_MAX", 500)):
        with monkeypatch.context() as patch:
            patch.setattr(tracefile, limit, value)
            with pytest.raises(ValueError, match="too large"):
                Trace.load(path)


@pytest.mark.parametrize("keep", [1, 2, 20, 100, -9, -1])
def test_a_packed_file_cut_short_is_refused(tmp_path: Path, keep: int) -> None:
    """Every beginning of a packed file is a ValueError."""
    path = PUT.save(tmp_path / "put.gz")
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(ValueError, match=r"put\.gz"):
        Trace.load(path)


def test_a_file_whose_first_line_lost_its_seed_is_refused(tmp_path: Path) -> None:
    """One damaged byte of a name in the first line is told."""
    whole = gzip.decompress(PUT.save(tmp_path / "put.gz").read_bytes())
    (tmp_path / "x").write_bytes(whole.replace(b'"seed"', b'"need"', 1))
    with pytest.raises(ValueError, match="names no seed"):
        Trace.load(tmp_path / "x")


@given(st.binary(max_size=200), st.integers(0, 10_000))
def test_damaged_files_never_surprise(tmp_path_factory: pytest.TempPathFactory, noise: bytes, place: int) -> None:
    """Random bytes, alone, packed, or over a valid file, answer a trace or a ValueError."""
    folder = tmp_path_factory.mktemp("damaged")
    valid = PUT.save(folder / "valid").read_bytes()
    start = place % len(valid)
    for data in (noise, gzip.compress(noise), valid[:start] + noise + valid[start + len(noise) :]):
        (folder / "x").write_bytes(data)
        try:
            Trace.load(folder / "x")
        except ValueError as error:
            assert str(folder) in str(error)  # noqa: PT017 - most runs end here; that each says where is the rule.
