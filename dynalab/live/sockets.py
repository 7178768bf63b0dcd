"""What all sockets of a cluster have in common: their limits."""

from __future__ import annotations

from typing import Any

import zmq
import zmq.backend

MESSAGE_BYTES_MAX = 32 * 1024 * 1024
"""A peer that sends a longer frame is disconnected (libzmq: MAXMSGSIZE)."""

QUEUE_FRAMES_MAX = 1_000
"""Frames that wait for one connection, in each direction (libzmq: SNDHWM, RCVHWM)."""

HANDSHAKE_MS = 2_000
"""Who has not proved its key by then is disconnected (libzmq's default is 30 s)."""

HEARTBEAT_MS, HEARTBEAT_TIMEOUT_MS = 20_000, 120_000
"""Connections whose other end vanished without a word are closed; a node paused for two minutes is not."""

RECONNECT_MS, RECONNECT_MS_MAX = 50, 1_000

CONNECTIONS_WAITING_MAX = 1_024
"""Connections the system accepts for us before we look (libzmq: BACKLOG)."""

NOBLOCK = int(zmq.NOBLOCK)
"""As a plain integer: combining enumerations costs more than sending."""

SNDMORE = int(zmq.SNDMORE | zmq.NOBLOCK)

RCVTIMEO = int(zmq.RCVTIMEO)

RCVMORE = int(zmq.RCVMORE)


class PlainSocket(zmq.Socket[bytes]):
    """A socket whose `send` is that of pyzmq's backend.

    That of `zmq.Socket` first looks for what only other kinds of sockets need, and so takes twice as long.
    """

    send = zmq.backend.Socket.send  # type: ignore[assignment]  # It takes fewer arguments.


def plain_socket(zmq_context: zmq.Context[Any], kind: int) -> PlainSocket:
    """A socket with the limits that every socket has."""
    socket: PlainSocket = zmq_context.socket(kind, socket_class=PlainSocket)
    socket.linger = 0
    socket.sndhwm = socket.rcvhwm = QUEUE_FRAMES_MAX
    socket.maxmsgsize = MESSAGE_BYTES_MAX
    socket.handshake_ivl = HANDSHAKE_MS
    socket.heartbeat_ivl, socket.heartbeat_timeout = HEARTBEAT_MS, HEARTBEAT_TIMEOUT_MS
    socket.reconnect_ivl, socket.reconnect_ivl_max = RECONNECT_MS, RECONNECT_MS_MAX
    return socket
