"""Our OpenAPI document against a running gateway: schemathesis makes requests of it, right and wrong ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
import schemathesis
from hypothesis import Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import positive_data_acceptance

from tests.conftest import THOROUGH
from tests.http.conftest import opened

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.live

EXAMPLES = 200 if THOROUGH else 12
FREE = (
    *("GET /metrics", "GET /admin/health", "GET /admin/hints", "GET /admin/inspect/{node}"),
    *("GET /admin/dashboard", "GET /admin/faults"),
)
"""Operations that take nothing which could be of a wrong shape."""
CHECKED = (
    *("PUT /kv/{key}", "DELETE /kv/{key}", "GET /kv/{key}", "GET /kv", "GET /debug/siblings/{key}"),
    *("GET /debug/trace", "GET /admin/anti-entropy/merkle-snapshot", "GET /admin/ring", "POST /admin/faults"),
)

LEAVES = 300
"""More of them are more of the same, and slow to check."""

BEYOND_A_SCHEMA = {"InvalidKey", "InvalidQuorum", "InvalidContext", "InvalidPartition", "InvalidSetting"}
"""Why a request of the right shape may be refused: more than 1024 bytes, R above N, a seal that nobody set ..."""


@pytest.fixture(scope="module")
def operations() -> Iterator[dict[str, Any]]:
    """What the document of a port lists; the cluster's nodes have names that nobody hits by accident."""
    face = opened(["node-nn", "node-oo", "node-pp"], name="schema", anti_entropy_ms=100)
    document = schemathesis.openapi.from_url(face.gateway.url() + "/openapi.json")
    listed = [result.ok() for result in document.get_all_operations()]
    yield {f"{operation.method.upper()} {operation.path}": operation for operation in listed}
    face.close()


def test_every_operation_of_the_document_is_tried(operations: dict[str, Any]) -> None:
    """The operations named above are those of the document."""
    assert set(operations) == {*FREE, *CHECKED}


@pytest.mark.parametrize("name", [*FREE, *CHECKED])
def test_what_the_document_allows_is_answered_as_it_says(operations: dict[str, Any], name: str) -> None:
    """Requests of the right shape get the documented statuses, types and bodies; a refusal is one no schema can say."""

    def is_taken(case: Any) -> None:
        hypothesis.assume(not (isinstance(case.body, dict) and case.body.get("verb") == "join"))  # A process for each.
        if "leafCount" in (case.query or {}):
            case.query["leafCount"] = min(int(case.query["leafCount"]), LEAVES)
        response = _answered(case)
        if response.status_code == 400:
            assert response.json()["error"] in BEYOND_A_SCHEMA, response.text

    _tried(operations[name], GenerationMode.POSITIVE, is_taken)


@pytest.mark.parametrize("name", CHECKED)
def test_what_the_document_forbids_is_refused_with_a_reason(operations: dict[str, Any], name: str) -> None:
    """Requests of a wrong shape are refused: documented, definite, in words, and never a bug."""

    def is_refused(case: Any) -> None:
        response = _answered(case)
        if response.status_code == 400:
            told = response.json()
            assert told["definite"] is True
            assert told["text"]

    _tried(operations[name], GenerationMode.NEGATIVE, is_refused)


def _answered(case: Any) -> Any:
    """The answer, which keeps to the document; 503 is no bug: a deadline may be 1 ms."""
    response = case.call_and_validate(excluded_checks=[not_a_server_error, positive_data_acceptance])
    assert response.status_code < 500 or response.status_code == 503, response.text
    return response


def _tried(operation: Any, mode: GenerationMode, claim: Any) -> None:
    given_cases = given(case=operation.as_strategy(generation_mode=mode))
    bounded = settings(max_examples=EXAMPLES, phases=[Phase.explicit, Phase.generate])
    bounded(given_cases(claim))()
