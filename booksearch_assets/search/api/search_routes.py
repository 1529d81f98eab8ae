"""The routes of /v1 that find books.

Belongs here: one function for each route. Does not: parameters, bodies, errors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from booksearch_assets.search.api import answers
from booksearch_assets.search.api.bodies import REQUEST_BODY, BodyReader
from booksearch_assets.search.api.metrics import Metrics
from booksearch_assets.search.api.parameters import (
    EditionKey,
    FacetParameters,
    PageParameters,
    SearchParameters,
    no_repeats,
)
from booksearch_assets.search.api.problems import ProblemKind, documented
from booksearch_assets.search.api.searching import Searching
from booksearch_assets.search.api.threads import SearchThreads
from booksearch_assets.search.query import Facets, Item, SearchResults
from booksearch_assets.search.query import Query as BookQuery
from booksearch_assets.search.versions import Version

_ALWAYS = (
    ProblemKind.MALFORMED,
    ProblemKind.UNAUTHORIZED,
    ProblemKind.BODY_TIMEOUT,
    ProblemKind.TOO_LARGE,
    ProblemKind.TOO_MANY,
    ProblemKind.INTERNAL,
    ProblemKind.NOT_READY,
    ProblemKind.OVERLOADED,
)
_QUERY = (*_ALWAYS, ProblemKind.INVALID_QUERY, ProblemKind.STALE_CURSOR, ProblemKind.ITEM_NOT_FOUND)
_IMAGE = (ProblemKind.MEDIA_TYPE, ProblemKind.UNUSABLE_IMAGE, ProblemKind.UNUSABLE_IMAGE_URL)

Key = Annotated[EditionKey, Path(description="The key of an edition.")]


def search_routes(
    live: Searching,
    versions: Callable[[], Sequence[Version]],
    bodies: BodyReader,
    threads: SearchThreads,
    metrics: Metrics,
) -> APIRouter:
    """The routes, which ask `live`."""
    router = APIRouter(prefix="/v1", tags=["search"], dependencies=[Depends(no_repeats)])

    async def found(query: BookQuery) -> Response:
        results = await threads.run(partial(live.search, query))
        metrics.note_search(results)
        return answers.json_answer(answers.SEARCH_RESULTS, results)

    @router.get("/search", response_model=SearchResults, responses=documented(*_QUERY))
    async def search(parameters: Annotated[SearchParameters, Query()]) -> Response:
        """Find books by a text, by an edition, or by both."""
        return await found(parameters.query())

    @router.post(
        "/search",
        response_model=SearchResults,
        responses=documented(*_QUERY, *_IMAGE),
        openapi_extra={"requestBody": REQUEST_BODY},
    )
    async def search_by_body(request: Request) -> Response:
        """Find books by a text, an edition, a picture (as a file, or by its address), or several of them."""
        return await found(await bodies.query(request))

    @router.get("/similar/{edition_key}", response_model=SearchResults, responses=documented(*_QUERY))
    async def similar(edition_key: Key, parameters: Annotated[PageParameters, Query()]) -> Response:
        """Find books whose covers resemble that of an edition, by its stored vector."""
        return await found(
            BookQuery(
                like=edition_key,
                filters=parameters.filters(),
                k=parameters.k,
                cursor=parameters.cursor,
                collapse=parameters.collapse,
            )
        )

    @router.get(
        "/items/{edition_key}",
        response_model=Item,
        responses=documented(*_ALWAYS, ProblemKind.ITEM_NOT_FOUND),
    )
    async def item(edition_key: Key) -> Response:
        """One edition, and the others that are the same book."""
        return answers.json_answer(answers.ITEM, await threads.run(partial(live.item, edition_key)))

    @router.get(
        "/facets",
        response_model=Facets,
        responses=documented(*_ALWAYS, ProblemKind.INVALID_QUERY, ProblemKind.ITEM_NOT_FOUND),
    )
    async def facets(parameters: Annotated[FacetParameters, Query()]) -> Response:
        """The most frequent years, authors, subjects and languages of all that the filters let through, or of the best
        editions for a query."""
        call = partial(live.facets, parameters.query(), parameters.filters(), parameters.top)
        return answers.json_answer(answers.FACETS, await threads.run(call))

    @router.get("/versions", response_model=answers.VersionList, responses=documented(*_ALWAYS))
    async def list_versions() -> Response:
        """The versions of the collection: which serves, its dump, its model, its quality."""

        def listed() -> answers.VersionList:
            return answers.VersionList(live.collection, live.held_up, tuple(versions()))

        return answers.json_answer(answers.VERSION_LIST, await threads.run(listed))

    return router
