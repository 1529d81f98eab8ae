"""The schedule `monthly_rebuild`: the newest dump, processed once a month whatever the sensor does.

Belongs here: when, and when not. Does not: the run (`automation.jobs`).
"""

import dagster as dg

from booksearch_assets.assets.catalogue import Catalogue
from booksearch_assets.automation.dump_evidence import unfinished_run
from booksearch_assets.automation.jobs import rebuild_request

# Dumps are made in the first days of a month, and take days to arrive whole.
_CRON = "0 4 15 * *"


def build_monthly_rebuild(catalogue: Catalogue, status: dg.DefaultScheduleStatus) -> dg.ScheduleDefinition:
    """The schedule of a catalogue that is made from Open Library's dumps; it launches the catalogue's job."""

    @dg.schedule(
        name="monthly_rebuild",
        job_name=catalogue.name,
        cron_schedule=_CRON,
        execution_timezone="UTC",
        default_status=status,
        description="Rebuilds all years from the newest dump, for the case that new_dump is off. "
        "A dump that has been processed costs little: only what changed is fetched and embedded.",
    )
    def monthly_rebuild(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        busy = unfinished_run(context.instance, catalogue)
        if busy:
            return dg.SkipReason(
                f"run {busy.run_id} of {catalogue.name} is {busy.status.value.lower()}; rebuilds again next month, "
                "and new_dump after that run"
            )
        return rebuild_request(catalogue.partitions)

    return monthly_rebuild
