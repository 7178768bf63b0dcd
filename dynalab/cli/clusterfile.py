"""`cluster.toml`: what `dynalab up` is told in a file.

    [cluster]                       # nodes, and any setting of `Config`
    nodes = ["ann", "bob", "cy"]    # or a number
    n = 3
    storage = "sqlite"
    weights = {ann = 2.0}

    [http]
    ports = [8080, 8081, 8082]      # or port = 8080, and the others follow
    log = "requests.jsonl"

    [[http.tokens]]                 # none: no request needs one
    token = "..."
    prefixes = ["user:"]
    admin = false

`documented()` is such a file with every key, its default and what it means, made of the code itself.
"""

from __future__ import annotations

import ast
import inspect
import json
import textwrap
import tomllib
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from dynalab.core.config import Config
from dynalab.core.errors import InvalidSetting

SERVED: dict[str, Any] = {"close_after_ms": 0}
"""Settings whose default is another one here: what is served stays until it is told to end."""


@dataclass
class HttpSettings:
    """The `[http]` table."""

    port: int = 8080
    """Of the first node; the others follow. 0: the system chooses each."""
    ports: list[int] = field(default_factory=list)
    """One for each node, instead of `port`; none: they follow from it."""
    host: str = "127.0.0.1"
    """Where to listen: 127.0.0.1 is this machine only, 0.0.0.0 every network it is in. Then set tokens!"""
    protect: str = "all"
    """Which requests need a token, if there are tokens: "all", or "writes" (and what changes the cluster)."""
    log: str = ""
    """A file for one JSON line per request; "-" is the error stream, empty is nowhere."""
    tokens: list[dict[str, Any]] = field(default_factory=list)
    """Bearer tokens, each a table [[http.tokens]] like the one below; none: no request needs one."""


@dataclass
class TokenSettings:
    """One `[[http.tokens]]` table."""

    token: str = ""
    """What a client sends as `Authorization: Bearer ...`."""
    prefixes: list[str] = field(default_factory=list)
    """Prefixes of the keys it is for; none: all keys."""
    write: bool = True
    """It may put and delete."""
    admin: bool = True
    """It may look inside nodes and cause faults."""


@dataclass
class ClusterFile:
    """Everything a file, or the command line, says.

    Attributes:
        nodes: how many, or their names.
        settings: of `Config`, only those that were said.
        http: of the gateway.
    """

    nodes: int | list[str] = 3
    settings: dict[str, Any] = field(default_factory=dict)
    http: HttpSettings = field(default_factory=HttpSettings)


def read(path: Path) -> ClusterFile:
    """The file at `path`.

    Raises:
        InvalidSetting: it is no TOML, or names what there is not; values are checked when the cluster starts.
        OSError: it cannot be read.
    """
    try:
        said = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InvalidSetting(f"{path} is no TOML: {error}") from None
    cluster, http = _table(path, said, "cluster"), _table(path, said, "http")
    _only(path, "the file", said, ["cluster", "http"])
    _only(path, "[cluster]", cluster, ["nodes", *_names(Config)])
    _only(path, "[http]", http, _names(HttpSettings))
    _typed(path, "[http]", http, HttpSettings)
    for token in http.get("tokens", []):
        if not isinstance(token, dict) or not token.get("token"):
            raise InvalidSetting(f"{path}: [[http.tokens]] needs a token, a text")
        _only(path, "[[http.tokens]]", token, _names(TokenSettings))
        _typed(path, "[[http.tokens]]", token, TokenSettings)
    nodes = cluster.pop("nodes", 3)
    return ClusterFile(nodes, cluster, HttpSettings(**http))


def documented() -> str:
    """A file with every key, its default, what it means, and its choices where it has few."""
    parts = [
        "# cluster.toml: everything `dynalab up cluster.toml` can be told. What stands right behind a # is a default.",
        "[cluster]",
        _entry("nodes", "3", "How many (A, B, C ...), or their names: nodes = ['ann', 'bob']."),
        *_entries(Config, made=Config(**SERVED)),
        "\n[http]",
        *_entries(HttpSettings, ("tokens",)),
        "\n#[[http.tokens]]",
        *_entries(TokenSettings),
    ]
    return "\n".join(parts) + "\n"


def _table(path: Path, said: dict[str, Any], name: str) -> dict[str, Any]:
    table = said.get(name, {})
    if not isinstance(table, dict):
        raise InvalidSetting(f"{path}: {name} is a table, [{name}]")
    return dict(table)


def _only(path: Path, where: str, said: dict[str, Any], known: list[str]) -> None:
    unknown = sorted(set(said) - set(known))
    if unknown:
        raise InvalidSetting(f"{path}: {where} has no {unknown[0]!r}; it has {', '.join(known)}")


def _typed(path: Path, where: str, said: dict[str, Any], kind: Any) -> None:
    """Every value is of the type of its default."""
    made = kind()
    for name, value in said.items():
        if type(value) is not type(getattr(made, name)):
            words = type(getattr(made, name)).__name__
            raise InvalidSetting(f"{path}: {name} in {where} is of type {words}; got {value!r:.80}")


def _names(kind: Any) -> list[str]:
    return [each.name for each in fields(kind)]


def _entries(kind: Any, without: tuple[str, ...] = (), made: Any = None) -> list[str]:
    """Every field of a dataclass as a line, under the text that stands below it in the source."""
    texts, choices, made = _texts(kind), _choices(kind), made or kind()
    return [
        _entry(name, _toml(getattr(made, name)), f"{texts[name]}{choices.get(name, '')}")
        for name in _names(kind)
        if name not in without
    ]


def _choices(kind: Any) -> dict[str, str]:
    """{field: the values there are, for a field that takes one of a few}"""
    hints = get_type_hints(kind)
    few = {name: get_args(hint) for name, hint in hints.items() if get_origin(hint) is Literal}
    return {name: f" One of {', '.join(map(_toml, values))}." for name, values in few.items()}


def _entry(name: str, default: str, text: str) -> str:
    said = text.replace("`", "").replace("None: a temporary folder", "empty: a temporary folder")
    lines = [f"# {line}" for line in textwrap.wrap(said, 110)]
    return "\n".join(["", *lines, f"#{name} = {default}"])


def _texts(kind: Any) -> dict[str, str]:
    """{field: the text below it}"""
    body = ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]
    assert isinstance(body, ast.ClassDef)
    pairs = zip(body.body, body.body[1:], strict=False)
    return {
        first.target.id: " ".join(str(second.value.value).split())
        for first, second in pairs
        if isinstance(first, ast.AnnAssign)
        and isinstance(first.target, ast.Name)
        and isinstance(second, ast.Expr)
        and isinstance(second.value, ast.Constant)
    }


def _toml(value: Any) -> str:
    if value is None:
        return '""'
    return "{}" if isinstance(value, dict) else json.dumps(value)
