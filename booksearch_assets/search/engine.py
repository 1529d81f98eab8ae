"""The query engine: from a text, a picture, an item or several of them to ranked items of a catalogue.

Belongs here: how a query becomes a vector, and a ranking a page of results. Does not: what may be asked (`query`), the
order of answers (`ranking`), where vectors are kept (`vectorstores`), how results are shown (`shell`, `contact_sheet`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, Protocol

import numpy as np
from PIL import Image

from booksearch_assets.search.batching import TextBatches
from booksearch_assets.search.catalogues import catalogue_of
from booksearch_assets.search.cursor import Cursor, picture_digest, same_question, steady
from booksearch_assets.search.item_index import Candidate, ItemIndex
from booksearch_assets.search.query import (
    Filters,
    InvalidQuery,
    ItemNotFound,
    Query,
    SearchMode,
    SearchResults,
    StaleCursor,
    Took,
)
from booksearch_assets.search.ranking import FUSED_DEPTH, Collapse, Ranked, by_meaning, by_words, fused
from booksearch_assets.search.templates import prompts
from booksearch_assets.search.words import find_words
from booksearch_assets.vectorstores.contract import MAX_WINDOW, VECTOR, VectorIndex

WITHOUT_WEIGHT = 0.5
"""How much of the vector of a negative text is subtracted."""

FACET_DEPTH = 1_000
"""How many of the best items of a query its facets count."""

_SAME_DIRECTION = 1e-4


class ModelMismatch(ValueError):
    """The encoder's vectors and the collection's are of different models, and cannot be compared."""


class QueryEncoder(Protocol):
    """What the engine needs of `clip.encoder.Encoder`. Vectors are (n, dimension) float32, L2-normalised."""

    @property
    def bundle_id(self) -> str: ...

    def encode_texts(self, texts: Sequence[str]) -> np.ndarray: ...

    def encode_images(self, images: Sequence[Image.Image]) -> np.ndarray: ...


class SearchEngine:
    """Asks one version of a catalogue's collection. Safe for many threads.

    `items` are its words and numbers, made on the fly where they are not given. Raises `ModelMismatch` where `encoder`
    did not make the collection's vectors, and `InvalidCollection` where it lacks a field.
    """

    def __init__(self, index: VectorIndex, encoder: QueryEncoder, items: ItemIndex | None = None) -> None:
        made_by = index.spec.properties.get("bundle_id", "")
        if made_by != encoder.bundle_id:
            raise ModelMismatch(
                f"collection {index.spec.name!r} holds vectors of the model bundle {made_by or '(not recorded)'!r}, but "
                f"queries would be encoded with {encoder.bundle_id!r}. Vectors of two models cannot be compared: set "
                "BOOKSEARCH_MODEL to the collection's bundle, or materialise the collection with this one"
            )
        self._catalogue = catalogue_of(index.spec)
        self._index, self._encoder = index, encoder
        self._encode_texts = TextBatches(encoder.encode_texts)
        self._items = items or ItemIndex.temporary(index)

    @property
    def collection(self) -> str:
        """The version that answers."""
        return self._index.spec.name

    @property
    def bundle_id(self) -> str:
        """The exact model of the vectors."""
        return self._encoder.bundle_id

    @property
    def model_id(self) -> str:
        """The name of the model; that of the bundle where the collection records no other."""
        return self._index.spec.properties.get("model_id") or self.bundle_id.partition("@")[0]

    def search(self, query: Query) -> SearchResults[Any]:
        """One page of the best items, of the catalogue's result type, shorter than `query.k` only where there are no more.

        Raises `InvalidQuery`, `ItemNotFound` for an item to be like that is not held, and `StaleCursor` for a cursor of
        another version.
        """
        started = time.perf_counter()
        cursor = self._resumed(query)
        encoded = time.perf_counter()
        page, more = self._page(cursor, query.k)
        results = self._shown(page, cursor)
        last = replace(cursor, shown=cursor.shown + len(results)).encode() if more else None
        ended = time.perf_counter()
        took = Took(encode_seconds=encoded - started, search_seconds=ended - encoded)
        return SearchResults(results, last, self.collection, self.bundle_id, self.model_id, took)

    def similar(
        self,
        key: str,
        k: int = 10,
        filters: Filters | None = None,
        cursor: str | None = None,
        collapse: bool = True,
    ) -> SearchResults[Any]:
        """Items whose pictures are like that of an item. Raises as `search`."""
        return self.search(
            Query(like=key, k=k, filters=filters or Filters(), cursor=cursor, collapse=collapse)
        )

    def item(self, key: str) -> Any:
        """One item and its copies, of the catalogue's answer type. Raises `ItemNotFound`."""
        item = self._item(key)
        others = [each.key for each in self._items.copies(item, Filters()) if each.key != item.key]
        found = self._fetched([item.key, *others])
        shown, *copies = [self._catalogue.item(*found[each]) for each in (item.key, *others)]
        return self._catalogue.answer(shown, tuple(copies), self.collection, self.bundle_id, self.model_id)

    def facets(self, query: Query | None = None, filters: Filters | None = None, top: int = 10) -> Any:
        """What there is to filter by, of the catalogue's type of facets: of everything that passes `filters`, or of the best
        1,000 items of `query`."""
        if not 1 <= top <= FACET_DEPTH:
            raise InvalidQuery(f"top is {top}; ask for 1 to {FACET_DEPTH} values")
        filters = (query.filters if query else filters) or Filters()
        keys = None
        if query:
            cursor = self._resumed(query)
            keys = [ranked.item.key for ranked in islice(self._ranking(cursor), FACET_DEPTH)]
        return self._catalogue.facets(
            total=self._items.count(filters) if keys is None else len(keys),
            **self._items.facets(filters, top, keys),
            collection=self.collection,
        )

    def _resumed(self, query: Query) -> Cursor:
        """Where the walk through the pages is: at its beginning without a cursor."""
        if query.cursor is None:
            self._catalogue.checked(query.filters)
            vector = None if query.effective_mode is SearchMode.LEXICAL else self._vector(query)
            return Cursor(self.collection, query, picture_digest(query.image), 0, vector)
        cursor = Cursor.decode(query.cursor, self._catalogue.filters)
        if query.asks and not same_question(cursor, query):
            raise InvalidQuery(
                "the cursor is of another query; give the same query or the cursor alone, or search without it"
            )
        if cursor.collection != self.collection:
            raise StaleCursor(
                f"the cursor belongs to {cursor.collection}, and {self.collection} is searched now: results would repeat "
                "or be skipped. Search again from the first page"
            )
        lexical = cursor.query.effective_mode is SearchMode.LEXICAL
        if lexical != (cursor.vector is None) or (
            cursor.vector is not None and len(cursor.vector) != self._index.spec.dimension
        ):
            raise InvalidQuery("the cursor was changed; give the next_cursor of a page of results as it is")
        return cursor

    def _vector(self, query: Query) -> np.ndarray:
        """The direction to look in, (dimension,) float32, L2-normalised."""
        parts: list[np.ndarray] = []
        text, without = (query.text or "").strip(), (query.without or "").strip()
        framed = [prompts(words, query.template) for words in (text, without) if words]
        if framed:
            vectors = self._encode_texts([prompt for each in framed for prompt in each])
            means = [_unit(part.mean(axis=0)) for part in np.split(vectors, len(framed))]
            if without:
                parts.append(-WITHOUT_WEIGHT * means.pop())
            parts += [query.text_weight * mean for mean in means]
        if query.image is not None:
            [vector] = self._encoder.encode_images([_decoded(query.image)])
            parts.append(query.image_weight * vector)
        if query.like:
            parts.append(self._stored_vector(query.like.strip()))
        total = np.sum(parts, axis=0)
        if np.linalg.norm(total) < _SAME_DIRECTION:
            raise InvalidQuery(
                "the parts of the query are opposites for this model, or weigh nothing, and cancel out; search by one "
                "of them, or give another weight"
            )
        return steady(total)

    def _ranking(self, cursor: Cursor) -> Iterator[Ranked]:
        """Every item that the query finds, best first, before collapsing."""
        query = cursor.query
        text, without = query.text or "", query.without or ""
        if query.effective_mode is SearchMode.LEXICAL:
            return by_words(
                find_words(
                    self._catalogue, self._index, self._items, text, without, query.filters, MAX_WINDOW
                ),
                self._items.titled(text, query.filters, FUSED_DEPTH),
            )
        assert cursor.vector is not None
        catalogue = self._catalogue
        meaning = by_meaning(
            self._index, cursor.vector, catalogue.store_filter(query.filters), catalogue.copied_by
        )
        if query.effective_mode is SearchMode.SEMANTIC:
            return meaning
        return fused(
            meaning,
            find_words(
                catalogue,
                self._index,
                self._items,
                text,
                without,
                query.filters,
                FUSED_DEPTH,
                telling_only=True,
            ),
            self._items.titled(text, query.filters, FUSED_DEPTH),
        )

    def _page(self, cursor: Cursor, k: int) -> tuple[list[tuple[Ranked, int]], bool]:
        """The next `k` results with how many copies each stands for, and whether there are more results."""
        query = cursor.query
        collapse = Collapse()
        liked = self._item(query.like.strip()) if query.like else None
        if liked and query.collapse:
            collapse.admit(liked, 0)
        page: list[tuple[Ranked, int]] = []
        shown = 0
        for ranked in self._ranking(cursor):
            if ranked.item == liked or (query.collapse and not collapse.admit(ranked.item, shown + 1)):
                continue
            shown += 1
            if shown > cursor.shown + k:
                return self._with_copies(page, collapse, cursor), True
            if shown > cursor.shown:
                page.append((ranked, shown))
        return self._with_copies(page, collapse, cursor), False

    def _with_copies(
        self, page: list[tuple[Ranked, int]], collapse: Collapse, cursor: Cursor
    ) -> list[tuple[Ranked, int]]:
        if not cursor.query.collapse:
            return [(ranked, 0) for ranked, _ in page]
        filters = cursor.query.filters
        return [
            (ranked, collapse.stood_for(ranked.item, rank, self._items.copies(ranked.item, filters)))
            for ranked, rank in page
        ]

    def _shown(self, page: Sequence[tuple[Ranked, int]], cursor: Cursor) -> tuple[Any, ...]:
        found = self._fetched([ranked.item.key for ranked, _ in page])
        worded = [ranked.item.key for ranked, _ in page if ranked.score is None]
        cosines = self._cosines(worded, cursor.vector) if cursor.vector is not None and worded else {}
        return tuple(
            self._catalogue.result(
                *found[ranked.item.key],
                rank,
                cosines.get(ranked.item.key, ranked.score),
                more,
                ranked.matched_by,
            )
            for rank, (ranked, more) in enumerate(page, start=cursor.shown + 1)
        )

    def _fetched(self, keys: Sequence[str]) -> dict[str, list[Any]]:
        """The values of the catalogue's item type, by key."""
        rows = self._index.fetch(keys, self._catalogue.shown)
        return {key: self._catalogue.item_values(row) for key, row in rows.items()}

    def _cosines(self, keys: Sequence[str], vector: np.ndarray) -> dict[str, float]:
        return {key: float(row[VECTOR] @ vector) for key, row in self._index.fetch(keys, (VECTOR,)).items()}

    def _stored_vector(self, key: str) -> np.ndarray:
        self._item(key)
        return self._index.fetch([key], (VECTOR,))[key][VECTOR]

    def _item(self, key: str) -> Candidate:
        item = self._items.item(key)
        if item is None:
            raise ItemNotFound(
                f"{self.collection} holds no {self._catalogue.wording.copy} {key!r}; expected a key of a search result, "
                f"such as {self._catalogue.key_example}"
            )
        return item


def _unit(vector: np.ndarray) -> np.ndarray:
    return vector / np.linalg.norm(vector)


def _decoded(image: Image.Image | bytes) -> Image.Image:
    from booksearch_assets.clip.preprocess import UndecodableImage, decode_image

    if isinstance(image, Image.Image):
        return image
    try:
        return decode_image(image)
    except UndecodableImage as error:
        raise InvalidQuery(f"the picture cannot be read: {error}") from error
