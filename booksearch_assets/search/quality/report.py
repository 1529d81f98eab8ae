"""What a measurement of one version says: the figures, and their form as JSON.

Belongs here: the types. Does not: measuring (`evaluation`), drawing (`plots`), the page (`page`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from pydantic import TypeAdapter, ValidationError

from booksearch_assets.search.quality.images import SelfMatch
from booksearch_assets.search.quality.measures import Interval
from booksearch_assets.search.quality.query_sets import Kind
from booksearch_assets.search.quality.systems import SystemName


class InvalidReport(ValueError):
    """A stored report that this program cannot read."""


@dataclass(frozen=True)
class KindQuality:
    """How the queries of one kind were answered: how many there were, and each measure by name."""

    queries: int
    measures: Mapping[str, Interval]

    @classmethod
    def of(cls, scores: Mapping[str, np.ndarray]) -> KindQuality:
        """From the scores of single queries, by measure."""
        from booksearch_assets.search.quality.measures import mean_interval

        return cls(
            len(next(iter(scores.values()))),
            {name: mean_interval(values) for name, values in scores.items()},
        )


Answers = Mapping[Kind, KindQuality]


@dataclass(frozen=True)
class Latency:
    """Milliseconds of single queries, one after another in one process."""

    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, seconds: list[float]) -> Latency:
        return cls(*(float(value) for value in 1000 * np.percentile(seconds, [50, 95, 99])))


class Pairing(StrEnum):
    """How two versions were compared."""

    PAIRED = "both were asked the same queries now, about the images that both hold"
    STORED = "the other one's model is not at hand: its stored figures are compared, so that only a difference that "\
        "the intervals of both leave no room for is seen"  # fmt: skip
    NOTHING = "there is nothing to compare with"


@dataclass(frozen=True)
class Difference:
    """One measure of two versions; `difference` is candidate - other."""

    kind: Kind
    measure: str
    queries: int
    candidate: float
    other: float
    difference: Interval

    @property
    def is_regression(self) -> bool:
        """Whether the candidate is worse by more than chance explains."""
        return self.difference.high < 0

    def __str__(self) -> str:
        return (
            f"{self.kind} {self.measure} {self.candidate:.3f} against {self.other:.3f}, "
            f"a difference of {self.difference}, over {self.queries} queries"
        )


@dataclass(frozen=True)
class Comparison:
    """A candidate beside another version. `shared_images` are those that both hold; `note` says what to know."""

    candidate: str
    other: str | None
    pairing: Pairing
    shared_images: int
    differences: tuple[Difference, ...]
    note: str = ""

    @property
    def regressions(self) -> tuple[Difference, ...]:
        """The main measures in which the candidate is worse."""
        return tuple(d for d in self.differences if d.is_regression and d.measure == d.kind.main_measure)


@dataclass(frozen=True)
class QualityReport:
    """Everything measured of one version in one run.

    There are `items` with `item_images`. `systems` answer from all of these. `pooled` are those that answer from `pool`
    sampled images, since the prototype's vectors must be made anew, and this version among the same images. `images`
    are the shares of `pictures` that find their own item first, by what became of the picture; `neighbours` is recall@10 against exact search, by
    the share of rows that a filter keeps.
    """

    collection: str
    bundle_id: str
    model_id: str
    dump_date: str
    measured_at: str
    seconds: float
    items: int
    item_images: int
    systems: Mapping[SystemName, Answers]
    pool: int
    pooled: Mapping[SystemName, Answers]
    self_match: SelfMatch
    pictures: int
    images: Mapping[str, Interval]
    neighbours: Mapping[str, float]
    latency: Mapping[str, Latency]
    comparison: Comparison

    @property
    def answers(self) -> Answers:
        """How the version itself answered."""
        return self.systems[SystemName.VECTORS]

    @property
    def queries(self) -> int:
        return sum(quality.queries for quality in self.answers.values())

    def figures(self) -> dict[str, float]:
        """Every number of the version by a flat name, such as caption_recall_at_10."""
        figures: dict[str, float] = {}
        for kind, quality in self.answers.items():
            figures |= {f"{kind}_queries": quality.queries} | {
                flat_name(kind, measure): interval.value for measure, interval in quality.measures.items()
            }
        figures |= {f"image_{_slug(name)}": interval.value for name, interval in self.images.items()}
        figures |= {f"neighbours_{_slug(name)}": recall for name, recall in self.neighbours.items()}
        for name, latency in self.latency.items():
            figures |= {f"{_slug(name)}_{p}_ms": getattr(latency, p) for p in ("p50", "p95", "p99")}
        return {"self_match": self.self_match.share} | {
            name: value for name, value in figures.items() if math.isfinite(value)
        }

    def to_json(self) -> bytes:
        return _ADAPTER.dump_json(self, indent=1)

    @classmethod
    def from_json(cls, content: bytes) -> QualityReport:
        """Raises `InvalidReport`."""
        try:
            return _ADAPTER.validate_json(content)
        except ValidationError as error:
            raise InvalidReport(
                f"this is no report of search quality, or one of another release of booksearch: {error.errors()[0]['msg']}"
            ) from error


_ADAPTER = TypeAdapter(QualityReport)


def flat_name(kind: Kind, measure: str) -> str:
    """The name of a figure, such as caption_recall_at_10."""
    return f"{kind}_{measure.lower().replace('@', '_at_')}"


def _slug(name: str) -> str:
    words = "".join(letter if letter.isascii() and letter.isalnum() else " " for letter in name.lower())
    return "_".join(words.split())
