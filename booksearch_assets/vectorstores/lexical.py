"""Searching the words of a collection, for the stores that can.

Belongs here: the optional interface beside `VectorIndex`. Does not: fusing both kinds of search (`search`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from booksearch_assets.vectorstores.contract import Hit
from booksearch_assets.vectorstores.filters import Filter


@runtime_checkable
class LexicalIndex(Protocol):
    """A sealed collection whose store ranks its rows by their words."""

    def search_words(
        self,
        text: str,
        k: int,
        weights: Mapping[str, float],
        without: str = "",
        filter: Filter | None = None,
        fields: Sequence[str] = (),
        offset: int = 0,
    ) -> list[Hit]:
        """The rows that have every word of `text`, and not all those of `without`, best first, from rank `offset`.

        `weights` names the fields to look at, of which any may have a word, and how much it counts there. Case, accents
        and apostrophes do not matter, nor do the commonest words of English. Rows that score alike are in the order of
        their keys. A `score` is of BM25: it ranks the hits of one search and says nothing across searches.

        Raises `InvalidSearch`.
        """
