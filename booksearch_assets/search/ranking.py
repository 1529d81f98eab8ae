"""The order of the answers: what is near in meaning, what has the words, both fused, and one result for all copies of an item.

Every ranking is a function of the version, the vector and the words alone, whatever page is asked for: a page is a
slice of it, so that walking the pages neither repeats nor skips.

Belongs here: orders and collapsing. Does not: vectors (`engine`), finding words (`item_index`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain, islice
from typing import NamedTuple

import numpy as np

from booksearch_assets.search.item_index import Candidate
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
    """An item at its place. `score` is the cosine, None where only words were compared."""

    item: Candidate
    score: float | None
    matched_by: MatchedBy


def by_meaning(
    index: VectorIndex, vector: np.ndarray, filter: Filter | None, copied_by: Sequence[str]
) -> Iterator[Ranked]:
    """Items by the cosine of their vectors, `MAX_WINDOW` at most. `copied_by` are the columns of group and picture."""
    seen: set[str] = set()
    for window in _WINDOWS:
        [hits] = index.search(vector[None], window, filter, copied_by)
        for hit in hits:
            if hit.key not in seen:
                seen.add(hit.key)
                item = Candidate(hit.key, *(hit.fields[name] for name in copied_by))
                yield Ranked(item, hit.score, MatchedBy.SEMANTIC)
        if len(hits) < window:
            return


def by_words(words: Iterable[Candidate], titled: Iterable[Candidate]) -> Iterator[Ranked]:
    """Items titled exactly so, then those that have the words, in the order that these gave them."""
    items = dict.fromkeys(chain(titled, words))
    return (Ranked(item, None, MatchedBy.LEXICAL) for item in items)


def fused(
    meaning: Iterator[Ranked], words: Iterable[Candidate], titled: Iterable[Candidate]
) -> Iterator[Ranked]:
    """Items titled exactly so, then those that either search found by reciprocal rank, then the rest by meaning."""
    near = list(islice(meaning, FUSED_DEPTH))
    lists = ([ranked.item for ranked in near], list(islice(words, FUSED_DEPTH)))
    gains: dict[Candidate, float] = {}
    for items in lists:
        for rank, item in enumerate(items, start=1):
            gains[item] = gains.get(item, 0.0) + 1 / (_RRF_K + rank)
    scores = {ranked.item: ranked.score for ranked in near}
    worded = set(lists[1])

    def placed(item: Candidate) -> Ranked:
        if item not in scores:
            return Ranked(item, None, MatchedBy.LEXICAL)
        found = MatchedBy.BOTH if item in worded else MatchedBy.SEMANTIC
        return Ranked(item, scores[item], found)

    first = set(titled)
    worded |= first
    gains |= {item: gains.get(item, 0.0) for item in first}
    head = sorted(gains, key=lambda item: (item not in first, -gains[item], item.key))
    rest = (ranked for ranked in meaning if ranked.item not in gains)
    return chain(map(placed, head), rest)


@dataclass
class Collapse:
    """One result for all copies of an item: which groups and pictures were shown, and at which rank first."""

    groups: dict[str, int] = field(default_factory=dict)
    pictures: dict[int | str, int] = field(default_factory=dict)

    def admit(self, item: Candidate, rank: int) -> bool:
        """Whether no copy of the item was shown yet; then it is, at `rank`."""
        if item.picture in self.pictures or item.group in self.groups:
            return False
        self.pictures[item.picture] = rank
        if item.group:
            # Items of no group are not one another's copies.
            self.groups[item.group] = rank
        return True

    def stood_for(self, shown: Candidate, rank: int, copies: Iterable[Candidate]) -> int:
        """How many of `copies`, those of the item shown at `rank`, no earlier result stands for."""
        return sum(
            item.key != shown.key
            and self.groups.get(item.group, rank) >= rank
            and self.pictures.get(item.picture, rank) >= rank
            for item in copies
        )
