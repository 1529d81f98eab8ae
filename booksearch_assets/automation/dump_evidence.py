"""What is known of dumps: what the site offers, what the lake holds, which runs were to process one.

Belongs here: asking these three. Does not: what follows from it (`automation.dump_decision`).
"""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg

from booksearch_assets.assets.catalogue import Catalogue
from booksearch_assets.assets.raw_dump import KINDS, dump_table
from booksearch_assets.automation.dump_decision import Attempt, Held, Offer
from booksearch_assets.automation.jobs import DUMP_DATE_TAG, MAX_RUNTIME
from booksearch_assets.openlibrary.dump_site import DumpSite, NoSoundDump
from booksearch_assets.search.publications import published_table
from booksearch_assets.tables.commit import Commit
from booksearch_assets.tables.lake import Lake

UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def newest_complete(site: DumpSite) -> Offer:
    """The newest dump of which every kind is there and not cut short, by HEAD requests.

    Raises `DumpSiteError` where the site cannot be asked.
    """
    listed = site.dated()
    try:
        files = site.resolve_together().values()
    except NoSoundDump as error:
        return Offer(None, max(listed, default=None), (str(error),))
    dates = {file.date for file in files}
    newest = max({*listed, *dates})
    objections = tuple(dict.fromkeys(warning for file in files for warning in file.warnings))
    date = min(dates)
    # What is said of the newest dump itself is that it could not be compared with the one before it.
    sound = len(dates) == 1 and not (objections and date == newest)
    return Offer(date if sound else None, newest, objections)


def held(lake: Lake, catalogue: Catalogue) -> Held:
    """The dump that has landed, and the one that every year and the published search are of.

    Years after that of the dump do not count: they may have begun since it was processed.
    """
    landed = _oldest([lake.current(dump_table(kind)) for kind in KINDS])
    if landed is None:
        return Held()
    years = [key for key in catalogue.partitions.get_partition_keys() if key <= landed[:4]]
    commits = [lake.current(catalogue.items.name, year) for year in years]
    return Held(landed, _oldest([*commits, lake.current(published_table(catalogue.name))]))


def _oldest(commits: list[Commit | None]) -> str | None:
    """The oldest dump date of these commits; None where one of them is missing."""
    dates = [str(commit.facts["dump_date"]) for commit in commits if commit]
    return min(dates) if len(dates) == len(commits) else None


def attempts_at(instance: dg.DagsterInstance, date: str) -> list[Attempt]:
    """The runs that were launched for the dump of this date, newest first, each with its retries."""
    attempts: dict[str, Attempt] = {}
    for record in instance.get_run_records(dg.RunsFilter(tags={DUMP_DATE_TAG: date})):
        run = record.dagster_run
        ended = datetime.fromtimestamp(record.end_time, UTC) if record.end_time else record.update_timestamp
        attempts.setdefault(run.root_run_id or run.run_id, Attempt(run.run_id, _status(record), ended))
    return list(attempts.values())


def _status(record: dg.RunRecord) -> dg.DagsterRunStatus:
    """The status of a run; one that was ended for its length has failed, though Dagster mostly says cancelled."""
    status = record.dagster_run.status
    lasted = (record.end_time or 0) - (record.start_time or record.end_time or 0)
    if status is dg.DagsterRunStatus.CANCELED and lasted >= MAX_RUNTIME.total_seconds():
        return dg.DagsterRunStatus.FAILURE
    return status


def unfinished_run(instance: dg.DagsterInstance, catalogue: Catalogue) -> dg.DagsterRun | None:
    """The newest run that has not ended and materialises assets of the catalogue, whoever launched it."""
    runs = instance.get_runs(dg.RunsFilter(statuses=UNFINISHED))
    return next((run for run in runs if _materialises(run, catalogue.name)), None)


def _materialises(run: dg.DagsterRun, catalogue: str) -> bool:
    return run.job_name == catalogue or any(key.path[0] == catalogue for key in run.asset_selection or ())
