"""`books/filtered_fiction`: English fiction, long and recent enough, by year of publication.

Belongs here: wiring. Does not: the rules (`openlibrary.profiles`), the Spark job (`compute.filtered_fiction`).
"""

from datetime import date

import dagster as dg
from pydantic import Field

from booksearch_assets.assets import pictures
from booksearch_assets.assets.attempts import begin_attempt
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
from booksearch_assets.openlibrary.profiles import profile
from booksearch_assets.openlibrary.rules import rules_version
from booksearch_assets.resources.lake import LakeResource
from booksearch_assets.resources.spark import SparkLauncher, SparkTuning
from booksearch_assets.tables.books import EDITIONS, FILTER_REJECTIONS, FILTERED_FICTION
from booksearch_assets.tables.counts import Counts
from booksearch_assets.tables.fingerprint import recipe

CODE_VERSION = "1"
"""Raised when a change of the stage gives other rows. Changes of the rules in `openlibrary` count by themselves."""

_PARQUET_RATIO = 4
"""Bytes of rows for each byte of their Parquet."""


class FilterConfig(RebuildConfig):
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
        backfill_policy=IN_ONE_RUN,
        code_version=CODE_VERSION,
        automation_condition=follow_changes(),
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
    ) -> dg.MaterializeResult:
        chosen = profile(config.profile)
        store = lake.open()
        editions = store.resolve(EDITIONS.name)
        dump_year = date.fromisoformat(editions.facts["dump_date"]).year
        made_from = recipe(
            [editions],
            {
                "profile": chosen.name,
                "dump_year": dump_year,
                "rules": rules_version(),
                "code": CODE_VERSION,
            },
        )
        recipes = dict.fromkeys(partitions_of(context), made_from)
        rebuild = Rebuild(context, store, FILTERED_FICTION, recipes, recipes if config.again else ())
        if not rebuild.partitions:
            return rebuild.finished()
        # It loads pyspark, which a rebuild of nothing has no use for.
        from booksearch_assets.compute.filtered_fiction import FilteredFictionParams

        kept = begin_attempt(context, store, FILTERED_FICTION.name, rebuild.recipes)
        dropped = store.begin(FILTER_REJECTIONS.name)
        params = FilteredFictionParams(
            editions=editions.path,
            years=rebuild.partitions,
            profile=config.profile,
            dump_year=dump_year,
            output=kept.path,
        )
        context.log.info(
            "filtering %d editions with profile %s for %d years",
            editions.rows,
            chosen.name,
            len(rebuild.partitions),
        )
        work = Work(rows=editions.rows, input_bytes=_PARQUET_RATIO * editions.size)
        report = spark.run("filtered_fiction", params, config.tuning, work, context, store)
        facts = {"profile": chosen.name, "dump_date": editions.facts["dump_date"]}
        inputs = inputs_of(editions)
        for year in rebuild.partitions:
            rejected = kept.partition_path(year, outcome="rejected")
            dropped.commit(year, path=rejected, inputs=inputs, facts=facts)
            commit = kept.commit(
                year,
                path=kept.partition_path(year, outcome="kept"),
                counts=report.counts.get(year, Counts(0, 0)),
                inputs=inputs,
                facts=facts,
                recipe=made_from,
                contract=FILTERED_FICTION,
            )
            pages = store.read(FILTERED_FICTION, year, ["pages"])["pages"].to_pylist()
            drawn = {"pages_histogram": pictures.histogram(pages, "pages")}
            shown = commit_metadata(store, FILTERED_FICTION, commit, report.seconds, drawn)
            rebuild.record(commit, shown | facts | figures_metadata(report))
        return rebuild.finished()

    return filtered_fiction
