"""Baselines that read words: lexical search alone, and both searches fused, as readers get them.

They read titles and authors and not subjects, unlike what serves readers: which subject a book carries is what some of
the queries ask, and reading it there would be reading the answer.

Belongs here: answering by words. Does not: the searches themselves (`search.book_index`, `search.ranking`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pyarrow as pa

from booksearch_assets.search.book_index import BookIndex, Edition
from booksearch_assets.search.engine import QueryEncoder
from booksearch_assets.search.quality.systems import DEPTH, distinct
from booksearch_assets.search.query import BookFilters
from booksearch_assets.search.ranking import by_meaning, fused
from booksearch_assets.vectorstores.contract import VectorIndex
from booksearch_assets.vectorstores.exact import ExactIndex

_ANY = BookFilters()


@dataclass(frozen=True)
class Words:
    """The words of a collection's titles and authors, and the cover of each edition."""

    books: BookIndex
    cover_of: Mapping[str, int]

    @classmethod
    def of(cls, rows: pa.Table, index: VectorIndex) -> Words:
        """From all `rows` of `index`."""
        silent = pa.array([[]] * len(rows), rows.schema.field("subjects").type)
        place = rows.schema.get_field_index("subjects")
        without = ExactIndex(index.spec, rows.set_column(place, rows.schema.field(place), silent))
        pairs = zip(rows[index.spec.key].to_pylist(), rows["cover_id"].to_pylist(), strict=True)
        return cls(BookIndex.temporary(without), dict(pairs))

    def find(self, text: str) -> list[Edition]:
        """Editions with the words of `text`, exact titles first, then by BM25."""
        return self.books.find(text, "", _ANY, DEPTH)

    def covers(self, editions: Iterable[Edition]) -> list[int]:
        """Their distinct covers, in order."""
        return distinct(self.cover_of[edition.key] for edition in editions)


@dataclass(frozen=True)
class LexicalSystem:
    """Words alone."""

    words: Words

    def rank(self, texts: Sequence[str]) -> list[list[int]]:
        """See `systems.System`."""
        return [self.words.covers(self.words.find(text)) for text in texts]


@dataclass(frozen=True)
class HybridSystem:
    """Words and vectors by reciprocal rank, exact titles first."""

    words: Words
    index: VectorIndex
    encoder: QueryEncoder

    def rank(self, texts: Sequence[str]) -> list[list[int]]:
        """See `systems.System`."""
        return [
            self.words.covers(self._fused(text, vector))
            for text, vector in zip(texts, self.encoder.encode_texts(texts), strict=True)
        ]

    def _fused(self, text: str, vector: np.ndarray) -> list[Edition]:
        ranking = fused(
            by_meaning(self.index, vector, None),
            self.words.find(text),
            self.words.books.titled(text, _ANY, DEPTH),
        )
        return [ranked.edition for ranked in islice(ranking, DEPTH)]
