"""How many tasks a stage is cut into.

Belongs here: pure arithmetic from rows and cores to tasks. Does not: Spark settings (`resources.spark`).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TaskPlan:
    """`tasks` contiguous slices of `rows`; none is larger than one row above another."""

    rows: int
    tasks: int

    def slice_of(self, task: int) -> tuple[int, int]:
        """(offset, length) of the rows of one task."""
        start, stop = (self.rows * bound // self.tasks for bound in (task, task + 1))
        return start, stop - start

    def explain(self) -> str:
        return f"{self.rows} rows in {self.tasks} tasks of about {self.rows // max(self.tasks, 1)} rows"


def plan_tasks(rows: int, cores: int, rows_per_task: int) -> TaskPlan:
    """Cut `rows` so that every core has work and no task is longer than `rows_per_task`.

    A whole multiple of the cores, so that they finish together, or else a task for each row. Embedding makes much of
    few bytes: a plan by file size would give a few thousand covers to one task on one core.
    """
    if rows <= 0:
        return TaskPlan(0, 0)
    waves = max(1, -(-rows // (rows_per_task * cores)))
    return TaskPlan(rows, min(rows, waves * cores))
