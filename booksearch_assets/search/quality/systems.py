"""What answers the queries: a version's own index, and the baselines that it is measured beside.

Belongs here: from texts to ranked covers, by each system. Does not: the queries (`query_sets`), scores (`measures`),
the prototype's way, which needs vectors of its own (`prototype`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np

from booksearch_assets.search.engine import ModelMismatch, QueryEncoder
from booksearch_assets.search.quality.measures import scores
from booksearch_assets.search.quality.query_sets import Covers, QuerySet
from booksearch_assets.vectorstores.contract import MAX_WINDOW, VectorIndex

DEPTH = 100
"""Hits looked at for each query; a cover that is not among them counts as not found."""

_BATCH = 256


class SystemName(StrEnum):
    """Who answers. The first is what is measured, the others are what it is measured beside."""

    VECTORS = "vectors"
    HYBRID = "hybrid"
    LEXICAL = "lexical only"
    PROTOTYPE = "the prototype's way"
    RANDOM = "random"


class System(Protocol):
    """Ranks covers for texts."""

    def rank(self, texts: Sequence[str]) -> list[list[int]]:
        """The distinct covers found by each text, best first."""


@dataclass(frozen=True)
class VectorSystem:
    """A version's index, asked with the vectors of its own model. `depth` is how many hits are looked at.

    Raises `ModelMismatch` where `encoder` did not make the vectors.
    """

    index: VectorIndex
    encoder: QueryEncoder
    depth: int = DEPTH

    def __post_init__(self) -> None:
        made_by = self.index.spec.properties.get("bundle_id", "")
        if made_by != self.encoder.bundle_id:
            raise ModelMismatch(
                f"collection {self.index.spec.name!r} is of {made_by!r} and cannot be measured with "
                f"{self.encoder.bundle_id!r}"
            )

    def rank(self, texts: Sequence[str]) -> list[list[int]]:
        vectors = self.encoder.encode_texts(texts)
        window = min(MAX_WINDOW, self.depth)
        found = (
            self.index.search(vectors[start : start + _BATCH], window, fields=("cover_id",))
            for start in range(0, len(vectors), _BATCH)
        )
        return [distinct(hit.fields["cover_id"] for hit in hits) for batch in found for hits in batch]


@dataclass(frozen=True)
class RandomSystem:
    """Covers by lot: what a measure is worth for nothing."""

    covers: Covers
    seed: int = 0

    def rank(self, texts: Sequence[str]) -> list[list[int]]:
        generator = np.random.default_rng(self.seed)
        covers = np.array(sorted(self.covers))
        count = min(DEPTH, len(covers))
        return [generator.choice(covers, count, replace=False).tolist() for _ in texts]


def distinct(covers: Iterable[int]) -> list[int]:
    """Each cover once, where it came first."""
    return list(dict.fromkeys(covers))


def ask(system: System, queries: QuerySet, among: Set[int] | None = None) -> Mapping[str, np.ndarray]:
    """The scores of each query, by the measures of its kind. `among` leaves other covers out of the answers."""
    ranked = [
        [cover for cover in covers if cover not in hidden and (among is None or cover in among)]
        for covers, hidden in zip(system.rank(queries.texts), queries.hidden, strict=True)
    ]
    return scores(ranked, queries.relevant, queries.kind.measures)
