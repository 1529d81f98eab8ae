"""`books/editions`: every edition of the dump, typed, newest revision, joined to its work and authors.

Belongs here: wiring. Does not: parsing rules (`openlibrary`), the Spark job (`compute.editions`).
"""

from collections.abc import Mapping
from datetime import date

import dagster as dg

from booksearch_assets.assets import pictures
from booksearch_assets.assets.attempts import begin_attempt
from booksearch_assets.assets.raw_dump import dump_table
from booksearch_assets.assets.rebuild import RebuildConfig, unchanged_metadata
from booksearch_assets.assets.reporting import (
    commit_metadata,
    definition_metadata,
    figures_metadata,
    inputs_of,
)
from booksearch_assets.automation.conditions import follow_settled_changes
from booksearch_assets.automation.partitions import POOL_SPARK
from booksearch_assets.compute.plan import Work
from booksearch_assets.openlibrary.rules import rules_version
from booksearch_assets.resources.lake import LakeResource
from booksearch_assets.resources.spark import SparkLauncher, SparkTuning
from booksearch_assets.tables.books import EDITIONS, QUARANTINE
from booksearch_assets.tables.commit import Commit
from booksearch_assets.tables.fingerprint import recipe
from booksearch_assets.tables.lake import WHOLE

SOURCES = ("editions", "works", "authors")


CODE_VERSION = "1"
"""Raised when a change of the stage gives other rows. Changes of the rules in `openlibrary` count by themselves."""


class EditionsConfig(RebuildConfig):
    """How editions are parsed."""

    tuning: SparkTuning = SparkTuning()


def build_editions(first_year: int) -> dg.AssetsDefinition:
    """The asset, whose files are laid out by year of publication from `first_year` on."""

    @dg.asset(
        key=EDITIONS.name.split("/"),
        deps=[dg.AssetKey(["books", "raw_dump", source]) for source in SOURCES],
        group_name="books",
        kinds={"spark", "parquet"},
        pool=POOL_SPARK,
        code_version=CODE_VERSION,
        automation_condition=follow_settled_changes(),
        metadata=definition_metadata(EDITIONS),
        description=EDITIONS.description,
    )
    def editions(
        context: dg.AssetExecutionContext,
        config: EditionsConfig,
        lake: LakeResource,
        spark: dg.ResourceParam[SparkLauncher],
    ) -> dg.MaterializeResult:
        store = lake.open()
        dumps = {source: store.resolve(dump_table(source)) for source in SOURCES}
        dump_date = date.fromisoformat(dumps["editions"].facts["dump_date"])
        made_from = recipe(
            dumps.values(),
            {
                **_content(dumps),
                "first_year": first_year,
                "rules": rules_version(),
                "code": CODE_VERSION,
            },
        )
        held = store.current(EDITIONS.name)
        if held and held.recipe == made_from and store.size(held) == held.size and not config.again:
            context.log.info("the dump of %s is parsed already", dump_date)
            return dg.MaterializeResult(
                data_version=dg.DataVersion(made_from), metadata=unchanged_metadata(held)
            )
        # They load pyspark, which an unchanged dump has no use for.
        from booksearch_assets.compute.editions import EditionsParams
        from booksearch_assets.compute.parsed_chunks import drop_parsed

        pending, quarantine = (
            begin_attempt(context, store, table.name, {WHOLE: made_from}) for table in (EDITIONS, QUARANTINE)
        )
        params = EditionsParams(
            chunks={
                source: [f"{dump.path}/{chunk['name']}" for chunk in dump.facts["chunks"]]
                for source, dump in dumps.items()
            },
            parsed=store.uri(EDITIONS.name, "_parsed"),
            staging=f"{quarantine.path}/_staging",
            output=pending.path,
            quarantine=quarantine.path,
            first_year=first_year,
            dump_year=dump_date.year,
        )
        work = Work(
            rows=sum(dump.rows for dump in dumps.values()),
            input_bytes=sum(dump.facts["raw_bytes"] for dump in dumps.values()),
            pieces=sum(map(len, params.chunks.values())),
        )
        context.log.info("parsing %d lines of editions, works and authors", work.rows)
        report = spark.run("editions", params, config.tuning, work, context, store)
        inputs = inputs_of(*dumps.values())
        facts = {"dump_date": str(dump_date), **report.figures}
        rejects = quarantine.commit(inputs=inputs)
        commit = pending.commit(
            counts=report.total, data_version=made_from, inputs=inputs, facts=facts, recipe=made_from
        )
        drop_parsed(params.parsed)
        years = {year: float(rows) for year, rows in sorted(report.figures["rows_by_year"].items())}
        return dg.MaterializeResult(
            data_version=dg.DataVersion(made_from),
            metadata=commit_metadata(
                store,
                EDITIONS,
                commit,
                report.seconds,
                {"editions_by_year": pictures.bars(years, "editions")},
            )
            | {"quarantined": rejects.rows, "dump_date": str(dump_date)}
            | figures_metadata(report),
        )

    return editions


def _content(dumps: Mapping[str, Commit]) -> dict[str, list[str]]:
    """The checksums of the chunks: a dump of the same date may have been landed again with other bytes."""
    return {source: [chunk["sha256"] for chunk in dump.facts["chunks"]] for source, dump in dumps.items()}
