"""Bearer tokens: who may read, write, look inside; which keys a token is for."""

from __future__ import annotations

import pytest

from dynalab.gateway.access import Token

pytestmark = pytest.mark.live

TOKENS = (
    Token("root"),
    Token("user-key", prefixes=("user:", "cart:"), admin=False),
    Token("reader", write=False, admin=False),
)


def bearer(secret: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {secret}"}


@pytest.fixture(scope="module")
def guarded():
    """Three nodes whose ports want tokens."""
    from tests.http.conftest import opened

    face = opened(name="guarded", gateway={"tokens": TOKENS})
    yield face
    face.close()


@pytest.mark.parametrize(
    "headers", [{}, bearer("wrong"), {"Authorization": "Basic cm9vdDo="}, {"Authorization": "root"}]
)
@pytest.mark.parametrize("path", ["/kv/user:1", "/kv", "/admin/ring", "/metrics", "/debug/trace", "/admin/faults"])
def test_without_a_known_token_everything_is_401(guarded, headers, path):
    """A missing or wrong token is 401, definite, and says how to send one."""
    answer = guarded["A"].get(path, headers=headers)
    assert (answer.status_code, answer.json()["error"], answer.json()["definite"]) == (401, "Unauthorised", True)
    assert answer.headers["www-authenticate"].startswith("Bearer")


@pytest.mark.parametrize(
    ("secret", "method", "path", "status"),
    [
        ("root", "PUT", "/kv/any", 200),
        ("root", "GET", "/admin/faults", 200),
        ("user-key", "PUT", "/kv/user:1", 200),
        ("user-key", "DELETE", "/kv/cart:1", 200),
        ("user-key", "GET", "/kv?prefix=user:", 200),
        ("user-key", "GET", "/admin/health", 200),
        ("user-key", "PUT", "/kv/other", 403),
        ("user-key", "GET", "/kv/other", 403),
        ("user-key", "GET", "/debug/siblings/other", 403),
        ("user-key", "GET", "/kv", 403),
        ("user-key", "GET", "/kv?prefix=use", 403),
        ("user-key", "GET", "/debug/trace", 403),
        ("user-key", "GET", "/admin/inspect/A", 403),
        ("user-key", "GET", "/admin/anti-entropy/merkle-snapshot", 403),
        ("reader", "GET", "/kv?prefix=", 200),
        ("reader", "PUT", "/kv/any", 403),
        ("reader", "DELETE", "/kv/any", 403),
        ("reader", "GET", "/admin/hints", 403),
    ],
)
def test_a_token_may_do_what_it_is_for(guarded, secret, method, path, status):
    """Key prefixes, writing and looking inside are rights of a token; what it may not do is 403."""
    options = {"json": {"value": 1}} if method == "PUT" else {}
    answer = guarded["B"].request(method, path, headers=bearer(secret), **options)
    assert answer.status_code == status, answer.text


def test_who_may_not_is_told_before_the_body_is_read(guarded):
    """Without a token, even a malformed request is 401: nothing of it was looked at."""
    assert guarded["A"].put("/kv/x", content=b"{", headers={"Content-Type": "application/json"}).status_code == 401
    assert guarded["A"].post("/admin/faults", json={"verb": "crash", "node": "A"}).status_code == 401
    assert guarded.cluster.states()["A"] == "up"


def test_the_page_and_the_document_are_open_and_say_that_tokens_are_wanted(guarded):
    """A person without a token can still find out what is here."""
    assert guarded["A"].get("/").status_code == 200
    document = guarded["A"].get("/openapi.json").json()
    assert document["components"]["securitySchemes"]["token"]["scheme"] == "bearer"


def test_reads_may_be_open_while_writes_are_not(open_face):
    """With protect="writes" a get needs no token, a put, a delete and what looks inside do."""
    face = open_face(3, gateway={"tokens": TOKENS, "protect": "writes"})
    assert face["A"].get("/kv/x").status_code == 404
    assert face["A"].put("/kv/x", json={"value": 1}).status_code == 401
    assert face["A"].delete("/kv/x").status_code == 401
    assert face["A"].get("/admin/hints").status_code == 401
    assert face["A"].put("/kv/x", json={"value": 1}, headers=bearer("root")).status_code == 200
