"""How commands talk to a cluster that `dynalab up` runs: over its HTTP ports."""

from __future__ import annotations

import argparse
import json
import os
from http.client import HTTPException
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import ProxyHandler, Request, build_opener

from dynalab.core.errors import BadRequest, DynalabError, NodeIsDown, UnknownNode

URL = "http://127.0.0.1:8080"
ANSWER_S = 700
"""The longest a request may be asked to try, and some more."""


def add_arguments(parser: argparse.ArgumentParser, via: bool = True, again: bool = False) -> None:
    """The options of every command that talks to a running cluster.

    Args:
        parser: of the command.
        via: with `--via`.
        again: the command has them already, this is one of its verbs: what was said before the verb stays.
    """
    url, token = os.environ.get("DYNALAB_URL", URL), os.environ.get("DYNALAB_TOKEN", "")

    def default(value: Any) -> Any:
        return argparse.SUPPRESS if again else value

    parser.add_argument("--url", default=default(url), help=f"one of its ports, or $DYNALAB_URL (default: {URL})")
    parser.add_argument("--token", default=default(token), help="bearer token, if it wants one; or $DYNALAB_TOKEN")
    if via:
        parser.add_argument("--via", metavar="NODE", help="ask this node instead of the one behind --url")
    parser.add_argument("--json", action="store_true", default=default(False), help="print the answer as JSON")


class Answer(dict[str, Any]):
    """A JSON object that came back, and its status."""

    status: int = 200


class Remote:
    """A running cluster.

    Args:
        options: with the arguments of `add_arguments`.

    Raises:
        BadRequest: the address is none.
        UnknownNode: `--via` names no node.
    """

    def __init__(self, options: argparse.Namespace) -> None:
        self._url = options.url.rstrip("/")
        self._token = options.token
        if urlsplit(self._url).scheme not in ("http", "https") or not urlsplit(self._url).hostname:
            raise BadRequest(f"--url takes an address like {URL}; got {options.url!r:.80}")
        # The cluster is on this machine or at a named address; a proxy for the outside world would not find it.
        self._opener = build_opener(ProxyHandler({}))
        if getattr(options, "via", None):
            self._url = self._port_of(options.via)

    def ask(
        self, method: str, path: str, body: dict[str, Any] | None = None, query: dict[str, Any] | None = None
    ) -> Answer:
        """One request; an answer of 404 that says ``found: false`` is an answer, too.

        Raises:
            BadRequest: the cluster did not understand it.
            NodeIsDown: nothing answers there.
            DynalabError: it was not done; `definite` says whether it may still be.
        """
        given = {name: value for name, value in (query or {}).items() if value is not None}
        address = f"{self._url}{path}" + (f"?{urlencode(given)}" if given else "")
        request = Request(address, method=method)  # noqa: S310 - the scheme was checked
        if body is not None:
            request.data = json.dumps(body).encode()
            request.add_header("Content-Type", "application/json")
        if self._token:
            request.add_header("Authorization", f"Bearer {self._token}")
        return self._answer(request)

    def _answer(self, request: Request) -> Answer:
        try:
            with self._opener.open(request, timeout=ANSWER_S) as response:
                return _read(response.read(), response.status)
        except HTTPError as error:
            answer = _read(error.read(), error.code)
            if "found" in answer or "status" in answer:
                return answer
            raise _refused(answer) from None
        except URLError as error:
            raise NodeIsDown(
                f"nothing answers at {self._url} ({error.reason}); start a cluster with `dynalab up`, "
                "or say where it is with --url"
            ) from None
        except (HTTPException, OSError) as error:
            raise _broken_off(request, error) from None

    def _port_of(self, node: str) -> str:
        ports = {each["node"]: each["port"] for each in self.ask("GET", "/admin/ring")["nodes"]}
        if ports.get(node) is None:
            raise UnknownNode(f"no node is called {node!r}; the nodes are {', '.join(ports)}")
        parts = urlsplit(self._url)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        return f"{parts.scheme}://{host}:{ports[node]}"


def _broken_off(request: Request, error: Exception) -> DynalabError:
    """The connection ended between the request and its whole answer."""
    changes = request.get_method() != "GET"
    what = "it may have been done, or may yet be: look, then decide" if changes else "nothing was changed; ask again"
    broken = DynalabError(f"{request.host} took the request and broke off ({error or type(error).__name__}); {what}")
    broken.definite = not changes
    return broken


def key_path(key: str, head: str = "/kv/") -> str:
    """The path of a key."""
    return head + quote(key, safe="")


def _read(content: bytes, status: int) -> Answer:
    try:
        said = json.loads(content)
    except ValueError:
        raise DynalabError(f"what answers there is no dynalab: {content[:80]!r}") from None
    answer = Answer(said if isinstance(said, dict) else {"answer": said})
    answer.status = status
    return answer


def _refused(answer: Answer) -> DynalabError:
    text = f"{answer.get('error', answer.status)}: {answer.get('text', 'no reason given')}"
    error = BadRequest(text) if answer.status in (400, 404, 413) else DynalabError(text)
    error.definite = bool(answer.get("definite", True))
    return error
