"""Recent English fiction: the editions that pass a filter profile, and the first reason against each other one.

Each edition belongs to the year that the profile reads for it, and is kept or rejected in that year's counts. Where
that is the year that the editions table is laid out by, only the years asked for are read.

Belongs here: evaluating a profile as native Spark columns. Does not: what a profile asks for
(`openlibrary.profiles`), which words speak for fiction (`openlibrary.subjects`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import reduce
from operator import or_
from typing import Any

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from booksearch_assets.compute.spark_tables import (
    KEPT,
    REJECTED,
    configure,
    delete_folder,
    spark_schema,
    write_years,
)
from booksearch_assets.openlibrary.profiles import FilterProfile, FilterReason, profile
from booksearch_assets.openlibrary.subjects import BOUNDARY, SubjectRule
from booksearch_assets.tables.books import EDITIONS, FILTER_REJECTIONS, FILTERED_FICTION
from booksearch_assets.tables.counts import Counts, StageReport

# The column that `compute.editions` lays its folders out by.
_LAID_OUT_BY = "publish_year"


@dataclass(frozen=True)
class FilteredFictionParams:
    """`editions` is the folder of the editions table, which holds `year=...` folders.

    `profile` is the name of a profile, or one as `FilterProfile.to_json` gives it. FILTERED_FICTION is written to
    `<output>/year=<year>/outcome=kept` and FILTER_REJECTIONS to `.../outcome=rejected`, for each of `years`; a folder
    that would hold no row is not made. What an earlier attempt left in `output` is deleted first.
    """

    editions: str
    years: list[str]
    profile: str | dict[str, Any]
    dump_year: int
    output: str

    @property
    def filter_profile(self) -> FilterProfile:
        return (
            profile(self.profile) if isinstance(self.profile, str) else FilterProfile.from_json(self.profile)
        )


def run(spark: SparkSession, params: FilteredFictionParams) -> StageReport:
    """Filter the editions of `params.years`. Counts by year; the figure `outside` counts editions of no such year."""
    started = time.monotonic()
    configure(spark)
    delete_folder(spark, params.output)
    wanted = params.filter_profile
    stored = spark.read.schema(spark_schema(EDITIONS.schema).add("year", "string")).parquet(params.editions)
    total = stored.count()
    editions = (
        stored.where(F.col("year").isin(params.years)) if wanted.year_column == _LAID_OUT_BY else stored
    )
    judged = with_outcome(editions.drop("year"), wanted, params.dump_year)
    rows = judged.withColumn("publish_year", F.col("year")).withColumn("year", F.col("year").cast("string"))
    # Kept for the three actions below: the table is read, and the rules are evaluated, once.
    rows = rows.where(F.col("year").isin(params.years)).select(*_columns()).persist()
    try:
        tally = rows.groupBy("year", "reason").count().collect()
        write_years(rows.where("reason IS NULL"), FILTERED_FICTION, params.output, KEPT)
        write_years(rows.where("reason IS NOT NULL"), FILTER_REJECTIONS, params.output, REJECTED)
    finally:
        rows.unpersist()
    found: dict[str, dict[str | None, int]] = {year: {} for year in params.years}
    for row in tally:
        found[row["year"]][row["reason"]] = row["count"]
    counts = {year: _counts(reasons) for year, reasons in found.items()}
    outside = total - Counts.total(counts.values()).rows_in
    return StageReport(counts, time.monotonic() - started, {"profile": wanted.name, "outside": outside})


def with_outcome(editions: DataFrame, profile: FilterProfile, dump_year: int) -> DataFrame:
    """`editions` (columns of EDITIONS) with the columns year, pages, subjects, fiction_rule and reason.

    `year` and `pages` follow the profile; `subjects` is the union of the work's and the edition's; `reason` is the
    first `FilterReason` that applies, null where the edition is kept.
    """
    headings = F.concat(*profile.subject_columns)
    editions = (
        editions.withColumn("year", F.col(profile.year_column))
        .withColumn("pages", F.col(profile.pages_column))
        .withColumn("subjects", F.array_union("work_subjects", "edition_subjects"))
        .withColumn("_headings", _searchable(headings))
    )
    rules = [F.when(_fires(rule), rule.name) for rule in profile.fiction_rules]
    editions = editions.withColumn("fiction_rule", F.coalesce(*rules))
    return editions.withColumn("reason", _reason(profile, dump_year, F.size(headings))).drop("_headings")


def _reason(profile: FilterProfile, dump_year: int, heading_count: Column) -> Column:
    first_year, last_year = profile.years(dump_year)
    languages, pages, year = F.col("languages"), F.col("pages"), F.col("year")
    tests: list[tuple[FilterReason, Column]] = [
        (FilterReason.NO_LANGUAGE, F.size(languages) == 0),
        (FilterReason.NOT_ENGLISH, ~F.array_contains(languages, profile.language)),
        (FilterReason.NO_SUBJECTS, heading_count == 0),
        *((FilterReason(rule.name), _fires(rule)) for rule in profile.excluding_rules),
        (FilterReason.NOT_FICTION, F.col("fiction_rule").isNull()),
        (FilterReason.NO_PAGES, pages.isNull()),
        (FilterReason.TOO_SHORT, pages < profile.min_pages),
        (FilterReason.NO_YEAR, year.isNull()),
        (FilterReason.TOO_OLD, year < first_year),
    ]
    if last_year is not None:
        tests.append((FilterReason.IN_THE_FUTURE, year > last_year))
    return F.coalesce(*(F.when(test, reason.value) for reason, test in tests))


def _searchable(headings: Column) -> Column:
    """The headings as one text, a BOUNDARY around each: lower case, plain apostrophes, no full stop at the end.

    A search in one text compiles to a few instructions; a lambda over an array of headings is interpreted.
    """
    text = F.concat(F.lit(BOUNDARY), F.lower(F.array_join(headings, BOUNDARY)), F.lit(BOUNDARY))
    return F.replace(F.translate(text, "\u2019", "'"), F.lit(f".{BOUNDARY}"), F.lit(BOUNDARY))


def _fires(rule: SubjectRule) -> Column:
    return reduce(or_, (F.col("_headings").contains(needle) for needle in rule.needles()))


def _columns() -> list[Column]:
    """What is written: every column of a kept row, and of a rejected one its key alone."""
    narrow = ("year", "reason", *FILTER_REJECTIONS.key)
    wide = [name for name in FILTERED_FICTION.column_names if name not in narrow]
    return [
        *map(F.col, narrow),
        *(F.when(F.col("reason").isNull(), F.col(name)).alias(name) for name in wide),
    ]


def _counts(reasons: dict[str | None, int]) -> Counts:
    rejected = {reason: count for reason, count in reasons.items() if reason is not None}
    return Counts(sum(reasons.values()), reasons.get(None, 0), rejected)
