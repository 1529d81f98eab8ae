"""Reading the body of POST /v1/search: JSON, or a form with a picture.

Belongs here: bodies to parameters and a decoded picture, within the limits. Does not: the limits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from PIL import Image
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.requests import Request

from booksearch_assets.search.api.image_urls import ImageUrls
from booksearch_assets.search.api.limits import Limits
from booksearch_assets.search.api.parameters import TYPED, Parameters, SearchBody
from booksearch_assets.search.api.problems import ApiProblem, ProblemKind
from booksearch_assets.search.catalogue import SearchedCatalogue
from booksearch_assets.search.query import Query

_JSON, _FORM = "application/json", "multipart/form-data"
_FIELDS = 30


def request_body(catalogue: SearchedCatalogue) -> dict[str, Any]:
    """How the description of the API shows what is read here."""
    some = catalogue.labels[0]
    text = catalogue.wording.examples[0]
    picture = "https://example.org/picture.jpg"
    return {
        "required": True,
        "content": {
            _JSON: {
                "schema": {"$ref": "#/components/schemas/SearchBody"},
                "examples": {
                    "text": {"value": {"text": text, some.filter: some.example, "k": 5}},
                    "mixed": {"value": {"text": "at night", "image_url": picture, "image_weight": 2}},
                },
            },
            _FORM: {"schema": {"$ref": "#/components/schemas/SearchForm"}},
        },
    }


@dataclass(frozen=True)
class BodyReader:
    """Makes queries of bodies."""

    limits: Limits
    image_urls: ImageUrls
    parameters: Parameters

    async def query(self, request: Request) -> Query:
        """Raises `ApiProblem`, `InvalidQuery`, `UnusableImageUrl`, and pydantic's `ValidationError`."""
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == _JSON:
            json = await request.body()
            body, content = self.parameters.body.model_validate_json(json, strict=True, context=TYPED), None
        elif kind == _FORM:
            body, content = await self._form(request)
        else:
            raise ApiProblem(ProblemKind.MEDIA_TYPE, f"send {_JSON} or {_FORM}, not {kind or 'nothing'!r}")
        if body.image_url:
            if content is not None:
                raise ApiProblem(ProblemKind.INVALID_QUERY, "give a picture or the address of one, not both")
            content = await self.image_urls.fetch(body.image_url)
        return body.query(await run_in_threadpool(self._picture, content) if content is not None else None)

    async def _form(self, request: Request) -> tuple[SearchBody, bytes | None]:
        async with request.form(max_files=1, max_fields=_FIELDS) as form:
            names = [name for name, _ in form.multi_items()]
            if len(set(names)) < len(names):
                raise ApiProblem(ProblemKind.MALFORMED, "the form gives a field more than once")
            fields = dict(form)
            image = fields.pop("image", None)
            strays = [name for name, value in fields.items() if isinstance(value, UploadFile)]
            if strays or not isinstance(image, UploadFile | None):
                raise ApiProblem(
                    ProblemKind.MALFORMED, "the picture belongs in a file field called image, texts in others"
                )
            content = await image.read() if image else None
        return self.parameters.form.model_validate(fields), content

    def _picture(self, content: bytes) -> Image.Image:
        from booksearch_assets.clip.preprocess import UndecodableImage, decode_image

        if len(content) > self.limits.image_bytes:
            raise ApiProblem(
                ProblemKind.TOO_LARGE,
                f"the picture has {len(content):,} bytes; at most {self.limits.image_bytes:,} are taken",
            )
        try:
            return decode_image(content, self.limits.image_pixels)
        except UndecodableImage as error:
            raise ApiProblem(ProblemKind.UNUSABLE_IMAGE, str(error)) from error
