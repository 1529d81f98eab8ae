"""Measuring one version, from its index to a report: what the asset and `booksearch evaluate` both run.

Belongs here: the order of the measurements, and how much of each is done. Does not: opening versions and models
(`opening`), the measurements themselves.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np

from booksearch_assets.clip.encoder import Encoder
from booksearch_assets.search.engine import SearchEngine
from booksearch_assets.search.quality.baselines import HybridSystem, LexicalSystem, Words
from booksearch_assets.search.quality.comparison import compare, compare_stored, nothing_to_compare
from booksearch_assets.search.quality.images import robustness, self_match
from booksearch_assets.search.quality.measures import Interval
from booksearch_assets.search.quality.neighbours import neighbour_recall
from booksearch_assets.search.quality.prototype import PrototypeSystem
from booksearch_assets.search.quality.query_sets import (
    ImageId,
    Images,
    QuerySet,
    images_of,
    query_sets,
    rows_of,
)
from booksearch_assets.search.quality.report import (
    Answers,
    Comparison,
    KindQuality,
    Latency,
    QualityReport,
)
from booksearch_assets.search.quality.systems import RandomSystem, System, SystemName, VectorSystem, ask
from booksearch_assets.search.query import Query
from booksearch_assets.vectorstores.contract import VectorIndex
from booksearch_assets.vectorstores.exact import ExactIndex

ReadImages = Callable[[list[Any]], Mapping[Any, bytes]]
"""The original bytes of images, by id; those that are not at hand are left out."""

Progress = Callable[[str, int, int | None], None]
"""Called with what is counted, how many are done, and of how many."""

SELF_MATCHES = 500
_SHOWN = 10


@dataclass(frozen=True)
class Effort:
    """How much is measured. What is chosen from more is the same each time.

    `queries` are those of each kind; `pictures` are those that are spoilt and searched for; `prototype_images` are
    embedded again for the prototype's way; `timed` queries measure latency; `neighbours` queries measure recall against
    exact search.
    """

    queries: int = 300
    pictures: int = 30
    prototype_images: int = 120
    timed: int = 30
    neighbours: int = 60


@dataclass(frozen=True)
class Other:
    """Another version to compare with: itself and its encoder, or else its stored report and why there is no more."""

    version: VectorSystem | None = None
    stored: QualityReport | None = None
    why: str = ""


def evaluate(
    index: VectorIndex,
    encoder: Encoder,
    read_images: ReadImages,
    known_items: str,
    other: Other,
    effort: Effort,
    on_progress: Progress,
) -> QualityReport:
    """Measure a version, its baselines, and the difference from another version, in one run.

    Raises `ModelMismatch` where `encoder` did not make the version's vectors, and ValueError where it holds no items.
    """
    started = time.monotonic()
    version = VectorSystem(index, encoder)
    queries = query_sets(index, known_items, effort.queries)
    if not queries:
        raise ValueError(f"{index.spec.name} holds no item with a title: there is nothing to measure it with")
    rows = rows_of(index, index.spec.schema.names)
    images = images_of(index)
    words = Words.of(rows, index)
    systems: dict[SystemName, System] = {
        SystemName.VECTORS: version,
        SystemName.HYBRID: HybridSystem(words, index, encoder),
        SystemName.LEXICAL: LexicalSystem(words),
        SystemName.RANDOM: RandomSystem(images),
    }
    answers = _asked(systems, queries, on_progress)
    pool, pooled = _pooled(version, encoder, queries, images, read_images, effort, on_progress)
    pictures, spoilt = _images(version, images, read_images, effort, on_progress)
    vectors = encoder.encode_texts(_spread(queries, max(effort.neighbours, effort.timed)))
    neighbours = neighbour_recall(index, ExactIndex(index.spec, rows), vectors[: effort.neighbours])
    latency = {
        "search": _timed(lambda row: index.search(vectors[row][None], _SHOWN), effort.timed, len(vectors)),
        "text_to_results": _text_latency(SearchEngine(index, encoder, words.items), queries, effort.timed),
    }
    comparison = compare_with(version, other, queries, answers[SystemName.VECTORS])
    properties = index.spec.properties
    return QualityReport(
        collection=index.spec.name,
        bundle_id=encoder.bundle_id,
        model_id=properties.get("model_id", ""),
        dump_date=properties.get("dump_date", ""),
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        seconds=round(time.monotonic() - started, 2),
        items=len(rows),
        item_images=len(images),
        systems=answers,
        pool=pool,
        pooled=pooled,
        self_match=self_match(index, SELF_MATCHES, seed=0),
        pictures=pictures,
        images=spoilt,
        neighbours=neighbours,
        latency=latency,
        comparison=comparison,
    )


def compare_with(
    version: VectorSystem, other: Other, queries: Sequence[QuerySet], answers: Answers
) -> Comparison:
    """The comparison that is possible with what is at hand of the other version."""
    name = version.index.spec.name
    if other.version:
        return compare(version, other.version, queries)
    if other.stored:
        return compare_stored(name, answers, other.stored, other.why)
    return nothing_to_compare(name, other.why)


def answers_of(version: VectorSystem, queries: Sequence[QuerySet]) -> Answers:
    """How a version answers, by kind of query."""
    return {each.kind: KindQuality.of(ask(version, each)) for each in queries}


def _asked(
    systems: Mapping[SystemName, System], queries: Sequence[QuerySet], on_progress: Progress
) -> dict[SystemName, Answers]:
    total = len(systems) * sum(map(len, queries))
    done = 0
    answers: dict[SystemName, Answers] = {}
    for name, system in systems.items():
        of_system = {}
        for each in queries:
            of_system[each.kind] = KindQuality.of(ask(system, each))
            done += len(each)
            on_progress("queries answered", done, total)
        answers[name] = of_system
    return answers


def _pooled(
    version: VectorSystem,
    encoder: Encoder,
    queries: Sequence[QuerySet],
    images: Images,
    read_images: ReadImages,
    effort: Effort,
    on_progress: Progress,
) -> tuple[int, dict[SystemName, Answers]]:
    """The prototype's way among a sample of the images, which it has to embed, and this version among the same."""
    ids, vectors = _raw_vectors(encoder, read_images(_drawn(images, effort.prototype_images)), on_progress)
    pool = frozenset(ids)
    asked = [each for each in (each.among(pool) for each in queries) if len(each)]
    if not asked:
        return len(pool), {}
    prototype = PrototypeSystem(ids, vectors, encoder)
    deep = replace(version, depth=math.ceil(version.depth * len(images) / len(pool)))
    return len(pool), {
        SystemName.VECTORS: {each.kind: KindQuality.of(ask(deep, each, pool)) for each in asked},
        SystemName.PROTOTYPE: {each.kind: KindQuality.of(ask(prototype, each)) for each in asked},
    }


def _raw_vectors(
    encoder: Encoder, contents: Mapping[ImageId, bytes], on_progress: Progress
) -> tuple[list[ImageId], np.ndarray]:
    from booksearch_assets.clip.preprocess import UndecodableImage, decode_image

    pictures = {}
    for image, content in contents.items():
        try:
            pictures[image] = decode_image(content)
        except UndecodableImage:
            # The cache was changed since it was embedded; the pool is smaller by this image, and says its size.
            continue
    vectors = encoder.raw_images(list(pictures.values()))
    on_progress("pictures embedded the prototype's way", len(vectors), len(vectors))
    return list(pictures), vectors


def _images(
    version: VectorSystem, images: Images, read_images: ReadImages, effort: Effort, on_progress: Progress
) -> tuple[int, dict[str, Interval]]:
    contents = read_images(_drawn(images, effort.pictures))
    shares = robustness(
        version.index,
        version.encoder,
        contents,
        lambda done, total: on_progress("pictures spoilt and searched for", done, total),
    )
    return len(contents), shares


def _drawn(images: Collection[ImageId], count: int) -> list[ImageId]:
    """The same images each time, and mostly the same when a few come or go."""
    return sorted(images, key=lambda image: hashlib.blake2b(str(image).encode(), digest_size=8).digest())[
        :count
    ]


def _spread(queries: Sequence[QuerySet], count: int) -> list[str]:
    """Texts of every kind in equal parts, `count` at most."""
    share = max(1, count // len(queries))
    return [text for each in queries for text in each.texts[:share]][:count]


def _timed(search: Callable[[int], object], count: int, rows: int) -> Latency:
    seconds = []
    for row in range(min(count, rows)):
        started = time.perf_counter()
        search(row)
        seconds.append(time.perf_counter() - started)
    return Latency.of(seconds)


def _text_latency(engine: SearchEngine, queries: Sequence[QuerySet], count: int) -> Latency:
    """Of whole queries, encoding included: their words are reversed, since the encoder remembers texts that it knows."""
    texts = [" ".join(reversed(text.split())) for text in _spread(queries, count)]
    return _timed(lambda row: engine.search(Query(text=texts[row], k=_SHOWN)), count, len(texts))
