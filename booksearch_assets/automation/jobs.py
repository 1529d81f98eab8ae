"""Jobs: the selections that people, schedules and sensors run, and the request for a whole rebuild.

Belongs here: asset jobs and the shape of a run of one. Does not: when they run (schedules and sensors).
"""

from __future__ import annotations

from datetime import timedelta

import dagster as dg

from booksearch_assets.assets.raw_dump import raw_dump
from booksearch_assets.automation.partitions import whole_range_tags
from booksearch_assets.openlibrary.dump_site import LATEST

DUMP_DATE_TAG = "booksearch/dump_date"
"""The tag of a run that is to process the dump of this date."""

MAX_RUNTIME = timedelta(days=2)
"""A first rebuild asks for covers for up to a day, at the rate that the covers service allows."""


def catalogue_job(name: str) -> dg.UnresolvedAssetJobDefinition:
    """Everything of a catalogue, from its source to its measured search."""
    return dg.define_asset_job(
        name,
        selection=dg.AssetSelection.groups(name),
        description=f"The whole {name}/ graph, with its checks.",
    )


def checks_job(name: str) -> dg.UnresolvedAssetJobDefinition:
    """The checks of a catalogue alone, on what is committed: for CI, and after a change of rules."""
    return dg.define_asset_job(
        f"{name}_checks",
        selection=dg.AssetSelection.all_asset_checks() & dg.AssetSelection.groups(name),
        description=f"Every check of {name}/, nothing materialised.",
    )


def rebuild_request(partitions: dg.PartitionsDefinition, date: str = LATEST) -> dg.RunRequest:
    """One run of a catalogue's job over all partitions, from the dump of `date` ("YYYY-MM-DD" or "latest").

    It has no run key: Dagster never launches a key again, even where the run that had it failed or was deleted.
    """
    tags = whole_range_tags(partitions) | {
        # Where a machine dies with its run, nothing else ends the run, and everything would wait for it for ever.
        dg.MAX_RUNTIME_SECONDS_TAG: str(int(MAX_RUNTIME.total_seconds())),
    }
    if date != LATEST:
        tags[DUMP_DATE_TAG] = date
    return dg.RunRequest(
        run_config={"ops": {raw_dump.op.name: {"config": {"date": date}}}},
        tags=tags,
    )
