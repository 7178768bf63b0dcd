"""Checks of exercise 08: whole records, logs after a crash, and what an early acknowledgement costs (paper 5, 6.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from struct import pack
from typing import Any
from zlib import crc32

from dynalab.core.config import Parts
from dynalab.course.checking import Case, check, shown
from dynalab.disk.frames import HEADER_BYTES, frame, records

__all__ = ["durability_1", "durability_2", "durability_3"]


@check(
    "durability-1", 1, 10, "length and checksum come first, most significant byte first; nothing may follow the payload"
)
def durability_1(case: Case, is_whole: Callable[..., Any]) -> None:
    """Whether a record survived: its length is right and its checksum fits."""
    for _ in range(6):
        payload = case.random.randbytes(case.random.randint(1, 12))
        length, checksum = pack(">I", len(payload)), pack(">I", crc32(payload))
        good, empty = length + checksum + payload, pack(">II", 0, 0)
        longer, other = pack(">I", len(payload) + 1), pack(">I", crc32(payload) ^ 1)
        tried = [good, empty, good[:-1], good + b"x", b"", good[:7], good[:8], pack(">II", 0, 1), _flipped(case, good)]
        tried += [longer + checksum + payload, length + other + payload, checksum + length + payload]
        for record in case.random.sample(tried, len(tried)):
            right = len(record) >= 8 and record[:8] == pack(">II", len(record) - 8, crc32(record[8:]))
            case.equal(case.ask(is_whole, record), right, f"is_whole({record!r})")


def _flipped(case: Case, data: bytes) -> bytes:
    if not data:
        return data
    place = case.random.randrange(len(data))
    return data[:place] + bytes([data[place] ^ (1 << case.random.randrange(8))]) + data[place + 1 :]


@check("durability-2", 3, 30, "after bad bytes look for the next b'DYNA' that begins a good frame; go on behind it (5)")
def durability_2(case: Case, recover: Callable[..., Any]) -> None:
    """The payloads that survive torn tails and damage; then nodes start again from their own logs."""
    for log in _logs(case):
        case.equal(case.ask(recover, log), records(log), f"records({shown(log, 400)})")
    tried = "a cluster with logs on disk and your records: every node crashes and starts again"
    settings = {"storage": "log", "n": 3, "r": 2, "w": 3}
    with case.running(tried), case.cluster(3, Parts(recovery=recover), **settings) as cluster:
        for number in range(5):
            cluster.put(f"key-{number}", number)
        for node in cluster.nodes:
            cluster.crash(node)
            cluster.recover(node)
        held = [cluster.inspect(node)["records"] for node in cluster.nodes]
        values = [sorted(record["siblings"][0]["value"] for record in each.values()) for each in held]
        case.equal(values, [list(range(5))] * 3, f"{tried}: the values on A, B and C")


def _logs(case: Case) -> Iterator[bytes]:
    """Logs torn anywhere, followed by something that is no record, whole, and with bits flipped."""
    yield frame(frame(b"inner", HEADER_BYTES), 0)
    for _ in range(8):
        log = _log(case)
        yield log[: case.random.randint(0, len(log))]
        yield log + case.random.choice([b"DYNA", b"DYNA\x01\x00", bytes(40)])
        yield log + frame(b"moved", 3)
        yield log + _of_version_2(len(log))
        for _ in range(4):
            yield log
            log = _flipped(case, log)


def _log(case: Case) -> bytes:
    """Up to four frames."""
    log = b""
    for _ in range(case.random.randint(0, 4)):
        payload = case.random.choice(
            [b"", b"milk", b"DYNA", case.random.randbytes(9), frame(b"inner", len(log) + HEADER_BYTES)]
        )
        log += frame(payload, len(log))
    return log


@check(
    "durability-3",
    2,
    15,
    "at a crash everything written since the last sync is gone; which of it had been acknowledged?",
)
def durability_3(case: Case, lost: Callable[..., Any]) -> None:
    """Which acknowledged writes a crash destroys."""
    buffered = [["write", "a"], ["ack", "a"], ["sync"], ["write", "b"], ["ack", "b"], ["crash"]]
    case.equal(case.ask(lost, buffered), ["b"], f"lost({buffered})")
    early = [["write", "a"], ["sync"], ["ack", "a"], ["crash"]]
    case.equal(case.ask(lost, early), [], f"lost({early})")
    twice = [["write", "a"], ["ack", "a"], ["crash"], ["write", "b"], ["ack", "b"], ["sync"], ["crash"]]
    case.equal(case.ask(lost, twice), ["a"], f"lost({twice})")
    for _ in range(50):
        events = _events(case)
        case.equal(case.ask(lost, events), _lost(events), f"lost({shown(events, 600)})")


def _events(case: Case) -> list[list[str]]:
    events: list[list[str]] = []
    waiting: list[str] = []
    for number in range(case.random.randint(1, 12)):
        kind = case.random.choice(["write", "write", "ack", "ack", "sync", "crash"])
        if kind == "write":
            waiting.append(f"w{number}")
            events.append(["write", waiting[-1]])
        elif kind == "ack" and waiting:
            events.append(["ack", waiting.pop(case.random.randrange(len(waiting)))])
        elif kind == "sync":
            events.append(["sync"])
        elif kind == "crash":
            waiting.clear()
            events.append(["crash"])
    return events


def _lost(events: Sequence[Sequence[str]]) -> list[str]:
    fresh: set[str] = set()
    acked: set[str] = set()
    gone: set[str] = set()
    for kind, *names in events:
        if kind == "write":
            fresh.update(names)
        elif kind == "ack":
            acked.update(names)
        else:
            gone |= fresh & acked if kind == "crash" else set()
            fresh.clear()
    return sorted(gone)


def _of_version_2(place: int) -> bytes:
    """A frame that is right in all but its version."""
    fields = pack(">4sBIQ", b"DYNA", 2, 3, place)
    return fields + pack(">I", crc32(b"tea", crc32(fields))) + b"tea"
