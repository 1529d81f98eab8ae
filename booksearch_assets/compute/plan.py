"""How many tasks a stage is cut into.

Belongs here: pure arithmetic from rows, bytes and cores to tasks. Does not: Spark settings (`resources.spark`).
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Work:
    """How much a stage is asked to do: rows that go in, and bytes that are read for them."""

    rows: int
    input_bytes: int


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


SHUFFLE_BYTES = 32 * 2**20
"""Bytes of input for each partition of a shuffle: small enough to sort in memory, large enough to be worth a task."""


def plan_shuffle(input_bytes: int, cores: int) -> int:
    """Partitions of joins and aggregations over an input of so many bytes.

    Spark's own 200 are too many for a small input, where starting them takes longer than their work, and too few for
    a dump.
    """
    return max(2 * cores, -(-input_bytes // SHUFFLE_BYTES))
