"""A step whose job is a stage, `tally` by default: an asset, a launcher, and a Dagster instance in a folder.

Run as a script, it is an orchestrator of its own, which a test may kill.
"""

import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

import dagster as dg

from booksearch_assets.compute.plan import Work
from booksearch_assets.emr.launcher import EmrServerlessLauncher
from booksearch_assets.resources.spark import SparkLauncher, SparkTuning
from booksearch_assets_tests.emr.serverless import BUCKET, REGION, ROLE
from booksearch_assets_tests.emr.stages.tally import TallyParams

YEARS = dg.StaticPartitionsDefinition(["2019", "2020", "2021", "2022"])
_TUNING = {"driver_memory": "512m", "shuffle_partitions": 2}
ENTRY_POINT = """
from booksearch_assets.emr.payload import main

main("booksearch_assets_tests.emr.stages", lambda: None)
"""


@dataclass
class JobStep:
    """What any step whose job is a stage has: an application, a folder for an instance, the parameters of the stage."""

    application_id: str
    home: Path
    params: Any

    def instance_on_disk(self) -> dg.DagsterInstance:
        """An instance that other threads and processes may open too, and that takes longer to make."""
        self.home.mkdir(exist_ok=True)
        return dg.DagsterInstance.local_temp(str(self.home), overrides={"telemetry": {"enabled": False}})

    @property
    def times_run(self) -> int:
        """How often the stage was begun."""
        diary = Path(self.params.diary)
        return len(diary.read_text().splitlines()) if diary.exists() else 0

    def to_json(self) -> str:
        return json.dumps(asdict(self) | {"home": str(self.home)})

    @classmethod
    def from_json(cls, text: str) -> Self:
        data = json.loads(text)
        return cls(**data | {"home": Path(data["home"]), "params": TallyParams(**data["params"])})


@dataclass
class Step(JobStep):
    """One asset on one application. `settings` are the launcher's, beside those that every test needs."""

    settings: dict[str, Any] = field(default_factory=dict)
    entry_point: str = "tally.py"
    stage: str = "tally"
    retries: int = 0
    tuning: dict[str, Any] = field(default_factory=dict)

    @property
    def launcher(self) -> EmrServerlessLauncher:
        return EmrServerlessLauncher(
            **{
                "application_id": self.application_id,
                "execution_role": ROLE,
                "region": REGION,
                "entry_point": f"s3://{BUCKET}/{self.entry_point}",
                "jobs_uri": f"s3://{BUCKET}/jobs",
                "logs_uri": f"s3://{BUCKET}/logs",
                "poll_seconds": 0.2,
                **self.settings,
            }
        )

    def asset(self, partitions: dg.PartitionsDefinition | None = None) -> dg.AssetsDefinition:
        @dg.asset(
            partitions_def=partitions,
            backfill_policy=dg.BackfillPolicy.single_run() if partitions else None,
            retry_policy=dg.RetryPolicy(max_retries=self.retries) if self.retries else None,
        )
        def rows(
            context: dg.AssetExecutionContext, spark: dg.ResourceParam[SparkLauncher]
        ) -> dg.MaterializeResult:
            tuning = SparkTuning(**{**_TUNING, **self.tuning})
            report = spark.run(self.stage, self.params, tuning, Work(10, 1000), context)
            return dg.MaterializeResult(metadata={"report": report.to_json()})

        return rows

    def run(
        self,
        instance: dg.DagsterInstance | None = None,
        tags: Mapping[str, str] | None = None,
        partitions: dg.PartitionsDefinition | None = None,
        launcher: EmrServerlessLauncher | None = None,
        **chosen: Any,
    ) -> dg.ExecuteInProcessResult:
        """One run of the asset, on an instance of its own by default; nothing is raised when it fails."""
        return dg.materialize(
            [self.asset(partitions)],
            instance=instance,
            resources={"spark": launcher or self.launcher},
            tags=tags,
            raise_on_error=False,
            **chosen,
        )


def report_of(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    """The report that a run's materialisation shows."""
    assert result.success, failure_of(result)
    (event,) = result.get_asset_materialization_events()
    return dict(event.materialization.metadata["report"].value)


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    """Why the step of a run failed, in its last attempt."""
    (event,) = [e for e in result.all_events if e.is_step_failure]
    data = event.step_failure_data
    return str(data.user_failure_data.description if data.user_failure_data else data.error_display_string)


def said_in(instance: dg.DagsterInstance, run_id: str) -> str:
    """Everything that the log and the events of a run say, as JSON."""
    records = instance.get_records_for_run(run_id).records
    return "\n".join(dg.serialize_value(record.event_log_entry) for record in records)


if __name__ == "__main__":
    told = Step.from_json(sys.argv[1])
    sys.exit(0 if told.run(told.instance_on_disk(), tags=json.loads(sys.argv[2])).success else 1)
