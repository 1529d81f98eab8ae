"""What is told of failed runs: reports of runs that really failed, and the sensor that tells of them."""

import shlex

import dagster as dg
import pytest
from dagster._core.definitions.sensor_definition import SensorExecutionData

from booksearch_assets.automation.partitions import IN_ONE_RUN, publish_years, range_tags
from booksearch_assets.automation.run_failures import (
    TOLD,
    FailureReport,
    build_run_failure_sensor,
    failure_report,
)
from booksearch_assets.cli import materialize
from booksearch_assets.definitions import build_defs
from booksearch_assets.materialize import parse_partitions, select_assets
from booksearch_assets.resources.notifier import NotifierResource
from booksearch_assets.settings import Settings
from booksearch_assets_tests.resources.receivers import mail_server, webhook

SECRET = "T0P-S3CRET"
BY_YEARS = {"partitions_def": publish_years(2010), "backfill_policy": IN_ONE_RUN}


class HostUnreachable(Exception):
    pass


class Trouble(dg.Config):
    """Which part of the toy graph fails."""

    profile: str = "default"
    fails: bool = False


def _raise_over_a_cause() -> None:
    try:
        raise ConnectionRefusedError("nobody listens")
    except ConnectionRefusedError as error:
        raise HostUnreachable("the covers service does not answer; try again later") from error


# The names are those of the real graph, so that the commands can be given to the real command line.
@dg.asset(key=["books", "editions"])
def editions(config: Trouble) -> None:
    if config.fails:
        raise dg.Failure("the dump is damaged; land another", allow_retries=False)


@dg.asset(key=["books", "filtered_fiction"], deps=[editions], **BY_YEARS)
def filtered_fiction(config: Trouble) -> None:
    if config.fails:
        raise ValueError("the filter is broken")


@dg.asset(key=["books", "cover_images"], deps=[filtered_fiction], **BY_YEARS)
def cover_images(context: dg.AssetExecutionContext, config: Trouble) -> None:
    for year in ("2014", "2016"):
        context.log_event(dg.AssetMaterialization(["books", "cover_images"], partition=year))
    if config.fails:
        _raise_over_a_cause()


@dg.asset(key=["books", "collection"], deps=[cover_images])
def collection() -> None:
    pass


@dg.asset(key=["books", "search"], deps=[collection])
def search() -> None:
    pass


@dg.asset_check(asset=["books", "collection"], name="self_match", blocking=True)
def self_match(config: Trouble) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=not config.fails)


DEFS = dg.Definitions(
    assets=[editions, filtered_fiction, cover_images, collection, search],
    asset_checks=[self_match],
    jobs=[
        dg.define_asset_job("books"),
        dg.define_asset_job("books_checks", selection=dg.AssetSelection.all_asset_checks()),
    ],
)


def failed_run(
    instance: dg.DagsterInstance,
    fails: str,
    tags: dict[str, str] | None = None,
    assets: list[str] | None = None,
    job: str = "books",
    **config: str,
) -> dg.ExecuteInProcessResult:
    """A run in which one step fails."""
    ops = {fails: {"config": {"fails": True}}} | {op: {"config": {"profile": p}} for op, p in config.items()}
    result = DEFS.resolve_job_def(job).execute_in_process(
        instance=instance,
        run_config={"ops": ops},
        tags=range_tags("2014", "2018") if tags is None else tags,
        asset_selection=[dg.AssetKey(name.split("/")) for name in assets] if assets else None,
        raise_on_error=False,
    )
    assert not result.success
    return result


def report_of(instance: dg.DagsterInstance, result: dg.ExecuteInProcessResult) -> FailureReport:
    run = instance.get_run_by_id(result.run_id)
    entries = instance.all_logs(result.run_id, of_type=TOLD)
    return failure_report(run, [entry.dagster_event for entry in entries if entry.dagster_event])


def test_a_range_of_years_that_failed_in_part(instance: dg.DagsterInstance) -> None:
    result = failed_run(instance, "books__cover_images")
    report = report_of(instance, result)
    assert report == FailureReport(
        run_id=result.run_id,
        job="books",
        steps=("books__cover_images",),
        partitions="2014..2018",
        unfinished="2015, 2017..2018",
        error="HostUnreachable: the covers service does not answer; try again later",
        first_cause="ConnectionRefusedError: nobody listens",
        resume="booksearch materialize books/collection books/cover_images books/search --years 2014..2018",
    )
    notice = report.notice()
    assert notice.subject == "books failed: books__cover_images (2015, 2017..2018)"
    assert notice.text.splitlines() == [
        notice.subject,
        report.error,
        f"first cause: {report.first_cause}",
        f"resume: {report.resume}",
        f"run: {result.run_id}",
    ]
    assert notice.details["resume"] == report.resume


def test_one_year_as_the_ui_launches_it(instance: dg.DagsterInstance) -> None:
    result = failed_run(
        instance, "books__filtered_fiction", {"dagster/partition": "2015"}, ["books/filtered_fiction"]
    )
    report = report_of(instance, result)
    assert (report.partitions, report.unfinished) == ("2015", "2015")
    assert report.resume == "booksearch materialize books/filtered_fiction --years 2015"
    assert report.error == report.first_cause == "ValueError: the filter is broken"
    assert "first cause" not in report.notice().text


def test_nothing_was_made(instance: dg.DagsterInstance) -> None:
    report = report_of(instance, failed_run(instance, "books__editions"))
    assert report.error == "the dump is damaged; land another"
    assert report.resume == "booksearch materialize --years 2014..2018"


def test_the_filter_profile_is_kept(instance: dg.DagsterInstance) -> None:
    result = failed_run(instance, "books__editions", books__filtered_fiction="article")
    assert report_of(instance, result).resume.endswith("--years 2014..2018 --filter-profile article")
    result = failed_run(instance, "books__cover_images", books__filtered_fiction="article")
    assert "--filter-profile" not in report_of(instance, result).resume


def test_a_blocking_check_is_resumed_from_its_asset(instance: dg.DagsterInstance) -> None:
    report = report_of(instance, failed_run(instance, "books__collection_self_match"))
    assert report.resume == "booksearch materialize books/collection books/search --years 2014..2018"
    assert "self_match" in report.error


def test_checks_alone_are_resumed_as_checks(instance: dg.DagsterInstance) -> None:
    report = report_of(instance, failed_run(instance, "books__collection_self_match", {}, job="books_checks"))
    assert (report.job, report.partitions, report.resume) == ("books_checks", "", "booksearch checks")


def test_a_run_that_died_before_its_first_step(instance: dg.DagsterInstance) -> None:
    run = instance.create_run_for_job(
        DEFS.resolve_job_def("books"), tags=range_tags("2015", "2015"), status=dg.DagsterRunStatus.STARTING
    )
    instance.report_run_failed(run, "Run timed out due to taking longer than 300 seconds to start.")
    entries = instance.all_logs(run.run_id, of_type=TOLD)
    report = failure_report(run, [entry.dagster_event for entry in entries if entry.dagster_event])
    assert report.error == "Run timed out due to taking longer than 300 seconds to start."
    assert report.notice().subject == "books failed: before its first step (2015)"
    assert report.resume == "booksearch materialize --years 2015"


@pytest.mark.parametrize("step", ["books__editions", "books__cover_images", "books__collection_self_match"])
def test_the_real_command_line_takes_the_command(instance: dg.DagsterInstance, step: str) -> None:
    words = shlex.split(report_of(instance, failed_run(instance, step)).resume)
    assert words[:2] == ["booksearch", "materialize"]
    with materialize.make_context("materialize", words[2:]) as context:
        assert parse_partitions(context.params["partitions"]) == ("2014", "2018")
        select_assets(build_defs(Settings.from_environment({})), context.params["assets"])


@pytest.fixture
def sensor() -> dg.SensorDefinition:
    return build_run_failure_sensor(dg.DefaultSensorStatus.STOPPED)


def tick(
    instance: dg.DagsterInstance, sensor: dg.SensorDefinition, notifier: NotifierResource, cursor: str | None
) -> SensorExecutionData:
    with dg.build_sensor_context(
        instance=instance, cursor=cursor, definitions=DEFS, resources={"notifier": notifier}
    ) as context:
        return sensor.evaluate_tick(context)


def test_a_tick_tells_everyone_once(instance: dg.DagsterInstance, sensor: dg.SensorDefinition) -> None:
    with mail_server() as mails, webhook() as posts:
        notifier = NotifierResource(
            webhook=f"{posts.url}/{SECRET}",
            recipients=["a@example.org"],
            smtp_url=f"smtp://me:{SECRET}right@127.0.0.1:{mails.port}?starttls=off",
        )
        first = tick(instance, sensor, notifier, None)
        result = failed_run(instance, "books__cover_images")
        second = tick(instance, sensor, notifier, first.cursor)
        third = tick(instance, sensor, notifier, second.cursor)
    ((_, post),), (mail,) = posts.posts, mails.mails
    assert post["details"]["run_id"] == result.run_id
    assert "resume: booksearch materialize" in post["text"]
    assert "first cause: ConnectionRefusedError" in mail.text
    assert [reaction.error for reaction in second.dagster_run_reactions] == [None]
    assert not third.dagster_run_reactions


def test_a_dead_webhook_loses_nothing_and_gives_nothing_away(
    instance: dg.DagsterInstance, sensor: dg.SensorDefinition, capfd: pytest.CaptureFixture[str]
) -> None:
    notifier = NotifierResource(webhook=f"http://127.0.0.1:1/{SECRET}\x7f")
    first = tick(instance, sensor, notifier, None)
    result = failed_run(instance, "books__cover_images")
    answer = tick(instance, sensor, notifier, first.cursor)
    (reaction,) = answer.dagster_run_reactions
    assert "the webhook did not take the notice" in reaction.error.message
    assert not tick(instance, sensor, notifier, answer.cursor).dagster_run_reactions
    logged = capfd.readouterr().err
    assert f"run: {result.run_id}" in logged
    assert SECRET not in reaction.error.to_string() + logged
