"""What the client that comes with Dagster does where ours must not: it is run here, against the same service.

Three defects of ten; the tests of the others run only our side of them, and would fail with the stock behaviour.
"""

import copy
from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest
from dagster_aws.pipes import PipesEMRServerlessClient

from booksearch_assets_tests.emr.conftest import MakeStep
from booksearch_assets_tests.emr.serverless import BUCKET, ROLE, LocalServerless
from booksearch_assets_tests.emr.step import failure_of, said_in

PRIVATE = "https://p-1234.emrappui-prod.us-east-1.amazonaws.com/?authToken=opens-everything"


@pytest.fixture(autouse=True)
def no_wait_for_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dagster._core.pipes.utils.WAIT_FOR_LOGS_AFTER_EXECUTION_INTERVAL", 0.1)


@pytest.fixture
def request_of_a_job(service: LocalServerless) -> dict[str, Any]:
    """A job that is healthy, takes a moment, and reports nothing."""
    service.client("s3").put_object(Bucket=BUCKET, Key="idle.py", Body=b"import time; time.sleep(1)")
    return {
        "applicationId": service.create_application(),
        "executionRoleArn": ROLE,
        "jobDriver": {"sparkSubmit": {"entryPoint": f"s3://{BUCKET}/idle.py", "sparkSubmitParameters": ""}},
        "configurationOverrides": {
            "monitoringConfiguration": {"s3MonitoringConfiguration": {"logUri": f"s3://{BUCKET}/logs"}}
        },
    }


def run_stock(
    client: Any, request: Mapping[str, Any], instance: dg.DagsterInstance | None = None
) -> dg.ExecuteInProcessResult:
    @dg.asset
    def rows(context: dg.AssetExecutionContext) -> Any:
        emr = PipesEMRServerlessClient(client=client, poll_interval=0.1)
        return emr.run(context=context, start_job_run_params=request).get_materialize_result()  # type: ignore[arg-type]

    return dg.materialize([rows], instance=instance, raise_on_error=False)


def stock_client(service: LocalServerless) -> Any:
    client = service.client("emr-serverless")

    def as_aws_says_it(parsed: dict[str, Any], **_: Any) -> None:
        parsed["application"]["type"] = "Spark"

    client.meta.events.register("after-call.emr-serverless.GetApplication", as_aws_says_it)
    return client


def with_dashboard(service: LocalServerless) -> Any:
    """A client whose service has dashboards."""
    client = stock_client(service)
    answer = SimpleNamespace(status_code=200), {"url": PRIVATE}
    client.meta.events.register(
        "before-call.emr-serverless.GetDashboardForJobRun", lambda **_: answer, unique_id="dashboard"
    )
    return client


def test_a_dashboard_that_is_refused_fails_the_stock_step_of_a_healthy_job_and_not_ours(
    make_step: MakeStep, service: LocalServerless, request_of_a_job: dict[str, Any]
) -> None:
    # The role may start and see jobs, and not open their dashboards; moto has none at all.
    stock = run_stock(stock_client(service), request_of_a_job)
    assert "GetDashboardForJobRun" in failure_of(stock)
    assert make_step().run().success


def test_the_stock_step_writes_the_address_that_opens_the_job_into_its_log_and_ours_asks_for_none(
    make_step: MakeStep, service: LocalServerless, request_of_a_job: dict[str, Any]
) -> None:
    instance = dg.DagsterInstance.ephemeral()
    stock = run_stock(with_dashboard(service), request_of_a_job, instance)
    assert stock.success
    assert PRIVATE in said_in(instance, stock.run_id)
    step = make_step()
    ours = step.run(instance)
    assert "authToken" not in said_in(instance, ours.run_id)
    assert set(service.faults[step.application_id].calls) == {"list", "start", "get"}


def test_the_stock_client_changes_the_parameters_of_its_caller_and_records_a_job_that_said_nothing(
    service: LocalServerless, request_of_a_job: dict[str, Any]
) -> None:
    before = copy.deepcopy(request_of_a_job)
    client = with_dashboard(service)
    results = [run_stock(client, request_of_a_job) for _ in range(2)]
    assert request_of_a_job != before
    assert request_of_a_job["tags"].keys() - before.keys()
    parameters = request_of_a_job["jobDriver"]["sparkSubmit"]["sparkSubmitParameters"]
    assert parameters.count("DAGSTER_PIPES_CONTEXT") == 2
    # Ours: test_submit, test_launcher (one launcher, many jobs; a job without a report).
    assert all(result.get_asset_materialization_events() for result in results)
