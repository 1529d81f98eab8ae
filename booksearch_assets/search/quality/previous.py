"""How well a collection finds what is asked: recall, MRR and nDCG of queries whose right cover is known.

Belongs here: the measures and running them over an index. Does not: choosing the queries (`known_items`), plots.

Relevance is by cover: editions that share a cover are one answer, and the ranks counted are those of distinct covers.
"""

from __future__ import annotations

import math
import time
from collections.abc import Hashable, Mapping, Sequence, Set
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from booksearch_assets.search.engine import ModelMismatch, QueryEncoder
from booksearch_assets.vectorstores.contract import VECTOR, VectorIndex

DEPTH = 100
"""Hits looked at for each query; a cover that is not among them counts as not found."""

_NDCG_K = 10
_BATCH = 256
_RESAMPLES = 1_000
_TIMED_QUERIES = 50
_SAME_VECTOR = 1e-5


def recall_at_k(ranked: Sequence[Hashable], relevant: Set[Hashable], k: int) -> float:
    """The share of `relevant` that is among the first `k` of `ranked`."""
    return len(relevant & set(ranked[:k])) / len(relevant)


def mrr(ranked: Sequence[Hashable], relevant: Set[Hashable]) -> float:
    """One over the rank of the first relevant item; 0 where there is none."""
    return next((1 / rank for rank, item in enumerate(ranked, start=1) if item in relevant), 0.0)


def ndcg_at_k(ranked: Sequence[Hashable], relevant: Set[Hashable], k: int) -> float:
    """Discounted gain of the first `k`, over that of the best order; gains are 0 or 1 (Järvelin & Kekäläinen 2002)."""
    gained = sum(1 / math.log2(rank + 1) for rank, item in enumerate(ranked[:k], start=1) if item in relevant)
    ideal = sum(1 / math.log2(rank + 1) for rank in range(1, min(k, len(relevant)) + 1))
    return gained / ideal


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class KindQuality:
    """Measures of the queries of one kind. `recall` is by k; `ndcg` is at 10."""

    n: int
    recall: Mapping[int, Interval]
    mrr: Interval
    ndcg: Interval

    def measures(self) -> dict[str, Interval]:
        """Every measure by the name that is shown."""
        return {f"recall@{k}": interval for k, interval in self.recall.items()} | {
            "MRR": self.mrr,
            f"nDCG@{_NDCG_K}": self.ndcg,
        }


@dataclass(frozen=True)
class Latency:
    """Seconds of single searches for 10 results, encoding not included."""

    p50: float
    p95: float
    p99: float


@dataclass(frozen=True)
class QualityReport:
    """Quality by kind of query, and latency."""

    kinds: Mapping[str, KindQuality]
    latency: Latency

    def figures(self) -> dict[str, float]:
        """Every number by a flat name, such as caption_recall_at_10."""
        figures: dict[str, float] = {}
        for kind, quality in self.kinds.items():
            figures[f"{kind}_queries"] = quality.n
            for name, interval in quality.measures().items():
                figures[f"{kind}_{name.lower().replace('@', '_at_')}"] = interval.value
        return figures | {
            "search_p50_ms": 1000 * self.latency.p50,
            "search_p95_ms": 1000 * self.latency.p95,
            "search_p99_ms": 1000 * self.latency.p99,
        }


@dataclass(frozen=True)
class SelfMatch:
    """How many stored vectors were searched for, and the share that found their own cover first."""

    sampled: int
    share: float


def measure_known_items(
    index: VectorIndex,
    encoder: QueryEncoder,
    queries: pa.Table,
    ks: Sequence[int] = (1, 5, 10),
    seed: int = 0,
) -> QualityReport:
    """Ask every one of `queries` (cover_id, query, kind), whose right answer is its cover.

    Raises `ModelMismatch` where `encoder` did not make the vectors, ValueError where there is no query.
    """
    if not len(queries):
        raise ValueError(f"there are no queries to measure {index.spec.name!r} with")
    made_by = index.spec.properties.get("bundle_id", "")
    if made_by != encoder.bundle_id:
        raise ModelMismatch(
            f"collection {index.spec.name!r} is of {made_by!r} and cannot be measured with {encoder.bundle_id!r}"
        )
    vectors = encoder.encode_texts(queries["query"].to_pylist())
    ranked = [
        covers
        for start in range(0, len(vectors), _BATCH)
        for covers in _covers(index, vectors[start:][:_BATCH])
    ]
    kinds = np.asarray(queries["kind"].to_pylist())
    scores = np.array(
        [
            [
                *(recall_at_k(covers, {wanted}, k) for k in ks),
                mrr(covers, {wanted}),
                ndcg_at_k(covers, {wanted}, _NDCG_K),
            ]
            for covers, wanted in zip(ranked, queries["cover_id"].to_pylist(), strict=True)
        ]
    )
    return QualityReport(
        kinds={str(kind): _kind_quality(scores[kinds == kind], ks, seed) for kind in np.unique(kinds)},
        latency=_latency(index, vectors[:_TIMED_QUERIES]),
    )


def self_match(index: VectorIndex, sample: int, seed: int) -> SelfMatch:
    """Search for stored vectors, at most `sample` of them, each of which should find its own cover first.

    Covers with the same picture have equal vectors, and either of them may come first. An empty collection has a share
    of 0, since it shows nothing.
    """
    keys = [key for batch in index.scan([index.spec.key]) for key in batch[0].to_pylist()]
    if not keys:
        return SelfMatch(0, 0.0)
    chosen = np.random.default_rng(seed).choice(len(keys), size=min(sample, len(keys)), replace=False)
    stored = list(index.fetch([keys[row] for row in chosen], ("cover_id", VECTOR)).values())
    found = index.search(np.stack([row[VECTOR] for row in stored]), 1, fields=("cover_id", VECTOR))
    matches = [
        bool(hits)
        and (
            hits[0].fields["cover_id"] == row["cover_id"]
            or np.allclose(hits[0].fields[VECTOR], row[VECTOR], rtol=0, atol=_SAME_VECTOR)
        )
        for row, hits in zip(stored, found, strict=True)
    ]
    return SelfMatch(len(stored), float(np.mean(matches)))


def _covers(index: VectorIndex, vectors: np.ndarray) -> list[list[int]]:
    """The distinct covers found by each of `vectors`, best first."""
    found = index.search(vectors, DEPTH, fields=("cover_id",))
    return [list(dict.fromkeys(hit.fields["cover_id"] for hit in hits)) for hits in found]


def _kind_quality(scores: np.ndarray, ks: Sequence[int], seed: int) -> KindQuality:
    *recalls, reciprocal, gain = _intervals(scores, seed)
    return KindQuality(len(scores), dict(zip(ks, recalls, strict=True)), reciprocal, gain)


def _intervals(scores: np.ndarray, seed: int) -> list[Interval]:
    """Means over queries (rows) of each measure (column), with percentile bootstrap intervals."""
    generator = np.random.default_rng(seed)
    count = len(scores)
    means = np.stack([scores[generator.integers(0, count, count)].mean(axis=0) for _ in range(_RESAMPLES)])
    low, high = np.percentile(means, [2.5, 97.5], axis=0)
    return [Interval(*map(float, bounds)) for bounds in zip(scores.mean(axis=0), low, high, strict=True)]


def _latency(index: VectorIndex, vectors: np.ndarray) -> Latency:
    seconds = []
    for vector in vectors:
        started = time.perf_counter()
        index.search(vector[None], 10)
        seconds.append(time.perf_counter() - started)
    return Latency(*map(float, np.percentile(seconds, [50, 95, 99])))
