"""The stage `tally` as a job of the client that comes with Dagster, used as its documentation shows.

It runs on the same service as ours (`step`), with the parameters of the same stage, so that one fault meets both. Run
as a script, it is an orchestrator of its own, which a test may kill.

Belongs here: that use of it, as well as it can be used. Does not: what is expected of it.
"""

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import SimpleNamespace
from typing import Any

import boto3
import dagster as dg
from botocore.config import Config
from dagster_aws.pipes import PipesEMRServerlessClient

from booksearch_assets_tests.emr.serverless import BUCKET, REGION, ROLE, LocalServerless
from booksearch_assets_tests.emr.step import JobStep

_ENTRY_POINT = """
from dagster_pipes import open_dagster_pipes
{imports}
from booksearch_assets_tests.emr.stages.tally import TallyParams, run

with open_dagster_pipes({writer}) as pipes:
    told = {{"is_partition_step": pipes.is_partition_step}}
    report = run(None, TallyParams(**pipes.get_extra("params")))
    said = {{"raw_value": report.to_json() | told, "type": "json"}}
    pipes.report_asset_materialization(metadata={{"report": said}})
"""
ENTRY_POINTS = {
    "cloudwatch": _ENTRY_POINT.format(imports="", writer=""),
    "s3": _ENTRY_POINT.format(
        imports="from dagster_pipes import PipesS3MessageWriter\nimport boto3\n",
        writer="message_writer=PipesS3MessageWriter(boto3.client('s3'))",
    ),
}
"""What a job runs, by where it leaves its messages: CloudWatch is the default."""
DASHBOARD = "https://p-1234.emrappui-prod.us-east-1.amazonaws.com/?authToken=opens-everything"


def api_client(*, dashboards: bool = True, tries: int | None = None) -> Any:
    """A client of the service of the environment that says of an application, and of dashboards, what AWS says.

    Without `dashboards` the service refuses them, as it does to a role that has no right to them. `tries` is how often
    the client itself tries each call, else as often as it does by default.
    """
    retries = Config(retries={"total_max_attempts": tries}) if tries else None
    client: Any = boto3.client("emr-serverless", region_name=REGION, config=retries)

    def say_type(parsed: dict[str, Any], **_: Any) -> None:
        parsed["application"]["type"] = "Spark"

    client.meta.events.register("after-call.emr-serverless.GetApplication", say_type)
    if dashboards:
        answer = SimpleNamespace(status_code=200), {"url": DASHBOARD}
        event = "before-call.emr-serverless.GetDashboardForJobRun"
        client.meta.events.register(event, lambda **_: answer, unique_id="dashboard")
    return client


def entry_point_uri(messages: str) -> str:
    return f"s3://{BUCKET}/stock_{messages}.py"


def upload_entry_points(service: LocalServerless) -> None:
    for messages, text in ENTRY_POINTS.items():
        _, _, key = entry_point_uri(messages).partition(f"{BUCKET}/")
        service.client("s3").put_object(Bucket=BUCKET, Key=key, Body=text.encode())


def stock_client(client: Any | None = None, **chosen: Any) -> PipesEMRServerlessClient:
    return PipesEMRServerlessClient(client=client or api_client(), poll_interval=0.1, **chosen)


@dataclass
class StockStep(JobStep):
    """One asset on one application, as `step.Step` is one of ours."""

    retries: int = 0
    messages: str = "cloudwatch"

    @property
    def request(self) -> dict[str, Any]:
        """What a job is asked for with, made anew each time."""
        logs = {"logUri": f"s3://{BUCKET}/logs"}
        # Where no types are named, it starts readers of the streams, whose threads ask an ended stream for more for ever.
        cloudwatch = {"enabled": True, "logTypes": {"SPARK_DRIVER": ["STDOUT", "STDERR"]}}
        return {
            "applicationId": self.application_id,
            "executionRoleArn": ROLE,
            "jobDriver": {
                "sparkSubmit": {"entryPoint": entry_point_uri(self.messages), "sparkSubmitParameters": ""}
            },
            "configurationOverrides": {
                "monitoringConfiguration": {
                    "s3MonitoringConfiguration": logs,
                    "cloudWatchLoggingConfiguration": cloudwatch,
                }
            },
        }

    def run(
        self,
        instance: dg.DagsterInstance | None = None,
        tags: Mapping[str, str] | None = None,
        partitions: dg.PartitionsDefinition | None = None,
        emr: PipesEMRServerlessClient | None = None,
        request: dict[str, Any] | None = None,
    ) -> dg.ExecuteInProcessResult:
        """One run of the asset, with a client and a request of its own by default; nothing is raised when it fails."""

        @dg.asset(
            partitions_def=partitions,
            backfill_policy=dg.BackfillPolicy.single_run() if partitions else None,
            retry_policy=dg.RetryPolicy(max_retries=self.retries) if self.retries else None,
        )
        def rows(context: dg.AssetExecutionContext) -> Any:
            done = (emr or stock_client()).run(
                context=context,
                start_job_run_params=request or self.request,  # type: ignore[arg-type]
                extras={"params": asdict(self.params), "partitions": []},
            )
            return done.get_materialize_result()

        return dg.materialize([rows], instance=instance, tags=tags, raise_on_error=False)


if __name__ == "__main__":
    told = StockStep.from_json(sys.argv[1])
    sys.exit(0 if told.run(told.instance_on_disk()).success else 1)
