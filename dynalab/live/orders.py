"""How a node obeys its owner: one function for each order of `control`."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from queue import Empty
from typing import TYPE_CHECKING, Any

import msgspec

from dynalab.guard import students_traceback
from dynalab.live import control
from dynalab.live.control import Done, Refused, Told
from dynalab.live.looks import digests, held, measured, scanned

if TYPE_CHECKING:
    from dynalab.live.process import NodeProcess


def obey(process: NodeProcess, order: bytes) -> bytes:
    """Carry out an order; the bytes of the answer."""
    try:
        read = control.read_order(order)
    except (msgspec.MsgspecError, UnicodeError) as error:
        process.count("refused")
        return control.encode(Refused(f"not an order: {error}"))
    try:
        answer = _OBEY[type(read)](process, read)
    except Exception as error:  # noqa: BLE001 - the owner gets the reason, and the node lives on
        text = f"{type(read).__name__} failed: {type(error).__name__}: {error}"
        answer = Refused(text, traceback.format_exc()[-4096:])
    return control.encode(answer)


def _know(process: NodeProcess, order: control.Know) -> Done:
    process.gate.allow(order.allowed)
    process.transport.know({name: peer for name, peer in order.peers.items() if name != process.spec.node})
    return Done()


def _begin(process: NodeProcess, order: control.Begin) -> Done:
    if process.node is None:
        process.begin(order.cause)
    return Done()


def _set_faults(process: NodeProcess, order: control.SetFaults) -> Done:
    process.transport.set_faults(order.faults)
    return Done()


def _set_skew(process: NodeProcess, order: control.SetSkew) -> Done:
    process.skew_us = order.skew_us
    return Done()


def _inspect(process: NodeProcess, order: control.Inspect) -> Told:
    if process.node is None:
        return Told({})
    return Told(process.node.inspect(process.now_us(), full=order.full))


def _count(process: NodeProcess, _: control.Count) -> Told:
    traffic = process.transport.traffic
    mine: dict[str, Any] = {
        "messages_in": traffic.messages_in,
        "messages_out": traffic.messages_out,
        "bytes_in": traffic.bytes_in,
        "bytes_out": traffic.bytes_out,
        "drops": traffic.drops,
        "queues": {**process.transport.depths(), "timers": len(process.timers), "events": len(process.recorder)},
        "strangers_refused": process.gate.refused,
        "trace_lost": process.recorder.lost,
        "prints_lost": process.prints.lost,
        "sent": {kind.__name__: list(counted) for kind, counted in process.sent.items()},
        **measured(process),
        **process.counters,
    }
    return Told(mine)


def _look(process: NodeProcess, order: control.Look) -> Told:
    return Told(held(process, order.key))


def _scan(process: NodeProcess, order: control.Scan) -> Told:
    return Told(scanned(process, order.prefix, order.after, order.limit))


def _digest(process: NodeProcess, order: control.Digest) -> Told:
    return Told(digests(process, order.first, order.last, order.slices))


def _remember(process: NodeProcess, _: control.Remember) -> Told:
    return Told([list(event) for event in process.node.membership.history] if process.node is not None else [])


def _flush(process: NodeProcess, _: control.Flush) -> Done:
    process.feed()
    return Done()


def _take_parts(process: NodeProcess, order: control.TakeParts) -> Done | Refused:
    try:
        process.parts = process.new_parts(order.number)
    except Empty:
        return Refused("the parts have not come")
    except Exception as error:  # noqa: BLE001 - loading runs a student's code
        return Refused(f"the parts cannot be loaded: {error}", students_traceback(error))
    process.uses_parts = bool(process.parts.given())
    if process.node is not None:
        process.node.replace_parts(process.parts)
    return Done()


def _stop(process: NodeProcess, _: control.Stop) -> Done:
    process.stopped = True
    return Done()


_OBEY: dict[type, Callable[[NodeProcess, Any], Done | Told | Refused]] = {
    control.Know: _know,
    control.Begin: _begin,
    control.SetFaults: _set_faults,
    control.SetSkew: _set_skew,
    control.Inspect: _inspect,
    control.Count: _count,
    control.Look: _look,
    control.Scan: _scan,
    control.Digest: _digest,
    control.Remember: _remember,
    control.Flush: _flush,
    control.TakeParts: _take_parts,
    control.Stop: _stop,
}
