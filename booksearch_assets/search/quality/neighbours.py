"""How many of the true nearest neighbours an index finds, with filters and without.

Belongs here: recall against exact search. Does not: whether neighbours are good answers (`measures`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np

from booksearch_assets.search.catalogues import catalogue_of
from booksearch_assets.vectorstores.contract import VECTOR, FieldKind, VectorIndex
from booksearch_assets.vectorstores.exact import ExactIndex
from booksearch_assets.vectorstores.filters import Between, Contains, Filter

K = 10
KEPT_SHARES = (0.03, 0.14)
"""What the filters keep: where approximate indexes were seen to lose up to half of their recall."""

_SAME_SCORE = 1e-5


def neighbour_recall(index: VectorIndex, exact: ExactIndex, vectors: np.ndarray) -> dict[str, float]:
    """Recall@10 of `index` for (n, dimension) queries, by what is kept: "all", and "3 %" and "14 %" of the rows."""
    filters: Mapping[str, Filter | None] = {"all": None} | {
        f"{share:.0%}".replace("%", " %"): keeping(exact, share) for share in KEPT_SHARES
    }
    return {name: _recall(index, exact, vectors, kept) for name, kept in filters.items()}


def keeping(exact: ExactIndex, share: float) -> Filter | None:
    """A filter that keeps about this share of the rows, by the field that the catalogue's declaration names for it.

    Of a number those in the middle of its values, of a list those that have one value, that of the nearest share. None
    where no row has a value.
    """
    name = catalogue_of(exact.spec).thinned_by
    batches = [batch[0] for batch in exact.scan([name])]
    if exact.spec.field(name).kind is FieldKind.TEXTS:
        carrying = Counter(
            value for batch in batches for values in batch.to_pylist() for value in set(values)
        )
        wanted = share * sum(map(len, batches))
        return Contains(
            name, min(sorted(carrying), key=lambda value: abs(carrying[value] - wanted), default="")
        )
    numbers = np.sort(np.concatenate([batch.to_numpy() for batch in batches]))
    count = max(1, round(share * len(numbers)))
    first = (len(numbers) - count) // 2
    return Between(name, int(numbers[first]), int(numbers[first + count - 1]))


def _recall(index: VectorIndex, exact: ExactIndex, vectors: np.ndarray, kept: Filter | None) -> float:
    """Rows as near as the last true neighbour count as found: which of equals comes first is no merit."""
    true = exact.search(vectors, K, kept)
    found = index.search(vectors, K, kept, fields=(VECTOR,))
    shares = []
    for vector, expected, hits in zip(vectors, true, found, strict=True):
        last = expected[-1].score - _SAME_SCORE
        near = sum(float(hit.fields[VECTOR] @ vector) >= last for hit in hits)
        shares.append(min(near, len(expected)) / len(expected))
    return float(np.mean(shares))
