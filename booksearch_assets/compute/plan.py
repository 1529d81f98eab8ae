"""How a stage is cut into tasks, and what it needs: cores, memory, time.

Tasks are cut by what the time of a stage grows with. Embedding makes much work of few bytes: by the size of its input
a few thousand covers would be one task on one core, so it is cut by rows. Joins and filters are cut by bytes.

Belongs here: pure arithmetic from work, rate and offer to a plan, and the plan in words. Does not: Spark settings
(`resources.spark`), prices (`emr.account`), measuring (`compute.task_times`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields

from booksearch_assets.compute.memory import GIB, MIB, memory_words
from booksearch_assets.compute.rates import Measure, Place, Rate

PLANNED_TASKS = "spark.booksearch_assets.tasks"
"""The setting by which a plan tells a stage that cuts its rows itself how many tasks it has."""

SHUFFLE_BYTES = 32 * MIB
"""Bytes of input for each partition of a shuffle: small enough to sort in memory, large enough to be worth a task."""

TASK_BYTES = 64 * MIB
"""Bytes of input that a task reads at most, unless told otherwise."""

TARGET_SECONDS = 60.0
"""How long a task may take, unless told otherwise: what is lost with it, and waited for when it comes last."""

# Rows of a dump take about four times their bytes once they are parsed.
_EXPANSION = 4
# Spark takes the opening of a file to be worth as much.
_LEAST_TASK_BYTES = 4 * MIB
_JVM = 1 * GIB
_LEAST_JVM_PER_TASK = 256 * MIB
_PYTHON_WORKER = 384 * MIB
_DRIVER = 2 * GIB
# A rate that was measured over less than one part in so many says little.
_FAR = 100
# Spark's own share of a worker for what lies outside of heap and Python.
_OVERHEAD, _LEAST_OVERHEAD = 0.1, 384 * MIB


class NoRoom(ValueError):
    """Not even one task fits into the largest executor on offer."""


@dataclass(frozen=True)
class Work:
    """How much a stage is asked to do: rows that go in, and bytes that are read for them.

    `measure` says what its time grows with. `pieces` is how many files are read whole, a task for each, where the
    input cannot be split elsewhere. `rows_per_task` is what a killed run may lose of a stage that keeps each task's
    rows; 0 sets no limit. `worker_bytes` is what each Python worker holds besides its rows, as a loaded model.
    `kind` is what else the time of a row depends on, as the model, and `gflop` what that takes for each row.
    """

    rows: int
    input_bytes: int
    measure: Measure = Measure.BYTE
    pieces: int = 0
    rows_per_task: int = 0
    worker_bytes: int = 0
    kind: str = ""
    gflop: float = 0.0

    @property
    def units(self) -> int:
        """Rows or bytes: what the rate of the stage is of."""
        return self.rows if self.measure is Measure.ROW else self.input_bytes


@dataclass(frozen=True)
class Offer:
    """What a place has: up to `max_executors` executors of `executor_cores` cores, each with memory of a whole number
    of `memory_step` bytes between `least_memory` and `most_memory`.

    `driver_cores` is 0 where driver and executor are one process. `startup_seconds` go by before the first task.
    """

    place: Place
    executor_cores: int
    max_executors: int
    least_memory: int
    most_memory: int
    memory_step: int = MIB
    driver_cores: int = 0
    startup_seconds: float = 0.0

    @property
    def cores(self) -> int:
        return self.executor_cores * self.max_executors


@dataclass(frozen=True)
class Wishes:
    """What is set by hand, in bytes and seconds; 0 leaves it to the plan."""

    executor_cores: int = 0
    max_executors: int = 0
    executor_memory: int = 0
    driver_memory: int = 0
    max_partition_bytes: int = 0
    shuffle_partitions: int = 0
    target_partition_seconds: float = 0.0

    def over(self, others: Wishes) -> Wishes:
        """These, and those of `others` where these leave it open."""
        return Wishes(**{f.name: getattr(self, f.name) or getattr(others, f.name) for f in fields(Wishes)})

    @property
    def named(self) -> list[str]:
        return [f.name for f in fields(Wishes) if getattr(self, f.name)]


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


@dataclass(frozen=True)
class SparkPlan:
    """What a run of a stage is given, and what it is expected to take. Memory in bytes.

    `task_cores` is more than one where each task holds so large a model that not every core can have one.
    `executor_memory` is for the JVM's heap, `executor_heap` of it, its Python workers and what Spark adds.
    `driver_memory` is the heap of the driver, which does the tasks too where there is no other process.
    """

    work: Work
    rate: Rate
    offer: Offer
    tasks: int
    max_partition_bytes: int
    shuffle_partitions: int
    executors: int
    task_cores: int
    executor_memory: int
    executor_heap: int
    driver_memory: int
    reasons: tuple[str, ...]

    @property
    def cores(self) -> int:
        """The tasks that run at a time, where there are as many."""
        return self.executors * (self.offer.executor_cores // self.task_cores)

    @property
    def busy_cores(self) -> int:
        """The cores that have a task."""
        return max(1, min(self.tasks, self.cores))

    @property
    def core_seconds(self) -> float:
        return self.work.units * self.rate.core_seconds

    @property
    def seconds(self) -> float:
        """From the start of the run to its end."""
        return self.offer.startup_seconds + self.rate.fixed_seconds + self.core_seconds / self.busy_cores

    def explain(self) -> str:
        """Why the plan is as it is, a sentence or two a line."""
        return "\n".join([*self.reasons, self._explain_seconds()])

    def _explain_seconds(self) -> str:
        rate = self.rate
        each = f"{1000 * rate.core_seconds:,.3g} ms a row"
        if self.work.measure is Measure.BYTE:
            each = f"{memory_words(1 / rate.core_seconds)} a second" if rate.core_seconds else "no time"
        said = (
            f"About {_duration(self.seconds)}: {_duration(self.core_seconds)} of work for one core ({each}, {rate.source}) "
            f"on {self.busy_cores} cores, and {_duration(self.offer.startup_seconds + rate.fixed_seconds)} to start and "
            "finish."
        )
        if self.work.units > _FAR * rate.units:
            said += " The rate is of much less than this: a rough guess."
        return said


def plan_spark(work: Work, rate: Rate, offer: Offer, wishes: Wishes = Wishes()) -> SparkPlan:
    """Plan a run of a stage. `offer` has the cores and executors that `wishes` ask for, if they ask for any.

    Raises `NoRoom` where not even one task fits into the largest executor.
    """
    room = _room_for(work, offer, wishes)
    slots = offer.executor_cores // room.task_cores
    tasks, why_tasks = _cut(work, rate, offer, slots, wishes)
    executors = max(1, min(offer.max_executors, -(-tasks // slots)))
    alone = offer.driver_cores == 0
    by_hand = f"Set by hand or by a preset: {', '.join(wishes.named)}." if wishes.named else ""
    return SparkPlan(
        work=work,
        rate=rate,
        offer=offer,
        tasks=tasks,
        max_partition_bytes=_most_bytes(work, rate, wishes),
        shuffle_partitions=wishes.shuffle_partitions or plan_shuffle(work.input_bytes, executors * slots),
        executors=executors,
        task_cores=room.task_cores,
        executor_memory=room.memory,
        executor_heap=room.heap,
        driver_memory=wishes.driver_memory or (room.heap if alone else _DRIVER),
        reasons=tuple(filter(None, (why_tasks, _why_executors(executors, slots, offer), room.why, by_hand))),
    )


def plan_tasks(rows: int, cores: int, rows_per_task: int) -> TaskPlan:
    """Cut `rows` so that every core has work and no task is longer than `rows_per_task`.

    A whole multiple of the cores, so that they finish together, or else a task for each row.
    """
    if rows <= 0:
        return TaskPlan(0, 0)
    waves = max(1, -(-rows // (rows_per_task * cores)))
    return TaskPlan(rows, min(rows, waves * cores))


def plan_shuffle(input_bytes: int, cores: int) -> int:
    """Partitions of joins and aggregations over an input of so many bytes.

    Spark's own 200 are too many for a small input, where starting them takes longer than their work, and too few for
    a dump.
    """
    return max(2 * cores, -(-input_bytes // SHUFFLE_BYTES))


def _cut(work: Work, rate: Rate, offer: Offer, slots: int, wishes: Wishes) -> tuple[int, str]:
    """How many tasks, and which limit decided that; `slots` tasks run in an executor at a time."""
    if work.pieces:
        size = memory_words(work.input_bytes)
        return work.pieces, f"{size} in {work.pieces:,} files that are read whole: a task for each."
    if work.rows <= 0:
        return 0, "No rows: nothing to do."
    if work.measure is Measure.ROW:
        return _cut_rows(work, rate, offer.max_executors * slots, wishes)
    return _cut_bytes(work, rate, slots, wishes)


def _cut_rows(work: Work, rate: Rate, cores: int, wishes: Wishes) -> tuple[int, str]:
    in_time = max(1, math.floor(_target(wishes) / rate.core_seconds)) if rate.core_seconds else work.rows
    longest = min(in_time, work.rows_per_task or in_time)
    tasks = plan_tasks(work.rows, cores, longest).tasks
    said = (
        f"{work.rows:,} rows, cut by rows, since what they take has nothing to do with their bytes: {tasks:,} tasks of "
        f"{math.ceil(work.rows / tasks):,} rows."
    )
    if tasks == work.rows:
        return tasks, f"{said} The rows decided: there are no more of them."
    if tasks == cores:
        return tasks, f"{said} The cores decided: each has one."
    if longest < in_time:
        return tasks, f"{said} rows_per_task decided: no task may lose more than {longest:,} rows."
    return (
        tasks,
        f"{said} The target of {_target(wishes):g} s for a task decided: {longest:,} rows take that long.",
    )


def _cut_bytes(work: Work, rate: Rate, slots: int, wishes: Wishes) -> tuple[int, str]:
    most = _most_bytes(work, rate, wishes)
    by_size = -(-work.input_bytes // most)
    # A whole multiple of the cores of an executor, so that they finish together.
    tasks = min(work.rows, _rounded(max(by_size, slots), slots))
    size, each = memory_words(work.input_bytes), memory_words(work.input_bytes / tasks)
    said = f"{size}, cut by bytes: {tasks:,} tasks of {each}."
    if by_size < slots:
        return tasks, f"{said} The cores decided: so little is spread over those of one executor."
    if wishes.max_partition_bytes or most == TASK_BYTES:
        return tasks, f"{said} The bytes decided: no task reads more than {memory_words(most)}."
    target = f"{_target(wishes):g} s"
    return tasks, f"{said} The target of {target} for a task decided: {memory_words(most)} take that long."


def _most_bytes(work: Work, rate: Rate, wishes: Wishes) -> int:
    """What one task may read of a file. Spark itself cuts finer where that would leave cores without a task."""
    if wishes.max_partition_bytes:
        return wishes.max_partition_bytes
    if work.measure is Measure.ROW or not rate.core_seconds:
        return TASK_BYTES
    return max(_LEAST_TASK_BYTES, min(TASK_BYTES, math.floor(_target(wishes) / rate.core_seconds)))


def _target(wishes: Wishes) -> float:
    return wishes.target_partition_seconds or TARGET_SECONDS


@dataclass(frozen=True)
class _Room:
    """How the tasks of an executor share its memory. `memory` is all of it, `heap` that of its JVM."""

    task_cores: int
    memory: int
    heap: int
    why: str


def _room_for(work: Work, offer: Offer, wishes: Wishes) -> _Room:
    in_jvm = max(_LEAST_JVM_PER_TASK, _EXPANSION * (wishes.max_partition_bytes or TASK_BYTES))
    in_python = _PYTHON_WORKER + work.worker_bytes
    most = wishes.executor_memory or offer.most_memory
    cores = offer.executor_cores
    fitting = (n for n in range(1, cores + 1) if _needed(cores // n, in_jvm, in_python) <= most)
    task_cores = next(fitting, cores)
    slots = cores // task_cores
    needed = _needed(slots, in_jvm, in_python)
    alone = offer.driver_cores == 0
    if needed > most and not alone and not wishes.executor_memory:
        raise NoRoom(
            f"one task needs {memory_words(needed)}, {memory_words(in_python)} of it for a Python worker, and the "
            f"largest executor of {cores} cores has {memory_words(most)}. Set executor_cores higher, "
            "max_partition_bytes lower, or take a smaller model."
        )
    why = _why_room(work, slots, needed, in_jvm, in_python)
    if slots < cores:
        why += f" The memory decided: {cores} tasks at a time would not fit into {memory_words(most)}."
    if alone:
        return _Room(task_cores, needed, _rounded(max(_JVM + slots * in_jvm, _DRIVER), GIB), why)
    planned = min(most, max(offer.least_memory, _rounded(needed, offer.memory_step)))
    memory = wishes.executor_memory or planned
    # What the steps of the place leave over is of most use to the JVM.
    rest = memory - slots * in_python
    heap = min(math.floor(rest / (1 + _OVERHEAD)), rest - _LEAST_OVERHEAD) // MIB * MIB
    return _Room(task_cores, memory, max(_LEAST_JVM_PER_TASK, heap), why)


def _needed(slots: int, in_jvm: int, in_python: int) -> int:
    heap = _JVM + slots * in_jvm
    return heap + max(_LEAST_OVERHEAD, math.ceil(_OVERHEAD * heap)) + slots * in_python


def _why_room(work: Work, slots: int, needed: int, in_jvm: int, in_python: int) -> str:
    model = f", {memory_words(work.worker_bytes)} of it the model" if work.worker_bytes else ""
    at_a_time = "1 task" if slots == 1 else f"{slots} tasks"
    return (
        f"{at_a_time} at a time in {memory_words(needed)}: {memory_words(_JVM + slots * in_jvm)} for the JVM, and "
        f"{memory_words(in_python)} for each Python worker{model}."
    )


def _why_executors(executors: int, slots: int, offer: Offer) -> str:
    if offer.driver_cores == 0:
        return f"{slots} of {offer.cores} cores of this machine."
    said = f"{executors} of {offer.max_executors} executors of {offer.executor_cores} cores"
    return f"{said}." if executors == offer.max_executors else f"{said}: more would have no task."


def _rounded(amount: int, step: int) -> int:
    return -(-amount // step) * step


def _duration(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.3g} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"
