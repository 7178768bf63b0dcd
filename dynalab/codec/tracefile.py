"""Trace files: one JSON line that says what the file is, then one JSON line per event (gzipped: ``.gz``).

Theory of operation.
Anyone may hand in a trace file, so reading is bounded and every field is judged.
An event is a JSON object with the fields of `TraceEvent` that are not at their default.
JSON knows no bytes and no tuples; what it does not know is an object with one marked name:

    {"$bytes": "text"}   {"$base64": "/wA="}   {"$tuple": [1, 2]}   {"$dict": [[1, "one"]]}

Rule 1: a trace saved and loaded is equal; equal traces make equal files.
Rule 2: `load` answers a trace or raises ValueError naming file and line.
Rule 3: a file cut short is noticed: the first line counts the events.
"""

from __future__ import annotations

import gzip
import json
import os
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from math import isfinite
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from dynalab.core.trace import KINDS, TraceEvent

if TYPE_CHECKING:
    from dynalab.codec.trace import Trace

VERSION = 1
EVENTS_MAX = 5_000_000
LINE_BYTES_MAX = 16 * 1024 * 1024
FILE_BYTES_MAX = 4 * 1024**3
"""After unpacking: a small file may unpack to anything."""
DEPTH_MAX = 32
NUMBER_MAX = 2**63 - 1

_DEFAULTS = TraceEvent._field_defaults
_TEXTS = ("node", "kind", "message", "peer", "request")
_NUMBERS = ("seq", "time_us", "size", "cause")
_TEXT_LENGTH_MAX = 1_000


# --- writing ----------------------------------------------------------------------------------------------------------


def save(trace: Trace, path: Path) -> Path:
    """Write `trace` to `path`, whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as file:
            _write(file, _lines(trace), packed=path.suffix == ".gz")
        os.replace(partial, path)  # noqa: PTH105 - Path.replace says nothing of being atomic.
    finally:
        partial.unlink(missing_ok=True)
    return path


def _write(file: IO[bytes], lines: Iterable[str], packed: bool) -> None:
    if not packed:
        file.writelines(line.encode() + b"\n" for line in lines)
        return
    with gzip.GzipFile(filename="", mode="wb", fileobj=file, mtime=0) as zipped:  # No name, no time: equal files.
        zipped.writelines(line.encode() + b"\n" for line in lines)


def _lines(trace: Trace) -> Iterator[str]:
    head = {"dynalab": "trace", "version": VERSION, "world": trace.world, "seed": trace.seed}
    yield json.dumps(head | {"gaps": trace.gaps, "events": len(trace)})
    for event in trace:
        fields = {name: _said(value) for name, value in event._asdict().items() if value != _DEFAULTS.get(name)}
        yield json.dumps(fields, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _said(value: Any) -> Any:
    """`value` in JSON's words."""
    if isinstance(value, bytes):
        return _said_bytes(value)
    if isinstance(value, str):
        return value.encode(errors="replace").decode()
    if isinstance(value, tuple):
        return {"$tuple": [_said(item) for item in value]}
    if isinstance(value, list):
        return [_said(item) for item in value]
    if isinstance(value, dict):
        if all(isinstance(name, str) and not name.startswith("$") for name in value):
            return {name: _said(item) for name, item in value.items()}
        return {"$dict": [[_said(name), _said(item)] for name, item in value.items()]}
    if value is None or isinstance(value, (bool, int, float)):
        return value
    raise ValueError(f"a trace event holds a {type(value).__name__}, which is no built-in value")


def _said_bytes(value: bytes) -> dict[str, str]:
    try:
        return {"$bytes": value.decode()}
    except UnicodeDecodeError:
        return {"$base64": b64encode(value).decode()}


# --- reading ----------------------------------------------------------------------------------------------------------


def load(path: Path) -> Trace:
    """The trace in `path`; see `Trace.load`."""
    from dynalab.codec.trace import Trace

    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
        file.seek(0)
        lines = _numbered_lines(gzip.GzipFile(fileobj=file) if packed else file)
        place = f"{path}"
        try:
            head = _head(next(lines, (1, b""))[1])
            events = []
            for number, line in lines:
                place = f"{path}, line {number}"
                events.append(_event(line))
            place = f"{path}"
            _judge_whole(events, head)
        except (EOFError, zlib.error, gzip.BadGzipFile) as error:
            raise ValueError(f"{path}: the packed file is damaged or cut short ({error})") from None
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{place}: {error}") from None
    return Trace(events, head["world"], head["seed"], head["gaps"])


def _numbered_lines(file: IO[bytes] | gzip.GzipFile) -> Iterator[tuple[int, bytes]]:
    total = 0
    for number in range(1, EVENTS_MAX + 2):
        line = file.readline(LINE_BYTES_MAX + 1)
        total += len(line)
        if len(line) > LINE_BYTES_MAX or total > FILE_BYTES_MAX:
            raise ValueError(f"too large: {LINE_BYTES_MAX} bytes a line and {FILE_BYTES_MAX} in all are read")
        if not line:
            return
        yield number, line
    if file.readline(1):
        raise ValueError(f"too large: {EVENTS_MAX} events are read")


def _json(line: bytes) -> Any:
    try:
        return json.loads(line, parse_constant=_no_constant)
    except UnicodeDecodeError:
        raise ValueError("this is not text") from None
    except json.JSONDecodeError as error:
        raise ValueError(f"this is not JSON ({error.msg})") from None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of a trace")


def _head(line: bytes) -> dict[str, Any]:
    head = _json(line)
    if not isinstance(head, dict) or head.get("dynalab") != "trace":
        raise ValueError("this is not a trace file of dynalab")
    if head.get("version") != VERSION:
        raise ValueError(f"this trace file has version {head.get('version')!r}; version {VERSION} is read")
    if head.get("world") not in ("sim", "live", "file"):
        raise ValueError(f"a trace comes from sim, live or file; got {head.get('world')!r}")
    if "seed" not in head:
        raise ValueError("the first line names no seed; a live trace has the seed null")
    if head["seed"] is not None:
        _judge_number("seed", head["seed"])
    for name in ("gaps", "events"):
        _judge_number(name, head.get(name))
    return head


def _event(line: bytes) -> TraceEvent:
    fields = _json(line)
    if type(fields) is not dict:
        raise ValueError("an event is a JSON object")
    unknown = [name for name in fields if name not in TraceEvent._fields]
    missing = [name for name in TraceEvent._fields if name not in fields and name not in _DEFAULTS]
    if unknown or missing:
        raise ValueError(
            f"an event has the fields {', '.join(TraceEvent._fields)}; unknown {unknown}, missing {missing}"
        )
    event = TraceEvent(**{name: _meant(value, DEPTH_MAX) for name, value in fields.items()})
    _judge_event(event)
    return event


def _meant(value: Any, depth: int) -> Any:
    """The built-in value behind JSON's words."""
    if depth == 0:
        raise ValueError(f"nested deeper than {DEPTH_MAX}")
    if isinstance(value, list):
        return [_meant(item, depth - 1) for item in value]
    if not isinstance(value, dict):
        return value
    marks = [name for name in value if name.startswith("$")]
    if not marks:
        return {name: _meant(item, depth - 1) for name, item in value.items()}
    if len(value) != 1:
        raise ValueError(f"an object with the mark {marks[0]!r} has nothing else in it")
    return _marked(marks[0], value[marks[0]], depth)


def _marked(mark: str, content: Any, depth: int) -> Any:
    if mark == "$bytes" and isinstance(content, str):
        return content.encode()
    if mark == "$base64" and isinstance(content, str):
        return b64decode(content, validate=True)
    if mark == "$tuple" and isinstance(content, list):
        return tuple(_meant(item, depth - 1) for item in content)
    if mark == "$dict" and isinstance(content, list):
        return dict(_pair(item, depth - 1) for item in content)
    raise ValueError(f"unknown mark {mark!r}, or the wrong content for it")


def _pair(item: Any, depth: int) -> tuple[Any, Any]:
    if not isinstance(item, list) or len(item) != 2:
        raise ValueError("a $dict is a list of pairs")
    name = _meant(item[0], depth)
    try:
        hash(name)
    except TypeError:
        raise ValueError("a name in a $dict cannot be a list or an object") from None
    return name, _meant(item[1], depth)


# --- judging ----------------------------------------------------------------------------------------------------------


def _judge_event(event: TraceEvent) -> None:
    for name in _NUMBERS:
        _judge_number(name, getattr(event, name))
    for name in _TEXTS:
        text = getattr(event, name)
        if not isinstance(text, str) or len(text) > _TEXT_LENGTH_MAX:
            raise ValueError(f"{name} is text of at most {_TEXT_LENGTH_MAX} characters; got {text!r:.80}")
    if event.seq < 1 or not event.node or event.kind not in KINDS:
        raise ValueError(f"an event has a seq from 1, a node and one of the known kinds; got {event!r:.200}")
    if type(event.key) is not bytes:
        raise ValueError(f"key is bytes; got {event.key!r:.80}")
    if not isinstance(event.detail, dict) or not all(isinstance(name, str) for name in event.detail):
        raise ValueError(f"detail is an object; got {event.detail!r:.80}")
    _judge_finite(event.detail)


def _judge_number(name: str, value: Any) -> None:
    if type(value) is not int or not 0 <= value <= NUMBER_MAX:
        raise ValueError(f"{name} is an integer from 0 to 2**63 - 1; got {value!r:.80}")


def _judge_finite(value: Any) -> None:
    """JSON says 1e999 where it means infinity."""
    if isinstance(value, float) and not isfinite(value):
        raise ValueError("a number is not finite")
    if isinstance(value, dict):
        value = [*value.keys(), *value.values()]
    if isinstance(value, (list, tuple)):
        for item in value:
            _judge_finite(item)


def _judge_whole(events: list[TraceEvent], head: dict[str, Any]) -> None:
    if len(events) != head["events"]:
        raise ValueError(f"the first line announces {head['events']} events, and there are {len(events)}: cut short?")
    if len({event.seq for event in events}) != len(events):
        raise ValueError("two events have the same seq")
