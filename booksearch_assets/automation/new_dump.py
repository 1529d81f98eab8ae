"""The sensor `new_dump`: finds a new Open Library dump and launches the rebuild from it.

Belongs here: the order in which a tick asks and what it answers. Does not: what is asked (`automation.dump_evidence`)
and what follows (`automation.dump_decision`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import dagster as dg

from booksearch_assets.assets.catalogue import Catalogue
from booksearch_assets.automation.dump_decision import Memory, Outcome, decide
from booksearch_assets.automation.dump_evidence import attempts_at, held, newest_complete, unfinished_run
from booksearch_assets.automation.jobs import rebuild_request
from booksearch_assets.openlibrary.dump_site import DumpSiteError
from booksearch_assets.resources.lake import LakeResource
from booksearch_assets.resources.open_library import OpenLibraryResource

# A tick that does not end within a minute is abandoned; the next one asks again anyway.
_TIMEOUT_SECONDS, _ATTEMPTS = 10.0, 1


@dataclass(frozen=True)
class Pace:
    """How often the site is asked, and the pauses after the first, second, ... failed run."""

    interval: timedelta
    waits: tuple[timedelta, ...]


MONTHLY_DUMPS = Pace(timedelta(hours=6), (timedelta(hours=6), timedelta(hours=24)))
"""For the real service, whose dumps come monthly: three attempts within two days."""

SAMPLE_DUMPS = Pace(timedelta(minutes=1), (timedelta(minutes=1), timedelta(minutes=5)))
"""For the sample world, whose rebuilds take a minute."""


def build_new_dump_sensor(
    catalogue: Catalogue, pace: Pace, status: dg.DefaultSensorStatus
) -> dg.SensorDefinition:
    """The sensor of a catalogue that is made from Open Library's dumps; it launches the catalogue's job."""

    @dg.sensor(
        name="new_dump",
        job_name=catalogue.name,
        minimum_interval_seconds=int(pace.interval.total_seconds()),
        default_status=status,
        description="Rebuilds all years when the dump site has a new dump that is complete.",
    )
    def new_dump(
        context: dg.SensorEvaluationContext, lake: LakeResource, open_library: OpenLibraryResource
    ) -> dg.SensorResult:
        # Asked first: the sample world's site may live for this tick only, and a run must not come to depend on it.
        busy = unfinished_run(context.instance, catalogue)
        if busy:
            return _skip(
                f"run {busy.run_id} of {catalogue.name} is {busy.status.value.lower()}; looks again after it. "
                "If its process has died, terminate it in the UI."
            )
        try:
            with open_library.reachable():
                offer = newest_complete(open_library.dump_site(_TIMEOUT_SECONDS, _ATTEMPTS))
        except (DumpSiteError, OSError) as error:
            return _skip(f"the dump site cannot be asked: {error}. The next tick asks again.")
        memory = _remembered(context)
        objections = _objections(offer.objections)
        if offer.newest and offer.newest != offer.date:
            memory = memory.noting(offer.newest, Outcome.INCOMPLETE)
        if offer.date is None:
            return _skip(f"no dump is complete.{objections}", memory)
        decision = decide(
            offer.date,
            held(lake.open(), catalogue),
            attempts_at(context.instance, offer.date),
            memory,
            datetime.now(UTC),
            pace.waits,
        )
        memory = memory.noting(decision.date, decision.outcome)
        if decision.outcome is not Outcome.LAUNCHED:
            return _skip(f"{decision.reason}.{objections}", memory)
        context.log.info(f"{decision.reason}.{objections}")
        request = rebuild_request(catalogue.partitions, offer.date)
        return dg.SensorResult(run_requests=[request], cursor=memory.to_json())

    return new_dump


def _skip(reason: str, memory: Memory | None = None) -> dg.SensorResult:
    return dg.SensorResult(skip_reason=reason, cursor=memory.to_json() if memory else None)


def _objections(objections: Sequence[str]) -> str:
    if not objections:
        return ""
    return f" A dump is taken when every kind is there and whole: {'; '.join(objections)}. The next tick looks again."


def _remembered(context: dg.SensorEvaluationContext) -> Memory:
    """The cursor, or an empty one: everything that matters is found again without it."""
    if not context.cursor:
        return Memory()
    try:
        return Memory.from_json(context.cursor)
    except ValueError as error:
        context.log.warning(f"the cursor of new_dump cannot be read and is made anew: {error}")
        return Memory()
