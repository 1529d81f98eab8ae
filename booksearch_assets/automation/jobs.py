"""Jobs: the selections that people and schedules run.

Belongs here: asset jobs. Does not: when they run (schedules and sensors).
"""

from __future__ import annotations

import dagster as dg


def catalogue_job(name: str) -> dg.UnresolvedAssetJobDefinition:
    """Everything of a catalogue, from its source to its measured search."""
    return dg.define_asset_job(
        name,
        selection=dg.AssetSelection.groups(name),
        description=f"The whole {name}/ graph, with its checks.",
    )


def checks_job() -> dg.UnresolvedAssetJobDefinition:
    """The checks alone, on what is committed: for CI, and after a change of rules."""
    return dg.define_asset_job(
        "checks",
        selection=dg.AssetSelection.all_asset_checks(),
        description="Every asset check, nothing materialised.",
    )
