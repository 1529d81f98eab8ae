"""The images asset of a catalogue (`books/cover_images`): original bytes once for each cover id.

Belongs here: wiring. Does not: HTTP and politeness (`compute.fetch`).
"""

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

import dagster as dg
import pyarrow as pa
from pydantic import Field

from booksearch_assets.assets import pictures
from booksearch_assets.assets.catalogue import Catalogue
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
from booksearch_assets.automation.partitions import BY_YEAR, POOL_OPEN_LIBRARY
from booksearch_assets.resources.lake import LakeResource
from booksearch_assets.resources.open_library import OpenLibraryResource
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

    @dg.asset(
        key=catalogue.key_of(table),
        deps=[catalogue.key_of(catalogue.urls)],
        partitions_def=catalogue.partitions,
        backfill_policy=BY_YEAR,
        code_version=CODE_VERSION,
        automation_condition=follow_changes(),
        group_name=catalogue.name,
        kinds={"aiohttp", "parquet"},
        pool=POOL_OPEN_LIBRARY,
        metadata=definition_metadata(table),
        description=table.description,
    )
    def images(
        context: dg.AssetExecutionContext,
        config: ImagesConfig,
        lake: LakeResource,
        open_library: OpenLibraryResource,
    ) -> dg.MaterializeResult:
        from booksearch_assets.compute.cover_embeddings import covers_cache
        from booksearch_assets.compute.fetch import (
            FetchReport,
            cover_images,
            fetch_missing,
            fetched_images,
        )

        store = lake.open()
        urls = {p: store.resolve(catalogue.urls.name, p) for p in partitions_of(context)}
        settings = {"source": open_library.source, "code": CODE_VERSION}
        recipes = {p: recipe([commit], settings) for p, commit in urls.items()}
        again = [p for p in urls if config.again or _is_unsettled(store.current(table.name, p))]
        rebuild = Rebuild(context, store, table, recipes, again)
        if not rebuild.partitions:
            return rebuild.finished()
        wanted = {p: store.read(catalogue.urls, p, ["cover_id", "url"]) for p in rebuild.partitions}
        cache = covers_cache(store.root, open_library.source)

        def commit_partitions(report: FetchReport, whole: bool) -> None:
            pending, fetched = store.begin(table.name), fetched_images(cache)
            for partition in rebuild.partitions:
                rows = cover_images(wanted[partition], fetched)
                if len(rows) < len(wanted[partition]) and not whole:
                    continue
                pending.write(rows, table.schema, partition)
                statuses = Counter(rows["status"].to_pylist())
                commit = pending.commit(
                    partition,
                    counts=Counts(rows_in=len(wanted[partition]), rows_out=len(rows)),
                    inputs=inputs_of(urls[partition]),
                    facts={"statuses": dict(statuses), "source": open_library.source},
                    recipe=recipes[partition],
                    contract=table,
                )
                drawn = {"covers": _cover_sheet(cache, rows)}
                shown = commit_metadata(store, table, commit, report.seconds, drawn)
                rebuild.record(commit, shown | _fetch_metadata(rows, statuses, report))

        report, whole = FetchReport(0, 0, 0, {}, 0.0, 0), False
        try:
            with open_library.reachable():
                report = fetch_missing(
                    pa.concat_tables(wanted.values()),
                    cache,
                    open_library.fetch_policy(),
                    shard_rows=config.shard_rows,
                    on_progress=_progress(context),
                )
            whole = True
        finally:
            # Every cover that was settled is in the cache: years that have all of theirs stay finished.
            commit_partitions(report, whole)
        context.log.info(
            "%d covers fetched with %d requests, %d were in the cache",
            report.fetched,
            report.requests,
            report.reused,
        )
        return rebuild.finished()

    return images


def _is_unsettled(commit: Commit | None) -> bool:
    """Whether covers ended on an error that another run may mend: then it runs, though its inputs are the same."""
    from booksearch_assets.compute.fetch import RETRYABLE

    statuses = commit.facts.get("statuses", {}) if commit else {}
    return any(statuses.get(status.value) for status in RETRYABLE)


def _fetch_metadata(rows: pa.Table, statuses: Counter[str], report: "FetchReport") -> Metadata:
    table = markdown_table(["status", "covers"], [[k, str(v)] for k, v in statuses.most_common()])
    return {
        "statuses": dg.MetadataValue.md(table),
        "cached_bytes": sum(rows["size"].drop_null().to_pylist()),
        "requests_in_this_run": report.requests,
        "fetched_bytes_in_this_run": report.bytes,
    }


def _progress(context: dg.AssetExecutionContext) -> "Callable[[FetchProgress], None]":
    report = log_progress(context)
    return lambda done: report(
        f"covers {dict(done.by_status)}" if done.settled == done.total else "covers", done.settled, done.total
    )


def _cover_sheet(cache: ShardStore, rows: pa.Table) -> str:
    from booksearch_assets.search.contact_sheet import contact_sheet

    shown = rows.filter(pa.compute.equal(rows["status"], "ok")).slice(0, _SHEET)
    covers = [row for part in cache.read_keys(shown, ["cover_id", "content"]) for row in part.to_pylist()]
    return pictures.sheet(
        contact_sheet([(row["content"], [str(row["cover_id"])]) for row in covers]), width=480
    )
