"""Errors as the API says them: one format, for every error of every route (RFC 9457, application/problem+json).

Belongs here: the kinds of problem, and how an exception becomes one. Does not: raising them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field, ValidationError
from starlette.exceptions import HTTPException
from starlette.routing import compile_path

from booksearch_assets.sagemaker.errors import EndpointError
from booksearch_assets.search.engine import ModelMismatch
from booksearch_assets.vectorstores.errors import VectorStoreError

MEDIA_TYPE = "application/problem+json"
_URN = "urn:booksearch:"
_MOST_ERRORS = 20
_log = logging.getLogger(__name__)


class ProblemKind(Enum):
    """What may be wrong: the last part of `type`, the status, and a title that never changes.

    400 does not fit the description of the API; 422 fits it, and still cannot be answered.
    """

    MALFORMED = ("malformed-request", 400, "The request does not fit the API")
    UNAUTHORIZED = ("unauthorized", 401, "A valid token is needed")
    NOT_FOUND = ("not-found", 404, "There is nothing at this address")
    ITEM_NOT_FOUND = ("item-not-found", 404, "No such item in the live version")
    COVER_NOT_FOUND = ("cover-not-found", 404, "No picture of this cover")
    PHOTO_NOT_FOUND = ("photo-not-found", 404, "No picture of this photo")
    METHOD = ("method-not-allowed", 405, "This address does not take this method")
    BODY_TIMEOUT = ("body-timeout", 408, "The body of the request came too slowly")
    STALE_CURSOR = ("stale-cursor", 410, "The version that this cursor pages through is no longer served")
    TOO_LARGE = ("too-large", 413, "The body of the request is too large")
    MEDIA_TYPE = ("unsupported-media-type", 415, "This kind of body is not taken")
    INVALID_QUERY = ("invalid-query", 422, "The query cannot be answered")
    UNUSABLE_IMAGE = ("unusable-image", 422, "The picture cannot be used")
    UNUSABLE_IMAGE_URL = ("unusable-image-url", 422, "The picture cannot be fetched from this address")
    TOO_MANY = ("too-many-requests", 429, "Too many requests")
    INTERNAL = ("internal-error", 500, "The service has a defect")
    NOT_READY = ("not-ready", 503, "No version is served at the moment")
    OVERLOADED = ("overloaded", 503, "Too many searches at a time")

    def __init__(self, slug: str, status: int, title: str) -> None:
        self.slug, self.status, self.title = slug, status, title

    @property
    def uri(self) -> str:
        return _URN + self.slug


class FieldProblem(BaseModel):
    """What is wrong with one field; `field` is its place, as "filters.year"."""

    field: str
    detail: str


class Problem(BaseModel):
    """Why a request got no answer (RFC 9457). `type` is stable: programs decide by it."""

    type: str = Field(examples=[ProblemKind.INVALID_QUERY.uri])
    title: str = Field(examples=[ProblemKind.INVALID_QUERY.title])
    status: int = Field(examples=[ProblemKind.INVALID_QUERY.status])
    detail: str = Field(examples=["the query is empty; give a text, a picture, or both"])
    errors: list[FieldProblem] = Field(default_factory=list)


class ApiProblem(Exception):
    """Raised by routes for what no exception of the engine says."""

    def __init__(self, kind: ProblemKind, detail: str, headers: Mapping[str, str] | None = None) -> None:
        self.kind, self.detail, self.headers = kind, detail, headers
        super().__init__(detail)


def problem_response(
    kind: ProblemKind,
    detail: str,
    headers: Mapping[str, str] | None = None,
    errors: Sequence[FieldProblem] = (),
) -> JSONResponse:
    problem = Problem(type=kind.uri, title=kind.title, status=kind.status, detail=detail, errors=list(errors))
    return JSONResponse(problem.model_dump(), kind.status, dict(headers or {}), MEDIA_TYPE)


def documented(*kinds: ProblemKind) -> dict[int | str, dict[str, Any]]:
    """The `responses` of a route that may answer with these problems."""
    by_status: dict[int, list[ProblemKind]] = {}
    for kind in kinds:
        by_status.setdefault(kind.status, []).append(kind)
    return {
        status: {
            "description": "; ".join(kind.title for kind in same),
            "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
        }
        for status, same in sorted(by_status.items())
    }


def say_problems(app: FastAPI, known: Mapping[type[Exception], ProblemKind]) -> None:
    """Answer the exceptions of `app` with problems. The messages of `known` ones are written for whoever asks."""

    def answering(kind: ProblemKind) -> Callable[[Request, Exception], JSONResponse]:
        return lambda request, error: problem_response(kind, str(error))

    for exception, kind in known.items():
        app.add_exception_handler(exception, answering(kind))
    app.add_exception_handler(ApiProblem, _of_api_problem)
    app.add_exception_handler(RequestValidationError, _of_validation)
    app.add_exception_handler(ValidationError, _of_validation)
    app.add_exception_handler(HTTPException, _of_http_exception)
    for unready in (VectorStoreError, ModelMismatch, EndpointError):
        app.add_exception_handler(unready, _of_store)


def _of_validation(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError | ValidationError)
    fields = [
        FieldProblem(field=_place(found["loc"]), detail=str(found["msg"]).removeprefix("Value error, "))
        for found in error.errors()[:_MOST_ERRORS]
    ]
    detail = "; ".join(f"{field.field}: {field.detail}" if field.field else field.detail for field in fields)
    return problem_response(ProblemKind.MALFORMED, detail, errors=fields)


def _place(location: Sequence[Any]) -> str:
    parts = [str(part) for part in location]
    # FastAPI puts first where it looked, which says nothing to a reader.
    return ".".join(parts[1:] if parts and parts[0] in ("query", "path", "body", "header") else parts)


def _of_api_problem(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ApiProblem)
    return problem_response(error.kind, error.detail, error.headers)


def _of_http_exception(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    path = request.url.path
    if error.status_code == ProblemKind.NOT_FOUND.status:
        return problem_response(ProblemKind.NOT_FOUND, f"no route {path}; /openapi.json lists them")
    if error.status_code == ProblemKind.METHOD.status:
        # The router only names the methods of the first route of this path.
        allowed = ", ".join(_methods(request)) or (error.headers or {}).get("Allow", "")
        detail = f"{path} takes {allowed}, not {request.method}"
        return problem_response(ProblemKind.METHOD, detail, {"Allow": allowed})
    return problem_response(ProblemKind.MALFORMED, str(error.detail), error.headers)


def _methods(request: Request) -> list[str]:
    """The methods that the description of the API has for the path of the request."""
    return sorted(
        {
            method.upper()
            for template, operations in request.app.openapi()["paths"].items()
            if compile_path(template)[0].match(request.url.path)
            for method in operations
        }
    )


def _of_store(request: Request, error: Exception) -> JSONResponse:
    # Its message names places of this deployment.
    _log.warning("%s: %s", type(error).__name__, error)
    detail = "nothing is published yet, or its store or model cannot be used now; /readyz says which"
    return problem_response(ProblemKind.NOT_READY, detail, {"Retry-After": "5"})
