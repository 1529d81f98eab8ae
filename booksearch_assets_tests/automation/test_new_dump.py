"""Ticks of `new_dump` against a real dump site, on a real instance and a real lake."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest
from dagster import DagsterRunStatus as Status

from booksearch_assets.automation.new_dump import SAMPLE_DUMPS, Pace
from booksearch_assets.definitions import build_defs
from booksearch_assets.settings import Settings
from booksearch_assets_tests.automation.watch import CATALOGUE, Watch, definitions
from booksearch_assets_tests.graph.deployment import free_port

JANUARY, FEBRUARY, MARCH = "2026-01-31", "2026-02-28", "2026-03-31"


def launched(watch: Watch) -> dg.RunRequest:
    """The one run that a tick launches."""
    answer = watch.tick()
    assert answer.skip_message is None
    (request,) = answer.run_requests or []
    return request


def skipped(watch: Watch) -> str:
    """What a tick says that launches nothing."""
    answer = watch.tick()
    assert not answer.run_requests
    return str(answer.skip_message)


def file_of(site: Path, kind: str, date: str) -> Path:
    return site / f"ol_dump_{date}" / f"ol_dump_{kind}_{date}.txt.gz"


def test_a_new_dump_is_launched_over_all_years_with_its_date(watch: Watch) -> None:
    request = launched(watch)
    years = CATALOGUE.partitions.get_partition_keys()
    assert request.tags["booksearch/dump_date"] == MARCH
    assert request.tags["dagster/asset_partition_range_start"] == years[0] == "2024"
    assert request.tags["dagster/asset_partition_range_end"] == years[-1]
    assert request.tags["dagster/max_runtime"] == "172800"
    config = dg.validate_run_config(definitions().resolve_job_def("books"), request.run_config)
    assert config["ops"]["raw_dump"]["config"]["date"] == MARCH


def test_a_run_key_that_was_seen_before_loses_no_dump(watch: Watch) -> None:
    request = launched(watch)
    assert request.run_key is None
    # Runs of another life of this deployment, which had a key for the dump.
    for status in (Status.FAILURE, Status.CANCELED):
        key = {"dagster/run_key": MARCH, "dagster/sensor_name": "new_dump"}
        watch.run(request.with_replaced_attrs(tags=key), status)
    assert launched(watch).tags["booksearch/dump_date"] == MARCH


def test_a_dump_is_processed_once(watch: Watch) -> None:
    run = watch.run(launched(watch), Status.STARTING)
    assert f"run {run.run_id} of books is starting" in skipped(watch)
    watch.instance.report_run_failed(run)
    watch.instance.delete_run(run.run_id)
    run = watch.run(launched(watch), Status.SUCCESS)
    watch.land(MARCH)
    for _ in range(2):
        assert f"the dump of {MARCH} has been processed: run {run.run_id} did it" in skipped(watch)
    assert json.loads(str(watch.cursor)) == {MARCH: "processed"}


def test_the_next_dump_is_launched_when_it_comes(watch: Watch, site: Path) -> None:
    later = shutil.move(site / f"ol_dump_{MARCH}", site.parent)
    watch.publish(FEBRUARY)
    assert f"the dump of {FEBRUARY} has been processed: all years" in skipped(watch)
    shutil.move(later, site)
    assert launched(watch).tags["booksearch/dump_date"] == MARCH
    assert json.loads(str(watch.cursor)) == {FEBRUARY: "processed", MARCH: "launched"}


@pytest.mark.parametrize("cursor", [None, "{", '{"2026-03-31": "eaten"}', '"2026-03-31"'])
def test_a_cursor_that_is_lost_loses_nothing_and_repeats_nothing(watch: Watch, cursor: str | None) -> None:
    run = watch.run(launched(watch), Status.STARTED)
    watch.cursor = cursor
    assert run.run_id in skipped(watch)
    watch.instance.report_run_failed(run)
    watch.run(launched(watch), Status.SUCCESS)
    watch.land(MARCH)
    watch.cursor = cursor
    assert "has been processed" in skipped(watch)
    assert json.loads(str(watch.cursor)) == {MARCH: "processed"}


def test_a_cursor_that_says_launched_does_not_stand_for_a_run(watch: Watch) -> None:
    assert watch.cursor is None
    launched(watch)
    # The daemon died before it made the run.
    assert launched(watch).tags["booksearch/dump_date"] == MARCH


def test_the_lake_holds_it_already(watch: Watch) -> None:
    watch.publish(MARCH)
    assert f"the dump of {MARCH} has been processed: all years and the published search" in skipped(watch)


@pytest.mark.parametrize("missing", ["books/search", "books/filtered_fiction"])
def test_a_dump_that_was_processed_in_part_is_processed(watch: Watch, missing: str) -> None:
    watch.publish(MARCH)
    watch.commit(missing, FEBRUARY, "2025" if missing == "books/filtered_fiction" else "")
    assert launched(watch).tags["booksearch/dump_date"] == MARCH


def test_a_year_that_began_after_the_dump_asks_for_nothing(watch: Watch) -> None:
    watch.publish(MARCH, years=["2024", "2025", "2026"])
    assert "has been processed" in skipped(watch)


def test_a_year_that_was_never_made_is_made(watch: Watch) -> None:
    watch.publish(MARCH, years=["2025", "2026"])
    launched(watch)


def test_a_dump_older_than_the_landed_one_is_left_alone(watch: Watch) -> None:
    watch.land("2026-04-30")
    assert f"the dump of {MARCH} is older than that of 2026-04-30" in skipped(watch)


@pytest.mark.parametrize("kind", ["editions", "covers_metadata"])
def test_an_incomplete_dump_is_left_until_it_is_whole(watch: Watch, site: Path, kind: str) -> None:
    watch.publish(FEBRUARY)
    missing = file_of(site, kind, MARCH)
    away = shutil.move(missing, site.parent)
    reason = skipped(watch)
    assert f"{missing.name} answered HTTP 404" in reason
    assert f"the dump of {FEBRUARY} has been processed" in reason
    assert "every kind is there and whole" in reason
    assert json.loads(str(watch.cursor)) == {FEBRUARY: "processed", MARCH: "incomplete"}
    shutil.move(away, missing)
    assert launched(watch).tags["booksearch/dump_date"] == MARCH


def test_an_empty_file_is_no_dump(watch: Watch, site: Path) -> None:
    watch.publish(FEBRUARY)
    file_of(site, "works", MARCH).write_bytes(b"x" * 20)
    assert "has 20 bytes, an empty gzip file" in skipped(watch)


def test_a_shrunken_dump_is_left_alone(watch: Watch, site: Path) -> None:
    watch.publish(FEBRUARY)
    shrunken, before = file_of(site, "works", MARCH), file_of(site, "works", FEBRUARY).stat().st_size
    shrunken.write_bytes(shrunken.read_bytes()[: before * 3 // 4])
    found = (
        f"{shrunken.name} has {before * 3 // 4:,} bytes, less than 80% of the {before:,} bytes of {FEBRUARY}"
    )
    assert found in skipped(watch)


def test_how_small_a_dump_may_be_is_configuration(watch: Watch, site: Path) -> None:
    watch.publish(FEBRUARY)
    shrunken = file_of(site, "works", MARCH)
    shrunken.write_bytes(shrunken.read_bytes()[: shrunken.stat().st_size * 3 // 4])
    watch.smallest_share = 0.7
    assert launched(watch).tags["booksearch/dump_date"] == MARCH


def test_an_older_dump_that_is_new_here_is_taken_where_the_newest_is_broken(watch: Watch, site: Path) -> None:
    watch.publish(JANUARY)
    file_of(site, "authors", MARCH).unlink()
    assert launched(watch).tags["booksearch/dump_date"] == FEBRUARY


def test_no_dump_is_complete(watch: Watch, site: Path) -> None:
    for date in (JANUARY, FEBRUARY, MARCH):
        file_of(site, "works", date).unlink()
    reason = skipped(watch)
    assert reason.startswith("no dump is complete")
    assert f"ol_dump_works_{MARCH}.txt.gz answered HTTP 404" in reason
    assert json.loads(str(watch.cursor)) == {MARCH: "incomplete"}


def test_kinds_of_different_dates_are_no_dump(watch: Watch, site: Path) -> None:
    shutil.rmtree(site / f"ol_dump_{JANUARY}")
    file_of(site, "works", MARCH).unlink()
    file_of(site, "editions", FEBRUARY).unlink()
    reason = skipped(watch)
    assert reason.startswith("no dump is complete")
    assert f"the kinds are of different dates ({FEBRUARY}, {MARCH})" in reason


def test_a_site_that_does_not_answer_loses_nothing(watch: Watch) -> None:
    launched(watch)
    cursor, up = watch.cursor, watch.url
    watch.url = f"http://127.0.0.1:{free_port()}"
    reason = skipped(watch)
    assert "the dump site cannot be asked: no answer from http://127.0.0.1" in reason
    assert watch.cursor == cursor
    watch.url = up
    launched(watch)


def test_failed_runs_are_repeated_and_then_left_to_a_person(watch: Watch) -> None:
    watch.publish(FEBRUARY)
    watch.run(launched(watch), Status.FAILURE)
    second = watch.run(launched(watch), Status.FAILURE)
    assert f"attempt 2 of 3 at the dump of {MARCH} failed in run {second.run_id}" in skipped(watch)
    watch.pace = Pace(watch.pace.interval, (timedelta(0), timedelta(0)))
    third = watch.run(launched(watch), Status.FAILURE)
    for cursor in (watch.cursor, None):
        watch.cursor = cursor
        reason = skipped(watch)
        assert f"failed 3 times, last in run {third.run_id}" in reason
        assert "booksearch materialize" in reason
    # A person did it, in a run that knows nothing of the sensor.
    watch.publish(MARCH)
    assert "has been processed" in skipped(watch)


def test_a_run_and_its_retries_are_one_attempt(watch: Watch) -> None:
    request = launched(watch)
    first = watch.run(request, Status.FAILURE)
    retry = watch.run(request, Status.FAILURE, parent=first)
    watch.run(request, Status.FAILURE, parent=retry)
    assert launched(watch).tags["booksearch/dump_date"] == MARCH


def test_a_retry_that_succeeds_ends_the_matter(watch: Watch) -> None:
    request = launched(watch)
    first = watch.run(request, Status.FAILURE)
    watch.land(MARCH)
    retry = watch.run(request, Status.SUCCESS, parent=first)
    assert f"run {retry.run_id} did it" in skipped(watch)


def test_a_run_that_a_person_cancelled_is_not_launched_again(watch: Watch) -> None:
    run = watch.run(launched(watch), Status.CANCELED)
    reason = skipped(watch)
    assert f"run {run.run_id} for the dump of {MARCH} was cancelled" in reason
    assert "booksearch materialize" in reason


@pytest.mark.parametrize("days", [1, 2])
def test_a_run_that_was_ended_for_its_length_is_launched_again(watch: Watch, days: int) -> None:
    request = launched(watch)
    run = watch.run(request, Status.STARTING)
    ended = datetime.now(UTC)
    for kind, at in (
        (dg.DagsterEventType.RUN_START, ended - timedelta(days=days)),
        (dg.DagsterEventType.RUN_CANCELED, ended),
    ):
        event = dg.DagsterEvent(event_type_value=kind.value, job_name="books")
        watch.instance.handle_run_event(run.run_id, event, at)
    if int(request.tags["dagster/max_runtime"]) > timedelta(days=days).total_seconds():
        assert "cancelled by a person" in skipped(watch)
    else:
        launched(watch)


def test_any_run_of_the_catalogue_is_waited_for_and_no_other(watch: Watch) -> None:
    request = dg.RunRequest()
    checks = watch.run(request, Status.STARTED, job="books_checks")
    launched(watch)
    backfill = watch.run(request, Status.STARTED, job="__ASSET_JOB", assets=["books/cover_images"])
    assert f"run {backfill.run_id} of books is started; looks again after it" in skipped(watch)
    watch.instance.report_run_failed(backfill)
    launched(watch)
    assert not watch.instance.get_run_by_id(checks.run_id).is_finished  # type: ignore[union-attr]


def test_the_site_is_not_asked_while_a_run_is_in_progress(watch: Watch) -> None:
    watch.run(dg.RunRequest(), Status.STARTED)
    watch.url = f"http://127.0.0.1:{free_port()}"
    assert "looks again after it" in skipped(watch)


def test_the_sample_world_is_asked_without_a_server_beside_it(
    tmp_path: Path, instance: dg.DagsterInstance
) -> None:
    settings = replace(
        Settings.from_environment({"BOOKSEARCH_HOME": str(tmp_path)}),
        sample_editions=100,
        sample_release=1,
        sample_port=free_port(),
    )
    defs = build_defs(settings)
    sensor = defs.resolve_sensor_def("new_dump")
    assert sensor.minimum_interval_seconds == SAMPLE_DUMPS.interval.total_seconds()
    with dg.build_sensor_context(instance=instance, definitions=defs, resources=defs.resources) as context:
        answer = sensor.evaluate_tick(context)
    (request,) = answer.run_requests or []
    assert request.tags["booksearch/dump_date"] == FEBRUARY
