"""Measures against values worked out by hand, and over indexes whose answers are known."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from booksearch_assets.search.engine import ModelMismatch
from booksearch_assets.search.quality import measure_known_items, mrr, ndcg_at_k, recall_at_k, self_match
from booksearch_assets.tables.books import KNOWN_ITEMS
from booksearch_assets.vectorstores.contract import Hit
from booksearch_assets.vectorstores.exact import ExactIndex
from booksearch_assets.vectorstores.filters import Filter
from booksearch_assets_tests.search import library


def test_measures_by_hand() -> None:
    ranked = ["a", "b", "c", "d"]
    assert recall_at_k(ranked, {"b", "d", "x"}, 2) == pytest.approx(1 / 3)
    assert recall_at_k(ranked, {"b"}, 1) == 0.0
    assert mrr(ranked, {"c", "d"}) == pytest.approx(1 / 3)
    assert mrr(ranked, {"x"}) == 0.0
    assert ndcg_at_k(ranked, {"b"}, 10) == pytest.approx(1 / math.log2(3))
    assert ndcg_at_k(ranked, {"a", "c"}, 10) == pytest.approx(1.5 / (1 + 1 / math.log2(3)))
    assert ndcg_at_k(ranked, {"a", "b"}, 1) == 1.0
    assert ndcg_at_k(ranked, {"d"}, 3) == 0.0


@given(st.permutations(range(8)), st.sets(st.integers(0, 7), min_size=1), st.integers(1, 8))
def test_measures_stay_within_bounds_and_reward_the_best_order(
    ranked: list[int], relevant: set[int], k: int
) -> None:
    best = sorted(ranked, key=lambda item: item not in relevant)
    assert 0.0 <= recall_at_k(ranked, relevant, k) <= recall_at_k(best, relevant, k) <= 1.0
    assert 0.0 <= ndcg_at_k(ranked, relevant, k) <= 1.0 + 1e-12
    assert ndcg_at_k(best, relevant, k) == pytest.approx(1.0)
    assert mrr(best, relevant) == 1.0
    assert recall_at_k(ranked, relevant, 8) == 1.0


def _queries(rows: list[tuple[int, str, str]]) -> pa.Table:
    return pa.Table.from_pylist(
        [{"cover_id": cover, "query": query, "kind": kind} for cover, query, kind in rows], KNOWN_ITEMS.schema
    )


SHELF = library.shelf(
    [
        # Twenty editions of one cover come before the others: they are one answer.
        *((f"OL{i}M", "OL1W", 1, "red ship", 2015) for i in range(20)),
        ("OL20M", "", 2, "red ship storm", 2015),
        ("OL21M", "", 3, "blue moon", 2015),
    ]
)


def test_ranks_are_those_of_distinct_covers() -> None:
    queries = _queries(
        [
            (1, "red ship", "caption"),
            (2, "red ship", "caption"),
            (3, "blue moon", "caption"),
            (99, "blue moon", "title"),
        ]
    )
    report = measure_known_items(SHELF, library.WordEncoder(), queries)
    caption, title = report.kinds["caption"], report.kinds["title"]
    assert (caption.n, title.n) == (3, 1)
    assert caption.recall[1].value == pytest.approx(2 / 3)
    assert caption.recall[5].value == caption.recall[10].value == 1.0
    assert caption.mrr.value == pytest.approx((1 + 1 / 2 + 1) / 3)
    assert caption.ndcg.value == pytest.approx((2 + 1 / math.log2(3)) / 3)
    assert title.mrr.value == title.recall[10].value == title.ndcg.value == 0.0
    figures = report.figures()
    assert figures["caption_recall_at_1"] == pytest.approx(2 / 3)
    assert figures["title_queries"] == 1
    assert figures["search_p99_ms"] >= figures["search_p50_ms"] > 0
    assert list(caption.measures()) == ["recall@1", "recall@5", "recall@10", "MRR", "nDCG@10"]


def test_intervals_hold_the_value_and_are_the_same_each_time() -> None:
    queries = _queries([(cover, "red ship", "caption") for cover in (1, 2, 3)] * 20)
    first, again = (
        measure_known_items(SHELF, library.WordEncoder(), queries).kinds["caption"] for _ in range(2)
    )
    assert first == again
    for interval in first.measures().values():
        assert interval.low <= interval.value <= interval.high
    # The standard error of a share of 1/3 over 60 queries is 0.061, and the interval is 3.92 of them.
    assert first.recall[1].high - first.recall[1].low == pytest.approx(3.92 * 0.061, rel=0.25)


def test_more_queries_than_a_batch() -> None:
    queries = _queries([(3, "blue moon", "caption"), (2, "red ship", "title")] * 300)
    report = measure_known_items(SHELF, library.WordEncoder(), queries)
    assert report.kinds["caption"].recall[1].value == 1.0
    assert report.kinds["title"].mrr.value == 0.5


def test_queries_of_another_model_are_refused() -> None:
    with pytest.raises(ModelMismatch):
        measure_known_items(
            library.shelf([("OL1M", "", 1, "x", 2015)], "other@1"),
            library.WordEncoder(),
            _queries([(1, "x", "title")]),
        )


def test_nothing_to_ask() -> None:
    with pytest.raises(ValueError, match="no queries"):
        measure_known_items(SHELF, library.WordEncoder(), _queries([]))


def test_self_match_of_a_sound_collection() -> None:
    # Covers 1 and 2 show the same: either may come first.
    index = library.shelf(
        [("OL1M", "", 1, "ship", 2015), ("OL2M", "", 2, "ship", 2015), ("OL3M", "", 3, "moon", 2015)]
    )
    result = self_match(index, sample=10, seed=0)
    assert (result.sampled, result.share) == (3, 1.0)
    assert self_match(index, sample=2, seed=0).sampled == 2


class _Forgetful(ExactIndex):
    """Never finds the nearest, as an approximate index may fail to."""

    def search(
        self,
        vectors: np.ndarray,
        k: int,
        filter: Filter | None = None,
        fields: Sequence[str] = (),
        offset: int = 0,
    ) -> list[list[Hit]]:
        return super().search(vectors, k, filter, fields, offset + 1)


def test_self_match_sees_an_index_that_misses_the_nearest() -> None:
    sound = library.shelf([(f"OL{i}M", "", i, f"word{i}", 2015) for i in range(10)])
    forgetful = _Forgetful(sound.spec, pa.Table.from_batches(sound.scan(sound.spec.schema.names)))
    assert self_match(forgetful, sample=10, seed=0).share == 0.0


def test_self_match_of_nothing_is_no_success() -> None:
    empty = library.shelf([])
    assert self_match(empty, 10, 0).share == 0.0
