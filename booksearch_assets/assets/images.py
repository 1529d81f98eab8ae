"""The images asset of a catalogue (`books/cover_images`, `products/images`): original bytes once for each picture.

Belongs here: wiring. Does not: HTTP and politeness (`compute.fetch`).
"""

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

import dagster as dg
import pyarrow as pa
from pydantic import Field

from booksearch_assets.assets.catalogue import Catalogue
from booksearch_assets.assets.pictures import sheet
from booksearch_assets.assets.progress import log_progress
from booksearch_assets.assets.rebuild import Rebuild, RebuildConfig, partitions_of
from booksearch_assets.assets.reporting import (
    Metadata,
    commit_metadata,
    definition_metadata,
    inputs_of,
    markdown_table,
)
from booksearch_assets.automation.conditions import follow_changes
from booksearch_assets.automation.partitions import IN_ONE_RUN
from booksearch_assets.resources.lake import LakeResource
from booksearch_assets.resources.pictures import PictureServicesResource
from booksearch_assets.tables.commit import Commit
from booksearch_assets.tables.counts import Counts
from booksearch_assets.tables.fingerprint import recipe
from booksearch_assets.tables.shards import ShardStore

if TYPE_CHECKING:
    from booksearch_assets.compute.fetch import FetchProgress, FetchReport

CODE_VERSION = "1"
"""Raised when the same URLs and answers give other rows."""

_SHEET = 10


class ImagesConfig(RebuildConfig):
    """How images are fetched."""

    shard_rows: int = Field(
        default=256,
        ge=1,
        description="Images in one shard of the cache: what a killed run fetches again. Lower it on a slow service.",
    )


def build_images(catalogue: Catalogue) -> dg.AssetsDefinition:
    table = catalogue.images
    key, noun = catalogue.pictures.key.name, catalogue.pictures.noun

    @dg.asset(
        key=catalogue.key_of(table),
        deps=[catalogue.key_of(catalogue.urls)],
        partitions_def=catalogue.partitions,
        backfill_policy=IN_ONE_RUN,
        code_version=CODE_VERSION,
        automation_condition=follow_changes(),
        group_name=catalogue.name,
        kinds={"aiohttp", "parquet"},
        pool=catalogue.fetch_pool,
        metadata=definition_metadata(table),
        description=table.description,
    )
    def images(
        context: dg.AssetExecutionContext,
        config: ImagesConfig,
        lake: LakeResource,
        pictures: PictureServicesResource,
    ) -> dg.MaterializeResult:
        from booksearch_assets.compute.fetch import (
            FetchReport,
            fetch_missing,
            fetched_images,
            wanted_images,
        )

        store, service = lake.open(), pictures.of(catalogue.name)
        urls = {p: store.resolve(catalogue.urls.name, p) for p in partitions_of(context)}
        settings = {"source": service.source, "code": CODE_VERSION}
        recipes = {p: recipe([commit], settings) for p, commit in urls.items()}
        again = [p for p in urls if config.again or _is_unsettled(store.current(table.name, p))]
        rebuild = Rebuild(context, store, table, recipes, again)
        if not rebuild.partitions:
            return rebuild.finished()
        wanted = {p: store.read(catalogue.urls, p, [key, "url"]) for p in rebuild.partitions}
        cache = catalogue.pictures.bytes_cache(store.root, service.source)

        def commit_partitions(report: FetchReport, whole: bool) -> None:
            pending = store.begin(table.name, partitioned_by=catalogue.partitioned_by)
            fetched = fetched_images(cache, table)
            for partition in rebuild.partitions:
                rows = wanted_images(wanted[partition], fetched, key)
                if len(rows) < len(wanted[partition]) and not whole:
                    continue
                pending.write(rows, table.schema, partition)
                statuses = Counter(rows["status"].to_pylist())
                commit = pending.commit(
                    partition,
                    counts=Counts(rows_in=len(wanted[partition]), rows_out=len(rows)),
                    inputs=inputs_of(urls[partition]),
                    facts={"statuses": dict(statuses), "source": service.source},
                    recipe=recipes[partition],
                    contract=table,
                )
                drawn = {noun: _shown(cache, rows, key)}
                shown = commit_metadata(store, table, commit, report.seconds, drawn)
                rebuild.record(commit, shown | _fetch_metadata(rows, statuses, report, noun))

        report, whole = FetchReport(0, 0, 0, {}, 0.0, 0), False
        try:
            with service.reachable():
                report = fetch_missing(
                    pa.concat_tables(wanted.values()),
                    cache,
                    service.fetch_policy(),
                    shard_rows=config.shard_rows,
                    on_progress=_progress(context, noun),
                )
            whole = True
        finally:
            # Every picture that was settled is in the cache: years that have all of theirs stay finished.
            commit_partitions(report, whole)
        context.log.info(
            "%d %s fetched with %d requests, %d were in the cache",
            report.fetched,
            noun,
            report.requests,
            report.reused,
        )
        return rebuild.finished()

    return images


def _is_unsettled(commit: Commit | None) -> bool:
    """Whether pictures ended on an error that another run may mend: then it runs, though its inputs are the same."""
    from booksearch_assets.compute.fetch import RETRYABLE

    statuses = commit.facts.get("statuses", {}) if commit else {}
    return any(statuses.get(status.value) for status in RETRYABLE)


def _fetch_metadata(rows: pa.Table, statuses: Counter[str], report: "FetchReport", noun: str) -> Metadata:
    table = markdown_table(["status", noun], [[k, str(v)] for k, v in statuses.most_common()])
    return {
        "statuses": dg.MetadataValue.md(table),
        "cached_bytes": sum(rows["size"].drop_null().to_pylist()),
        "requests_in_this_run": report.requests,
        "fetched_bytes_in_this_run": report.bytes,
    }


def _progress(context: dg.AssetExecutionContext, noun: str) -> "Callable[[FetchProgress], None]":
    report = log_progress(context)
    return lambda done: report(
        f"{noun} {dict(done.by_status)}" if done.settled == done.total else noun, done.settled, done.total
    )


def _shown(cache: ShardStore, rows: pa.Table, key: str) -> str:
    from booksearch_assets.search.contact_sheet import contact_sheet

    shown = rows.filter(pa.compute.equal(rows["status"], "ok")).slice(0, _SHEET)
    shown_rows = [row for part in cache.read_keys(shown, [key, "content"]) for row in part.to_pylist()]
    return sheet(contact_sheet([(row["content"], [str(row[key])]) for row in shown_rows]), width=480)
