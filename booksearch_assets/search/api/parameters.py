"""What requests may hold, as the description of the API says it.

A form, a JSON body and the query of an address hold the same names. Unknown names are refused, so that a misspelt filter
is not a filter that is silently left out.

Filters are those of the catalogue's declaration; everything else is the same for all.

Belongs here: names, bounds and examples of parameters, and making a query of them. Does not: what a query means.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, TypeVar

from PIL import Image
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo, create_model
from starlette.requests import Request

from booksearch_assets.search.api.limits import MAX_CURSOR, MAX_IMAGE_ID, MAX_NAME, MAX_PAGE, MAX_URL
from booksearch_assets.search.api.problems import ApiProblem, ProblemKind
from booksearch_assets.search.catalogue import SearchedCatalogue
from booksearch_assets.search.query import MAX_TEXT_LENGTH, Filters, Query, SearchMode, Template

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
PictureWidth = Annotated[int, Field(ge=1, le=1000), BeforeValidator(_whole)]
Flag = Annotated[bool, BeforeValidator(_flag)]
Text = Annotated[str, Field(min_length=1, max_length=MAX_TEXT_LENGTH)]
Name = Annotated[str, Field(min_length=1, max_length=MAX_NAME)]
Span = Annotated[str, Field(pattern=_SPAN)]
Weight = Annotated[float, Field(ge=0, le=100, allow_inf_nan=False), BeforeValidator(_number)]


class FilterParameters(BaseModel):
    """Which items may be found: all that is given must hold. A catalogue's own models add its filters."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    filters_type: ClassVar[type[Filters]] = Filters

    def filters(self) -> Filters:
        """Raises `InvalidQuery` for a span that is reversed."""
        return self.filters_type.parse(
            {
                name: getattr(self, name)
                for name in self.filters_type.__dataclass_fields__
                if hasattr(self, name)
            }
        )


class AskParameters(FilterParameters):
    """What to look for, and where."""

    text: Text | None = Field(None, examples=["a lighthouse in a storm"])
    """What the picture shows, or words of the title and the names."""
    without: Text | None = Field(None, examples=["people"])
    """What to keep away from."""
    like: str | None = None
    """The key of an item whose picture the results should resemble."""
    text_weight: Weight = 1.0
    """How much the text counts beside a picture or an item."""
    image_weight: Weight = 1.0
    """How much the picture counts beside a text or an item."""
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
    """What to count: everything that the filters let through, or the best items for a query."""

    top: PageSize = 10
    """How many names of each kind."""

    def query(self) -> Query | None:
        """None where nothing is looked for. Raises `InvalidQuery`."""
        return self._query() if self.text or self.without or self.like or self.mode else None


class PageParameters(FilterParameters):
    """Which items may be found, and how much of them is shown."""

    k: PageSize = 10
    """How many results."""
    cursor: str | None = Field(None, min_length=1, max_length=MAX_CURSOR)
    """`next_cursor` of the page before. The rest of the query may be left out, or must be what it was."""
    collapse: Flag = True
    """Show one item of those that are copies of one another, or have nearly the same picture."""


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


_Model = TypeVar("_Model", bound=FilterParameters)


@dataclass(frozen=True)
class Parameters:
    """The parameters of one catalogue: its filters and keys, in every form of request."""

    search: type[SearchParameters]
    page: type[PageParameters]
    facets: type[FacetParameters]
    body: type[SearchBody]
    form: type[SearchForm]
    key: Any
    image: Any

    @classmethod
    def of(cls, catalogue: SearchedCatalogue) -> Parameters:
        key = Annotated[str, Field(pattern=catalogue.key_pattern, examples=[catalogue.key_example])]
        return cls(
            search=_of_catalogue(SearchParameters, catalogue, key),
            page=_of_catalogue(PageParameters, catalogue, key),
            facets=_of_catalogue(FacetParameters, catalogue, key),
            body=_of_catalogue(SearchBody, catalogue, key),
            form=_of_catalogue(SearchForm, catalogue, key),
            key=key,
            image=_image_id(catalogue),
        )


def _image_id(catalogue: SearchedCatalogue) -> Any:
    if catalogue.image_pattern is None:
        return Annotated[
            int,
            Field(ge=1, le=MAX_IMAGE_ID, examples=[int(catalogue.image_example)]),
            BeforeValidator(_whole),
        ]
    return Annotated[str, Field(pattern=catalogue.image_pattern, examples=[catalogue.image_example])]


def _of_catalogue(base: type[_Model], catalogue: SearchedCatalogue, key: Any) -> type[_Model]:
    """`base` with the filters of a catalogue, and with its keys."""
    fields: dict[str, Any] = {
        number.filter: (Span | None, Field(None, description=number.description, examples=[number.example]))
        for number in catalogue.numbers
    }
    for label in catalogue.labels:
        value = Annotated[str, Field(pattern=label.pattern)] if label.pattern else Name
        fields[label.filter] = (
            value | None,
            Field(None, description=label.description, examples=[label.example]),
        )
    if like := base.model_fields.get("like"):
        fields["like"] = (key | None, Field(None, description=like.description))
    model = create_model(base.__name__, __base__=base, __doc__=base.__doc__, **fields)
    model.filters_type = catalogue.filters
    return model


def no_repeats(request: Request) -> None:
    """Raises `ApiProblem` for a parameter that is given twice: one of the two would not be looked at."""
    names = [name for name, _ in request.query_params.multi_items()]
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise ApiProblem(ProblemKind.MALFORMED, f"given more than once: {', '.join(twice)[:200]}")
