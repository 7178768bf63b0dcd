"""Semantic reconciliation by the store, for keys whose application asked for it (paper 4.4, 6).

Siblings are merged when a get answers; nothing is written.
The reader's context covers them all, so its next put replaces them.
"""

from __future__ import annotations

from dynalab.core.desk import Desk, nonsense
from dynalab.core.errors import InvalidValue
from dynalab.core.merge import LastWriterWins, Merger, choose, merge_siblings
from dynalab.core.session import decode_value, encode_value
from dynalab.core.version import Siblings, Version


def resolved(desk: Desk, key: bytes, state: Siblings) -> tuple[Siblings, str]:
    """The state a client is shown, and the name of the merger that made it; empty: shown as it is."""
    if len(state.versions) < 2 or (not desk.config.mergers and desk.parts.merge is None):
        return state, ""
    rule = choose(dict(desk.config.mergers), key)
    if isinstance(rule, LastWriterWins):
        newest = max(state.versions, key=lambda version: (version.wall_us, version.dot))
        return state._replace(versions=(newest,)), rule.name
    live = [version for version in state.versions if not version.deleted]
    if len(live) < 2 or (rule is None and desk.parts.merge is None):
        return state, ""
    if desk.parts.merge is not None:
        return _with_value(state, _by_part(desk, live)), "part"
    assert rule is not None
    return _by_rule(desk, state, live, rule)


def _by_rule(desk: Desk, state: Siblings, live: list[Version], rule: Merger) -> tuple[Siblings, str]:
    stamped = [(decode_value(version.value), version.wall_us, str(version.dot)) for version in live]
    try:
        return _with_value(state, encode_value(merge_siblings(rule, stamped), desk.config.max_value_bytes)), rule.name
    except ValueError as error:
        desk.note("refuse", text=f"{rule.name} cannot merge these values: {error}")
        return state, ""


def _by_part(desk: Desk, live: list[Version]) -> bytes:
    assert desk.parts.merge is not None
    merged = desk.call_part("merge", desk.parts.merge, [decode_value(version.value) for version in live])
    try:
        return encode_value(merged, desk.config.max_value_bytes)
    except InvalidValue:
        raise nonsense("merge", merged, "a value: bytes, str or what JSON can say") from None


def _with_value(state: Siblings, value: bytes) -> Siblings:
    newest = max(state.versions, key=lambda version: (version.wall_us, version.dot))
    return state._replace(versions=(newest._replace(value=value, clock=state.context.clock),))
