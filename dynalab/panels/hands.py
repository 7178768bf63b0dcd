"""The hands of the panel: run a verb by its name, with checked arguments, and say the line of code it was.

Theory of operation.
The browser names a verb and sends its arguments as JSON; a method here turns them into a call and its code.
The line is said before the call runs, and its outcome after; so a slow verb is seen to be under way.

Rule 1: every control does exactly what the same verb does in code; the line can be copied into a cell.
Rule 2: a verb that is not in `VERBS` does not run; an argument of the wrong type is refused here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from dynalab.core.clock import Context
from dynalab.core.errors import BadRequest, DynalabError
from dynalab.core.session import USE_SESSION, Ack, Got
from dynalab.panels.asked import Asked, literal, shown_named, typed, variable
from dynalab.panels.catalogue import Words
from dynalab.panels.subject import SIM, Subject

LINES_KEPT = 40

RUNNING, WAITING, DONE, REFUSED, UNKNOWN = "running", "waiting", "done", "refused", "unknown"
"""What has become of a line: under way, waiting for steps, done, surely without effect, perhaps with one."""


@dataclass(slots=True)
class Line:
    """One line of code and what came of it."""

    number: int
    code: str
    state: str = RUNNING
    outcome: str = ""


class Hands:
    """Runs verbs on one cluster.

    Args:
        subject: the cluster.
        words: the catalogue.
        on_lines: called with the lines, newest last, whenever one changed.

    Attributes:
        results: ``{"got": ..., "ack": ...}``: the latest of each, for stories.
    """

    def __init__(self, subject: Subject, words: Words, on_lines: Callable[[list[dict[str, Any]]], object]) -> None:
        self.subject = subject
        self.words = words
        self._on_lines = on_lines
        self._lines: deque[Line] = deque(maxlen=LINES_KEPT)
        self._said = 0
        #: number of the line that counts steps, and how many they are
        self._stepping = 0
        self._steps = 0
        self._clients: dict[str, Any] = {}
        #: {(client, key): the context its last get gave}
        self._contexts: dict[tuple[str, str], Context] = {}
        self.results: dict[str, Any] = {}

    @property
    def clients(self) -> list[str]:
        """The clients made so far."""
        return list(self._clients)

    def run(self, verb: str, arguments: Mapping[str, Any], wait: bool = True) -> Line:
        """Run one verb; what goes wrong is in the line, not raised.

        Args:
            verb: one of `VERBS`.
            arguments: by name; see the methods.
            wait: False in a paused simulation: a request is submitted, and steps carry it out.
        """
        if verb not in VERBS:
            return self._failed(self._say(f"{verb[:40]}(...)"), BadRequest(self.words("hands.no_verb", verb=verb[:40])))
        try:
            code, call = getattr(self, f"_{verb}")(Asked(arguments), wait)
        except DynalabError as error:
            return self._failed(self._say(f"{self.subject.name}.{verb}(...)"), error)
        return self._carry_out(self._say(code), call)

    def say(self, code: str) -> None:
        """Show a line that something else ran."""
        line = self._say(code)
        line.state = DONE
        self.tell()

    def stepped(self, steps: int) -> None:
        """A simulation was carried on by hand; steps in a row are one line."""
        last = self._lines[-1] if self._lines else None
        if last is None or last.number != self._stepping:
            last = self._say("")
            self._stepping, self._steps = last.number, 0
        self._steps += steps
        step = f"{self.subject.name}.step()"
        last.code = step if self._steps == 1 else f"for _ in range({self._steps}): {step}"
        last.state = DONE
        self.tell()

    def _carry_out(self, line: Line, call: Callable[[], Any]) -> Line:
        try:
            result = call()
        except DynalabError as error:
            return self._failed(line, error)
        if hasattr(result, "when_done"):
            line.state = WAITING
            line.outcome = self.words("hands.submitted")
            result.when_done(lambda: self._end(line, result))
        else:
            self._succeeded(line, result)
        self.tell()
        return line

    def _end(self, line: Line, pending: Any) -> None:
        if pending.error is not None:
            self._failed(line, pending.error)
        else:
            self._succeeded(line, pending.result())
            self.tell()

    def _succeeded(self, line: Line, result: Any) -> None:
        line.state = DONE
        line.outcome = self._outcome(result)

    def _failed(self, line: Line, error: DynalabError) -> Line:
        line.state = REFUSED if error.definite else UNKNOWN
        line.outcome = f"{type(error).__name__}: {error}"
        self.tell()
        return line

    def _say(self, code: str) -> Line:
        self._said += 1
        line = Line(self._said, code)
        self._lines.append(line)
        self.tell()
        return line

    def tell(self) -> None:
        """Say all lines again."""
        self._on_lines([asdict(line) for line in self._lines])

    def _outcome(self, result: Any) -> str:
        if isinstance(result, Ack):
            hinted = ", ".join(self.words("hands.hint", holder=a, home=b) for a, b in result.hinted.items())
            told = self.words("hands.ack", nodes=", ".join(result.nodes), ms=f"{result.latency_ms:.1f}")
            return f"{told} {hinted}".strip()
        if isinstance(result, Got):
            values = ", ".join(map(repr, result.values)) or self.words("hands.nothing")
            stale = self.words("hands.stale", nodes=", ".join(result.stale_nodes)) if result.stale_nodes else ""
            told = self.words("hands.got", values=values, nodes=", ".join(result.nodes), ms=f"{result.latency_ms:.1f}")
            return f"{told} {stale}".strip()
        return str(result) if isinstance(result, str) else ""

    # Clients ---------------------------------------------------------------------------------

    def _client(self, name: str) -> Any:
        if name not in self._clients:
            line = self._say(f"{variable(name)} = {self.subject.name}.client({literal(name)})")
            self._clients[name] = self.subject.target.client(name)
            line.state = DONE
        return self._clients[name]

    def _put(self, said: Asked, wait: bool) -> tuple[str, Callable[[], Any]]:
        key, value = said.text("key"), typed(said.text("value"))
        return self._write("put", said, wait, key, value)

    def _delete(self, said: Asked, wait: bool) -> tuple[str, Callable[[], Any]]:
        return self._write("delete", said, wait, said.text("key"))

    def _write(self, verb: str, said: Asked, wait: bool, key: str, *value: Any) -> tuple[str, Callable[[], Any]]:
        name = said.text("client", "alice")
        context, shown = self._context(said, name, key)
        options = said.options("n", "w", "timeout_ms", "via")
        client = self._client(name)
        shown_options = ([f"context={shown}"] if shown else []) + shown_named(options)
        submit = "" if wait else "submit_"
        code = f"{variable(name)}.{submit}{verb}({', '.join([literal(key), *map(literal, value), *shown_options])})"
        method = getattr(client, f"{submit}{verb}")
        return code, lambda: self._keep("ack", method(key, *value, context=context, **options))

    def _get(self, said: Asked, wait: bool) -> tuple[str, Callable[[], Any]]:
        name, key = said.text("client", "alice"), said.text("key")
        options = said.options("n", "r", "timeout_ms", "via")
        client = self._client(name)
        submit = "" if wait else "submit_"
        code = f"got = {variable(name)}.{submit}get({', '.join([literal(key), *shown_named(options)])})"
        method = getattr(client, f"{submit}get")

        def call() -> Any:
            return self._keep("got", method(key, **options), lambda got: self._remember(name, key, got))

        return code, call

    def _keep(self, kind: str, result: Any, also: Callable[[Any], None] | None = None) -> Any:
        def keep(answer: Any) -> None:
            self.results[kind] = answer
            if also is not None:
                also(answer)

        if hasattr(result, "when_done"):
            result.when_done(lambda: None if result.error else keep(result.result()))
        else:
            keep(result)
        return result

    def _remember(self, name: str, key: str, got: Got) -> None:
        self._contexts[name, key] = got.context

    def _context(self, said: Asked, name: str, key: str) -> tuple[Any, str]:
        """The context to send, and how a person would write it; nothing: left out."""
        choice = said.text("context", "session")
        if choice == "none":
            return None, "None"
        if choice == "local":
            return Context.LOCAL, "Context.LOCAL"
        if choice == "got":
            if (name, key) not in self._contexts:
                raise BadRequest(self.words("hands.no_context", client=name, key=key))
            return self._contexts[name, key], "got.context"
        if choice != "session":
            raise BadRequest(self.words("hands.wrong", what="context", value=choice[:40]))
        return USE_SESSION, ""

    # The network -----------------------------------------------------------------------------

    def _partition(self, said: Asked, wait: bool) -> tuple[str, Callable[[], Any]]:
        sides, one_way = said.sides("sides"), said.flag("one_way")
        return self._called("partition", *sides, one_way=one_way)

    def _heal(self, said: Asked, wait: bool) -> tuple[str, Callable[[], Any]]:
        return self._called("heal")

    def _link(self, said: Asked, wait: bool) -> tuple[str, Callable[[], Any]]:
        low, high = said.number("delay_low", 0), said.number("delay_high", 0)
        delay: Any = (low, high) if high > low else low
        rule = {name: said.number(name, 0) for name in ("drop", "duplicate", "reorder")}
        given = {name: value for name, value in {**rule, "delay_ms": delay}.items() if value}
        return self._called("link", said.text("from"), said.text("to"), **given, both_ways=said.flag("both_ways"))

    # Nodes -----------------------------------------------------------------------------------

    def _crash(self, said: Asked, wait: bool) -> tuple[str, Callable[[], Any]]:
        return self._called("crash", said.text("node"))

    def _recover(self, said: Asked, wait: bool) -> tuple[str, Callable[[], Any]]:
        return self._called("recover", said.text("node"), wipe=said.flag("wipe"))

    def _pause(self, said: Asked, wait: bool) -> tuple[str, Callable[[], Any]]:
        return self._called("pause", said.text("node"))

    def _resume(self, said: Asked, wait: bool) -> tuple[str, Callable[[], Any]]:
        return self._called("resume", said.text("node"))

    def _skew(self, said: Asked, wait: bool) -> tuple[str, Callable[[], Any]]:
        return self._called("skew", said.text("node"), ms=said.number("ms", 0))

    def _join(self, said: Asked, wait: bool) -> tuple[str, Callable[[], Any]]:
        return self._called("join", said.text("node"))

    def _leave(self, said: Asked, wait: bool) -> tuple[str, Callable[[], Any]]:
        return self._called("leave", said.text("node"), force=said.flag("force"))

    def _settle(self, said: Asked, wait: bool) -> tuple[str, Callable[[], Any]]:
        return self._called("settle")

    def _run(self, said: Asked, wait: bool) -> tuple[str, Callable[[], Any]]:
        if self.subject.kind != SIM:
            raise BadRequest(self.words("hands.only_sim"))
        return self._called("run", ms=said.number("ms", 0))

    def _called(self, verb: str, *arguments: Any, **named: Any) -> tuple[str, Callable[[], Any]]:
        named = {name: value for name, value in named.items() if value is not False}
        shown = [literal(argument) for argument in arguments] + shown_named(named)
        method = getattr(self.subject.target, verb)
        return f"{self.subject.name}.{verb}({', '.join(shown)})", lambda: method(*arguments, **named)


VERBS = frozenset(
    (
        *("put", "get", "delete", "partition", "heal", "link", "crash", "recover", "pause", "resume"),
        *("skew", "join", "leave", "settle", "run"),
    )
)
