"""The HTTP face of a live cluster: one port per node, every request through that port's own node (paper 4.1, 4.5).

Theory of operation.
`Gateway` serves all ports from one thread of the process that started the cluster, with the cluster's own clients:
a port is a client that always asks its node, so a crashed node's port says 503, and a cut is felt where it is.
Each port has an application of its own (`application`); `dynalab.gateway` has its addresses.

Rule 1: the go-between remembers nothing. What a client has seen travels in `context`, sealed by the cluster;
a put that says nothing of it replaces what its coordinator holds (`Context.LOCAL`).
Rule 2: an answer is JSON whatever happened, says whether an error is definite, and never shows a stack trace.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from importlib.resources import files
from types import TracebackType
from typing import IO, Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, Response
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute, Match

import dynalab
from dynalab.core.errors import DynalabError, InvalidSetting
from dynalab.gateway import faults, kv, looks, nodes
from dynalab.gateway.access import Access, Token
from dynalab.gateway.documents import definitions
from dynalab.gateway.face import Face, note, trace_id
from dynalab.gateway.frame import Frame
from dynalab.gateway.logs import Log
from dynalab.gateway.meters import Meters
from dynalab.gateway.refusals import no_such_address, refusal
from dynalab.live.cluster import Cluster

PORT = 8080
BACKLOG = 256
CLOSING_S = 2
"""How long answers under way may take when the gateway closes."""


class Application(FastAPI):
    """FastAPI, whose document also has the bodies that are read by hand, and the tokens if any are wanted."""

    is_guarded = False

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.addresses: list[BaseRoute] = []

    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document, made when it is first asked for."""
        is_new = self.openapi_schema is None
        document = super().openapi()
        if is_new:
            document["components"]["schemas"] |= definitions()
        if is_new and self.is_guarded:
            document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
            document["security"] = [{"token": []}]
        return document


def application(face: Face, log: Log) -> Application:
    """The application of one node's port."""
    app = Application(
        title=f"dynalab, node {face.node}",
        version=dynalab.__version__,
        description="A Dynamo cluster for learning. Every port serves one node; any node takes any request.",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    for part in (kv, looks, nodes, faults):
        routes = part.router(face)
        app.include_router(routes)
        app.addresses += routes.routes

    @app.get("/", include_in_schema=False)
    async def page() -> HTMLResponse:
        """What is there, for people; needs nothing from outside."""
        return HTMLResponse(files("dynalab.gateway").joinpath("page.html").read_text("utf-8"))

    app.add_exception_handler(DynalabError, _refuse)
    app.add_exception_handler(HTTPException, _refuse_address)
    body_max = face.cluster.config.max_value_bytes * 4 // 3 + 65_536
    app.add_middleware(Frame, node=face.node, log=log, body_max=body_max)
    app.is_guarded = face.access.is_guarded
    return app


async def _refuse(request: Request, error: Exception) -> Response:
    note(request, error=type(error).__name__)
    return refusal(error, trace_id(request))


async def _refuse_address(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = ", ".join(sorted(_methods(request)))
    return no_such_address(error.status_code, trace_id(request), headers)


def _methods(request: Request) -> set[str]:
    """What can be done at this address, by all routes that know it."""
    matching = [route for route in request.app.addresses if route.matches(request.scope)[0] is not Match.NONE]
    return {method for route in matching for method in getattr(route, "methods", None) or ()}


class Gateway:
    """The HTTP ports of a running cluster; close it before the cluster.

    Args:
        cluster: the running cluster.
        port: of the first node; the others follow. 0: the system chooses each.
        ports: of each node, instead: a list in the order of nodes, or a table.
        host: where to listen; only this machine reaches 127.0.0.1.
        tokens: bearer tokens; none: no request needs one.
        protect: ``all`` requests need a token, or only ``writes``.
        log: a text file for one JSON line per request.

    Raises:
        InvalidSetting: ports that do not fit the nodes.
        OSError: a port is taken; nothing is left open.
    """

    def __init__(
        self,
        cluster: Cluster,
        port: int = PORT,
        ports: Sequence[int] | Mapping[str, int] | None = None,
        host: str = "127.0.0.1",
        tokens: Sequence[Token] = (),
        protect: str = "all",
        log: IO[str] | None = None,
    ) -> None:
        self._cluster = cluster
        self._host = host
        self._access = Access(tokens, protect)
        self._log = Log(log)
        self._base = port
        #: {node: its listening socket}
        self._sockets: dict[str, socket.socket] = {}
        #: {node: (server, its task)}
        self._serving: dict[str, tuple[uvicorn.Server, asyncio.Task[None]]] = {}
        try:
            for node, number in _ports(cluster.nodes, port, ports).items():
                self._sockets[node] = _listening(host, number)
        except BaseException:
            self._close_sockets()
            raise
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="dynalab-http", daemon=True)
        self._thread.start()
        try:
            self.update()
        except BaseException:
            self.close()
            raise

    @property
    def ports(self) -> dict[str, int]:
        """``{node: port}``"""
        return {node: listening.getsockname()[1] for node, listening in self._sockets.items()}

    def url(self, node: str | None = None) -> str:
        """The address of a node's port; of the first node when none is named."""
        node = node or next(iter(self._sockets))
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.ports[node]}"

    def update(self) -> None:
        """Open a port for every node that joined, close those of nodes that left."""
        asyncio.run_coroutine_threadsafe(self._update(), self._loop).result()

    def close(self) -> None:
        """Answer what is under way, and close all ports; closing twice is fine."""
        if self._loop.is_closed():
            return
        asyncio.run_coroutine_threadsafe(self._stop(list(self._serving)), self._loop).result()
        self._close_sockets()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def __enter__(self) -> Gateway:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<Gateway {', '.join(f'{node} {self.url(node)}' for node in self._sockets)}>"

    # On the loop's thread ------------------------------------------------------------------------

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    async def _update(self) -> None:
        nodes = self._cluster.nodes
        await self._stop([node for node in self._serving if node not in nodes])
        for node in nodes:
            if node not in self._serving:
                await self._serve(node)

    async def _serve(self, node: str) -> None:
        if node not in self._sockets:
            number = max(self.ports.values(), default=self._base - 1) + 1 if self._base else 0
            self._sockets[node] = _listening(self._host, number)
        client = await asyncio.to_thread(self._cluster.client, f"http-{node}", node)
        meters = Meters(self._cluster, node)
        face = Face(self._cluster, node, client, self._access, meters, lambda: self.ports, self._update)
        server = uvicorn.Server(_settings(application(face, self._log)))
        task = asyncio.create_task(server.serve(sockets=[self._sockets[node]]))
        self._serving[node] = (server, task)

    async def _stop(self, nodes: list[str]) -> None:
        ending = [self._serving.pop(node) for node in nodes]
        for server, _ in ending:
            server.should_exit = True
        await asyncio.gather(*(task for _, task in ending))
        for node in nodes:
            self._sockets.pop(node).close()

    def _close_sockets(self) -> None:
        for listening in self._sockets.values():
            listening.close()


def _settings(app: Any) -> uvicorn.Config:
    """No log of its own, no signals, no lifespan: the gateway begins and ends it."""
    return uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        lifespan="off",
        ws="none",
        server_header=False,
        timeout_graceful_shutdown=CLOSING_S,
    )


def _ports(nodes: Sequence[str], port: int, ports: Sequence[int] | Mapping[str, int] | None) -> dict[str, int]:
    """The port of every node.

    Raises:
        InvalidSetting: a node without a port, a port without a node, a number that is no port.
    """
    if ports is None:
        table = {node: port + place if port else 0 for place, node in enumerate(nodes)}
    elif isinstance(ports, Mapping):
        table = dict(ports)
    else:
        table = dict(zip(nodes, ports, strict=False)) if len(ports) == len(nodes) else {}
    if set(table) != set(nodes):
        raise InvalidSetting(f"every node needs a port: the nodes are {', '.join(nodes)}; got {ports!r:.200}")
    for node, number in table.items():
        if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= 65_535:
            raise InvalidSetting(f"a port is a number from 0 to 65535; node {node} got {number!r:.80}")
    return {node: table[node] for node in nodes}


def _listening(host: str, port: int) -> socket.socket:
    """A socket that takes connections already, so that nobody has to wait for the server to come up.

    Its protocol is named: otherwise asyncio leaves Nagle's algorithm on, and each answer waits 40 ms.
    """
    listening = socket.socket(
        socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP
    )
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        text = f"cannot listen on {host} port {port}: {error.strerror}; choose other ports"
        raise OSError(error.errno, text) from error
    return listening
