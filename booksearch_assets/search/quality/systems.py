"""What answers the queries: a version's own index, and the baselines that it is measured beside.

Belongs here: from texts to ranked images, by each system. Does not: the queries (`query_sets`), scores (`measures`),
the prototype's way, which needs vectors of its own (`prototype`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np

from booksearch_assets.search.catalogues import catalogue_of
from booksearch_assets.search.engine import ModelMismatch, QueryEncoder
from booksearch_assets.search.quality.measures import scores
from booksearch_assets.search.quality.query_sets import Images, QuerySet
from booksearch_assets.search.query import ImageId
from booksearch_assets.vectorstores.contract import MAX_WINDOW, VectorIndex

DEPTH = 100
"""Hits looked at for each query; an image that is not among them counts as not found."""

_BATCH = 256


class SystemName(StrEnum):
    """Who answers. The first is what is measured, the others are what it is measured beside."""

    VECTORS = "vectors"
    HYBRID = "hybrid"
    LEXICAL = "lexical only"
    PROTOTYPE = "the prototype's way"
    RANDOM = "random"


class System(Protocol):
    """Ranks images for texts."""

    def rank(self, texts: Sequence[str]) -> list[list[ImageId]]:
        """The distinct images found by each text, best first."""


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

    def rank(self, texts: Sequence[str]) -> list[list[ImageId]]:
        vectors = self.encoder.encode_texts(texts)
        window = min(MAX_WINDOW, self.depth)
        image = catalogue_of(self.index.spec).image
        found = (
            self.index.search(vectors[start : start + _BATCH], window, fields=(image,))
            for start in range(0, len(vectors), _BATCH)
        )
        return [distinct(hit.fields[image] for hit in hits) for batch in found for hits in batch]


@dataclass(frozen=True)
class RandomSystem:
    """Images by lot: what a measure is worth for nothing."""

    images: Images
    seed: int = 0

    def rank(self, texts: Sequence[str]) -> list[list[ImageId]]:
        generator = np.random.default_rng(self.seed)
        images = np.array(sorted(self.images))
        count = min(DEPTH, len(images))
        return [generator.choice(images, count, replace=False).tolist() for _ in texts]


def distinct(images: Iterable[ImageId]) -> list[ImageId]:
    """Each image once, where it came first."""
    return list(dict.fromkeys(images))


def ask(system: System, queries: QuerySet, among: Set[ImageId] | None = None) -> Mapping[str, np.ndarray]:
    """The scores of each query, by the measures of its kind. `among` leaves other images out of the answers."""
    ranked = [
        [image for image in images if image not in hidden and (among is None or image in among)]
        for images, hidden in zip(system.rank(queries.texts), queries.hidden, strict=True)
    ]
    return scores(ranked, queries.relevant, queries.kind.measures)
