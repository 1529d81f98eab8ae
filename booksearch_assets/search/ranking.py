"""The order of the answers: what is near in meaning, what has the words, both fused, and one result for each book.

Every ranking is a function of the version, the vector and the words alone, whatever page is asked for: a page is a
slice of it, so that walking the pages neither repeats nor skips.

Belongs here: orders and collapsing. Does not: vectors (`engine`), finding words (`book_index`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import NamedTuple

import numpy as np

from booksearch_assets.search.book_index import Edition
from booksearch_assets.search.query import MatchedBy
from booksearch_assets.vectorstores.contract import MAX_WINDOW, VectorIndex
from booksearch_assets.vectorstores.filters import Filter

FUSED_DEPTH = 100
"""How many answers of each search are fused. Beyond them the semantic search goes on alone."""

_WINDOWS = (128, 1_024, MAX_WINDOW)
"""How deep the semantic search looks, one after another. Fixed, since an approximate index may answer another window
with another order."""

_RRF_K = 60
"""The constant of reciprocal rank fusion (Cormack, Clarke & Büttcher 2009): how little the first ranks stand out."""


class Ranked(NamedTuple):
    """An edition at its place. `score` is the cosine, None where only words were compared."""

    edition: Edition
    score: float | None
    matched_by: MatchedBy


def by_meaning(index: VectorIndex, vector: np.ndarray, filter: Filter | None) -> Iterator[Ranked]:
    """Editions by the cosine of their vectors, `MAX_WINDOW` at most."""
    seen: set[str] = set()
    for window in _WINDOWS:
        [hits] = index.search(vector[None], window, filter, ("work_key", "picture_id"))
        for hit in hits:
            if hit.key not in seen:
                seen.add(hit.key)
                edition = Edition(hit.key, hit.fields["work_key"], hit.fields["picture_id"])
                yield Ranked(edition, hit.score, MatchedBy.SEMANTIC)
        if len(hits) < window:
            return


def by_words(words: Iterable[Edition], titled: Iterable[Edition]) -> Iterator[Ranked]:
    """Editions titled exactly so, then those that have the words, in the order that these gave them."""
    editions = dict.fromkeys(chain(titled, words))
    return (Ranked(edition, None, MatchedBy.LEXICAL) for edition in editions)


def fused(meaning: Iterator[Ranked], words: Iterable[Edition], titled: Iterable[Edition]) -> Iterator[Ranked]:
    """Editions titled exactly so, then those that either search found by reciprocal rank, then the rest by meaning."""
    near = list(islice(meaning, FUSED_DEPTH))
    lists = ([ranked.edition for ranked in near], list(islice(words, FUSED_DEPTH)))
    gains: dict[Edition, float] = {}
    for editions in lists:
        for rank, edition in enumerate(editions, start=1):
            gains[edition] = gains.get(edition, 0.0) + 1 / (_RRF_K + rank)
    scores = {ranked.edition: ranked.score for ranked in near}
    worded = set(lists[1])

    def placed(edition: Edition) -> Ranked:
        if edition not in scores:
            return Ranked(edition, None, MatchedBy.LEXICAL)
        found = MatchedBy.BOTH if edition in worded else MatchedBy.SEMANTIC
        return Ranked(edition, scores[edition], found)

    first = set(titled)
    worded |= first
    gains |= {edition: gains.get(edition, 0.0) for edition in first}
    head = sorted(gains, key=lambda e: (e not in first, -gains[e], e.key))
    rest = (ranked for ranked in meaning if ranked.edition not in gains)
    return chain(map(placed, head), rest)


@dataclass
class Collapse:
    """One result for each book: which works and pictures were shown, and at which rank first."""

    works: dict[str, int] = field(default_factory=dict)
    pictures: dict[int, int] = field(default_factory=dict)

    def admit(self, edition: Edition, rank: int) -> bool:
        """Whether the edition is of a book that was not shown yet; then it is, at `rank`."""
        if edition.picture_id in self.pictures or edition.work_key in self.works:
            return False
        self.pictures[edition.picture_id] = rank
        if edition.work_key:
            # Orphans are books of their own.
            self.works[edition.work_key] = rank
        return True

    def stood_for(self, shown: Edition, rank: int, same_book: Iterable[Edition]) -> int:
        """How many of `same_book`, the editions of the book shown at `rank`, no earlier result stands for."""
        return sum(
            edition.key != shown.key
            and self.works.get(edition.work_key, rank) >= rank
            and self.pictures.get(edition.picture_id, rank) >= rank
            for edition in same_book
        )
