"""The application: routes, guards and errors put together.

Belongs here: the order of things. Does not: the things.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version

from fastapi import FastAPI

from booksearch_assets.search.api.access import AccessGuard, RateLimit, Tokens
from booksearch_assets.search.api.answers import pictures_route
from booksearch_assets.search.api.bodies import BodyReader
from booksearch_assets.search.api.guards import BodyGuard, DefectGuard, SecurityHeaders
from booksearch_assets.search.api.image_urls import ImageUrls, UnusableImageUrl
from booksearch_assets.search.api.limits import ApiSettings
from booksearch_assets.search.api.metrics import Metrics, Observed
from booksearch_assets.search.api.openapi import describe
from booksearch_assets.search.api.parameters import Parameters
from booksearch_assets.search.api.problems import ProblemKind, say_problems
from booksearch_assets.search.api.search_routes import search_routes
from booksearch_assets.search.api.searching import Searching
from booksearch_assets.search.api.service_routes import page_routes, service_routes
from booksearch_assets.search.api.threads import SearchThreads
from booksearch_assets.search.books_collection import BOOKS
from booksearch_assets.search.catalogue import SearchedCatalogue
from booksearch_assets.search.pictures import Pictures
from booksearch_assets.search.query import InvalidQuery, ItemNotFound, StaleCursor
from booksearch_assets.search.versions import Version

_DESCRIPTION = """Find {items} by {finds}.

Errors are problems (RFC 9457); `type` says which. Statuses: 400 where a request does not fit this description, 422 where
it fits and still cannot be answered, 410 for a cursor of a version that is no longer served, 429 with `Retry-After`, 503
while nothing is published or too much is asked at a time. Scores compare results of one query only."""

_KNOWN = {
    InvalidQuery: ProblemKind.INVALID_QUERY,
    StaleCursor: ProblemKind.STALE_CURSOR,
    ItemNotFound: ProblemKind.ITEM_NOT_FOUND,
    UnusableImageUrl: ProblemKind.UNUSABLE_IMAGE_URL,
}


def build_app(
    live: Searching,
    pictures: Pictures,
    versions: Callable[[], Sequence[Version]],
    settings: ApiSettings = ApiSettings(),  # noqa: B008 - frozen
    image_urls: ImageUrls | None = None,
    catalogue: SearchedCatalogue = BOOKS,
) -> FastAPI:
    """The service over one search of a catalogue. `versions` lists them; `image_urls` is the public internet's by default."""
    metrics, threads = Metrics(), SearchThreads(settings.limits)
    parameters, wording = Parameters.of(catalogue), catalogue.wording
    metrics.watch_pictures(wording.images, pictures.found)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        yield
        threads.close()

    app = FastAPI(
        title="booksearch",
        version=version("booksearch_assets"),
        description=_DESCRIPTION.format(items=wording.items, finds=wording.finds),
        lifespan=lifespan,
        # Their pages load scripts from other hosts.
        docs_url=None,
        redoc_url=None,
        # /v1/search/ is another address, and no reason to send a body twice.
        redirect_slashes=False,
    )
    bodies = BodyReader(
        settings.limits, image_urls or ImageUrls(settings.limits, settings.contact), parameters
    )
    app.include_router(search_routes(live, catalogue, parameters, versions, bodies, threads, metrics))
    app.include_router(service_routes(live, catalogue, parameters, pictures, metrics))
    app.include_router(page_routes())
    describe(app, parameters, needs_token=bool(settings.tokens))
    say_problems(app, _KNOWN)
    tokens = Tokens(settings.tokens)
    rate = RateLimit(settings.requests_per_minute) if settings.requests_per_minute else None
    # The last one added is asked first.
    app.add_middleware(DefectGuard)
    app.add_middleware(BodyGuard, limits=settings.limits)
    app.add_middleware(AccessGuard, tokens=tokens, rate=rate, pictures=pictures_route(catalogue))
    app.add_middleware(SecurityHeaders)
    app.add_middleware(Observed, metrics=metrics)
    return app
