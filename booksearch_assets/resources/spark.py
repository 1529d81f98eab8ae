"""Where Spark stages run: one payload, several launchers.

Belongs here: launchers, which turn (stage, params, tuning) into a `StageReport`. Does not: what a stage does
(`compute`), how many partitions it needs (`compute.plan`).
"""

from __future__ import annotations

import os
import sys
from abc import ABC, abstractmethod
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from booksearch_assets.compute.plan import Work, plan_shuffle
from booksearch_assets.tables.counts import StageReport

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_JVM_ENDS_SECONDS = 30
_NO_WORK = Work(0, 0)
_SMALL_INPUT = 256 * 2**20
# A small input is done before the optimising compiler has paid for itself: measured 37 % less processor time without.
_SHORT_LIVED = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
_LOGGING = Path(__file__).with_name("log4j2.properties")


class SparkTuning(dg.Config):
    """Spark settings of one asset. The defaults are planned from the input and rarely need a change."""

    driver_memory: str = Field(
        default="2g",
        description="Memory of the driver, which on one machine holds the executors too. Raise it when a run ends with OutOfMemoryError.",
    )
    shuffle_partitions: int = Field(
        default=0,
        ge=0,
        description="Partitions of joins and aggregations; 0 plans them from the size of the input. Set it when one task spills for long.",
    )
    max_partition_bytes: str = Field(
        default="64m",
        description="How much of a file one task reads. Lower it when rows grow while they are worked on, raise it when tasks take under a second.",
    )


class SparkLauncher(dg.ConfigurableResource, ABC):  # type: ignore[type-arg]
    """Runs a stage of `compute` somewhere with Spark."""

    base_config: dict[str, str] = Field(
        default_factory=dict, description="More Spark settings for every stage."
    )

    @abstractmethod
    def run(
        self,
        stage: str,
        params: Any,
        tuning: SparkTuning,
        work: Work,
        context: dg.AssetExecutionContext | None = None,
    ) -> StageReport:
        """Run `booksearch_assets.compute.<stage>` with its params; `work` says how much that is.

        `context` is that of the asset, for launchers whose work outlives this process. Raises whatever stops the stage.
        """

    def stage_settings(self, tuning: SparkTuning) -> dict[str, str]:
        """The settings that a stage needs wherever it runs; `base_config` comes after all others."""
        return {
            "spark.driver.memory": tuning.driver_memory,
            "spark.sql.files.maxPartitionBytes": tuning.max_partition_bytes,
            "spark.sql.session.timeZone": "UTC",
            "spark.sql.parquet.compression.codec": "zstd",
            "spark.sql.execution.arrow.maxRecordsPerBatch": "2048",
            # Bars would fill the log, whose end is what a failure shows.
            "spark.ui.showConsoleProgress": "false",
        }


class LocalSparkLauncher(SparkLauncher):
    """Spark inside this process, on all cores of this machine."""

    master: str = Field(default="local[*]", description="Spark master.")

    def run(
        self,
        stage: str,
        params: Any,
        tuning: SparkTuning,
        work: Work,
        context: dg.AssetExecutionContext | None = None,
    ) -> StageReport:
        session = self.session(tuning, work)
        planned = plan_shuffle(work.input_bytes, session.sparkContext.defaultParallelism)
        session.conf.set("spark.sql.shuffle.partitions", str(tuning.shuffle_partitions or planned))
        report = import_module(f"booksearch_assets.compute.{stage}").run(session, params)
        if not isinstance(report, StageReport):
            raise TypeError(f"stage {stage} returned {type(report).__name__}, expected a StageReport")
        return report

    def session(self, tuning: SparkTuning, work: Work = _NO_WORK) -> SparkSession:
        """The session of this process: the running one, unless its static settings are others.

        A new one is started for so much work.
        """
        # Workers run `python3` from PATH unless told otherwise, which is not the interpreter that has our packages.
        os.environ["PYSPARK_PYTHON"] = sys.executable
        # Else Spark warns of the host's name, and a worker may be asked to connect to an address that is not reachable.
        os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
        from dagster_pyspark import LazyPySparkResource
        from pyspark.sql import SparkSession

        wanted = self._settings(tuning)
        running = SparkSession.getActiveSession()
        if running is not None and not _has(running, wanted):
            _end(running)
            running = None
        if running is None and work.input_bytes < _SMALL_INPUT:
            wanted["spark.driver.extraJavaOptions"] = (
                f"{_SHORT_LIVED} {wanted['spark.driver.extraJavaOptions']}"
            )
        return LazyPySparkResource(spark_config=wanted).spark_session

    def _settings(self, tuning: SparkTuning) -> dict[str, str]:
        return {
            **self.stage_settings(tuning),
            "spark.master": self.master,
            "spark.app.name": "booksearch_assets",
            "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile={_LOGGING.as_uri()}",
            "spark.ui.enabled": "false",
            "spark.driver.host": "127.0.0.1",
            "spark.driver.bindAddress": "127.0.0.1",
            **self.base_config,
        }


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
