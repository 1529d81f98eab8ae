"""What requests may hold, as the description of the API says it.

A form, a JSON body and the query of an address hold the same names. Unknown names are refused, so that a misspelt filter
is not a filter that is silently left out.

Belongs here: names, bounds and examples of parameters, and making a query of them. Does not: what a query means.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from PIL import Image
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo
from starlette.requests import Request

from booksearch_assets.search.api.limits import MAX_COVER_ID, MAX_CURSOR, MAX_NAME, MAX_PAGE, MAX_URL
from booksearch_assets.search.api.problems import ApiProblem, ProblemKind
from booksearch_assets.search.query import (
    MAX_TEXT_LENGTH,
    BookFilters,
    PageRange,
    Query,
    SearchMode,
    Template,
    YearRange,
)

_SPAN = r"^([0-9]{1,6}(\.\.([0-9]{1,6})?)?|\.\.[0-9]{1,6})$"
_WHOLE = re.compile(r"-?[0-9]{1,19}")
_NUMBER = re.compile(r"-?[0-9]{1,20}(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,3})?")

TYPED = {"typed": True}
"""The validation context of JSON, whose values have types; in addresses and forms all values are texts."""


def _whole(value: Any, info: ValidationInfo) -> Any:
    """Of texts, only plain digits: pydantic would also take "+5", " 5" and "5.0"."""
    if _is_text(value, info):
        if not _WHOLE.fullmatch(value):
            raise ValueError("expected a whole number")
        return int(value)
    # JSON has one type of number.
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _number(value: Any, info: ValidationInfo) -> Any:
    if _is_text(value, info):
        if not _NUMBER.fullmatch(value):
            raise ValueError("expected a number")
        return float(value)
    return value


def _flag(value: Any, info: ValidationInfo) -> Any:
    """Of texts, only true and false: pydantic would also take "on", "yes" and "1"."""
    if _is_text(value, info):
        if value not in ("true", "false"):
            raise ValueError("expected true or false")
        return value == "true"
    return value


def _is_text(value: Any, info: ValidationInfo) -> bool:
    return isinstance(value, str) and info.context != TYPED


# Bounds stand before the validators: after them, the description of the API would not show them.
PageSize = Annotated[int, Field(ge=1, le=MAX_PAGE), BeforeValidator(_whole)]
CoverId = Annotated[int, Field(ge=1, le=MAX_COVER_ID, examples=[240727]), BeforeValidator(_whole)]
CoverWidth = Annotated[int, Field(ge=1, le=1000), BeforeValidator(_whole)]
Flag = Annotated[bool, BeforeValidator(_flag)]
Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT_LENGTH)]
Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
Span = Annotated[str, Field(pattern=_SPAN)]
EditionKey = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,32}$", examples=["OL7353617M"])]
Weight = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False), BeforeValidator(_number)]


class FilterParameters(BaseModel):
    """Which editions may be found: all that is given must hold."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    years: Span | None = Field(None, examples=["2015..2020"])
    """Years of publication, both included: 2015..2020, 2015.., ..2020 or 2015."""
    pages: Span | None = Field(None, examples=["100..300"])
    """Number of pages, as years are given."""
    author: Name | None = Field(None, examples=["Jane Austen"])
    """The whole name of one author; letter case, accents and punctuation do not matter."""
    subject: Name | None = Field(None, examples=["Sea stories"])
    """One whole subject, as an author is given."""
    language: str | None = Field(None, pattern="^[A-Za-z]{2,8}$", examples=["eng"])
    """A MARC code of a language."""

    def filters(self) -> BookFilters:
        """Raises `InvalidQuery` for a span that is reversed."""
        return BookFilters(
            years=YearRange.parse(self.years) if self.years else None,
            pages=PageRange.parse(self.pages) if self.pages else None,
            author=self.author,
            subject=self.subject,
            language=self.language,
        )


class AskParameters(FilterParameters):
    """What to look for, and where."""

    text: Text | None = Field(None, examples=["a lighthouse in a storm"])
    """What the cover shows, or words of title, author and subject."""
    without: Text | None = Field(None, examples=["people"])
    """What to keep away from."""
    like: EditionKey | None = None
    """The key of an edition whose cover the results should resemble."""
    text_weight: Weight = 1.0
    """How much the text counts beside a picture or an edition."""
    image_weight: Weight = 1.0
    """How much the picture counts beside a text or an edition."""
    template: Literal[tuple(t.value for t in Template)] = Template.NONE.value  # type: ignore[valid-type]
    """The prompts that frame a text for the model."""
    mode: Literal[tuple(m.value for m in SearchMode)] | None = None  # type: ignore[valid-type]
    """What is compared. Hybrid by default for a text alone, semantic otherwise."""

    def _query(self, image: Image.Image | None = None, **page: Any) -> Query:
        return Query(
            text=self.text,
            image=image,
            like=self.like,
            without=self.without,
            text_weight=self.text_weight,
            image_weight=self.image_weight,
            template=Template(self.template),
            filters=self.filters(),
            mode=SearchMode(self.mode) if self.mode else None,
            **page,
        )


class FacetParameters(AskParameters):
    """What to count: everything that the filters let through, or the best editions for a query."""

    top: PageSize = 10
    """How many authors, subjects and languages, each."""

    def query(self) -> Query | None:
        """None where nothing is looked for. Raises `InvalidQuery`."""
        return self._query() if self.text or self.without or self.like or self.mode else None


class PageParameters(FilterParameters):
    """Which editions may be found, and how much of them is shown."""

    k: PageSize = 10
    """How many results."""
    cursor: str | None = Field(None, min_length=1, max_length=MAX_CURSOR)
    """`next_cursor` of the page before. The rest of the query may be left out, or must be what it was."""
    collapse: Flag = True
    """Show one edition of those that share a work, a cover, or nearly the same picture."""


class SearchParameters(PageParameters, AskParameters):
    """What to look for, and how much of what is found is shown."""

    def query(self, image: Image.Image | None = None) -> Query:
        """Raises `InvalidQuery`."""
        return self._query(image, k=self.k, cursor=self.cursor, collapse=self.collapse)


class SearchBody(SearchParameters):
    """What to look for, with a picture by its address."""

    image_url: str | None = Field(
        None, min_length=1, max_length=MAX_URL, examples=["https://covers.openlibrary.org/b/id/240727-L.jpg"]
    )
    """The http or https address of a picture on the public internet."""


class SearchForm(SearchBody):
    """What to look for, with a picture as a file."""

    image: bytes | None = Field(None, json_schema_extra={"format": "binary"})
    """The file of a picture: JPEG, PNG, GIF, WebP, BMP, TIFF or AVIF."""


def no_repeats(request: Request) -> None:
    """Raises `ApiProblem` for a parameter that is given twice: one of the two would not be looked at."""
    names = [name for name, _ in request.query_params.multi_items()]
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ApiProblem(ProblemKind.MALFORMED, f"given more than once: {', '.join(twice)[:200]}")
