"""Every error has its status, its words and its `definite`; unforeseen ones keep theirs to the log."""

from __future__ import annotations

import json

import pytest

from dynalab.core.errors import ERRORS, BadRequest, DynalabError, Overloaded, WriteQuorumNotReached
from dynalab.gateway.refusals import Forbidden, TooLarge, Unauthorised, refusal, status_of
from dynalab.live.roll import NodeFailed

UNTIL_NOW = {400, 401, 403, 404, 409, 413, 500, 503}


@pytest.mark.parametrize("kind", [*ERRORS, NodeFailed, Unauthorised, Forbidden, TooLarge])
def test_every_error_of_the_cluster_is_told_as_it_is(kind: type[DynalabError]) -> None:
    """Name, text and definiteness are those of the error; what the caller did wrong is in the 400s."""
    error = kind("why it failed")
    answer = refusal(error, "trace-1")
    told = json.loads(answer.body)
    assert answer.status_code in UNTIL_NOW
    assert (told["ok"], told["error"], told["text"]) == (False, kind.__name__, "why it failed")
    assert (told["definite"], told["traceId"]) == (error.definite, "trace-1")
    assert 400 <= status_of(error) < 500 or not issubclass(kind, BadRequest)


def test_a_node_that_does_not_obey_is_no_bug_of_the_gateway() -> None:
    """A silent node is unavailable, like one that is down: 503."""
    assert status_of(NodeFailed("has not obeyed for 10 s")) == 503


def test_a_quorum_that_was_not_reached_is_told_with_its_count() -> None:
    """What was needed, what was got, and from whom."""
    error = WriteQuorumNotReached("two of three")
    error.needed, error.got, error.nodes = 3, 2, ("A", "B")
    told = json.loads(refusal(error, "t").body)
    assert (told["needed"], told["got"], told["nodes"], told["definite"]) == (3, 2, ["A", "B"], False)


def test_an_overloaded_node_says_when_to_come_back() -> None:
    """Retry-After counts whole seconds, the body milliseconds."""
    error = Overloaded("too much")
    error.retry_ms = 1_050
    answer = refusal(error, "t")
    assert (answer.status_code, answer.headers["retry-after"], json.loads(answer.body)["retryMs"]) == (503, "2", 1_050)
