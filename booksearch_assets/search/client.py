"""Searching from Python, the same in this process and over HTTP.

    from booksearch_assets.search import BookFilters, Client, ProductFilters, YearRange

    with Client() as books:                         # what this deployment has published
        found = books.search("a lighthouse in a storm", filters=BookFilters(years=YearRange(2015, 2020)))
    with Client("http://127.0.0.1:8080") as books:  # a `booksearch serve`
        more = books.similar(found.results[0].edition_key)
    with Client(catalogue="products") as products:
        cases = products.search("a phone case", filters=ProductFilters(colour="black"))

Belongs here: the calls, and carrying them over HTTP. Does not: answering them (`engine`, `api`).
"""

from __future__ import annotations

import asyncio
import io
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, Self

from PIL import Image

from booksearch_assets.search.books_collection import BOOKS
from booksearch_assets.search.catalogue import SearchedCatalogue
from booksearch_assets.search.catalogues import searched_catalogue
from booksearch_assets.search.query import (
    Filters,
    InvalidQuery,
    ItemNotFound,
    Query,
    SearchMode,
    SearchResults,
    StaleCursor,
    Template,
)
from booksearch_assets.settings import Settings
from booksearch_assets.vectorstores.errors import StoreUnavailable

if TYPE_CHECKING:
    import httpx

    from booksearch_assets.search.api.searching import Searching
    from booksearch_assets.search.versions import Version

TOKEN = "BOOKSEARCH_API_TOKEN"
"""The environment variable of the token that a client sends unless it is given another."""

_PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")

Picture = Image.Image | bytes | str | os.PathLike[str]
"""A picture: decoded, the bytes of its file, or the path of its file."""


class AccessDenied(PermissionError):
    """The service knows no such token, or wants one."""


class TooManyRequests(RuntimeError):
    """The rate of this client is used up; `retry_after` is in seconds."""

    def __init__(self, message: str, retry_after: float) -> None:
        self.retry_after = retry_after
        super().__init__(message)


class Backend(Protocol):
    """Who answers a client."""

    def search(self, query: Query, image_url: str | None) -> SearchResults[Any]: ...

    def item(self, key: str) -> Any: ...

    def facets(self, query: Query | None, filters: Filters, top: int) -> Any: ...

    def versions(self) -> tuple[Version, ...]: ...

    def close(self) -> None: ...


class Client:
    """Searches what is published here, or at the address of a service.

    Calls raise a `VectorStoreError` while nothing is published or the service does not answer, and, of a service,
    `AccessDenied` and `TooManyRequests`. A service gives pages of 100 results at most. `token` is that of
    BOOKSEARCH_API_TOKEN by default, and is sent to services only. Answers are of the types of the `catalogue`:
    `search.books`, `search.products`.
    """

    def __init__(
        self, where: str | Backend | None = None, *, token: str | None = None, catalogue: str = "books"
    ) -> None:
        if where is None:
            self._backend: Backend = Here.of(Settings.from_environment(), searched_catalogue(catalogue))
        elif isinstance(where, str):
            self._backend = Service(where, token or os.environ.get(TOKEN), searched_catalogue(catalogue))
        else:
            self._backend = where

    def search(
        self,
        text: str | None = None,
        *,
        image: Picture | None = None,
        image_url: str | None = None,
        like: str | None = None,
        without: str | None = None,
        text_weight: float = 1.0,
        image_weight: float = 1.0,
        template: Template = Template.NONE,
        mode: SearchMode | None = None,
        filters: Filters | None = None,
        k: int = 10,
        cursor: str | None = None,
        collapse: bool = True,
    ) -> SearchResults[Any]:
        """One page of the best items; see `Query` for what each argument means.

        Raises `InvalidQuery`, `ItemNotFound` for an item to be `like` that is not held, and `StaleCursor`.
        """
        if image is not None and image_url:
            raise InvalidQuery("give a picture or the address of one, not both")
        query = Query(
            text=text,
            # A place for the picture at `image_url`, which is not fetched yet.
            image=_read(image) if image is not None else b"" if image_url else None,
            like=like,
            without=without,
            text_weight=text_weight,
            image_weight=image_weight,
            template=template,
            filters=filters or Filters(),
            mode=mode,
            k=k,
            cursor=cursor,
            collapse=collapse,
        )
        return self._backend.search(query, image_url)

    def similar(
        self,
        key: str,
        *,
        filters: Filters | None = None,
        k: int = 10,
        cursor: str | None = None,
        collapse: bool = True,
    ) -> SearchResults[Any]:
        """Items whose pictures are like that of an item. Raises as `search`."""
        return self.search(like=key, filters=filters, k=k, cursor=cursor, collapse=collapse)

    def item(self, key: str) -> Any:
        """One item and its copies. Raises `ItemNotFound`."""
        return self._backend.item(key)

    def facets(
        self,
        text: str | None = None,
        *,
        like: str | None = None,
        mode: SearchMode | None = None,
        filters: Filters | None = None,
        top: int = 10,
    ) -> Any:
        """What there is to filter by: of all that `filters` let through, or of the best items for a query."""
        filters = filters or Filters()
        query = Query(text=text, like=like, mode=mode, filters=filters) if text or like or mode else None
        return self._backend.facets(query, filters, top)

    def versions(self) -> tuple[Version, ...]:
        """The versions of the collection, the newest first."""
        return self._backend.versions()

    def close(self) -> None:
        """Release connections."""
        self._backend.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class Here:
    """Answers in this process, from a search that is open."""

    def __init__(self, live: Searching, versions: Callable[[], Sequence[Version]]) -> None:
        self._live, self._versions = live, versions

    @classmethod
    def of(cls, settings: Settings, catalogue: SearchedCatalogue) -> Self:
        """What a deployment has published. Raises as `open_live_search`."""
        from booksearch_assets.search.shell import list_versions, open_live_search

        live = open_live_search(settings, catalogue)
        return cls(live, lambda: list_versions(settings, catalogue))

    def search(self, query: Query, image_url: str | None) -> SearchResults[Any]:
        if image_url:
            query = replace(query, image=_fetched(image_url))
        return self._live.search(query)

    def item(self, key: str) -> Any:
        return self._live.item(key)

    def facets(self, query: Query | None, filters: Filters, top: int) -> Any:
        return self._live.facets(query, filters, top)

    def versions(self) -> tuple[Version, ...]:
        return tuple(self._versions())

    def close(self) -> None:
        pass


class Service:
    """Answers over HTTP, from a `booksearch serve` at `address`. Safe for many threads."""

    def __init__(
        self,
        address: str,
        token: str | None = None,
        catalogue: SearchedCatalogue = BOOKS,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        import httpx

        from booksearch_assets.search.api.answers import Answers

        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._answers = Answers(catalogue)
        # Longer than the service itself takes before it gives up.
        self._http = httpx.Client(base_url=address, headers=headers, timeout=60.0, transport=transport)

    def search(self, query: Query, image_url: str | None) -> SearchResults[Any]:
        asked = {**_asked(query), "k": query.k, "cursor": query.cursor, "collapse": query.collapse}
        if image_url:
            asked["image_url"] = image_url
        if isinstance(query.image, bytes) and not image_url:
            given = {name: _as_text(value) for name, value in asked.items() if value is not None}
            answer = self._ask("POST", "/v1/search", data=given, files={"image": ("picture", query.image)})
        else:
            answer = self._ask("POST", "/v1/search", json=asked)
        return self._answers.results.validate_json(answer)

    def item(self, key: str) -> Any:
        from urllib.parse import quote

        return self._answers.item.validate_json(self._ask("GET", f"/v1/items/{quote(key, safe='')}"))

    def facets(self, query: Query | None, filters: Filters, top: int) -> Any:
        asked = {**(_asked(query) if query else filters.written()), "top": top}
        given = {name: _as_text(value) for name, value in asked.items() if value is not None}
        return self._answers.facets.validate_json(self._ask("GET", "/v1/facets", params=given))

    def versions(self) -> tuple[Version, ...]:
        from booksearch_assets.search.api.answers import VERSION_LIST

        return VERSION_LIST.validate_json(self._ask("GET", "/v1/versions")).versions

    def close(self) -> None:
        self._http.close()

    def _ask(self, method: str, path: str, **content: Any) -> bytes:
        import httpx

        try:
            response = self._http.request(method, path, **content)
        except httpx.HTTPError as error:
            raise StoreUnavailable(
                f"no answer from {self._http.base_url}: {error or type(error).__name__}; start it with: "
                "booksearch serve"
            ) from error
        if not response.is_success:
            raise _exception(response)
        return response.content


def _asked(query: Query) -> dict[str, Any]:
    """What is looked for, by the names of the API."""
    return {
        "text": query.text,
        "without": query.without,
        "like": query.like,
        "text_weight": query.text_weight,
        "image_weight": query.image_weight,
        "template": query.template.value,
        "mode": query.mode.value if query.mode else None,
        **query.filters.written(),
    }


def _as_text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _exception(response: httpx.Response) -> Exception:
    """What the engine itself would have raised."""
    try:
        problem = response.json()
    except ValueError:
        problem = {}
    kind = str(problem.get("type", "")).rpartition(":")[2]
    detail = str(problem.get("detail", f"status {response.status_code} from {response.url.host}"))
    if kind == "item-not-found":
        return ItemNotFound(detail)
    if kind == "stale-cursor":
        return StaleCursor(detail)
    if response.status_code == 401:
        return AccessDenied(f"{detail}; give Client a token, or set {TOKEN}")
    if response.status_code == 429:
        return TooManyRequests(detail, float(response.headers.get("Retry-After", "1")))
    if response.status_code in (400, 413, 415, 422):
        return InvalidQuery(detail)
    return StoreUnavailable(detail)


def _read(picture: Picture) -> bytes:
    """The bytes of the picture's file; what is decoded already becomes one, without loss."""
    if isinstance(picture, bytes):
        return picture
    if isinstance(picture, Image.Image):
        file = io.BytesIO()
        (picture if picture.mode in _PNG_MODES else picture.convert("RGB")).save(file, "PNG")
        return file.getvalue()
    return Path(picture).read_bytes()


def _fetched(image_url: str) -> bytes:
    from booksearch_assets.search.api.image_urls import ImageUrls, UnusableImageUrl
    from booksearch_assets.search.api.limits import Limits

    try:
        # In a thread: a notebook has an event loop already.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(asyncio.run, ImageUrls(Limits()).fetch(image_url)).result()
    except UnusableImageUrl as error:
        raise InvalidQuery(str(error)) from error
