"""Plans: every row in exactly one task, work for every core, no limit passed, no cost that falls as work grows."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from booksearch_assets.compute.memory import GIB, MIB, memory_words
from booksearch_assets.compute.plan import (
    NoRoom,
    Offer,
    SparkPlan,
    TaskPlan,
    Wishes,
    Work,
    plan_spark,
    plan_tasks,
)
from booksearch_assets.compute.rates import Measure, Place, Rate

CORES = st.integers(1, 256)
ROWS_PER_TASK = st.integers(1, 2048)


RATE = Rate(0.125, 10.0, 4096, "measured on 2026-01-01")
LAPTOP = Offer(Place.LOCAL, 2, 1, 0, 24 * GIB)
CLUSTER = Offer(Place.EMR, 4, 8, 8 * GIB, 30 * GIB, GIB, driver_cores=1, startup_seconds=75.0)
# A model as large as ViT-B/32, at 70,000 covers whose ids are a few bytes each.
COVERS = Work(70_000, 70_000 * 20, Measure.ROW, rows_per_task=512, worker_bytes=1500 * MIB)

MEASURES = st.sampled_from(Measure)
RATES = st.builds(Rate, st.floats(1e-9, 10), st.floats(0, 100), st.integers(1, 10**6), st.just("made up"))
WORKS = st.builds(
    Work,
    rows=st.integers(0, 10**8),
    input_bytes=st.integers(0, 10**12),
    measure=MEASURES,
    pieces=st.integers(0, 2000),
    rows_per_task=st.integers(0, 10_000),
    worker_bytes=st.integers(0, 4 * GIB),
)
OFFERS = st.builds(
    lambda cores, executors, gb, steps, driver: Offer(
        Place.EMR, cores, executors, 2 * cores * GIB, (8 + gb) * cores * GIB, steps * GIB, driver
    ),
    st.sampled_from([1, 2, 4, 8, 16]),
    st.integers(1, 100),
    st.integers(0, 8),
    st.sampled_from([1, 4, 8]),
    st.integers(0, 4),
)


def _slices(plan: TaskPlan) -> list[range]:
    return [range(start, start + length) for start, length in map(plan.slice_of, range(plan.tasks))]


@settings(deadline=None)
@given(rows=st.integers(0, 20_000), cores=CORES, rows_per_task=ROWS_PER_TASK)
def test_every_row_is_in_exactly_one_task(rows: int, cores: int, rows_per_task: int) -> None:
    slices = _slices(plan_tasks(rows, cores, rows_per_task))
    assert [row for piece in slices for row in piece] == list(range(rows))


@settings(deadline=None)
@given(rows=st.integers(1, 10**8), cores=CORES, rows_per_task=ROWS_PER_TASK)
def test_tasks_are_even_not_empty_and_not_too_long(rows: int, cores: int, rows_per_task: int) -> None:
    plan = plan_tasks(rows, cores, rows_per_task)
    some = {0, plan.tasks // 3, plan.tasks // 2, plan.tasks - 1}
    lengths = {plan.slice_of(task)[1] for task in some}
    assert min(lengths) >= 1
    assert max(lengths) <= rows_per_task
    assert max(lengths) - min(lengths) <= 1


@settings(deadline=None)
@given(rows=st.integers(1, 10**8), cores=CORES, rows_per_task=ROWS_PER_TASK)
def test_all_cores_finish_together_unless_each_row_is_a_task(
    rows: int, cores: int, rows_per_task: int
) -> None:
    plan = plan_tasks(rows, cores, rows_per_task)
    assert plan.tasks % cores == 0 or plan.tasks == rows
    assert plan.tasks >= min(rows, cores)


@settings(deadline=None)
@given(rows=st.integers(1, 10**8), cores=CORES, rows_per_task=ROWS_PER_TASK)
def test_no_more_waves_than_the_longest_task_asks_for(rows: int, cores: int, rows_per_task: int) -> None:
    waves = -(-plan_tasks(rows, cores, rows_per_task).tasks // cores)
    assert waves == 1 or (waves - 1) * cores * rows_per_task < rows


@pytest.mark.parametrize(
    ("rows", "cores", "rows_per_task", "tasks", "longest"),
    [
        # The prototype's corpus: one wave would be tasks of 17,500 rows on four cores.
        (70_000, 4, 512, 140, 500),
        (70_000, 64, 512, 192, 365),
        # Few covers still take every core: by bytes they would be one task on one.
        (3_000, 32, 512, 32, 94),
        (10, 4, 512, 4, 3),
        (3, 4, 512, 3, 1),
        (1, 4, 512, 1, 1),
        (0, 4, 512, 0, 0),
        (-1, 4, 512, 0, 0),
    ],
)
def test_known_sizes(rows: int, cores: int, rows_per_task: int, tasks: int, longest: int) -> None:
    plan = plan_tasks(rows, cores, rows_per_task)
    assert plan.tasks == tasks
    assert max((len(piece) for piece in _slices(plan)), default=0) == longest


def test_a_plan_explains_itself() -> None:
    assert plan_tasks(70_000, 4, 512).explain() == "70000 rows in 140 tasks of about 500 rows"
    assert plan_tasks(0, 4, 512).explain() == "0 rows in 0 tasks of about 0 rows"


@settings(deadline=None, max_examples=60)
@given(work=WORKS, rate=RATES, offer=OFFERS)
def test_a_plan_passes_no_limit_of_the_offer(work: Work, rate: Rate, offer: Offer) -> None:
    plan = plan_spark(work, rate, offer)
    assert 1 <= plan.executors <= offer.max_executors
    assert 1 <= plan.cores <= offer.cores
    assert 1 <= plan.task_cores <= offer.executor_cores
    assert plan.executor_heap > 0
    # No executor without a task, and no task without a row to work on or a file to read.
    assert plan.executors <= max(1, plan.tasks)
    assert plan.tasks <= max(work.rows, work.pieces)
    if offer.driver_cores:
        assert offer.least_memory <= plan.executor_memory <= offer.most_memory
        assert plan.executor_heap < plan.executor_memory


@settings(deadline=None, max_examples=60)
@given(work=WORKS, rate=RATES, offer=OFFERS, more=st.integers(1, 10**9))
def test_more_work_never_takes_less_time_or_costs_less(
    work: Work, rate: Rate, offer: Offer, more: int
) -> None:
    def held(plan: SparkPlan) -> float:
        return plan.seconds * (plan.executors * plan.offer.executor_cores + plan.offer.driver_cores)

    grown = (
        {"rows": work.rows + more}
        if work.measure is Measure.ROW
        else {"input_bytes": work.input_bytes + more}
    )
    less, greater = plan_spark(work, rate, offer), plan_spark(replace(work, **grown), rate, offer)
    assert held(greater) >= held(less) * (1 - 1e-9)
    assert greater.core_seconds >= less.core_seconds


@settings(deadline=None, max_examples=60)
@given(rate=RATES, offer=OFFERS, bytes_each=st.integers(1, 60))
def test_seventy_thousand_rows_of_a_few_bytes_take_every_core_of_any_offer(
    rate: Rate, offer: Offer, bytes_each: int
) -> None:
    # What stopped the prototype: one small file of URLs, which is one task on one core by its bytes, with all rows in
    # the memory of that one.
    plan = plan_spark(Work(70_000, 70_000 * bytes_each, Measure.ROW), rate, offer)
    assert plan.cores == offer.cores
    assert plan.tasks >= offer.cores
    slices = TaskPlan(70_000, plan.tasks)
    assert min(slices.slice_of(task)[1] for task in (0, plan.tasks // 2, plan.tasks - 1)) >= 1


@settings(deadline=None, max_examples=60)
@given(work=WORKS, rate=RATES, memory=st.integers(4, 60))
def test_what_is_set_by_hand_is_what_is_planned(work: Work, rate: Rate, memory: int) -> None:
    wishes = Wishes(
        executor_memory=memory * GIB,
        driver_memory=3 * GIB,
        max_partition_bytes=7 * MIB,
        shuffle_partitions=11,
    )
    plan = plan_spark(work, rate, CLUSTER, wishes)
    assert plan.executor_memory == memory * GIB
    assert (plan.driver_memory, plan.max_partition_bytes, plan.shuffle_partitions) == (3 * GIB, 7 * MIB, 11)
    assert "Set by hand or by a preset: executor_memory, driver_memory" in plan.explain()


def test_a_wish_comes_before_another_one_only_where_it_is_set() -> None:
    preset = Wishes(executor_cores=8, max_executors=32)
    assert Wishes(executor_cores=2, shuffle_partitions=5).over(preset) == Wishes(2, 32, shuffle_partitions=5)
    assert Wishes().over(preset) == preset


@pytest.mark.parametrize(
    ("work", "offer", "wishes", "tasks", "executors", "why"),
    [
        (COVERS, CLUSTER, Wishes(), 160, 8, "The target of 60 s for a task decided: 480 rows take that long"),
        (COVERS, CLUSTER, Wishes(target_partition_seconds=90), 160, 8, "rows_per_task decided"),
        (COVERS, LAPTOP, Wishes(), 146, 1, "2 of 2 cores of this machine"),
        (replace(COVERS, rows=3000), CLUSTER, Wishes(), 32, 8, "The cores decided: each has one"),
        (replace(COVERS, rows=5), CLUSTER, Wishes(), 5, 2, "The rows decided"),
        (replace(COVERS, rows=0), CLUSTER, Wishes(), 0, 1, "No rows"),
        (Work(10**6, 10**10), CLUSTER, Wishes(), 152, 8, "The bytes decided: no task reads more than 64 MB"),
        (Work(240, 10**5), CLUSTER, Wishes(), 4, 1, "1 of 8 executors of 4 cores: more would have no task"),
        (Work(240, 10**5), LAPTOP, Wishes(), 2, 1, "so little is spread over those of one executor"),
        (Work(10**6, 10**10, pieces=41), CLUSTER, Wishes(), 41, 8, "41 files that are read whole"),
    ],
)
def test_a_plan_says_which_limit_decided(
    work: Work, offer: Offer, wishes: Wishes, tasks: int, executors: int, why: str
) -> None:
    rate = RATE if work.measure is Measure.ROW else replace(RATE, core_seconds=2e-8)
    plan = plan_spark(work, rate, offer, wishes)
    assert (plan.tasks, plan.executors) == (tasks, executors)
    assert why in plan.explain()


def test_slow_bytes_are_cut_by_the_target() -> None:
    plan = plan_spark(Work(10**6, 10**9), replace(RATE, core_seconds=5e-6), CLUSTER)
    assert plan.max_partition_bytes in (11_999_999, 12_000_000)
    assert "The target of 60 s for a task decided: 11.4 MB take that long" in plan.explain()


def test_a_large_model_leaves_cores_without_a_task_and_a_larger_one_is_refused() -> None:
    large = replace(COVERS, worker_bytes=10 * GIB)
    plan = plan_spark(large, RATE, CLUSTER)
    assert (plan.task_cores, plan.cores) == (2, 16)
    assert "2 tasks at a time" in plan.explain()
    assert "The memory decided: 4 tasks at a time would not fit into 30 GB" in plan.explain()
    assert plan.executor_memory - plan.executor_heap >= 2 * 10 * GIB
    with pytest.raises(NoRoom, match=r"40\.4 GB of it for a Python worker.*30 GB.*executor_cores higher"):
        plan_spark(replace(COVERS, worker_bytes=40 * GIB), RATE, CLUSTER)


def test_a_plan_predicts_from_what_was_measured() -> None:
    plan = plan_spark(COVERS, RATE, CLUSTER)
    # 70,000 rows at 0.125 s on 32 cores, 75 s for the workers to start, and 10 s whatever the size.
    assert plan.seconds == pytest.approx(70_000 * 0.125 / 32 + 85)
    assert "125 ms a row, measured on 2026-01-01" in plan.explain()
    assert "rough guess" not in plan.explain()
    assert "a rough guess" in plan_spark(replace(COVERS, rows=10**6), RATE, CLUSTER).explain()


@pytest.mark.parametrize(
    ("amount", "words"),
    [(0, "0 bytes"), (1023, "1,023 bytes"), (1536, "1.5 KB"), (64 * MIB, "64 MB"), (1500 * MIB, "1.46 GB")],
)
def test_memory_is_said_in_its_unit(amount: int, words: str) -> None:
    assert memory_words(amount) == words
