"""What the API answers, as JSON, beside the types of the engine.

Belongs here: answers of service routes, and how the engine's types become JSON and come back. Does not: problems.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from fastapi.responses import Response
from pydantic import TypeAdapter

from booksearch_assets.search.query import Facets, Item, SearchResults
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


SEARCH_RESULTS = TypeAdapter(SearchResults)
ITEM = TypeAdapter(Item)
FACETS = TypeAdapter(Facets)
VERSION_LIST = TypeAdapter(VersionList)


def json_answer(kind: TypeAdapter[Any], value: Any) -> Response:
    """`value` as JSON. FastAPI's own way would check it again, which takes longer than a search."""
    return Response(kind.dump_json(value), media_type="application/json")
