"""Plain functions as Spark tasks: their answers, their failures, and how items are put together."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from booksearch_assets.compute.spark_tasks import for_tasks, in_groups, run_tasks

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@pytest.mark.spark
def test_answers_come_in_the_order_of_the_items(spark: SparkSession) -> None:
    answers = run_tasks(spark, ["a", "bb", ""], lambda text: {"length": len(text), "text": text})
    assert answers == [{"length": n, "text": text} for n, text in ((1, "a"), (2, "bb"), (0, ""))]
    assert run_tasks(spark, [], len) == []


@pytest.mark.spark
def test_a_task_that_fails_says_why(spark: SparkSession) -> None:
    from pyspark.errors import PySparkException

    def fail(item: int) -> int:
        raise ValueError(f"item {item} is not as expected")

    with pytest.raises(PySparkException, match="ValueError: item 7 is not as expected"):
        run_tasks(spark, [7], fail)


@pytest.mark.spark
def test_small_items_share_tasks_and_large_ones_do_not(spark: SparkSession) -> None:
    cores = spark.sparkContext.defaultParallelism
    sizes = [1000, *[1] * 1000]
    groups = for_tasks(spark, sizes, lambda size: size)
    assert groups[0] == [1000]
    # 2,000 in all, so each of the four tasks of a core has 500 / cores; one of them is too large to be cut.
    assert len(groups) == 1 + -(-1000 // (500 // cores))


@given(st.lists(st.integers(0, 50)), st.integers(0, 100))
def test_groups_hold_every_item_once_in_order_and_no_more_than_they_may(sizes: list[int], most: int) -> None:
    groups = in_groups(sizes, lambda size: size, most)
    assert [size for group in groups for size in group] == sizes
    assert all(groups)
    for group, following in pairwise(groups):
        assert sum(group) <= most or len(group) == 1 or sum(group[1:]) == 0
        assert sum(group) + following[0] > most
