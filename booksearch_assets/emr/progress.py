"""How far a stage is and what it holds, read from Spark on the driver while it runs.

Belongs here: reading Spark's own status, and putting it into words now and then. Does not: sending the words
(`payload`).
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from booksearch_assets.compute.memory import GIB, MIB, memory_bytes
from booksearch_assets.emr.account import Usage

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

EVERY_SECONDS = 10.0
# Below it, a whole number would hide much of a rate, or all of it.
_SLOW = 10
# Spark adds a tenth to a worker's memory for what lies outside of the JVM, and not less than this.
_OVERHEAD_FACTOR, _LEAST_OVERHEAD = 0.1, 384 * MIB


@dataclass(frozen=True)
class TaskProgress:
    """One Spark stage in hand: `rows` were read by its tasks so far, over `seconds`."""

    name: str
    done: int
    total: int
    rows: int
    seconds: float

    def describe(self, rows_in_all: int | None = None, counted: str = "rows") -> str:
        """`stage 3, parquet: 40 of 512 tasks (8%), 45 images a second, 3 min left`; `counted` is what rows are called.

        Where the job has so many rows in all, the tasks that are done stand for their share of them: a task may make
        much work of one row that says which slice to read.
        """
        share = self.done / self.total if self.total else 0.0
        line = f"{self.name}: {self.done:,} of {self.total:,} tasks ({share:.0%})"
        rows = self.rows if rows_in_all is None else round(rows_in_all * share)
        if self.seconds > 0 and rows:
            rate = rows / self.seconds
            line += f", {rate:,.{0 if rate >= _SLOW else 1}f} {counted} a second"
        if 0 < self.done < self.total:
            line += f", {_duration(self.seconds * (self.total - self.done) / self.done)} left"
        return line


@contextmanager
def watching(
    session: SparkSession,
    rows_in_all: int | None,
    counted: str,
    say: Callable[[str], None],
    account: Callable[[Usage], None],
    every: float = EVERY_SECONDS,
) -> Iterator[None]:
    """Within it, `say` gets a line for each Spark stage in hand and `account` what is used so far, every few seconds."""
    over = threading.Event()

    def watch() -> None:
        from py4j.protocol import Py4JError

        while not over.wait(every):
            try:
                for progress in tasks_in_hand(session):
                    say(progress.describe(rows_in_all, counted))
                account(used_so_far(session))
            except Py4JError:
                # A stage that ended between two questions is known no more.
                continue

    thread = threading.Thread(target=watch, name="progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def tasks_in_hand(session: SparkSession) -> list[TaskProgress]:
    """The Spark stages that are running, as Spark's own status store counts them."""
    context = session.sparkContext
    store = _jvm(context).statusStore()
    found = []
    for stage_id in context.statusTracker().getActiveStageIds():
        stage = store.lastStageAttempt(stage_id)
        submitted = stage.submissionTime()
        seconds = time.time() - submitted.get().getTime() / 1000 if submitted.isDefined() else 0.0
        rows = stage.inputRecords() + stage.shuffleReadRecords()
        name = stage_name(stage_id, stage.name())
        found.append(TaskProgress(name, stage.numCompleteTasks(), stage.numTasks(), rows, seconds))
    return found


def stage_name(stage_id: int, call_site: str) -> str:
    """`stage 3, parquet`: the number, and the action that asked for it, where Spark's call site says which.

    A stage before a shuffle is asked for by a thread of the adaptive plan, which is nobody's action.
    """
    action = call_site.partition(" at ")[0]
    return f"stage {stage_id}, {action}" if action.isidentifier() else f"stage {stage_id}"


def used_so_far(session: SparkSession) -> Usage:
    """What driver and executors, the lost ones too, have held since each began. Storage is counted by the service alone."""
    context = session.sparkContext
    conf = context.getConf()
    now = time.time()
    vcpu_hours = memory_gb_hours = 0.0
    executors = _jvm(context).statusStore().executorList(False)
    for number in range(executors.size()):
        executor = executors.apply(number)
        role = "driver" if executor.id() == "driver" else "executor"
        removed = executor.removeTime()
        end = removed.get().getTime() / 1000 if removed.isDefined() else now
        hours = max(0.0, end - executor.addTime().getTime() / 1000) / 3600
        # A driver on a worker of its own runs no tasks, and counts no cores.
        vcpu_hours += hours * (executor.totalCores() or int(conf.get("spark.driver.cores", "1")))
        memory = conf.get(f"spark.{role}.memory", "1g")
        memory_gb_hours += hours * worker_memory_gb(memory, conf.get(f"spark.{role}.memoryOverhead"))
    return Usage(vcpu_hours, memory_gb_hours, 0.0)


def worker_memory_gb(memory: str, overhead: str | None = None) -> int:
    """The memory of a worker whose JVM has `memory` ("14g", "512m"), in whole GB, as the service gives it.

    `overhead` is what it has besides, where that was set and is not Spark's own share.
    """
    heap = memory_bytes(memory)
    more = memory_bytes(overhead) if overhead else max(_OVERHEAD_FACTOR * heap, _LEAST_OVERHEAD)
    return math.ceil((heap + more) / GIB)


def _jvm(context: Any) -> Any:
    return context._jsc.sc()


def _duration(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
