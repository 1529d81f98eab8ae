"""`books/cover_urls`: the covers that the filtered editions want.

Belongs here: wiring. Does not: URL rules (`openlibrary.covers`), the Spark job (`compute.cover_urls`).
"""

import dagster as dg
from pydantic import Field

from booksearch_assets.assets import pictures
from booksearch_assets.assets.raw_dump import dump_table
from booksearch_assets.assets.reporting import (
    commit_metadata,
    definition_metadata,
    inputs_of,
    record_partitions,
)
from booksearch_assets.automation.partitions import BY_YEAR, POOL_SPARK
from booksearch_assets.resources.lake import LakeResource
from booksearch_assets.resources.open_library import OpenLibraryResource
from booksearch_assets.resources.spark import SparkLauncher, SparkTuning
from booksearch_assets.tables.books import COVER_URL_REJECTIONS, COVER_URLS, FILTERED_FICTION
from booksearch_assets.tables.counts import Counts


class CoverUrlsConfig(dg.Config):
    """Which covers are wanted."""

    min_side: int = Field(
        default=32, ge=1, description="Covers with a shorter side, in pixels, are left out: blanks and icons."
    )
    tuning: SparkTuning = SparkTuning()


def build_cover_urls(partitions: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    @dg.asset(
        key=COVER_URLS.name.split("/"),
        deps=[
            dg.AssetKey(FILTERED_FICTION.name.split("/")),
            dg.AssetKey(["books", "raw_dump", "covers_metadata"]),
        ],
        partitions_def=partitions,
        backfill_policy=BY_YEAR,
        group_name="books",
        kinds={"spark", "parquet"},
        pool=POOL_SPARK,
        metadata=definition_metadata(COVER_URLS),
        description=COVER_URLS.description,
    )
    def cover_urls(
        context: dg.AssetExecutionContext,
        config: CoverUrlsConfig,
        lake: LakeResource,
        spark: dg.ResourceParam[SparkLauncher],
        open_library: OpenLibraryResource,
    ) -> None:
        from booksearch_assets.compute.cover_urls import CoverUrlsParams

        store = lake.open()
        years = list(context.partition_keys)
        fiction = {year: store.resolve(FILTERED_FICTION.name, year) for year in years}
        sizes = store.resolve(dump_table("covers_metadata"))
        kept, dropped = store.begin(COVER_URLS.name), store.begin(COVER_URL_REJECTIONS.name)
        params = CoverUrlsParams(
            filtered={year: commit.path for year, commit in fiction.items() if commit.rows},
            covers_metadata=[f"{sizes.path}/{chunk['name']}" for chunk in sizes.facts["chunks"]],
            base_url=open_library.covers_url,
            min_side=config.min_side,
            output=kept.path,
        )
        report = spark.run(
            "cover_urls",
            params,
            config.tuning,
            sum(commit.size for commit in fiction.values()) + sizes.facts["raw_bytes"],
        )
        metadata = {}
        for year in years:
            inputs = inputs_of(fiction[year], sizes)
            counts = report.counts.get(year, Counts(0, 0))
            commit = kept.commit(
                year, path=kept.partition_path(year, outcome="kept"), counts=counts, inputs=inputs
            )
            dropped.commit(year, path=kept.partition_path(year, outcome="rejected"), inputs=inputs)
            heights = [
                h for h in store.read(COVER_URLS, year, ["height"])["height"].to_pylist() if h is not None
            ]
            drawn = {"heights_histogram": pictures.histogram(heights, "height of the original, px")}
            metadata[year] = commit_metadata(store, COVER_URLS, commit, report.seconds, drawn)
        record_partitions(context, metadata)

    return cover_urls
