"""`books/filtered_fiction`: English fiction, long and recent enough, by year of publication.

Belongs here: wiring. Does not: the rules (`openlibrary.profiles`), the Spark job (`compute.filtered_fiction`).
"""

from datetime import date

import dagster as dg
from pydantic import Field

from booksearch_assets.assets import pictures
from booksearch_assets.assets.reporting import (
    commit_metadata,
    definition_metadata,
    inputs_of,
    record_partitions,
)
from booksearch_assets.automation.partitions import BY_YEAR, POOL_SPARK
from booksearch_assets.openlibrary.profiles import profile
from booksearch_assets.resources.lake import LakeResource
from booksearch_assets.resources.spark import SparkLauncher, SparkTuning
from booksearch_assets.tables.books import EDITIONS, FILTER_REJECTIONS, FILTERED_FICTION
from booksearch_assets.tables.counts import Counts

_PARQUET_RATIO = 4
"""Bytes of rows for each byte of their Parquet."""


class FilterConfig(dg.Config):
    """Which books are kept."""

    profile: str = Field(
        default="default",
        description="`default`: works joined, token rules. `article`: as the prototype coded it. `article-stated`: as its article says.",
    )
    tuning: SparkTuning = SparkTuning()


def build_filtered_fiction(partitions: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    @dg.asset(
        key=FILTERED_FICTION.name.split("/"),
        deps=[dg.AssetKey(EDITIONS.name.split("/"))],
        partitions_def=partitions,
        backfill_policy=BY_YEAR,
        group_name="books",
        kinds={"spark", "parquet"},
        pool=POOL_SPARK,
        metadata=definition_metadata(FILTERED_FICTION),
        description=FILTERED_FICTION.description,
    )
    def filtered_fiction(
        context: dg.AssetExecutionContext,
        config: FilterConfig,
        lake: LakeResource,
        spark: dg.ResourceParam[SparkLauncher],
    ) -> None:
        from booksearch_assets.compute.filtered_fiction import FilteredFictionParams

        chosen = profile(config.profile)
        store = lake.open()
        editions = store.resolve(EDITIONS.name)
        years = list(context.partition_keys)
        kept, dropped = store.begin(FILTERED_FICTION.name), store.begin(FILTER_REJECTIONS.name)
        dump_year = date.fromisoformat(editions.facts["dump_date"]).year
        params = FilteredFictionParams(
            editions=editions.path, years=years, profile=config.profile, dump_year=dump_year, output=kept.path
        )
        context.log.info(
            "filtering %d editions with profile %s for %d years", editions.rows, chosen.name, len(years)
        )
        report = spark.run("filtered_fiction", params, config.tuning, _PARQUET_RATIO * editions.size)
        facts = {"profile": chosen.name, "dump_date": editions.facts["dump_date"]}
        metadata = {}
        for year in years:
            counts = report.counts.get(year, Counts(0, 0))
            inputs = inputs_of(editions)
            commit = kept.commit(
                year,
                path=kept.partition_path(year, outcome="kept"),
                counts=counts,
                inputs=inputs,
                facts=facts,
            )
            dropped.commit(
                year, path=kept.partition_path(year, outcome="rejected"), inputs=inputs, facts=facts
            )
            pages = store.read(FILTERED_FICTION, year, ["pages"])["pages"].to_pylist()
            drawn = {"pages_histogram": pictures.histogram(pages, "pages")}
            metadata[year] = commit_metadata(store, FILTERED_FICTION, commit, report.seconds, drawn) | facts
        record_partitions(context, metadata)

    return filtered_fiction
