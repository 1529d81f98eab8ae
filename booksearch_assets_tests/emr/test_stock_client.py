"""Ten defects of the client that comes with Dagster, and our launcher under the same fault of the same service.

Each test runs both: the stock client shows the defect, and ours does not. A release of dagster-aws that mends one of
them fails its test, which is when a part of ours may go.
"""

from __future__ import annotations

import copy
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import dagster as dg
import pytest
from dagster_aws.pipes import PipesCloudWatchMessageReader, PipesS3MessageReader

from booksearch_assets_tests.emr.conftest import MakeStep
from booksearch_assets_tests.emr.serverless import BUCKET, LocalServerless, wait_for
from booksearch_assets_tests.emr.stages.tally import TallyParams
from booksearch_assets_tests.emr.step import YEARS, Step, failure_of, report_of, said_in
from booksearch_assets_tests.emr.stock import (
    DASHBOARD,
    StockStep,
    api_client,
    stock_client,
    upload_entry_points,
)

MakeStockStep = Callable[..., StockStep]
RANGE = {"dagster/asset_partition_range_start": "2019", "dagster/asset_partition_range_end": "2021"}


@pytest.fixture(autouse=True)
def no_wait_for_logs(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("WAIT_FOR_LOGS_AFTER_EXECUTION_INTERVAL", "DEFAULT_SLEEP_INTERVAL"):
        monkeypatch.setattr(f"dagster._core.pipes.utils.{name}", 0.1)


@pytest.fixture
def make_stock(service: LocalServerless, tmp_path: Path) -> MakeStockStep:
    """Makes a stock step on an application of its own; keyword arguments are the stage's, as those of `make_step`."""
    upload_entry_points(service)

    def make(retries: int = 0, messages: str = "cloudwatch", **params: Any) -> StockStep:
        told = TallyParams(diary=str(tmp_path / "stock diary"), **params)
        return StockStep(service.create_application(), tmp_path / "stock home", told, retries, messages)

    return make


def recorded(result: dg.ExecuteInProcessResult) -> list[str]:
    """The partitions that a run recorded as materialised; the name is empty of an asset that has none."""
    return sorted(str(e.partition or "") for e in result.get_asset_materialization_events())


def test_1_a_range_of_partitions_reaches_our_job_and_not_a_stock_one(
    make_step: MakeStep, make_stock: MakeStockStep
) -> None:
    stock = make_stock().run(partitions=YEARS, tags=RANGE)
    (event, *_) = stock.get_asset_materialization_events()
    report: Any = event.materialization.metadata["report"].value
    # The job was told of no partition, and counted for none; three are recorded for it all the same.
    assert report["is_partition_step"] is False and list(report["counts"]) == [""]
    ours = make_step().run(partitions=YEARS, tags=RANGE)
    (event, *_) = ours.get_asset_materialization_events()
    report = event.materialization.metadata["report"].value
    assert list(report["counts"]) == ["2019", "2020", "2021"]
    assert recorded(stock) == recorded(ours) == ["2019", "2020", "2021"]


def test_2_a_job_that_ends_well_and_says_nothing_is_green_there_and_a_failure_here(
    make_step: MakeStep, make_stock: MakeStockStep
) -> None:
    stock = make_stock(ends="leaves").run()
    assert stock.success and recorded(stock) == [""]
    ours = make_step(ends="leaves").run()
    assert not ours.success and recorded(ours) == []
    assert "JobReportedNothing" in failure_of(ours)
    assert "what the driver said to its stderr" in failure_of(ours)


@pytest.mark.parametrize("messages", ["cloudwatch", "s3"])
def test_3_one_stock_client_does_not_hear_its_second_job(
    messages: str, make_stock: MakeStockStep, service: LocalServerless
) -> None:
    first, second = (make_stock(messages=messages, rows=rows) for rows in (3, 5))
    s3 = boto3.client("s3")
    reader = (
        PipesS3MessageReader(bucket=BUCKET, client=s3) if messages == "s3" else PipesCloudWatchMessageReader()
    )
    # It reads every ten seconds, which are less than any real job takes, and longer than these.
    reader.interval = -1
    one_client = stock_client(message_reader=reader)
    assert report_of(first.run(emr=one_client))["counts"][""]["rows_out"] == 3
    again = second.run(emr=one_client)
    assert service.states(second.application_id) == ["SUCCESS"]
    assert again.success
    (event,) = again.get_asset_materialization_events()
    heard: Any = event.materialization.metadata.get("report")
    # It takes the report of the first job for that of the second, or hears none and records the asset all the same.
    assert (heard and heard.value["counts"][""]["rows_out"]) == (3 if messages == "cloudwatch" else None)


def test_3_one_launcher_of_ours_hears_each_of_its_jobs(make_step: MakeStep) -> None:
    step = make_step()
    launcher = step.launcher
    for year in ("2019", "2022"):
        result = step.run(partitions=YEARS, partition_key=year, launcher=launcher)
        assert list(report_of(result)["counts"]) == [year]


def test_4_the_end_of_the_drivers_log_is_in_our_failure_and_nowhere_there(
    make_step: MakeStep, make_stock: MakeStockStep, capfd: pytest.CaptureFixture[str]
) -> None:
    instance = dg.DagsterInstance.ephemeral()
    stock = make_stock(ends="raises").run(instance)
    assert failure_of(stock)
    said = said_in(instance, stock.run_id) + "".join(capfd.readouterr())
    assert "chunk 7 is no gzip file" not in said and "what the driver said" not in said
    ours = failure_of(make_step(ends="raises").run())
    assert "DamagedInput: chunk 7 is no gzip file" in ours
    assert "what the driver said to its stderr" in ours


def test_5_a_throttled_poll_delays_our_step_and_orphans_the_job_of_a_stock_one(
    make_step: MakeStep, make_stock: MakeStockStep, service: LocalServerless, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    stock = make_stock(gate=str(gate))
    service.faults[stock.application_id].throttled_looks = 4
    # The API's own client tries five times by default, within seconds: an hour of throttling outlasts any number.
    result = stock.run(emr=stock_client(api_client(tries=2)))
    assert "ThrottlingException" in failure_of(result)
    # Nobody looks any more, and the job goes on and is paid for.
    assert wait_for(lambda: service.states(stock.application_id) == ["RUNNING"])
    assert "cancel" not in service.faults[stock.application_id].calls
    gate.touch()
    ours = make_step()
    service.faults[ours.application_id].throttled_looks = 4
    assert ours.run().success
    assert service.faults[ours.application_id].throttled_looks == 0
    assert ours.times_run == 1


@pytest.mark.system
def test_6_a_killed_orchestrator_is_followed_by_one_that_finds_our_job_and_starts_a_second_stock_one(
    make_step: MakeStep, make_stock: MakeStockStep, service: LocalServerless, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    stock, ours = make_stock(gate=str(gate)), make_step(gate=str(gate))
    again, ours_again = killed(stock, "stock"), killed(ours, "step")
    assert service.states(stock.application_id) == service.states(ours.application_id) == ["RUNNING"]
    gate.touch()
    assert stock.run(stock.instance_on_disk(), again).success
    assert ours.run(ours.instance_on_disk(), ours_again).success
    assert (stock.times_run, ours.times_run) == (2, 1)


def killed(step: StockStep | Step, program: str) -> dict[str, str]:
    """Kill an orchestrator once its job is running. Returns the tags of a new attempt at its run."""
    command = [sys.executable, "-W", "ignore", "-m", f"booksearch_assets_tests.emr.{program}", step.to_json()]
    process = subprocess.Popen([*command, "{}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert wait_for(lambda: step.times_run == 1)
    process.kill()
    process.wait()
    (run,) = step.instance_on_disk().get_runs()
    return {"dagster/parent_run_id": run.run_id, "dagster/root_run_id": run.run_id}


def test_7_a_dashboard_that_is_refused_fails_the_stock_step_of_a_healthy_job_and_not_ours(
    make_step: MakeStep, make_stock: MakeStockStep, service: LocalServerless, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    stock = make_stock(gate=str(gate))
    result = stock.run(emr=stock_client(api_client(dashboards=False)))
    assert "GetDashboardForJobRun" in failure_of(result)
    assert service.states(stock.application_id) == ["RUNNING"]
    gate.touch()
    ours = make_step()
    assert ours.run().success
    assert set(service.faults[ours.application_id].calls) == {"list", "start", "get"}


def test_7_the_stock_step_writes_the_address_that_opens_the_job_into_its_log_and_ours_asks_for_none(
    make_step: MakeStep, make_stock: MakeStockStep, tmp_path: Path
) -> None:
    instance = dg.DagsterInstance.ephemeral()
    gate = tmp_path / "gate"
    stock = make_stock(gate=str(gate))
    opener = threading.Thread(target=lambda: wait_for(lambda: stock.times_run == 1) and gate.touch())
    opener.start()
    result = stock.run(instance)
    opener.join()
    assert result.success
    assert DASHBOARD in said_in(instance, result.run_id)
    ours = make_step().run(instance)
    assert ours.success
    assert "authToken" not in said_in(instance, ours.run_id)


def test_8_the_stock_client_changes_the_parameters_of_its_caller_and_ours_does_not(
    make_step: MakeStep, make_stock: MakeStockStep, service: LocalServerless
) -> None:
    stock = make_stock()
    request = stock.request
    before = copy.deepcopy(request)
    for _ in range(2):
        stock.run(request=request)
    assert request != before and request["tags"].keys() - before.keys()
    assert contexts_of_jobs(service, stock.application_id) == [1, 2]
    config = {"spark.executor.extraJavaOptions": "-Dname=two words"}
    ours = make_step({"base_config": config})
    launcher = ours.launcher
    told = launcher.model_dump_json()
    for _ in range(2):
        ours.run(launcher=launcher)
    assert launcher.model_dump_json() == told
    assert config == {"spark.executor.extraJavaOptions": "-Dname=two words"}
    assert contexts_of_jobs(service, ours.application_id) == [1, 1]


def contexts_of_jobs(service: LocalServerless, application_id: str) -> list[int]:
    """How many Pipes contexts each job was started with."""
    client = service.client("emr-serverless")
    found = []
    for job in client.list_job_runs(applicationId=application_id)["jobRuns"]:
        asked = client.get_job_run(applicationId=application_id, jobRunId=job["id"])["jobRun"]["jobDriver"]
        found.append(asked["sparkSubmit"]["sparkSubmitParameters"].count("DAGSTER_PIPES_CONTEXT"))
    return found


def test_9_a_job_that_is_being_cancelled_has_failed_there_and_has_not_ended_yet_here(
    make_step: MakeStep, make_stock: MakeStockStep, service: LocalServerless, tmp_path: Path
) -> None:
    stock, ours = (make(gate=str(tmp_path / "never")) for make in (make_stock, make_step))
    results: dict[str, dg.ExecuteInProcessResult] = {}

    def begin(step: StockStep | Step) -> threading.Thread:
        service.faults[step.application_id].slow_to_cancel = threading.Event()

        def run() -> None:
            results[step.application_id] = step.run()

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        assert wait_for(lambda: step.times_run == 1)
        service.cancel_in_console(step.application_id)
        return thread

    thread = begin(stock)
    thread.join(30)
    assert "EMR Serverless job failed" in failure_of(results[stock.application_id])
    assert service.states(stock.application_id) == ["CANCELLING"]

    thread = begin(ours)
    faults = service.faults[ours.application_id]
    looks = faults.calls.count("get")
    # It is looked at again and again while it is CANCELLING.
    assert wait_for(lambda: faults.calls.count("get") > looks + 3)
    assert thread.is_alive()
    for step in (stock, ours):
        slow = service.faults[step.application_id].slow_to_cancel
        assert slow
        slow.set()
    thread.join(30)
    assert service.states(ours.application_id) == ["CANCELLED"]
    assert "JobCancelled" in failure_of(results[ours.application_id])


def test_10_a_fault_of_the_input_is_a_bare_error_that_is_tried_again_there_and_a_typed_one_that_is_not_here(
    make_step: MakeStep, make_stock: MakeStockStep
) -> None:
    stock, ours = make_stock(retries=1, ends="raises"), make_step(retries=1, ends="raises")
    result = stock.run()
    assert "RuntimeError: EMR Serverless job failed" in failure_of(result)
    assert figures_of_failure(result) == {}
    assert stock.times_run == 2

    result = ours.run()
    assert failure_of(result).startswith("JobFailed: job ")
    assert {"emr_job_run_id", "estimated_cost_usd"} <= figures_of_failure(result).keys()
    assert ours.times_run == 1


def figures_of_failure(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    """What the failure of a step says beside its words."""
    (event,) = [e for e in result.all_events if e.is_step_failure]
    told = event.step_failure_data.user_failure_data
    return dict(told.metadata) if told else {}
