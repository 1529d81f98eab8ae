"""`products/raw_listings`: every listing of the release, typed, by the file that it came in.

Belongs here: wiring. Does not: what a listing is (`abo.listings`), parsing a file (`compute.raw_listings`).
"""

import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import dagster as dg
import pyarrow as pa

from booksearch_assets.assets import pictures
from booksearch_assets.assets.progress import Progress, log_progress
from booksearch_assets.assets.rebuild import Rebuild, RebuildConfig, partitions_of
from booksearch_assets.assets.reporting import commit_metadata, definition_metadata
from booksearch_assets.automation.partitions import IN_ONE_RUN, LISTING_FILE, POOL_PRODUCT_RELEASE
from booksearch_assets.resources.lake import LakeResource
from booksearch_assets.resources.product_release import ProductReleaseResource
from booksearch_assets.tables.fingerprint import recipe
from booksearch_assets.tables.products import LISTINGS_QUARANTINE, RAW_LISTINGS

if TYPE_CHECKING:
    from booksearch_assets.compute.download import DownloadProgress

CODE_VERSION = "1"
"""Raised when the same files give other rows."""

_SHOWN_TYPES = 15


class RawListingsConfig(RebuildConfig):
    """Whether listing files are parsed again."""


def build_raw_listings(partitions: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    @dg.asset(
        key=RAW_LISTINGS.name.split("/"),
        partitions_def=partitions,
        backfill_policy=IN_ONE_RUN,
        code_version=CODE_VERSION,
        group_name="products",
        kinds={"python", "parquet"},
        pool=POOL_PRODUCT_RELEASE,
        metadata=definition_metadata(RAW_LISTINGS),
        description=RAW_LISTINGS.description,
    )
    def raw_listings(
        context: dg.AssetExecutionContext,
        config: RawListingsConfig,
        lake: LakeResource,
        product_release: ProductReleaseResource,
    ) -> dg.MaterializeResult:
        from booksearch_assets.compute.raw_listings import parse_listing_file

        store, progress = lake.open(), log_progress(context)
        with product_release.reachable():
            files = {
                p: product_release.file(f"listings/metadata/{p}.json.gz", _told(progress, p))
                for p in partitions_of(context)
            }
        recipes = {p: recipe([], {"sha256": file.sha256, "code": CODE_VERSION}) for p, file in files.items()}
        rebuild = Rebuild(context, store, RAW_LISTINGS, recipes, recipes if config.again else ())
        kept, dropped = (
            store.begin(table.name, partitioned_by=LISTING_FILE)
            for table in (RAW_LISTINGS, LISTINGS_QUARANTINE)
        )
        for done, partition in enumerate(rebuild.partitions, start=1):
            started = time.monotonic()
            listings, quarantined, counts = parse_listing_file(files[partition].path)
            kept.write(listings, RAW_LISTINGS.schema, partition)
            dropped.write(quarantined, LISTINGS_QUARANTINE.schema, partition)
            dropped.commit(partition, contract=LISTINGS_QUARANTINE)
            commit = kept.commit(
                partition,
                counts=counts,
                facts={"source": product_release.source, "file": files[partition].address},
                recipe=recipes[partition],
                contract=RAW_LISTINGS,
            )
            drawn = {"product_types": pictures.bars(_types(listings), "listings")}
            rebuild.record(
                commit, commit_metadata(store, RAW_LISTINGS, commit, time.monotonic() - started, drawn)
            )
            progress("listing files", done, len(rebuild.partitions))
        return rebuild.finished()

    return raw_listings


def _told(progress: Progress, partition: str) -> "Callable[[DownloadProgress], None]":
    return lambda done: progress(f"bytes of {partition}", done.received, done.total)


def _types(listings: pa.Table) -> dict[str, float]:
    """The most frequent product types, and in how many listings they are."""
    counts: dict[str, float] = {}
    for types in listings["product_types"].to_pylist():
        for name in types:
            counts[name.lower()] = counts.get(name.lower(), 0) + 1
    return dict(sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))[:_SHOWN_TYPES])
