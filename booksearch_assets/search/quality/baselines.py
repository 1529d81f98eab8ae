"""Baselines that read words: lexical search alone, and both searches fused, as readers get them.

They do not read the columns that tell the topic, unlike what serves readers: which subject a book carries is what some
of the queries ask, and reading it there would be reading the answer.

Belongs here: answering by words. Does not: the searches themselves (`search.item_index`, `search.ranking`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
import pyarrow as pa

from booksearch_assets.search.catalogues import catalogue_of
from booksearch_assets.search.engine import QueryEncoder
from booksearch_assets.search.item_index import Candidate, ItemIndex
from booksearch_assets.search.quality.systems import DEPTH, distinct
from booksearch_assets.search.query import Filters, ImageId
from booksearch_assets.search.ranking import by_meaning, fused
from booksearch_assets.vectorstores.contract import VectorIndex
from booksearch_assets.vectorstores.exact import ExactIndex

_ANY = Filters()


@dataclass(frozen=True)
class Words:
    """The words of a collection, but for those that tell the topic, and the image of each item."""

    items: ItemIndex
    image_of: Mapping[str, ImageId]

    @classmethod
    def of(cls, rows: pa.Table, index: VectorIndex) -> Words:
        """From all `rows` of `index`."""
        catalogue = catalogue_of(index.spec)
        pairs = zip(rows[index.spec.key].to_pylist(), rows[catalogue.image].to_pylist(), strict=True)
        for name in catalogue.telling:
            place = rows.schema.get_field_index(name)
            silent = pa.array([[]] * len(rows), rows.schema.field(place).type)
            rows = rows.set_column(place, rows.schema.field(place), silent)
        return cls(ItemIndex.temporary(ExactIndex(index.spec, rows)), dict(pairs))

    def find(self, text: str) -> list[Candidate]:
        """Items with the words of `text`, exact titles first, then by BM25."""
        return self.items.find(text, "", _ANY, DEPTH)

    def images(self, items: Iterable[Candidate]) -> list[ImageId]:
        """Their distinct images, in order."""
        return distinct(self.image_of[item.key] for item in items)


@dataclass(frozen=True)
class LexicalSystem:
    """Words alone."""

    words: Words

    def rank(self, texts: Sequence[str]) -> list[list[ImageId]]:
        """See `systems.System`."""
        return [self.words.images(self.words.find(text)) for text in texts]


@dataclass(frozen=True)
class HybridSystem:
    """Words and vectors by reciprocal rank, exact titles first."""

    words: Words
    index: VectorIndex
    encoder: QueryEncoder

    def rank(self, texts: Sequence[str]) -> list[list[ImageId]]:
        """See `systems.System`."""
        return [
            self.words.images(self._fused(text, vector))
            for text, vector in zip(texts, self.encoder.encode_texts(texts), strict=True)
        ]

    def _fused(self, text: str, vector: np.ndarray) -> list[Candidate]:
        ranking = fused(
            by_meaning(self.index, vector, None, catalogue_of(self.index.spec).copied_by),
            self.words.find(text),
            self.words.items.titled(text, _ANY, DEPTH),
        )
        return [ranked.item for ranked in islice(ranking, DEPTH)]
