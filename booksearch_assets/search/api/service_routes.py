"""The routes that are not searches: pictures, health, metrics and the page.

Belongs here: one function for each route. Does not: pictures themselves (`search.pictures`), what is counted (`metrics`).
"""

# Without postponed annotations: FastAPI could not find models that are local to a function.
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.concurrency import run_in_threadpool
from starlette.staticfiles import StaticFiles

from booksearch_assets.search.api.answers import Health, Readiness, pictures_route
from booksearch_assets.search.api.metrics import Metrics
from booksearch_assets.search.api.parameters import Parameters, PictureWidth, no_repeats
from booksearch_assets.search.api.problems import ApiProblem, ProblemKind, documented
from booksearch_assets.search.api.searching import Searching
from booksearch_assets.search.catalogue import SearchedCatalogue
from booksearch_assets.search.pictures import Pictures
from booksearch_assets.settings import PACKAGE
from booksearch_assets.vectorstores.errors import VectorStoreError

PAGE = PACKAGE / "search" / "page"

_FOREVER = "public, max-age=31536000, immutable"
_PICTURES = {kind: {"schema": {"type": "string", "format": "binary"}} for kind in ("image/jpeg", "image/png")}


def service_routes(
    live: Searching,
    catalogue: SearchedCatalogue,
    parameters: Parameters,
    pictures: Pictures,
    metrics: Metrics,
) -> APIRouter:
    """The routes beside the searches."""
    noun = catalogue.wording.image
    not_found = next(kind for kind in ProblemKind if kind.slug == f"{noun}-not-found")
    router = APIRouter(tags=["service"], dependencies=[Depends(no_repeats)])

    @router.get(
        f"{pictures_route(catalogue)}/{{{catalogue.image}}}",
        response_class=Response,
        responses={
            200: {"description": "The picture", "content": _PICTURES},
            304: {"description": "The client has it already"},
            **documented(ProblemKind.MALFORMED, not_found, ProblemKind.TOO_MANY, ProblemKind.INTERNAL),
        },
    )
    def picture(
        request: Request,
        image: Annotated[parameters.image, Path(alias=catalogue.image)],  # type: ignore[name-defined]
        width: Annotated[
            PictureWidth | None, Query(description="Pixels that it should at least have across.")
        ] = None,
    ) -> Response:
        """A picture, as it was fetched, or as a thumbnail of about a width."""
        found = pictures.picture(image, width)
        if found is None:
            raise ApiProblem(not_found, f"no picture of {noun} {image} was ever fetched")
        headers = {"ETag": found.etag, "Cache-Control": _FOREVER}
        known = {tag.strip() for tag in request.headers.get("if-none-match", "").split(",")}
        if found.etag in known:
            return Response(status_code=304, headers=headers)
        return Response(found.content, media_type=found.media_type, headers=headers)

    @router.get("/healthz")
    async def healthz() -> Health:
        """Whether the process answers."""
        return Health("ok")

    @router.get("/readyz", responses=documented(ProblemKind.NOT_READY))
    async def readyz() -> Readiness:
        """Whether searches are answered, and by which version."""
        try:
            return await run_in_threadpool(lambda: Readiness(live.collection, live.held_up))
        except VectorStoreError as error:
            raise ApiProblem(ProblemKind.NOT_READY, str(error)) from error

    @router.get(
        "/metrics",
        response_class=Response,
        responses={
            200: {"description": "Prometheus' text format", "content": {"text/plain": {}}},
            **documented(ProblemKind.UNAUTHORIZED, ProblemKind.TOO_MANY),
        },
    )
    async def exposition() -> Response:
        """What the service counts."""
        return Response(metrics.exposition(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return router


def page_routes() -> APIRouter:
    """The page: every file of its folder, asked for again each time, so that an upgrade shows at once."""
    router = APIRouter(include_in_schema=False)
    files = StaticFiles(directory=PAGE)

    @router.api_route("/", methods=["GET", "HEAD"])
    @router.api_route("/{name}", methods=["GET", "HEAD"])
    async def page(request: Request, name: str = "index.html") -> Response:
        response = await files.get_response(name, request.scope)
        response.headers["Cache-Control"] = "no-cache"
        return response

    return router
