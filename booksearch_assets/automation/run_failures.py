"""The sensor `run_failures`: tells people of every run that failed, with the first cause and the way on.

Belongs here: what is told of a failed run. Does not: how it is delivered (`resources.notifier`).
"""

import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import dagster as dg

from booksearch_assets.assets.filtered_fiction import FilterConfig
from booksearch_assets.automation.partitions import RANGE_END, RANGE_START
from booksearch_assets.resources.notifier import Notice, NotifierResource, notify_all
from booksearch_assets.tables.books import FILTERED_FICTION

_PARTITION = "dagster/partition"
_FILTER = FILTERED_FICTION.name.split("/")
_LONGEST_SUBJECT = 120
TOLD = {
    dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED,
    dg.DagsterEventType.ASSET_MATERIALIZATION,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION,
    dg.DagsterEventType.STEP_SUCCESS,
    dg.DagsterEventType.STEP_FAILURE,
    dg.DagsterEventType.RUN_FAILURE,
}
"""The events that a report is made from."""


@dataclass(frozen=True)
class FailureReport:
    """A failed run. `partitions` are those that it was about, `unfinished` those that its failed steps left.

    `error` is what the first failed step raised, `first_cause` the innermost error beneath it.
    """

    run_id: str
    job: str
    steps: tuple[str, ...]
    partitions: str
    unfinished: str
    error: str
    first_cause: str
    resume: str

    def notice(self) -> Notice:
        """The report in words and as fields."""
        where = ", ".join(self.steps) or "before its first step"
        subject = f"{self.job} failed: {where}" + (f" ({self.unfinished})" if self.unfinished else "")
        lines = [subject, self.error]
        if self.first_cause != self.error:
            lines.append(f"first cause: {self.first_cause}")
        lines += [f"resume: {self.resume}", f"run: {self.run_id}"]
        shown = subject if len(subject) <= _LONGEST_SUBJECT else f"{subject[: _LONGEST_SUBJECT - 1]}…"
        return Notice(shown, "\n".join(lines), asdict(self))


def build_run_failure_sensor(status: dg.DefaultSensorStatus) -> dg.SensorDefinition:
    """Every job of this code location is watched, the unnamed one of backfills and automation among them."""

    @dg.run_failure_sensor(
        name="run_failures",
        default_status=status,
        minimum_interval_seconds=30,
        description="Tells people of failed runs: in the log, and by webhook and e-mail where they are configured.",
    )
    def run_failures(context: dg.RunFailureSensorContext, notifier: NotifierResource) -> None:
        entries = context.instance.all_logs(context.dagster_run.run_id, of_type=TOLD)
        events = [entry.dagster_event for entry in entries if entry.dagster_event]
        notify_all(notifier.open(context.log), failure_report(context.dagster_run, events).notice())

    return run_failures


def failure_report(run: dg.DagsterRun, events: Sequence[dg.DagsterEvent]) -> FailureReport:
    """What is to be told of a failed run, from its events of the types `TOLD` in their order."""
    failures = [event for event in events if event.is_step_failure]
    steps = tuple(str(event.step_key) for event in failures)
    error, cause = _errors(failures[0] if failures else _run_failure(events))
    return FailureReport(
        run_id=run.run_id,
        job="assets" if run.job_name.startswith("__") else run.job_name,
        steps=steps,
        partitions=_partitions(run),
        unfinished=_spans(_unfinished(events, steps)) or _partitions(run),
        error=error,
        first_cause=cause,
        resume=_resume(run, events),
    )


def _run_failure(events: Sequence[dg.DagsterEvent]) -> dg.DagsterEvent | None:
    return next((event for event in events if event.is_run_failure), None)


def _errors(failure: dg.DagsterEvent | None) -> tuple[str, str]:
    """What was raised, and the innermost error that it was raised from, each in the form `Kind: message`."""
    if failure is None:
        return ("the run ended without saying why",) * 2
    data = failure.step_failure_data if failure.is_step_failure else failure.job_failure_data
    # A failure that the daemon reports, of a run that never started say, has a message and no data.
    error = data.error if data else None
    if error is None:
        return (failure.message or "no message",) * 2
    if error.cls_name == "DagsterExecutionStepExecutionError" and error.cause:
        error = error.cause
    innermost = error
    while innermost.cause:
        innermost = innermost.cause
    return _said(error.cls_name, error.message.strip()), _said(innermost.cls_name, innermost.message.strip())


def _said(kind: str | None, message: str) -> str:
    """The message behind the bare name of its class; of a `dg.Failure`, whose name says nothing, the message alone."""
    qualified, separator, text = message.partition(": ")
    if not separator or not kind or not qualified.endswith(kind):
        return message
    return text if kind == dg.Failure.__name__ else f"{kind}: {text}"


def _partitions(run: dg.DagsterRun) -> str:
    """`2015` or `2015..2019`: what the run is about; empty where it is about everything there is."""
    if _PARTITION in run.tags:
        return run.tags[_PARTITION]
    first, last = run.tags.get(RANGE_START, ""), run.tags.get(RANGE_END, "")
    return first if first == last else f"{first}..{last}"


def _unfinished(events: Sequence[dg.DagsterEvent], steps: Sequence[str]) -> set[str]:
    """The partitions that failed steps were to materialise and did not."""
    failed = [event for event in events if event.step_key in steps]
    planned = {(e.asset_key, e.partition) for e in failed if _is_planned(e) and e.partition}
    done = {(e.asset_key, e.partition) for e in failed if e.is_step_materialization}
    return {str(partition) for _, partition in planned - done}


def _spans(partitions: Iterable[str]) -> str:
    """`2014, 2016..2019`: neighbouring years as one span."""
    spans: list[list[str]] = []
    for partition in sorted(partitions):
        previous = spans[-1][-1] if spans else ""
        if previous.isdecimal() and partition.isdecimal() and int(previous) + 1 == int(partition):
            spans[-1].append(partition)
        else:
            spans.append([partition])
    return ", ".join(span[0] if len(span) == 1 else f"{span[0]}..{span[-1]}" for span in spans)


def _resume(run: dg.DagsterRun, events: Sequence[dg.DagsterEvent]) -> str:
    """The command that does what the run did not: the assets of failed checks, and those not materialised."""
    planned = [event for event in events if _is_planned(event)]
    if not planned:
        catalogue = run.job_name.removesuffix("_checks")
        return "booksearch checks" + ("" if catalogue == "books" else f" --catalogue {catalogue}")
    succeeded = {event.step_key for event in events if event.is_step_success}
    failed = {event.step_key for event in events if event.is_step_failure}
    checks = [e.asset_check_evaluation_data for e in events if _is_evaluation(e) and e.step_key in failed]
    refused = {check.asset_key for check in checks if not check.passed}
    keys = dict.fromkeys(event.asset_key for event in planned if event.asset_key)
    left = {event.asset_key for event in planned if event.step_key not in succeeded} | (refused & set(keys))
    command = ["booksearch", "materialize"]
    if run.asset_selection or left != set(keys) or run.job_name != "books":
        command += [key.to_user_string() for key in keys if key in left]
    if _partitions(run):
        option = "--years" if _partitions(run)[0].isdecimal() else "--partitions"
        command += [option, _partitions(run)]
    profile = _filter_profile(run.run_config)
    if profile != FilterConfig().profile and dg.AssetKey(_FILTER) in left:
        command += ["--filter-profile", profile]
    return shlex.join(command)


def _filter_profile(run_config: Mapping[str, Any]) -> str:
    ops = run_config.get("ops", {})
    return str(ops.get("__".join(_FILTER), {}).get("config", {}).get("profile", FilterConfig().profile))


def _is_planned(event: dg.DagsterEvent) -> bool:
    return event.event_type is dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED


def _is_evaluation(event: dg.DagsterEvent) -> bool:
    return event.event_type is dg.DagsterEventType.ASSET_CHECK_EVALUATION
