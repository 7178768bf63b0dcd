"""What a node process is told before it runs: the first frame on its standard input."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import msgspec

from dynalab.core.config import Config
from dynalab.core.messages import Member
from dynalab.live.keys import KeyPair


class Spec(msgspec.Struct, frozen=True):
    """Everything one run of a node's process needs to know.

    Attributes:
        node: its name.
        run: 1 for its first process, one more for each later one.
        config: the cluster's settings, as built-in values.
        secret: seals contexts; the same for all nodes.
        public, private: the node's key pair.
        folder: its own folder: the lock, and the files of a disk engine.
        empty_is_lost: an empty store means that something was forgotten: this is no first start.
        origin_ns: the monotonic time that is 0 in the trace.
        seed: of the node's own chance.
        members, seeds, joining: see `effects.Start`.
        skew_us: how far its wall clock is off.
        allowed: `{public key: name}` of all who may connect.
        parts: cloudpickle of the student's `Parts`; empty: none.
    """

    node: str
    run: int
    config: dict[str, Any]
    secret: bytes
    public: bytes
    private: bytes
    folder: str
    empty_is_lost: bool
    origin_ns: int
    seed: int
    members: tuple[Member, ...]
    seeds: tuple[str, ...]
    joining: bool
    skew_us: int
    allowed: dict[bytes, str]
    parts: bytes = b""

    @property
    def keys(self) -> KeyPair:
        """The node's key pair."""
        return KeyPair(self.public, self.private)


class PartsFrame(msgspec.Struct, frozen=True):
    """A later frame: new parts, to be used when the control line says so."""

    number: int
    parts: bytes


def plain(config: Config) -> dict[str, Any]:
    """A config as built-in values."""
    return {name: dict(value) if hasattr(value, "keys") else value for name, value in asdict(config).items()}


encode = msgspec.msgpack.Encoder().encode
read_spec = msgspec.msgpack.Decoder(Spec).decode
read_parts = msgspec.msgpack.Decoder(PartsFrame).decode
