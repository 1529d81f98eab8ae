"""The routes of /v1 that find items of a catalogue.

Belongs here: one function for each route. Does not: parameters, bodies, errors.
"""

# Without postponed annotations: FastAPI could not find models that are local to a function.
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from booksearch_assets.search.api import answers
from booksearch_assets.search.api.bodies import BodyReader, request_body
from booksearch_assets.search.api.metrics import Metrics
from booksearch_assets.search.api.parameters import Parameters, no_repeats
from booksearch_assets.search.api.problems import ProblemKind, documented
from booksearch_assets.search.api.searching import Searching
from booksearch_assets.search.api.threads import SearchThreads
from booksearch_assets.search.catalogue import SearchedCatalogue
from booksearch_assets.search.query import Query as Question
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


def search_routes(
    live: Searching,
    catalogue: SearchedCatalogue,
    parameters: Parameters,
    versions: Callable[[], Sequence[Version]],
    bodies: BodyReader,
    threads: SearchThreads,
    metrics: Metrics,
) -> APIRouter:
    """The routes, which ask `live`, as the declaration of the catalogue says. Annotations of parameters are its models."""
    replies = answers.Answers(catalogue)
    described = answers.CatalogueDescription.of(catalogue)
    key_type = Annotated[parameters.key, Path(alias=catalogue.key, description="The key of an item.")]  # type: ignore[name-defined]
    key_part = f"{{{catalogue.key}}}"
    router = APIRouter(prefix="/v1", tags=["search"], dependencies=[Depends(no_repeats)])

    async def found(query: Question) -> Response:
        results = await threads.run(partial(live.search, query))
        metrics.note_search(results)
        return answers.json_answer(replies.results, results)

    @router.get("/search", response_model=replies.results_type, responses=documented(*_QUERY))
    async def search(asked: Annotated[parameters.search, Query()]) -> Response:  # type: ignore[name-defined]
        """Find items by a text, by an item, or by both."""
        return await found(asked.query())

    @router.post(
        "/search",
        response_model=replies.results_type,
        responses=documented(*_QUERY, *_IMAGE),
        openapi_extra={"requestBody": request_body(catalogue)},
    )
    async def search_by_body(request: Request) -> Response:
        """Find items by a text, an item, a picture (as a file, or by its address), or several of them."""
        return await found(await bodies.query(request))

    @router.get(f"/similar/{key_part}", response_model=replies.results_type, responses=documented(*_QUERY))
    async def similar(key: key_type, asked: Annotated[parameters.page, Query()]) -> Response:  # type: ignore[name-defined, valid-type]
        """Find items whose pictures resemble that of an item, by its stored vector."""
        return await found(
            Question(
                like=key,
                filters=asked.filters(),
                k=asked.k,
                cursor=asked.cursor,
                collapse=asked.collapse,
            )
        )

    @router.get(
        f"/items/{key_part}",
        response_model=catalogue.answer,
        responses=documented(*_ALWAYS, ProblemKind.ITEM_NOT_FOUND),
    )
    async def item(key: key_type) -> Response:  # type: ignore[valid-type]
        """One item, and its copies."""
        return answers.json_answer(replies.item, await threads.run(partial(live.item, key)))

    @router.get(
        "/facets",
        response_model=catalogue.facets,
        responses=documented(*_ALWAYS, ProblemKind.INVALID_QUERY, ProblemKind.ITEM_NOT_FOUND),
    )
    async def facets(asked: Annotated[parameters.facets, Query()]) -> Response:  # type: ignore[name-defined]
        """The most frequent values to filter by of all that the filters let through, or of the best items for a query."""
        call = partial(live.facets, asked.query(), asked.filters(), asked.top)
        return answers.json_answer(replies.facets, await threads.run(call))

    @router.get("/versions", response_model=answers.VersionList, responses=documented(*_ALWAYS))
    async def list_versions() -> Response:
        """The versions of the collection: which serves, its dump, its model, its quality."""

        def listed() -> answers.VersionList:
            return answers.VersionList(live.collection, live.held_up, tuple(versions()))

        return answers.json_answer(answers.VERSION_LIST, await threads.run(listed))

    @router.get(
        "/catalogue",
        response_model=answers.CatalogueDescription,
        responses=documented(ProblemKind.MALFORMED, ProblemKind.TOO_MANY, ProblemKind.INTERNAL),
    )
    async def describe_catalogue() -> Response:
        """What is searched here: the names of its fields and filters, and words for readers."""
        return answers.json_answer(answers.CATALOGUE, described)

    return router
