"""The launcher end to end: an asset whose stage runs as a job, and the ways in which that can end.

Those in which the client that comes with Dagster does worse are in `test_stock_client`.
"""

from __future__ import annotations

import re
import threading
from pathlib import Path

import dagster as dg
import pytest

from booksearch_assets.compute.plan import Work
from booksearch_assets.emr.launcher import EmrServerlessLauncher
from booksearch_assets.resources.spark import SparkTuning
from booksearch_assets_tests.emr.conftest import MakeStep
from booksearch_assets_tests.emr.serverless import LocalServerless, wait_for
from booksearch_assets_tests.emr.step import failure_of, report_of, said_in


def test_a_stage_within_its_budget_runs_as_a_job_and_its_report_says_what_it_cost(
    make_step: MakeStep,
) -> None:
    # The job itself counts $18.93 while it runs; what is billed in the end is less.
    step = make_step({"budget_usd": 20.0}, used_gb_hours=1000.0)
    result = step.run()
    assert result.success
    report = report_of(result)
    assert report["counts"] == {"": {"rows_in": 3, "rows_out": 3, "rejected": {}}}
    figures = report["figures"]
    assert figures["emr_application_id"] == step.application_id
    billed = [figures[f"billed_{what}_hours"] for what in ("vcpu", "memory_gb", "storage_gb")]
    assert billed == [2.0, 8.0, 1.0]
    assert re.fullmatch(r"us-east-1, as of \d{4}-\d\d-\d\d", figures["prices"])
    # 2 vCPU-hours, 8 GB-hours and 1 GB-hour of storage at the prices of us-east-1.
    assert figures["estimated_cost_usd"] == pytest.approx(0.1516, abs=1e-4)
    assert figures["planned_tasks"] == 4
    assert "About $0.01, by list prices of us-east-1" in figures["plan"]
    assert figures["actual_to_predicted_usd"] > 1
    assert figures["rows_per_dollar"] == round(3 / (2 * 0.052624 + 8 * 0.0057785 + 0.000111))
    assert step.times_run == 1


def test_what_is_billed_is_waited_for(make_step: MakeStep, service: LocalServerless) -> None:
    step = make_step()
    service.faults[step.application_id].looks_before_billing = 3
    figures = report_of(step.run())["figures"]
    assert (figures["usage"], figures["billed_memory_gb_hours"]) == ("billed", 8.0)


def test_a_failed_stage_fails_the_step_with_its_error_and_its_drivers_log_and_is_not_tried_again(
    make_step: MakeStep,
) -> None:
    step = make_step(ends="raises", retries=2)
    result = step.run()
    assert not result.success
    error = failure_of(result)
    assert "DamagedInput: chunk 7 is no gzip file" in error
    assert "the last lines of the driver's stderr" in error
    assert "what the driver said to its stderr" in error
    assert step.times_run == 1


def test_a_lost_driver_is_tried_again_as_another_job(make_step: MakeStep) -> None:
    step = make_step(ends="killed", retries=1)
    result = step.run()
    assert not result.success
    assert "what the driver said to its stderr" in failure_of(result)
    assert step.times_run == 2


def test_a_lost_reply_to_the_start_of_a_job_starts_no_second_one(
    make_step: MakeStep, service: LocalServerless
) -> None:
    step = make_step()
    service.faults[step.application_id].lost_replies = 2
    assert step.run().success
    assert step.times_run == 1


def test_a_job_that_may_not_be_looked_at_is_cancelled_and_not_left_to_cost(
    make_step: MakeStep, service: LocalServerless, tmp_path: Path
) -> None:
    step = make_step(gate=str(tmp_path / "never"))
    service.faults[step.application_id].refuse_looks = True
    result = step.run()
    assert "RequestRefused: AWS refused get_job_run" in failure_of(result)
    assert wait_for(lambda: service.states(step.application_id) == ["CANCELLED"])


def test_what_the_job_says_is_in_the_log_while_it_runs(make_step: MakeStep, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    step = make_step(gate=str(gate))
    instance = step.instance_on_disk()
    thread = threading.Thread(target=step.run, args=(instance,), daemon=True)
    thread.start()
    try:
        # The job cannot end before the gate is there.
        assert wait_for(
            lambda: any("tally: starting" in said_in(instance, run.run_id) for run in instance.get_runs())
        )
    finally:
        gate.touch()
        thread.join(30)
    (run,) = instance.get_runs()
    assert run.status is dg.DagsterRunStatus.SUCCESS


def test_no_log_or_event_holds_an_address_that_opens_the_job(make_step: MakeStep) -> None:
    instance = dg.DagsterInstance.ephemeral()
    result = make_step().run(instance)
    said = said_in(instance, result.run_id)
    assert said.index("plan of tally") < said.index("by list prices of us-east-1") < said.index("started job")
    assert not any(
        word in said.lower() for word in ("dashboard", "authtoken", "x-amz", "http://", "https://")
    )


def test_a_job_past_its_budget_is_cancelled(
    make_step: MakeStep, service: LocalServerless, tmp_path: Path
) -> None:
    # 1000 GB-hours and 250 vCPU-hours cost $18.93; the job says so while it runs.
    step = make_step({"budget_usd": 10.0}, gate=str(tmp_path / "never"), used_gb_hours=1000.0)
    result = step.run()
    assert service.states(step.application_id) == ["CANCELLED"]
    assert "OverBudget" in failure_of(result) and "its budget is $10.00" in failure_of(result)


def test_a_plan_that_costs_more_than_the_budget_of_its_run_starts_no_job(
    make_step: MakeStep, service: LocalServerless
) -> None:
    # A driver and one executor, for the time that they take to start, cost most of a cent.
    step = make_step({"budget_usd": 50.0}, retries=2)
    step.tuning = {"budget_usd": 0.001}
    result = step.run()
    error = failure_of(result)
    assert "OverBudget: this run is predicted to cost $0.01, and its budget is $0.00" in error
    assert "raise budget_usd" in error
    assert service.faults[step.application_id].calls.count("start") == 0


def test_a_budget_without_a_price_starts_nothing(make_step: MakeStep) -> None:
    step = make_step({"budget_usd": 10.0, "region": "ap-south-2"})
    result = step.run()
    assert "no price for region 'ap-south-2'" in failure_of(result)
    assert step.times_run == 0


def test_a_job_needs_the_context_of_its_asset(make_step: MakeStep) -> None:
    launcher: EmrServerlessLauncher = make_step().launcher
    with pytest.raises(TypeError, match="context of its asset"):
        launcher.run("tally", None, SparkTuning(), Work(1, 1))
