"""Who may ask, and how often."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from booksearch_assets.search.api.access import RateLimit, Tokens, client_address
from booksearch_assets.search.api.limits import ApiSettings
from booksearch_assets_tests.search.api.service import Service

FIRST, SECOND = "first-token-1234567", "second-token-123456"


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Service:
    return Service(tmp_path_factory.mktemp("service"), ApiSettings(tokens=(FIRST, SECOND)))


@pytest.mark.parametrize("token", [FIRST, SECOND])
def test_each_token_opens_the_api(guarded: Service, token: str) -> None:
    client = guarded.client(Authorization=f"Bearer {token}")
    for path in ("/v1/search?text=red", "/v1/items/OL1M", "/v1/facets", "/v1/versions", "/metrics"):
        assert client.get(path).status_code == 200, path


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Bearer",
        "Bearer ",
        FIRST,
        f"Basic {FIRST}",
        f"Bearer {FIRST[:-1]}",
        f"Bearer {FIRST}x",
        "Bearer é",
    ],
)
def test_nothing_else_does(guarded: Service, authorization: str) -> None:
    client = guarded.client()
    for path in ("/v1/search?text=red", "/v1/items/OL1M", "/v1/nothing", "/metrics"):
        response = client.get(path, headers={"Authorization": authorization.encode()})
        assert response.status_code == 401, path
        assert response.json()["type"] == "urn:booksearch:unauthorized"
        assert response.headers["WWW-Authenticate"] == 'Bearer realm="booksearch"'
        assert FIRST not in response.text


def test_what_a_browser_asks_for_without_a_header_is_open(guarded: Service) -> None:
    client = guarded.client()
    assert client.get("/v1/covers/1").status_code == 404
    for path in ("/", "/app.js", "/healthz", "/readyz", "/openapi.json"):
        assert client.get(path).status_code == 200, path


def test_the_description_says_that_a_token_is_needed(guarded: Service) -> None:
    description = guarded.client().get("/openapi.json").json()
    assert description["components"]["securitySchemes"] == {"token": {"type": "http", "scheme": "bearer"}}
    assert description["paths"]["/v1/search"]["post"]["security"] == [{"token": []}]
    assert "security" not in description["paths"]["/v1/covers/{cover_id}"]["get"]


def test_no_token_and_no_query_gets_into_the_log(guarded: Service, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    client = guarded.client(Authorization=f"Bearer {SECOND}")
    client.get("/v1/search?text=my+secret+wish")
    client.post("/v1/search", json={"text": "my secret wish"})
    client.get("/v1/search?text=my+secret+wish", headers={"Authorization": "Bearer wrong-token-1234567"})
    ours = [record.getMessage() for record in caplog.records if record.name == "booksearch.access"]
    assert len(ours) == 3
    assert ours[0].startswith("token 2 GET /v1/search 200 ")
    assert ours[2].startswith("testclient GET ") and " 401 " in ours[2]
    logged = "\n".join(ours)
    assert "secret" not in logged and SECOND not in logged and "wrong-token" not in logged


def test_tokens_are_kept_as_digests() -> None:
    tokens = Tokens([FIRST])
    assert FIRST not in repr(vars(tokens))
    assert FIRST not in repr(ApiSettings(tokens=(FIRST,)))


def test_a_bucket_holds_a_minutes_requests_and_fills_steadily() -> None:
    now = 0.0
    rate = RateLimit(60, clock=lambda: now)
    assert [rate.take("one") for _ in range(60)] == [0.0] * 60
    assert rate.take("one") == pytest.approx(1.0)
    assert rate.take("another") == 0.0
    now = 0.5
    assert rate.take("one") == pytest.approx(0.5)
    assert rate.take("one", cost=0.25) == 0.0
    now = 1000.0
    assert [rate.take("one") for _ in range(61)] == [0.0] * 60 + [pytest.approx(1.0)]


def test_only_so_many_clients_are_remembered() -> None:
    rate = RateLimit(1, clock=lambda: 0.0)
    for number in range(10_001):
        rate.take(str(number))
    assert rate.take("10000") > 0 and rate.take("0") == 0.0


def test_too_many_requests_are_told_when_to_come_again(tmp_path: Path) -> None:
    settings = ApiSettings(tokens=(FIRST,), requests_per_minute=3)
    service = Service(tmp_path, settings)
    client = service.client(Authorization=f"Bearer {FIRST}")
    assert [client.get("/v1/facets").status_code for _ in range(4)] == [200, 200, 200, 429]
    refused = client.get("/v1/search?text=red")
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert refused.json()["type"] == "urn:booksearch:too-many-requests"
    assert 1 <= int(refused.headers["Retry-After"]) <= 20
    # Whoever watches the service is not kept out, and guessing tokens counts for the address.
    assert client.get("/readyz").status_code == 200
    guessing = service.client(Authorization="Bearer no-such-token-12345")
    assert [guessing.get("/v1/facets").status_code for _ in range(4)] == [401, 401, 401, 429]


def test_dozens_of_covers_cost_as_much_as_a_search(tmp_path: Path) -> None:
    client = Service(tmp_path, ApiSettings(requests_per_minute=2)).client()
    statuses = [client.get("/v1/covers/1").status_code for _ in range(41)]
    assert statuses == [404] * 40 + [429]


@pytest.mark.parametrize(
    ("host", "client"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:bbbb::2", "2001:db8:1:2::/64"),
        ("testclient", "testclient"),
    ],
)
def test_who_an_address_is(host: str, client: str) -> None:
    assert client_address({"type": "http", "client": (host, 1234)}) == client


def test_a_service_without_a_rate_and_tokens_asks_for_nothing(tmp_path: Path) -> None:
    client: TestClient = Service(tmp_path).client()
    assert {client.get("/v1/facets").status_code for _ in range(20)} == {200}
    assert "securitySchemes" not in client.get("/openapi.json").json()["components"]
