"""The client: every call in this process and over HTTP, with the same answers and the same errors."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from PIL import Image

from booksearch_assets.search import BookFilters, Client, PageRange, SearchMode, Template, YearRange
from booksearch_assets.search.api.limits import ApiSettings
from booksearch_assets.search.api.searching import OpenedLater, Searching
from booksearch_assets.search.client import AccessDenied, Here, TooManyRequests
from booksearch_assets.search.client import Service as Remote
from booksearch_assets.search.query import InvalidQuery, ItemNotFound, SearchResults, StaleCursor, Took
from booksearch_assets.vectorstores.errors import CollectionNotFound, VectorStoreError
from booksearch_assets_tests.search.api.service import VERSION, Service, Shelf, picture

TOKEN = "a-token-of-the-tests"


@pytest.fixture(scope="module", params=["here", "http"])
def client(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    if request.param == "here":
        yield Client(Here(Shelf(), lambda: [VERSION]))
    else:
        with Service(tmp_path_factory.mktemp("service")).running() as url, Client(url) as client:
            yield client


@contextmanager
def books_of(kind: str, live: Searching, home: Path) -> Iterator[Client]:
    if kind == "here":
        yield Client(Here(live, list))
    else:
        with Service(home, live=live).running() as url, Client(url) as books:
            yield books


@pytest.fixture(scope="module")
def here() -> Client:
    return Client(Here(Shelf(), lambda: [VERSION]))


def timeless(results: SearchResults) -> SearchResults:
    """Results without how long they took. Cursors know a picture by its bytes or by its pixels."""
    return replace(results, took=Took(0.0, 0.0), next_cursor="more" if results.next_cursor else None)


def test_every_call_answers_the_same(client: Client, here: Client, tmp_path: Path) -> None:
    file = tmp_path / "red.png"
    file.write_bytes(picture("red", form="PNG"))
    filters = BookFilters(
        years=YearRange(2002, 2020),
        pages=PageRange(high=300),
        author="an author",
        subject="Fiction",
        language="eng",
    )

    def asked(books: Client) -> list[object]:
        return [
            timeless(books.search("red house", k=3)),
            timeless(books.search("red house", filters=filters, collapse=False, mode=SearchMode.SEMANTIC)),
            timeless(books.search("sea", without="blue", template=Template.COVER, text_weight=2.5)),
            timeless(books.search("title", mode=SearchMode.LEXICAL, k=4)),
            timeless(books.search(image=file, k=4)),
            timeless(books.search(image=file.read_bytes(), k=4)),
            timeless(books.search("house", image=Image.new("RGB", (8, 8), "red"), image_weight=0.25, k=4)),
            timeless(books.search("sea", like="OL1M", filters=filters, k=4)),
            timeless(books.similar("OL1M", filters=BookFilters(years=YearRange(low=2010)), k=4)),
            books.item("OL4M"),
            books.facets(),
            books.facets("red", filters=filters, mode=SearchMode.SEMANTIC, top=1),
            books.versions(),
        ]

    for ours, theirs in zip(asked(client), asked(here), strict=True):
        assert ours == theirs
    assert client.versions() == (VERSION,)


def test_pages(client: Client) -> None:
    page = client.search(image=picture("red", form="PNG"), k=5)
    keys = [result.edition_key for result in page.results]
    while page.next_cursor:
        page = client.search(cursor=page.next_cursor, k=5)
        keys += [result.edition_key for result in page.results]
    assert len(keys) == len(set(keys)) == 13


def test_errors_are_the_engines_own(client: Client) -> None:
    with pytest.raises(ItemNotFound, match="OL99M"):
        client.item("OL99M")
    with pytest.raises(ItemNotFound, match="OL99M"):
        client.similar("OL99M")
    with pytest.raises(InvalidQuery, match="empty"):
        client.search()
    with pytest.raises(InvalidQuery, match="cursor"):
        client.search(cursor="nonsense")
    with pytest.raises(InvalidQuery, match="cursor"):
        client.search("blue", cursor=client.search("red", k=2).next_cursor)
    with pytest.raises(InvalidQuery, match="not an image"):
        client.search(image=b"no picture")
    with pytest.raises(InvalidQuery, match="not both"):
        client.search(image=picture(), image_url="https://example.org/a.jpg")
    with pytest.raises(InvalidQuery, match="not on the public internet"):
        client.search(image_url="http://127.0.0.1/a.jpg")
    with pytest.raises(InvalidQuery, match="top"):
        client.facets(top=0)
    with pytest.raises(FileNotFoundError):
        client.search(image="no/such/file.jpg")


@pytest.mark.parametrize("kind", ["here", "http"])
def test_a_version_that_is_gone(tmp_path: Path, kind: str) -> None:
    cursor = Client(Here(Shelf(), list)).search("red", k=2).next_cursor
    later = Shelf()
    later._index.spec.__dict__["name"] = "books_2"
    with books_of(kind, later, tmp_path) as books, pytest.raises(StaleCursor, match="books_1"):
        books.search(cursor=cursor)


@pytest.mark.parametrize("kind", ["here", "http"])
def test_nothing_is_published(tmp_path: Path, kind: str) -> None:
    def nothing() -> Searching:
        raise CollectionNotFound("nothing is published")

    live = OpenedLater(nothing)
    with (
        books_of(kind, live, tmp_path) as books,
        pytest.raises(VectorStoreError, match="nothing is published"),
    ):
        books.search("red")


def test_tokens_and_rates(tmp_path: Path) -> None:
    service = Service(tmp_path, ApiSettings(tokens=(TOKEN,), requests_per_minute=2))
    with service.running() as url:
        with Client(url) as books, pytest.raises(AccessDenied, match="give Client a token, or set"):
            books.facets()
        with Client(url, token=TOKEN) as books:
            books.facets()
            books.facets()
            with pytest.raises(TooManyRequests) as refused:
                books.facets()
    assert 0 < refused.value.retry_after <= 30


def test_no_service_at_the_address() -> None:
    with Client("http://127.0.0.1:1") as books, pytest.raises(VectorStoreError, match="no answer from"):
        books.search("red")


def test_what_is_no_problem_is_told_all_the_same() -> None:
    transport = httpx.MockTransport(lambda request: httpx.Response(502, text="<html>Bad gateway"))
    with pytest.raises(VectorStoreError, match="status 502 from books.example"):
        Client(Remote("https://books.example", transport=transport)).facets()


def test_the_package_stays_light_until_a_client_is_wanted() -> None:
    code = (
        "import sys, booksearch_assets.search as s\n"
        "heavy = {'httpx', 'fastapi', 'torch', 'pyarrow', 'numpy', 'pymilvus'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "assert s.Client.__name__ == 'Client'\n"
        "assert not {'fastapi', 'torch', 'pymilvus'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
