"""The images asset of a catalogue (`books/cover_images`): original bytes once for each cover id.

Belongs here: wiring. Does not: HTTP and politeness (`compute.fetch`).
"""

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

import dagster as dg
import pyarrow as pa

from booksearch_assets.assets import pictures
from booksearch_assets.assets.catalogue import Catalogue
from booksearch_assets.assets.progress import log_progress
from booksearch_assets.assets.reporting import (
    commit_metadata,
    definition_metadata,
    inputs_of,
    markdown_table,
    record_partitions,
)
from booksearch_assets.automation.partitions import BY_YEAR, POOL_OPEN_LIBRARY
from booksearch_assets.resources.lake import LakeResource
from booksearch_assets.resources.open_library import OpenLibraryResource
from booksearch_assets.tables.counts import Counts
from booksearch_assets.tables.shards import ShardStore

if TYPE_CHECKING:
    from booksearch_assets.compute.fetch import FetchProgress

_SHEET = 10


def build_images(catalogue: Catalogue) -> dg.AssetsDefinition:
    table = catalogue.images

    @dg.asset(
        key=catalogue.key_of(table),
        deps=[catalogue.key_of(catalogue.urls)],
        partitions_def=catalogue.partitions,
        backfill_policy=BY_YEAR,
        group_name=catalogue.name,
        kinds={"aiohttp", "parquet"},
        pool=POOL_OPEN_LIBRARY,
        metadata=definition_metadata(table),
        description=table.description,
    )
    def images(
        context: dg.AssetExecutionContext, lake: LakeResource, open_library: OpenLibraryResource
    ) -> None:
        from booksearch_assets.compute.cover_embeddings import covers_cache
        from booksearch_assets.compute.fetch import cover_images, fetch_missing

        store = lake.open()
        partitions = list(context.partition_keys)
        urls = {partition: store.resolve(catalogue.urls.name, partition) for partition in partitions}
        wanted = {
            partition: store.read(catalogue.urls, partition, ["cover_id", "url"]) for partition in partitions
        }
        cache = covers_cache(store.root, open_library.source)
        with open_library.reachable():
            report = fetch_missing(
                pa.concat_tables(wanted.values()),
                cache,
                open_library.fetch_policy(),
                on_progress=_progress(context),
            )
        context.log.info(
            "%d covers fetched with %d requests, %d were in the cache",
            report.fetched,
            report.requests,
            report.reused,
        )
        pending = store.begin(table.name)
        metadata = {}
        for partition in partitions:
            rows = cover_images(wanted[partition], cache)
            pending.write(rows, table.schema, partition)
            statuses = Counter(rows["status"].to_pylist())
            counts = Counts(rows_in=len(wanted[partition]), rows_out=len(rows))
            commit = pending.commit(
                partition,
                counts=counts,
                inputs=inputs_of(urls[partition]),
                facts={"statuses": dict(statuses), "source": open_library.source},
            )
            metadata[partition] = commit_metadata(
                store, table, commit, report.seconds, {"covers": _cover_sheet(cache, rows)}
            ) | {
                "statuses": dg.MetadataValue.md(
                    markdown_table(["status", "covers"], [[k, str(v)] for k, v in statuses.most_common()])
                ),
                "cached_bytes": sum(rows["size"].drop_null().to_pylist()),
                "requests_in_this_run": report.requests,
                "fetched_bytes_in_this_run": report.bytes,
            }
        record_partitions(context, metadata)

    return images


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
