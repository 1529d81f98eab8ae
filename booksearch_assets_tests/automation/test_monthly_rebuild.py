"""The monthly schedule: when it runs, what it launches, and when it does not."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import dagster as dg
import pytest

from booksearch_assets.automation.monthly_rebuild import build_monthly_rebuild
from booksearch_assets_tests.automation.watch import CATALOGUE, definitions

SCHEDULE = build_monthly_rebuild(CATALOGUE, dg.DefaultScheduleStatus.STOPPED)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """Schedules open their instance by reference, so it must be one that is stored."""
    with dg.instance_for_test() as instance:
        yield instance


def evaluate(instance: dg.DagsterInstance) -> dg.RunRequest | str:
    """The run that a tick launches, or why it launches none."""
    with dg.build_schedule_context(
        instance=instance,
        scheduled_execution_time=datetime(2026, 10, 15, 4, tzinfo=UTC),
        repository_def=definitions().get_repository_def(),
    ) as context:
        answer = SCHEDULE.evaluate_tick(context)
    return answer.run_requests[0] if answer.run_requests else str(answer.skip_message)


def test_it_launches_all_years_of_the_newest_dump(instance: dg.DagsterInstance) -> None:
    request = evaluate(instance)
    assert isinstance(request, dg.RunRequest)
    years = CATALOGUE.partitions.get_partition_keys()
    assert request.tags["dagster/asset_partition_range_start"] == years[0]
    assert request.tags["dagster/asset_partition_range_end"] == years[-1]
    assert "booksearch/dump_date" not in request.tags
    config = dg.validate_run_config(definitions().resolve_job_def("books"), request.run_config)
    assert config["ops"]["raw_dump"]["config"]["date"] == "latest"


def test_it_leaves_a_month_out_while_a_run_of_the_catalogue_is_in_progress(
    instance: dg.DagsterInstance,
) -> None:
    instance.add_run(dg.DagsterRun(job_name="books_checks", status=dg.DagsterRunStatus.STARTED))
    assert isinstance(evaluate(instance), dg.RunRequest)
    run = instance.add_run(dg.DagsterRun(job_name="books", status=dg.DagsterRunStatus.STARTED))
    assert f"run {run.run_id} of books is started; rebuilds again next month" in str(evaluate(instance))
    instance.report_run_failed(run)
    assert isinstance(evaluate(instance), dg.RunRequest)
