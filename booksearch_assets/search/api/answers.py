"""What the API answers, as JSON, beside the types of the engine.

Belongs here: answers of service routes, and how the engine's types become JSON and come back. Does not: problems.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi.responses import Response
from pydantic import TypeAdapter

from booksearch_assets.search.catalogue import LabelField, NumberField, SearchedCatalogue, Wording
from booksearch_assets.search.query import SearchResults
from booksearch_assets.search.versions import Version


@dataclass(frozen=True)
class VersionList:
    """The versions that there are, the newest first, and the one that serves.

    `held_up` says why a newer one is live and does not serve yet.
    """

    serving: str
    held_up: str | None
    versions: tuple[Version, ...]


@dataclass(frozen=True)
class Health:
    """The process answers."""

    status: str


@dataclass(frozen=True)
class Readiness:
    """Searches are answered, by this version. `held_up` says why a newer one is live and does not serve yet."""

    collection: str
    held_up: str | None


@dataclass(frozen=True)
class CatalogueDescription:
    """What is searched here, so that a page can be made of it: the names of its fields and filters, and its words.

    `key` and `image` are the attributes that name an item and its picture, `more` and `others` those that count the
    copies of a result and hold those of an item, and `pictures` is where pictures are.
    """

    name: str
    key: str
    image: str
    topic: str
    more: str
    others: str
    pictures: str
    numbers: tuple[NumberField, ...]
    labels: tuple[LabelField, ...]
    wording: Wording

    @classmethod
    def of(cls, catalogue: SearchedCatalogue) -> CatalogueDescription:
        return cls(
            catalogue.name,
            catalogue.key,
            catalogue.image,
            catalogue.topic,
            catalogue.more,
            catalogue.others,
            pictures_route(catalogue).lstrip("/"),
            catalogue.numbers,
            catalogue.labels,
            catalogue.wording,
        )


def pictures_route(catalogue: SearchedCatalogue) -> str:
    """Where the pictures of a catalogue are: /v1/covers of books."""
    return f"/v1/{catalogue.wording.images}"


VERSION_LIST = TypeAdapter(VersionList)
CATALOGUE = TypeAdapter(CatalogueDescription)


class Answers:
    """How the answers of one catalogue become JSON and come back."""

    def __init__(self, catalogue: SearchedCatalogue) -> None:
        # The types are the declaration's, which a type checker cannot know.
        self.results_type: Any = SearchResults[catalogue.result]  # type: ignore[name-defined]
        self.results = TypeAdapter(self.results_type)
        self.item = TypeAdapter(catalogue.answer)
        self.facets = TypeAdapter(catalogue.facets)


def json_answer(kind: TypeAdapter[Any], value: Any) -> Response:
    """`value` as JSON. FastAPI's own way would check it again, which takes longer than a search."""
    return Response(kind.dump_json(value), media_type="application/json")
