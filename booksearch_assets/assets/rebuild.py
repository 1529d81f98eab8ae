"""Rebuilding only what changed: which partitions a run makes again, and recording each as soon as it is there.

Dagster gives all partitions of one run the same data version, and records them when the whole step has ended. Here a
partition is recorded when it is committed, with the data version of its own rows: what is downstream of a year whose
rows came out the same is left alone, and a year that was finished before a failure stays finished.

Belongs here: that bookkeeping. Does not: how rows are made (`compute`), hashing them (`tables.fingerprint`).
"""

from collections.abc import Collection, Mapping, Sequence

import dagster as dg
from pydantic import Field

from booksearch_assets.assets.reporting import Metadata, counts_metadata
from booksearch_assets.tables.commit import Commit
from booksearch_assets.tables.contract import Table
from booksearch_assets.tables.fingerprint import rows_fingerprint
from booksearch_assets.tables.lake import Lake, LakeError

# Dagster's own mark of an output whose events were logged in the body; with it, it adds none of its own for the range.
_EVENTS_ARE_LOGGED = "__source_asset_observation__"


class RebuildConfig(dg.Config):
    """What every asset that rebuilds only what changed can be told."""

    again: bool = Field(
        default=False,
        description="Make the rows again even where inputs and settings are those of the last version.",
    )


class Rebuild:
    """One run of a partitioned asset over some partitions; `recipes` says what each is made from today.

    `partitions`, and their `recipes`, are those to make: the inputs or settings changed, what is committed is not what it was, or they are
    among `again`.
    """

    def __init__(
        self,
        context: dg.AssetExecutionContext,
        lake: Lake,
        table: Table,
        recipes: Mapping[str, str],
        again: Collection[str] = (),
    ) -> None:
        self._context = context
        self._code_version = context.assets_def.code_versions_by_key.get(context.asset_key) or ""
        self._before = {partition: lake.current(table.name, partition) for partition in recipes}
        same = {
            partition: commit
            for partition, commit in self._before.items()
            if partition not in again and commit and is_unchanged(lake, table, commit, recipes[partition])
        }
        for commit in same.values():
            self._log(commit, unchanged_metadata(commit))
        self.recipes = {p: made_from for p, made_from in recipes.items() if p not in same}
        self.partitions = list(self.recipes)
        if same:
            context.log.info("unchanged, and left alone: %s", ", ".join(same))

    def record(self, commit: Commit, metadata: Metadata) -> None:
        """Tell Dagster that a partition is committed."""
        before = self._before[commit.partition]
        identical = before is not None and before.data_version == commit.data_version
        self._log(commit, {"rows_changed": not identical} | metadata)

    def finished(self) -> dg.MaterializeResult:
        """What the asset returns: every partition is recorded already."""
        return dg.MaterializeResult(metadata={_EVENTS_ARE_LOGGED: True})

    def _log(self, commit: Commit, metadata: Metadata) -> None:
        self._context.log_event(
            dg.AssetMaterialization(
                self._context.asset_key,
                partition=commit.partition,
                metadata=metadata,
                tags={
                    "dagster/data_version": commit.data_version,
                    "dagster/data_version_is_user_provided": "true",
                    "dagster/code_version": self._code_version,
                },
            )
        )


def is_unchanged(lake: Lake, table: Table, commit: Commit, recipe: str) -> bool:
    """Whether a commit was made by this recipe, and its rows are still those that were committed.

    A file may have been lost or damaged since: making the rows again must then be what mends it.
    """
    if commit.recipe != recipe:
        return False
    try:
        rows = lake.dataset([commit], table.schema).to_table(columns=table.content_names)
    except (LakeError, OSError, ValueError):
        return False
    return rows_fingerprint(rows, table) == commit.data_version


def unchanged_metadata(commit: Commit) -> Metadata:
    """What a materialisation shows that made nothing, and why it did not."""
    metadata: Metadata = {
        "unchanged": True,
        "why": f"made from the same inputs, settings and code as version {commit.version}",
        "dagster/row_count": commit.rows,
        "dagster/uri": commit.path,
        "bytes": commit.size,
        "version": commit.version,
        "inputs": dg.MetadataValue.json(commit.inputs),
    }
    return metadata | (counts_metadata(commit.counts) if commit.counts else {})


def partitions_of(context: dg.AssetExecutionContext) -> Sequence[str]:
    """The partitions of this run, in order: Dagster gives those of a range as a set."""
    return sorted(context.partition_keys)
