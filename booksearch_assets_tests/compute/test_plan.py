"""Plans of tasks: every row in exactly one task, work for every core, no task too long."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from booksearch_assets.compute.plan import TaskPlan, plan_tasks

CORES = st.integers(1, 256)
ROWS_PER_TASK = st.integers(1, 2048)


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
