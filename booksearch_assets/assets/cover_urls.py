"""`books/cover_urls`: the covers that the filtered editions want.

Belongs here: wiring. Does not: URL rules (`openlibrary.covers`), the Spark job (`compute.cover_urls`).
"""

import dagster as dg
from pydantic import Field

from booksearch_assets.assets import pictures
from booksearch_assets.assets.attempts import begin_attempt
from booksearch_assets.assets.raw_dump import dump_table
from booksearch_assets.assets.rebuild import Rebuild, RebuildConfig, partitions_of
from booksearch_assets.assets.reporting import (
    commit_metadata,
    definition_metadata,
    figures_metadata,
    inputs_of,
)
from booksearch_assets.automation.conditions import follow_changes
from booksearch_assets.automation.partitions import IN_ONE_RUN, POOL_SPARK
from booksearch_assets.compute.plan import Work
from booksearch_assets.openlibrary.rules import rules_version
from booksearch_assets.resources.lake import LakeResource
from booksearch_assets.resources.open_library import OpenLibraryResource
from booksearch_assets.resources.spark import SparkLauncher, SparkTuning
from booksearch_assets.tables.books import COVER_URL_REJECTIONS, COVER_URLS, FILTERED_FICTION
from booksearch_assets.tables.counts import Counts
from booksearch_assets.tables.fingerprint import recipe

CODE_VERSION = "1"
"""Raised when a change of the stage gives other rows. Changes of the rules in `openlibrary` count by themselves."""


class CoverUrlsConfig(RebuildConfig):
    """Which covers are wanted."""

    min_side: int = Field(
        default=32, ge=1, description="Covers with a shorter side, in pixels, are left out: blanks and icons."
    )
    tuning: SparkTuning = SparkTuning()


def build_cover_urls(partitions: dg.PartitionsDefinition) -> dg.AssetsDefinition:
    sizes_key = dg.AssetKey(dump_table("covers_metadata").split("/"))

    @dg.asset(
        key=COVER_URLS.name.split("/"),
        deps=[dg.AssetKey(FILTERED_FICTION.name.split("/")), sizes_key],
        partitions_def=partitions,
        backfill_policy=IN_ONE_RUN,
        code_version=CODE_VERSION,
        # The size of a cover never changes, and a new cover comes with a new row.
        automation_condition=follow_changes(ignoring=dg.AssetSelection.assets(sizes_key)),
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
    ) -> dg.MaterializeResult:
        store = lake.open()
        years = partitions_of(context)
        fiction = {year: store.resolve(FILTERED_FICTION.name, year) for year in years}
        settings = {
            "min_side": config.min_side,
            "base_url": open_library.covers_url,
            "rules": rules_version(),
            "code": CODE_VERSION,
        }
        # Sizes are no part of it, for the reason that automation passes over them.
        recipes = {year: recipe([commit], settings) for year, commit in fiction.items()}
        rebuild = Rebuild(context, store, COVER_URLS, recipes, recipes if config.again else ())
        if not rebuild.partitions:
            return rebuild.finished()
        # It loads pyspark, which a rebuild of nothing has no use for.
        from booksearch_assets.compute.cover_urls import CoverUrlsParams

        sizes = store.resolve(dump_table("covers_metadata"))
        kept = begin_attempt(context, store, COVER_URLS.name, rebuild.recipes)
        dropped = store.begin(COVER_URL_REJECTIONS.name)
        read = {year: fiction[year] for year in rebuild.partitions}
        params = CoverUrlsParams(
            filtered={year: commit.path for year, commit in read.items() if commit.rows},
            covers_metadata=[f"{sizes.path}/{chunk['name']}" for chunk in sizes.facts["chunks"]],
            base_url=open_library.covers_url,
            min_side=config.min_side,
            output=kept.path,
        )
        work = Work(
            rows=sum(commit.rows for commit in read.values()) + sizes.rows,
            input_bytes=sum(commit.size for commit in read.values()) + sizes.facts["raw_bytes"],
        )
        report = spark.run("cover_urls", params, config.tuning, work, context, store)
        for year in rebuild.partitions:
            inputs = inputs_of(fiction[year], sizes)
            dropped.commit(year, path=kept.partition_path(year, outcome="rejected"), inputs=inputs)
            commit = kept.commit(
                year,
                path=kept.partition_path(year, outcome="kept"),
                counts=report.counts.get(year, Counts(0, 0)),
                inputs=inputs,
                recipe=recipes[year],
                contract=COVER_URLS,
            )
            heights = store.read(COVER_URLS, year, ["height"])["height"].drop_null().to_pylist()
            drawn = {"heights_histogram": pictures.histogram(heights, "height of the original, px")}
            shown = commit_metadata(store, COVER_URLS, commit, report.seconds, drawn)
            rebuild.record(commit, shown | figures_metadata(report))
        return rebuild.finished()

    return cover_urls
