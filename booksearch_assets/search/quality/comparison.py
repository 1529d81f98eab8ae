"""Whether a version answers worse than another, beyond chance.

Both are asked the same queries, and only images that both hold count: a version with more items has more that may come
before the right one, which says nothing against it.

Belongs here: comparing. Does not: what a regression leads to (`checks.collection`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from booksearch_assets.search.quality.measures import Interval, difference_interval
from booksearch_assets.search.quality.query_sets import QuerySet, images_of
from booksearch_assets.search.quality.report import (
    Answers,
    Comparison,
    Difference,
    Pairing,
    QualityReport,
)
from booksearch_assets.search.quality.systems import DEPTH, VectorSystem, ask

FEWEST_QUERIES = 10
"""With fewer, an interval by bootstrap means little: such queries are not compared."""


def nothing_to_compare(candidate: str, why: str) -> Comparison:
    """A comparison that holds for want of another version."""
    return Comparison(candidate, None, Pairing.NOTHING, 0, (), why)


def compare(candidate: VectorSystem, other: VectorSystem, queries: Sequence[QuerySet]) -> Comparison:
    """Ask two versions, each with the vectors of its own model, and pair the answers query by query."""
    names = candidate.index.spec.name, other.index.spec.name
    held = [images_of(version.index) for version in (candidate, other)]
    shared = held[0] & held[1]
    asked = [s for s in (each.among(shared) for each in queries) if len(s) >= FEWEST_QUERIES]
    if not asked:
        why = f"{len(shared)} images are in both, and fewer than {FEWEST_QUERIES} queries of any kind are about them"
        return replace(nothing_to_compare(names[0], why), other=names[1], shared_images=len(shared))
    # As deep as it takes for the answers to hold as many shared images as those of a version with no others.
    deep = [
        replace(version, depth=math.ceil(DEPTH * len(images) / len(shared)))
        for version, images in zip((candidate, other), held, strict=True)
    ]
    differences = []
    for each in asked:
        ours, theirs = (ask(version, each, shared) for version in deep)
        differences += [
            Difference(
                each.kind,
                measure,
                len(each),
                float(ours[measure].mean()),
                float(theirs[measure].mean()),
                difference_interval(ours[measure], theirs[measure]),
            )
            for measure in each.kind.measures
        ]
    return Comparison(*names, Pairing.PAIRED, len(shared), tuple(differences))


def compare_stored(candidate: str, answers: Answers, other: QualityReport, why: str) -> Comparison:
    """Compare figures that were measured apart, of queries and images that may differ."""
    differences = []
    for kind, quality in answers.items():
        before = other.answers.get(kind)
        if before is None or min(quality.queries, before.queries) < FEWEST_QUERIES:
            continue
        for measure, ours in quality.measures.items():
            theirs = before.measures[measure]
            widest = Interval(ours.value - theirs.value, ours.low - theirs.high, ours.high - theirs.low)
            differences.append(Difference(kind, measure, quality.queries, ours.value, theirs.value, widest))
    return Comparison(candidate, other.collection, Pairing.STORED, 0, tuple(differences), why)
