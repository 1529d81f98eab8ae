"""The service from outside: what is answered, what is refused, and what is told about it."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from booksearch_assets.search.api.image_urls import ImageUrls
from booksearch_assets.search.api.limits import ApiSettings, Limits
from booksearch_assets.search.api.searching import OpenedLater, Searching
from booksearch_assets.search.books import BookFacets, BookFilters, BookItem
from booksearch_assets.search.engine import ModelMismatch
from booksearch_assets.search.query import Query, SearchResults
from booksearch_assets.vectorstores.errors import CollectionNotFound, StoreUnavailable
from booksearch_assets_tests.compute.loopback import Reply, loopback
from booksearch_assets_tests.search.api.service import Service, Shelf, cover_rows, picture

LIMITS = Limits(
    image_bytes=200_000, image_pixels=300_000, body_seconds=0.5, search_seconds=0.5, threads=1, waiting=1
)


class Slow(Shelf):
    """Searches that take until they are let go."""

    def __init__(self) -> None:
        super().__init__()
        self.go_on = threading.Event()

    def search(self, query: Query) -> SearchResults:
        assert self.go_on.wait(20)
        return super().search(query)


class Broken(Shelf):
    """Every call raises."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    def search(self, query: Query) -> SearchResults:
        raise self._error

    def item(self, key: str) -> BookItem:
        raise self._error

    def facets(
        self, query: Query | None = None, filters: BookFilters | None = None, top: int = 10
    ) -> BookFacets:
        raise self._error


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Service:
    async def resolve(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    urls = ImageUrls(LIMITS, resolve=resolve, is_allowed=lambda address: True)
    service = Service(tmp_path_factory.mktemp("service"), ApiSettings(limits=LIMITS), image_urls=urls)
    service.cache.append(cover_rows({1: picture("red", (400, 600)), 2: None}))
    return service


@pytest.fixture(scope="module")
def client(service: Service) -> Iterator[TestClient]:
    with service.client() as client:
        yield client


def _keys(answer: Any) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [result["edition_key"] for result in answer.json()["results"]]


def _problem(answer: Any, status: int, kind: str, *words: str) -> None:
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (status, f"urn:booksearch:{kind}"), answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert problem["status"] == status and problem["title"]
    for word in words:
        assert word in problem["detail"]


def test_an_address_a_body_and_a_form_ask_the_same(client: TestClient) -> None:
    asked = {"text": "red house", "years": "2001..2020", "k": 3, "collapse": False, "mode": "semantic"}
    by_address = client.get("/v1/search", params={**asked, "collapse": "false"})
    by_body = client.post("/v1/search", json=asked)
    by_form = client.post(
        "/v1/search", files={name: (None, str(value).lower().encode()) for name, value in asked.items()}
    )
    assert _keys(by_address) == _keys(by_body) == _keys(by_form) == ["OL3M", "OL7M", "OL11M"]
    assert by_address.json()["collection"] == "books_1" and by_address.json()["model_id"] == "words"


def test_pages_by_cursor_show_everything_once(client: TestClient) -> None:
    first = client.get("/v1/search", params={"text": "red", "k": 7, "mode": "semantic"}).json()
    seen, cursor = [result["edition_key"] for result in first["results"]], first["next_cursor"]
    while cursor:
        page = client.post("/v1/search", json={"cursor": cursor, "k": 7}).json()
        seen += [result["edition_key"] for result in page["results"]]
        cursor = page["next_cursor"]
    assert len(seen) == len(set(seen)) == 13


def test_a_picture_is_a_file_or_an_address(client: TestClient) -> None:
    red = picture("red", form="PNG")
    by_file = client.post("/v1/search", files={"image": ("a.jpg", red)}, data={"k": "2", "collapse": "false"})
    with loopback(lambda asked: Reply(body=red)) as server:
        by_url = client.post("/v1/search", json={"image_url": f"{server.url}/a", "k": 2, "collapse": False})
        twice = client.post(
            "/v1/search", files={"image": ("a.jpg", red)}, data={"image_url": f"{server.url}/a"}
        )
    assert _keys(by_file) == _keys(by_url)
    assert set(_keys(by_file)) <= {f"OL{i}M" for i in range(1, 25) if i % 4 in (0, 3)}
    _problem(twice, 422, "invalid-query", "not both")


def test_similar_items_and_facets(client: TestClient) -> None:
    similar = _keys(
        client.get("/v1/similar/OL4M", params={"k": 2, "collapse": "false", "years": "2001..2016"})
    )
    assert "OL4M" not in similar and len(similar) == 2
    item = client.get("/v1/items/OL4M").json()
    assert item["book"]["year"] == 2004 and [b["edition_key"] for b in item["other_editions"]] == ["OL5M"]
    facets = client.get("/v1/facets", params={"years": "2001..2003", "top": 1}).json()
    assert facets["total"] == 3 and [year["value"] for year in facets["years"]] == ["2001", "2002", "2003"]
    assert client.get("/v1/facets", params={"text": "red", "mode": "semantic"}).json()["total"] == 24
    _problem(client.get("/v1/items/OL99M"), 404, "item-not-found", "OL99M")
    _problem(client.get("/v1/similar/OL99M"), 404, "item-not-found")


def test_versions_say_which_serves(client: TestClient) -> None:
    answer = client.get("/v1/versions").json()
    assert answer["serving"] == "books_1" and answer["held_up"] is None
    [version] = answer["versions"]
    assert version["live"] and version["state"] == "ready" and version["made"] == "2026-02-01T00:00:00Z"


@pytest.mark.parametrize(
    ("asked", "status", "kind", "word"),
    [
        ({}, 422, "invalid-query", "empty"),
        ({"text": "   "}, 422, "invalid-query", "empty"),
        ({"text": ""}, 400, "malformed-request", "text"),
        ({"text": "a" * 2001}, 400, "malformed-request", "2000 characters"),
        ({"text": "a\0b"}, 422, "invalid-query", "null character"),
        ({"text": "a", "k": 0}, 400, "malformed-request", "k: "),
        ({"text": "a", "k": 101}, 400, "malformed-request", "100"),
        ({"text": "a", "k": "many"}, 400, "malformed-request", "whole number"),
        ({"text": "a", "collapse": "yes"}, 400, "malformed-request", "true or false"),
        ({"text": "a", "years": "2020..2010"}, 422, "invalid-query", "reversed"),
        ({"text": "a", "years": "lately"}, 400, "malformed-request", "years"),
        ({"text": "a", "pages": "-5"}, 400, "malformed-request", "pages"),
        ({"text": "a", "author": " "}, 422, "invalid-query", "author"),
        ({"text": "a", "subject": "s" * 301}, 400, "malformed-request", "subject"),
        ({"text": "a", "language": "English!"}, 400, "malformed-request", "language"),
        ({"text": "a", "mode": "magic"}, 400, "malformed-request", "lexical"),
        ({"text": "a", "template": "poem"}, 400, "malformed-request", "template"),
        ({"text": "a", "text_weight": 101}, 400, "malformed-request", "text_weight"),
        ({"text": "a", "text_weight": "nan"}, 400, "malformed-request", "number"),
        ({"text": "a", "like": "../../etc"}, 400, "malformed-request", "like"),
        ({"text": "a", "cursor": "nonsense"}, 422, "invalid-query", "cursor"),
        ({"text": "a", "filter": "year > 1"}, 400, "malformed-request", "filter"),
        ({"like": "OL1M", "mode": "lexical"}, 422, "invalid-query", "words"),
    ],
)
def test_bad_queries(client: TestClient, asked: dict[str, Any], status: int, kind: str, word: str) -> None:
    _problem(client.get("/v1/search", params=asked), status, kind, word)
    by_body = client.post("/v1/search", json=asked)
    assert by_body.status_code == status


def test_a_parameter_given_twice_is_not_half_read(client: TestClient) -> None:
    _problem(client.get("/v1/search?text=a&author=x&author=y"), 400, "malformed-request", "author")
    form = [("text", (None, b"a")), ("text", (None, b"b"))]
    _problem(client.post("/v1/search", files=form), 400, "malformed-request", "more than once")


@pytest.mark.parametrize(
    ("body", "kind", "status", "problem"),
    [
        (b"{", "application/json", 400, "malformed-request"),
        (b"[]", "application/json", 400, "malformed-request"),
        (b'{"text": 1}', "application/json", 400, "malformed-request"),
        (b'{"text": "a", "k": "5"}', "application/json", 400, "malformed-request"),
        (b'{"text": "a", "collapse": "true"}', "application/json", 400, "malformed-request"),
        (b'{"text": "a", "text_weight": NaN}', "application/json", 400, "malformed-request"),
        (b"\xff", "application/json", 400, "malformed-request"),
        (b"text=a", "application/x-www-form-urlencoded", 415, "unsupported-media-type"),
        (b"", "", 415, "unsupported-media-type"),
        (b"nothing", "multipart/form-data", 400, "malformed-request"),
        (b"nothing", "multipart/form-data; boundary=x", 400, "malformed-request"),
    ],
)
def test_bad_bodies(client: TestClient, body: bytes, kind: str, status: int, problem: str) -> None:
    answer = client.post("/v1/search", content=body, headers={"Content-Type": kind})
    _problem(answer, status, problem)


def _png(width: int, height: int) -> bytes:
    file = io.BytesIO()
    Image.new("1", (width, height)).save(file, "PNG")
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "status", "kind", "word"),
    [
        (b"", 422, "unusable-image", "0 bytes"),
        (b"<svg/>", 422, "unusable-image", "not an image"),
        (picture()[:500], 422, "unusable-image", "Truncated"),
        # 300 bytes that would be 9 million pixels.
        (_png(3000, 3000), 422, "unusable-image", "too many pixels"),
        (bytes(200_001), 413, "too-large", "200,000"),
        (bytes(400_000), 413, "too-large", "300,000"),
    ],
)
def test_bad_pictures(client: TestClient, content: bytes, status: int, kind: str, word: str) -> None:
    _problem(client.post("/v1/search", files={"image": ("a.jpg", content)}), status, kind, word)


def test_a_picture_must_be_a_file_and_a_text_must_not(client: TestClient) -> None:
    _problem(client.post("/v1/search", files={"image": (None, b"a")}), 400, "malformed-request", "file")
    _problem(client.post("/v1/search", files={"text": ("a.txt", b"a")}), 400, "malformed-request", "file")


def test_a_body_without_a_length_is_counted_too(client: TestClient) -> None:
    chunks = (bytes(50_000) for _ in range(20))
    answer = client.post("/v1/search", content=chunks, headers={"Content-Type": "application/json"})
    _problem(answer, 413, "too-large", "300,000")


async def test_a_body_that_never_ends_is_given_up(service: Service) -> None:
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        import asyncio

        await asyncio.sleep(0.2)
        return {"type": "http.request", "body": b" ", "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/v1/search",
        "raw_path": b"/v1/search",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
        "scheme": "http",
        "http_version": "1.1",
    }
    await service.app(scope, receive, send)
    assert sent[0]["status"] == 408 and b"urn:booksearch:body-timeout" in sent[1]["body"]


def test_image_addresses_are_public_by_default(tmp_path: Path) -> None:
    client = Service(tmp_path).client()
    for url in (
        "http://127.0.0.1/",
        "http://localhost/",
        "file:///etc/passwd",
        "http://169.254.169.254/latest",
    ):
        _problem(client.post("/v1/search", json={"image_url": url}), 422, "unusable-image-url")


def test_a_cover_is_kept_by_whoever_got_it(client: TestClient) -> None:
    whole, small = client.get("/v1/covers/1"), client.get("/v1/covers/1?width=100")
    assert whole.content == picture("red", (400, 600)) and whole.headers["Content-Type"] == "image/jpeg"
    assert Image.open(io.BytesIO(small.content)).size == (100, 150)
    assert small.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert small.headers["ETag"] != whole.headers["ETag"]
    again = client.get("/v1/covers/1", headers={"If-None-Match": f'"x", {whole.headers["ETag"]}'})
    assert again.status_code == 304 and not again.content and again.headers["ETag"] == whole.headers["ETag"]
    for cover_id in (2, 3):
        _problem(client.get(f"/v1/covers/{cover_id}"), 404, "cover-not-found", str(cover_id))
    for path in ("/v1/covers/x", "/v1/covers/0", "/v1/covers/1?width=0", "/v1/covers/1?width=5000"):
        _problem(client.get(path), 400, "malformed-request")


@pytest.mark.parametrize(
    "path", ["/", "/style.css", "/v1/search?text=red", "/v1/nothing", "/v1/covers/1", "/metrics"]
)
def test_every_answer_has_the_headers_of_security(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    policy = headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy
    assert "*" not in policy and "http" not in policy
    assert headers["X-Content-Type-Options"] == "nosniff" and headers["X-Frame-Options"] == "DENY"
    assert headers["Referrer-Policy"] == "no-referrer" and headers["Cache-Control"]


def test_the_page_is_served_and_nothing_beside_it(client: TestClient) -> None:
    page = client.get("/")
    assert page.headers["Content-Type"].startswith("text/html") and "<!doctype html>" in page.text
    assert client.get("/", headers={"If-None-Match": page.headers["ETag"]}).status_code == 304
    assert client.head("/index.html").status_code == 200
    for path in ("/nothing", "/..%2f__init__.py", "/%2e%2e/query.py", "/.hidden"):
        _problem(client.get(path), 404, "not-found")


def test_a_method_that_is_not_taken_is_told_what_is(client: TestClient) -> None:
    answer = client.delete("/v1/search")
    _problem(answer, 405, "method-not-allowed", "GET, POST")
    assert answer.headers["Allow"] == "GET, POST"
    assert client.post("/").headers["Allow"] in ("GET, HEAD", "HEAD, GET")


def test_metrics_count_by_route_and_not_by_path(tmp_path: Path) -> None:
    client = Service(tmp_path).client()
    for key in ("OL1M", "OL2M", "OL99M"):
        client.get(f"/v1/items/{key}")
    client.get("/v1/search?text=red")
    client.get("/v1/no/such/path")
    text = client.get("/metrics").text
    assert 'booksearch_requests_total{method="GET",route="/v1/items/{edition_key}",status="200"} 2.0' in text
    assert 'booksearch_requests_total{method="GET",route="/v1/items/{edition_key}",status="404"} 1.0' in text
    assert 'booksearch_requests_total{method="GET",route="(none)",status="404"} 1.0' in text
    assert 'booksearch_request_seconds_count{route="/v1/search"} 1.0' in text
    assert "booksearch_encode_seconds_count 1.0" in text and "booksearch_search_seconds_count 1.0" in text
    assert 'booksearch_collection_info{bundle_id="words@1",collection="books_1",model_id="words"} 1.0' in text
    client.get("/v1/covers/1?width=100")
    assert 'booksearch_covers_total{place="nowhere"} 1.0' in client.get("/metrics").text
    assert "OL1M" not in text and "no/such" not in text


def test_nothing_is_ready_until_something_is_published(tmp_path: Path) -> None:
    opened: list[Searching] = []

    def open_search() -> Searching:
        if not opened:
            raise CollectionNotFound("nothing is published as 'books'; /srv/books/milvus is empty")
        return opened[0]

    client = Service(tmp_path, live=OpenedLater(open_search, retry_seconds=0.0)).client()
    assert client.get("/healthz").json() == {"status": "ok"}
    _problem(client.get("/readyz"), 503, "not-ready", "nothing is published")
    for path in ("/v1/search?text=red", "/v1/items/OL1M", "/v1/facets", "/v1/versions", "/v1/similar/OL1M"):
        answer = client.get(path)
        _problem(answer, 503, "not-ready")
        assert "/srv" not in answer.text and answer.headers["Retry-After"]
    assert client.get("/").status_code == 200
    live = Shelf()
    live.held_up = "the published collection is of another model"
    opened.append(live)
    ready = client.get("/readyz")
    assert ready.json() == {"collection": "books_1", "held_up": live.held_up} and ready.status_code == 200
    assert client.get("/v1/search?text=red").status_code == 200


def test_a_search_is_opened_once_and_not_again_at_once() -> None:
    tries = []

    def open_search() -> Searching:
        tries.append(1)
        raise OSError("the model is damaged")

    live = OpenedLater(open_search, retry_seconds=60.0)
    for _ in range(3):
        with pytest.raises(StoreUnavailable, match="the model is damaged"):
            _ = live.collection
    assert len(tries) == 1


@pytest.mark.parametrize("error", [StoreUnavailable("/srv is locked"), ModelMismatch("/srv holds another")])
def test_a_store_that_fails_later_is_not_ready(tmp_path: Path, error: Exception) -> None:
    answer = Service(tmp_path, live=Broken(error)).client().get("/v1/search?text=red")
    _problem(answer, 503, "not-ready")
    assert "/srv" not in answer.text


def test_a_defect_is_logged_and_not_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    client = Service(tmp_path, live=Broken(RuntimeError("password is 1234"))).client()
    answer = client.get("/v1/search?text=secret")
    _problem(answer, 500, "internal-error")
    assert "1234" not in answer.text and answer.headers["X-Frame-Options"] == "DENY"
    assert "password is 1234" in caplog.text
    assert 'route="/v1/search",status="500"' in client.get("/metrics").text


def test_searches_do_not_pile_up(tmp_path: Path) -> None:
    live = Slow()
    limits = replace(LIMITS, search_seconds=20.0)
    answers: list[int] = []
    with Service(tmp_path, ApiSettings(limits=limits), live).client() as client:

        def ask() -> None:
            answers.append(client.get("/v1/search?text=red").status_code)

        # One in the thread, one that waits.
        asking = [threading.Thread(target=ask) for _ in range(6)]
        for thread in asking:
            thread.start()
        for thread in asking:
            thread.join(0.5)
        assert answers == [503] * 4
        assert client.get("/healthz").status_code == 200
        live.go_on.set()
        for thread in asking:
            thread.join()
        assert sorted(answers) == [200, 200, 503, 503, 503, 503]
        assert client.get("/v1/search?text=red").status_code == 200


def test_a_search_that_takes_too_long_is_given_up(tmp_path: Path) -> None:
    live = Slow()
    with Service(tmp_path, ApiSettings(limits=LIMITS), live).client() as client:
        answer = client.get("/v1/search?text=red")
        _problem(answer, 503, "overloaded", "0.5 s")
        assert answer.headers["Retry-After"]
        live.go_on.set()
