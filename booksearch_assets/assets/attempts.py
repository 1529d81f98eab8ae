"""Attempts at one step: which version they fill.

A stage may outlive the process that asked for it, and the next attempt shall ask for the very same: the same
parameters are what a job on EMR Serverless is found again by. So the version that a step fills is named by the run
that the attempts go back to, the step, and what its rows are made from.

Belongs here: that choice. Does not: finding jobs (`emr.reattach`), where versions lie (`tables.lake`).
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import UTC, datetime

import dagster as dg

from booksearch_assets.tables.lake import PENDING_GRACE, Lake, PendingVersion, version_name

_DIGITS = 12


def begin_attempt(
    context: dg.AssetExecutionContext, lake: Lake, table: str, recipes: Mapping[str, str]
) -> PendingVersion:
    """The version for the rows that `recipes` say of each partition: that of the attempt before, if any.

    Another one where a partition of it is committed, which nobody may write to any more, and where the first attempt
    is so long ago that pruning may take its version away.
    """
    run_id = context.run.get_root_run_id() or context.run_id
    record = context.instance.get_run_record_by_id(run_id)
    begun = record.create_timestamp.astimezone(UTC) if record else datetime.now(UTC)
    if datetime.now(UTC) - begun > PENDING_GRACE / 2:
        return lake.begin(table)
    made = json.dumps(
        [run_id, context.get_step_execution_context().step.key, table, dict(recipes)], sort_keys=True
    )
    version = version_name(begun, hashlib.sha256(made.encode()).hexdigest()[:_DIGITS])
    return lake.begin(table, "" if lake.has_committed(table, version, recipes) else version)
