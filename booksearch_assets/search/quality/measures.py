"""The measures of ranked answers, as ir-measures computes them, with bootstrap intervals.

Belongs here: scores of single queries, means, and intervals of means and of paired differences. Does not: what is
asked (`query_sets`), who answers (`systems`).

Sources: Järvelin & Kekäläinen 2002 (nDCG); MacAvaney, Macdonald & Ounis 2022 (ir-measures, which calls trec_eval);
Efron & Tibshirani 1993 and Sakai 2006 (bootstrap over queries, and its paired form).
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence, Set
from dataclasses import dataclass

import ir_measures
import numpy as np
from ir_measures import RR, Measure, P, R, nDCG

MEASURES: Mapping[str, Measure] = {
    "recall@1": R @ 1,
    "recall@5": R @ 5,
    "recall@10": R @ 10,
    "MRR": RR,
    "nDCG@10": nDCG @ 10,
    "P@10": P @ 10,
}
"""By the name that is shown. MRR is the mean of RR."""

_RESAMPLES = 2_000
_COVERED = (2.5, 97.5)


@dataclass(frozen=True)
class Interval:
    """A mean with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


def scores(
    ranked: Sequence[Sequence[Hashable]], relevant: Sequence[Set[Hashable]], names: Sequence[str]
) -> dict[str, np.ndarray]:
    """The measures called `names` of each query: (queries,) float64 by name.

    `ranked` holds distinct items, best first; `relevant` those that are right, at least one for each query.
    """
    if any(not items for items in relevant):
        raise ValueError("a query has no right answer, so that it measures nothing; leave it out")
    qrels = {str(row): {str(item): 1 for item in items} for row, items in enumerate(relevant)}
    run = {
        str(row): {str(item): -float(rank) for rank, item in enumerate(items)}
        for row, items in enumerate(ranked)
    }
    wanted = {MEASURES[name]: name for name in names}
    found = {name: np.zeros(len(relevant)) for name in names}
    for metric in ir_measures.iter_calc(list(wanted), qrels, run):
        found[wanted[metric.measure]][int(metric.query_id)] = metric.value
    return found


def mean_interval(values: np.ndarray, seed: int = 0) -> Interval:
    """The mean of (n,) values with the percentile interval of its bootstrap; the same for the same values."""
    generator = np.random.default_rng(seed)
    count = len(values)
    # How often a resample draws each query: one product instead of a copy of the scores for each resample.
    draws = generator.multinomial(count, np.full(count, 1 / count), size=_RESAMPLES)
    low, high = np.percentile(draws @ values / count, _COVERED)
    return Interval(float(np.mean(values)), float(low), float(high))


def difference_interval(values: np.ndarray, others: np.ndarray, seed: int = 0) -> Interval:
    """The mean of `values` - `others`, two scores of the same (n,) queries, with its paired bootstrap interval.

    Pairing takes out what makes some queries harder than others, so that it sees differences that the intervals of
    the two means would hide.
    """
    if values.shape != others.shape:
        raise ValueError(f"{values.shape} and {others.shape} are not scores of the same queries")
    return mean_interval(values - others, seed)
