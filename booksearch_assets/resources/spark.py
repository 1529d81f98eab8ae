"""Where Spark stages run: one payload, several launchers.

Belongs here: launchers, which turn (stage, params, tuning, work) into a `StageReport`. Does not: what a stage does
(`compute`), how it is planned (`compute.plan`), what a plan came to (`compute.comparison`).
"""

from __future__ import annotations

import os
import re
import sys
import time
from abc import ABC, abstractmethod
from dataclasses import replace
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field, field_validator

from booksearch_assets.compute.comparison import compared_figures, planned_figures, rate_of_run
from booksearch_assets.compute.local_files import leave_permissions_to_umask
from booksearch_assets.compute.memory import GIB, machine_memory, memory_bytes, memory_setting
from booksearch_assets.compute.plan import PLANNED_TASKS, NoRoom, Offer, SparkPlan, Wishes, Work, plan_spark
from booksearch_assets.compute.rates import Place, RateName, default_rate, keep_rate, rate_of
from booksearch_assets.compute.task_times import CORE_SECONDS, run_measured
from booksearch_assets.tables.counts import StageReport
from booksearch_assets.tables.lake import Lake

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_JVM_ENDS_SECONDS = 30
_SESSION_STARTS_SECONDS = 5.0
_NO_WORK = Work(0, 0)
_SMALL_INPUT = 512 * 2**20
# A small input is done before the optimising compiler has paid for itself: 37 % less processor time without, and as much at
# 300 MB of a dump (85 s of the JVM, or 55 s).
_SHORT_LIVED = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
# Each plan brings new code of its own, which runs for seconds: the optimising compiler is kept for what runs ten times as often
# as it would ask for. A collector for throughput takes as much memory as it may, 2.7 GB in all for a dump of 5 GB; this one
# takes 2.4, and no longer, since wide rows are none of the JVM's.
_LONG_LIVED = (
    "-XX:+UseSerialGC -XX:Tier4InvocationThreshold=50000 -XX:Tier4MinInvocationThreshold=6000 "
    "-XX:Tier4CompileThreshold=150000 -XX:Tier4BackEdgeThreshold=400000"
)
_SHARES_PER_CORE = 4
_LOGGING = Path(__file__).with_name("log4j2.properties")


class Preset(Enum):
    """Sizes to choose from instead of setting each field."""

    planned = "planned"
    small = "small"
    medium = "medium"
    large = "large"


PRESETS = {
    Preset.planned: Wishes(),
    Preset.small: Wishes(executor_cores=2, max_executors=2, driver_memory=GIB, target_partition_seconds=30),
    Preset.medium: Wishes(executor_cores=4, max_executors=8, driver_memory=4 * GIB),
    Preset.large: Wishes(
        executor_cores=8, max_executors=32, driver_memory=6 * GIB, target_partition_seconds=120
    ),
}
"""What each preset sets; the rest is planned."""


class SparkTuning(dg.Config):
    """Spark settings of one asset. A field that is set comes before the preset, and the preset before the plan."""

    preset: Preset = Field(
        default=Preset.planned,
        description="`planned`: from the size of the work and what it took before. `small`: try something out on 4 cores. "
        "`medium`: 32 cores. `large`: 256 cores, for a whole dump. Choose one when the plan, which is in the log and "
        "the metadata of the last run, was wrong.",
    )
    executor_cores: int = Field(
        default=0,
        ge=0,
        description="vCPUs of each executor on EMR: 1, 2, 4, 8 or 16; 0: as planned. Raise it when one task needs more "
        "memory than an executor of few cores may have, lower it when the account's quota leaves cores unused.",
    )
    executor_memory: str = Field(
        default="",
        description="Memory of each executor on EMR, JVM and Python workers together, as in 16g; empty: as planned. Raise it "
        "when executors are lost or killed for their memory, as with a large model.",
    )
    max_executors: int = Field(
        default=0,
        ge=0,
        description="The most executors of a run on EMR; 0: as planned. Raise it when the predicted time is too long, lower "
        "it to leave room for other jobs.",
    )
    driver_memory: str = Field(
        default="",
        description="Heap of the driver, which on one machine does the tasks too, as in 4g; empty: as planned. Raise it when "
        "a run ends with OutOfMemoryError.",
    )
    max_partition_bytes: str = Field(
        default="",
        description="How much of a file one task reads at most, as in 64m; empty: as planned. Lower it when rows grow while "
        "they are worked on and tasks spill, raise it when tasks take under a second.",
    )
    shuffle_partitions: int = Field(
        default=0,
        ge=0,
        description="Partitions of joins and aggregations; 0: as planned. Raise it when one task of a join spills for long.",
    )
    target_partition_seconds: float = Field(
        default=0.0,
        ge=0,
        description="How long one task should take; 0: as planned, 60. Lower it when executors are often lost, or when the "
        "last tasks of a run keep it waiting.",
    )
    budget_usd: float = Field(
        default=0.0,
        ge=0,
        description="What this run may cost on EMR: it is not started where the plan costs more, and cancelled once it has "
        "cost more. 0: the launcher's budget. Set it for a run of a size that was never run before.",
    )

    @field_validator("executor_memory", "driver_memory", "max_partition_bytes")
    @classmethod
    def _is_an_amount(cls, text: str) -> str:
        if text:
            memory_bytes(text)
        return text

    @property
    def wishes(self) -> Wishes:
        """What is set by hand, or else by the preset."""
        by_hand = Wishes(
            executor_cores=self.executor_cores,
            max_executors=self.max_executors,
            executor_memory=_amount(self.executor_memory),
            driver_memory=_amount(self.driver_memory),
            max_partition_bytes=_amount(self.max_partition_bytes),
            shuffle_partitions=self.shuffle_partitions,
            target_partition_seconds=self.target_partition_seconds,
        )
        return by_hand.over(PRESETS[self.preset])


class SparkLauncher(dg.ConfigurableResource, ABC):  # type: ignore[type-arg]
    """Plans a stage of `compute` and runs it somewhere with Spark."""

    base_config: dict[str, str] = Field(
        default_factory=dict, description="More Spark settings for every stage, which come before all others."
    )

    @abstractmethod
    def offer(self, wishes: Wishes) -> Offer:
        """What there is to plan with: the cores and executors that are wished for, or else those of the launcher."""

    def predicted_cost(self, plan: SparkPlan) -> dict[str, Any]:
        """Figures of what a run is predicted to use and to cost (`predicted_usd`); none where it costs nothing."""
        return {}

    @abstractmethod
    def run_planned(
        self,
        stage: str,
        params: Any,
        plan: SparkPlan,
        tuning: SparkTuning,
        context: dg.AssetExecutionContext | None,
    ) -> tuple[StageReport, float]:
        """Run a stage as planned. Returns its report, and the seconds from its start to its end.

        Raises whatever stops the stage.
        """

    def run(
        self,
        stage: str,
        params: Any,
        tuning: SparkTuning,
        work: Work,
        context: dg.AssetExecutionContext | None = None,
        lake: Lake | None = None,
    ) -> StageReport:
        """Run `booksearch_assets.compute.<stage>` with its params; `work` says how much that is.

        The report's figures say what was planned and what came of it. `context` is that of the asset, for the log and
        for launchers whose work outlives this process. `lake` keeps what runs took, for the plans of the next ones.

        Raises whatever stops the stage, and `dg.Failure` where there is no room for it.
        """
        wishes = tuning.wishes
        offer = self.offer(wishes)
        name = RateName(stage, offer.place, work.kind)
        try:
            plan = plan_spark(work, rate_of(name, lake, work.units, work.gflop), offer, wishes)
        except NoRoom as error:
            raise dg.Failure(f"{stage} was not started: {error}", allow_retries=False) from error
        planned = planned_figures(plan, self.predicted_cost(plan))
        if context:
            context.log.info("plan of %s:\n%s", stage, planned["plan"])
        report, seconds = self.run_planned(stage, params, plan, tuning, context)
        if lake and work.units and CORE_SECONDS in report.figures:
            keep_rate(name, lake, rate_of_run(plan, report.figures[CORE_SECONDS], seconds))
        return replace(
            report, figures=report.figures | planned | compared_figures(planned, report.figures, seconds)
        )

    def stage_settings(self, plan: SparkPlan) -> dict[str, str]:
        """The settings that a stage needs wherever it runs, beside those of the plan."""
        return {
            "spark.driver.memory": memory_setting(plan.driver_memory),
            "spark.task.cpus": str(plan.task_cores),
            "spark.sql.session.timeZone": "UTC",
            "spark.sql.parquet.compression.codec": "zstd",
            "spark.sql.execution.arrow.maxRecordsPerBatch": "2048",
            # Bars would fill the log, whose end is what a failure shows.
            "spark.ui.showConsoleProgress": "false",
        }

    def plan_settings(self, plan: SparkPlan) -> dict[str, str]:
        """The settings of a plan that a running session takes too."""
        planned = {
            "spark.sql.files.maxPartitionBytes": str(plan.max_partition_bytes),
            # A table of few large files would be cut into as many tasks as cores, of which one is the last.
            "spark.sql.files.minPartitionNum": str(_SHARES_PER_CORE * plan.cores),
            "spark.sql.shuffle.partitions": str(plan.shuffle_partitions),
            PLANNED_TASKS: str(plan.tasks),
        }
        return {name: self.base_config.get(name, value) for name, value in planned.items()}


class LocalSparkLauncher(SparkLauncher):
    """Spark inside this process, on all cores of this machine."""

    master: str = Field(default="local[*]", description="Spark master.")

    def offer(self, wishes: Wishes) -> Offer:
        """The cores of the master; executors and their size are for other places."""
        return Offer(
            place=Place.LOCAL,
            executor_cores=_local_cores(self.master),
            max_executors=1,
            least_memory=0,
            most_memory=machine_memory(),
            startup_seconds=0.0 if _running() else _SESSION_STARTS_SECONDS,
        )

    def run_planned(
        self,
        stage: str,
        params: Any,
        plan: SparkPlan,
        tuning: SparkTuning,
        context: dg.AssetExecutionContext | None,
    ) -> tuple[StageReport, float]:
        started = time.monotonic()
        session = self._session(plan)
        settings = self.plan_settings(plan)
        for name, value in settings.items():
            session.conf.set(name, value)
        try:
            module = import_module(f"booksearch_assets.compute.{stage}")
            report = run_measured(session, lambda: module.run(session, params))
        finally:
            # The session outlives the stage, and its plan is no other stage's.
            session.conf.unset(PLANNED_TASKS)
        if not isinstance(report, StageReport):
            raise TypeError(f"stage {stage} returned {type(report).__name__}, expected a StageReport")
        return report, time.monotonic() - started

    def session(self, tuning: SparkTuning, work: Work = _NO_WORK) -> SparkSession:
        """The session of this process that so much work would be given."""
        wishes = tuning.wishes
        return self._session(plan_spark(work, default_rate(""), self.offer(wishes), wishes))

    def _session(self, plan: SparkPlan) -> SparkSession:
        """The running session, unless its static settings are others."""
        # Workers run `python3` from PATH unless told otherwise, which is not the interpreter that has our packages.
        os.environ["PYSPARK_PYTHON"] = sys.executable
        # Else Spark warns of the host's name, and a worker may be asked to connect to an address that is not reachable.
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        from dagster_pyspark import LazyPySparkResource

        wanted = self._settings(plan)
        running = _running()
        if running is not None and not _has(running, wanted):
            _end(running)
            running = None
        if running is None:
            options = _SHORT_LIVED if plan.work.input_bytes < _SMALL_INPUT else _LONG_LIVED
            wanted["spark.driver.extraJavaOptions"] = f"{options} {wanted['spark.driver.extraJavaOptions']}"
        session = LazyPySparkResource(spark_config=wanted).spark_session
        if running is None and not self.master.startswith("local-cluster"):
            leave_permissions_to_umask(session)
        return session

    def _settings(self, plan: SparkPlan) -> dict[str, str]:
        return {
            **self.stage_settings(plan),
            "spark.master": self.master,
            "spark.app.name": "booksearch_assets",
            "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile={_LOGGING.as_uri()}",
            "spark.ui.enabled": "false",
            "spark.python.daemon.module": "booksearch_assets.compute.python_workers",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            **self.base_config,
        }


def _amount(text: str) -> int:
    return memory_bytes(text) if text else 0


def _local_cores(master: str) -> int:
    """The cores of `local`, `local[4]`, `local[*]`, `local-cluster[2,1,1024]`: of all others, those of this machine."""
    numbers = [int(n) for n in re.findall(r"\d+", master)]
    if master == "local":
        return 1
    if master.startswith("local-cluster") and len(numbers) == 3:
        return numbers[0] * numbers[1]
    if master.startswith("local[") and numbers and "*" not in master:
        return numbers[0]
    return os.cpu_count() or 1


def _running() -> SparkSession | None:
    from pyspark.sql import SparkSession

    return SparkSession.getActiveSession()


def _end(session: SparkSession) -> None:
    """Stop a session and its JVM, which would keep its memory settings and still report the new ones."""
    from pyspark import SparkContext

    session.stop()
    gateway: Any = SparkContext._gateway
    gateway.shutdown()
    # The JVM ends when its standard input does.
    gateway.proc.stdin.close()
    gateway.proc.wait(_JVM_ENDS_SECONDS)
    SparkContext._gateway = SparkContext._jvm = None


def _has(session: SparkSession, wanted: dict[str, str]) -> bool:
    """Whether the context of a running session was started with these settings."""
    actual = dict(session.sparkContext.getConf().getAll())
    # Spark puts the options that its JVM needs before those that were asked for.
    return all(
        actual.get(name, "").endswith(value) if name.endswith("JavaOptions") else actual.get(name) == value
        for name, value in wanted.items()
    )
