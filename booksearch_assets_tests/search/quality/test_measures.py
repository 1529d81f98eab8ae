"""Measures against values worked out by hand, and intervals against what statistics say of them."""

from __future__ import annotations

import math

import numpy as np
import pytest

from booksearch_assets.search.quality.measures import MEASURES, difference_interval, mean_interval, scores


def test_measures_by_hand() -> None:
    ranked = [["a", "b", "c", "d"], ["a", "b", "c", "d"], ["b"], []]
    relevant = [{"b", "d", "x"}, {"a", "c"}, {"x"}, {"a"}]
    found = scores(ranked, relevant, list(MEASURES))
    assert found["recall@1"].tolist() == pytest.approx([0, 1 / 2, 0, 0])
    assert found["recall@5"].tolist() == pytest.approx([2 / 3, 1, 0, 0])
    assert found["MRR"].tolist() == pytest.approx([1 / 2, 1, 0, 0])
    assert found["P@10"].tolist() == pytest.approx([0.2, 0.2, 0, 0])
    second = (1 + 1 / math.log2(4)) / (1 + 1 / math.log2(3))
    first = (1 / math.log2(3) + 1 / math.log2(5)) / (1 + 1 / math.log2(3) + 1 / math.log2(4))
    assert found["nDCG@10"].tolist() == pytest.approx([first, second, 0, 0])


def test_a_query_without_a_right_answer_is_refused() -> None:
    with pytest.raises(ValueError, match="no right answer"):
        scores([["a"]], [set()], ["MRR"])


def test_an_interval_is_as_wide_as_the_standard_error_says_and_the_same_each_time() -> None:
    values = np.array([1.0, 0.0, 0.0] * 100)
    interval = mean_interval(values)
    assert interval == mean_interval(values)
    assert interval.value == pytest.approx(1 / 3)
    error = math.sqrt(1 / 3 * 2 / 3 / 300)
    assert interval.high - interval.low == pytest.approx(3.92 * error, rel=0.1)
    assert (interval.low + interval.high) / 2 == pytest.approx(1 / 3, abs=0.01)
    constant = mean_interval(np.full(20, 0.1))
    assert (constant.low, constant.high) == pytest.approx((0.1, 0.1))


def test_pairing_sees_a_difference_that_the_intervals_of_the_means_hide() -> None:
    easy_and_hard = np.random.default_rng(0).random(200)
    worse = np.clip(easy_and_hard - 0.03, 0, 1)
    one, other = mean_interval(easy_and_hard), mean_interval(worse)
    assert one.low < other.high
    difference = difference_interval(worse, easy_and_hard)
    assert difference.high < 0
    assert difference.value == pytest.approx(np.mean(worse - easy_and_hard))
    with pytest.raises(ValueError, match="same queries"):
        difference_interval(worse, easy_and_hard[:10])
