"""Searching from a shell: opening what is published, and showing results on a terminal and as a picture.

Belongs here: wiring of settings, index and encoder, and printing. Does not: searching (`search.engine`).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from rich.console import Console
from rich.table import Table

from booksearch_assets.search.books_collection import BOOKS
from booksearch_assets.search.catalogue import TITLE, SearchedCatalogue
from booksearch_assets.search.contact_sheet import contact_sheet
from booksearch_assets.settings import Settings
from booksearch_assets.tables.images import PictureTables

if TYPE_CHECKING:
    from booksearch_assets.search.engine import QueryEncoder, SearchEngine
    from booksearch_assets.search.live import LiveSearch
    from booksearch_assets.search.query import SearchResults
    from booksearch_assets.search.versions import Version

UNTITLED = "Untitled"
"""What is shown of an item that has no title, here as on the page."""

_RECHECK_SECONDS = 1.0
"""How long a service may go on serving what a server has replaced. A local store is asked before every query."""


def open_search(settings: Settings, catalogue: SearchedCatalogue = BOOKS) -> SearchEngine:
    """The engine over the published collection of a catalogue. Needs no lock, so it works while Dagster runs.

    Raises `CollectionNotFound` where nothing is published, `BundleError` for a damaged model, `EndpointError` for an
    endpoint that does not answer.
    """
    from booksearch_assets.search.engine import SearchEngine
    from booksearch_assets.search.item_index import ItemIndex
    from booksearch_assets.vectorstores.connect import open_published

    index = open_published(settings.store_uri, catalogue.name, settings.store_token())
    items = ItemIndex.open(index, word_cache(settings))
    encoder = _load_encoder(settings, index.spec.properties.get("bundle_id", ""))
    return SearchEngine(index, encoder, items)


def open_live_search(settings: Settings, catalogue: SearchedCatalogue = BOOKS) -> LiveSearch:
    """The engine for a process that outlives rebuilds: it follows what is published.

    Raises as `open_search`, and `ModelMismatch` where the collection is of another model than BOOKSEARCH_MODEL.
    """
    from booksearch_assets.search.live import LiveSearch
    from booksearch_assets.vectorstores.connect import open_store
    from booksearch_assets.vectorstores.milvus_lite import MilvusLiteStore

    encoders: dict[str, QueryEncoder] = {}

    def encoder_for(bundle_id: str) -> QueryEncoder:
        if bundle_id not in encoders:
            encoders[bundle_id] = _load_encoder(settings, bundle_id)
        return encoders[bundle_id]

    store = open_store(settings.store_uri, settings.store_token())
    local = isinstance(store, MilvusLiteStore)
    recheck_seconds = 0.0 if local else _RECHECK_SECONDS
    return LiveSearch(store, catalogue.name, encoder_for, recheck_seconds, cache=word_cache(settings))


def _load_encoder(settings: Settings, bundle_id: str) -> QueryEncoder:
    """The endpoint of BOOKSEARCH_QUERY_ENDPOINT where there is one, else the model of BOOKSEARCH_MODEL in this process.

    Raises `ModelMismatch` where that is not the bundle of this id, and `EndpointError`.
    """
    from booksearch_assets.clip.bundle import Bundle
    from booksearch_assets.clip.encoder import Encoder
    from booksearch_assets.sagemaker.endpoint import EndpointEncoder

    if settings.query_endpoint:
        endpoint = EndpointEncoder.connect(settings.query_endpoint)
        _require_bundle(bundle_id, endpoint.bundle_id, f"the endpoint {settings.query_endpoint}")
        return endpoint
    bundle = Bundle.open(settings.bundle)
    _require_bundle(bundle_id, bundle.bundle_id, settings.bundle)
    return Encoder.load(bundle)


def _require_bundle(wanted: str, found: str, place: str) -> None:
    from booksearch_assets.search.engine import ModelMismatch

    if found != wanted:
        raise ModelMismatch(
            f"the published collection is of the model bundle {wanted!r}, and {place} holds {found!r}; put the "
            "collection's bundle there, or publish a collection of this one"
        )


def list_versions(settings: Settings, catalogue: SearchedCatalogue = BOOKS) -> list[Version]:
    """The versions of a catalogue's collection, the newest first. Needs no lock."""
    from booksearch_assets.search.versions import Versions
    from booksearch_assets.tables.lake import Lake
    from booksearch_assets.vectorstores.connect import open_store

    with open_store(settings.store_uri, settings.store_token()) as store:
        return Versions(Lake(settings.lake), store, catalogue.name).all()


def word_cache(settings: Settings) -> Path:
    """Where this machine keeps the words of versions, of whatever store."""
    return settings.home / "words"


class LastSearch:
    """The cursor of a catalogue's last search from a shell, kept in `home`, so that the next command can go on with it."""

    def __init__(self, home: Path, catalogue: str) -> None:
        self._path = home / f"last-search-{catalogue}.cursor"

    def cursor(self) -> str:
        """Raises `InvalidQuery` where there is no next page."""
        from booksearch_assets.search.query import InvalidQuery

        text = self._path.read_text() if self._path.exists() else ""
        if not text:
            raise InvalidQuery(
                "there is no next page: the last search showed all it found, or there was none"
            )
        return text

    def remember(self, cursor: str | None) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._path.write_text(cursor or "")


def print_results(results: SearchResults[Any], catalogue: SearchedCatalogue = BOOKS) -> None:
    """A table of title, byline and score. Scores only compare results of one search."""
    byline = [fact.attribute for fact in catalogue.wording.byline]
    headings = [catalogue.caption(name) for name in byline]
    table = Table("", TITLE, *headings, "score", box=None, pad_edge=False)
    for result in results.results:
        told = [_told(getattr(result, name)) for name in byline]
        table.add_row(str(result.rank), result.title or UNTITLED, *told, _score(result.score))
    Console(highlight=False).print(table if results.results else "nothing found")


def _told(value: Any) -> str:
    return ", ".join(value) if isinstance(value, tuple) else str(value)


def _score(score: float | None) -> str:
    return "" if score is None else f"{score:.3f}"


def save_sheet(
    results: SearchResults[Any],
    settings: Settings,
    file: Path,
    heading: str,
    catalogue: SearchedCatalogue = BOOKS,
) -> None:
    """Save the pictures found as one picture, from the bytes cache of the lake."""
    images = [getattr(result, catalogue.image) for result in results.results]
    contents = image_contents(catalogue.pictures, settings.lake, settings.source_of(catalogue.name), images)
    last = catalogue.wording.byline[-1].attribute
    items = [
        (
            contents.get(image),
            [result.title or UNTITLED, f"{_told(getattr(result, last))}   {_score(result.score)}"],
        )
        for image, result in zip(images, results.results, strict=True)
    ]
    file.parent.mkdir(parents=True, exist_ok=True)
    contact_sheet(items, heading=heading).save(file)


def image_contents(
    pictures: PictureTables, lake: str, source: str, images: Sequence[Any]
) -> dict[Any, bytes]:
    """Original bytes of images, by id; those that the cache lacks are left out."""
    import pyarrow.compute as pc

    key = pictures.key.name
    cache = pictures.bytes_cache(lake, source)
    index = cache.index(["status"])
    wanted = index.filter(pc.is_in(index[key], pa.array(images, pictures.key.type)))
    rows = (row for part in cache.read_keys(wanted, [key, "content"]) for row in part.to_pylist())
    return {row[key]: row["content"] for row in rows if row["content"]}
