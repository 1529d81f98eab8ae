"""Covers wanted: one row for each cover id that the filtered editions of a year show.

`covers_metadata` tells the sizes of originals, so that blanks, icons and strips are left out before any is fetched.

Belongs here: choosing covers. Does not: their URLs (`openlibrary.covers`), fetching them (`compute.fetch`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from enum import StrEnum

from pyspark.sql import DataFrame, Row, SparkSession
from pyspark.sql import functions as F

from booksearch_assets.compute.spark_tables import (
    KEPT,
    REJECTED,
    configure,
    delete_folder,
    read_table,
    small,
    write_years,
)
from booksearch_assets.openlibrary.covers import CoverSize, cover_url
from booksearch_assets.tables.books import COVER_URL_REJECTIONS, COVER_URLS, FILTERED_FICTION
from booksearch_assets.tables.counts import Counts, StageReport

MAX_ASPECT_RATIO = 4


class CoverReason(StrEnum):
    """Why an edition has no cover to fetch, in the order in which the reasons are tried."""

    NO_COVER = "no_cover"
    TOO_SMALL = "too_small"
    ODD_SHAPE = "odd_shape"


@dataclass(frozen=True)
class CoverUrlsParams:
    """`filtered` maps each year that has rows to its folder of FILTERED_FICTION; `covers_metadata` lists landed chunks, perhaps none.

    COVER_URLS is written to `<output>/year=<year>/outcome=kept` and COVER_URL_REJECTIONS to `.../outcome=rejected`; a
    folder that would hold no row is not made. What an earlier attempt left in `output` is deleted first. `min_side` is
    in pixels.
    """

    filtered: dict[str, str]
    covers_metadata: list[str]
    base_url: str
    output: str
    size: str = CoverSize.LARGE.value
    min_side: int = 32


def run(spark: SparkSession, params: CoverUrlsParams) -> StageReport:
    """Choose the covers of each year. Counts are of editions: `rows_out` have a cover to fetch.

    Figures: `covers_by_year`; `covers_of_unknown_size`, which are wanted all the same, since covers_metadata lags
    behind the editions; `malformed_lines` of covers_metadata.
    """
    started = time.monotonic()
    configure(spark)
    delete_folder(spark, params.output)
    editions = _read_editions(spark, params.filtered)
    sizes = _read_sizes(spark, params.covers_metadata, editions).persist()
    judged = _with_reason(editions, sizes, params.min_side).persist()
    try:
        tally = (
            judged.groupBy("year", "reason")
            .agg(
                F.count("*").alias("editions"),
                F.count_distinct("cover_id").alias("covers"),
                F.count_distinct(F.when(F.col("width").isNull(), F.col("cover_id"))).alias("unknown"),
            )
            .collect()
        )
        malformed = sizes.where("cover_id IS NULL").agg(F.sum("lines")).first()
        write_years(_covers(judged, params), COVER_URLS, params.output, KEPT)
        write_years(judged.where("reason IS NOT NULL"), COVER_URL_REJECTIONS, params.output, REJECTED)
    finally:
        judged.unpersist()
        sizes.unpersist()
    kept = {row["year"]: row for row in tally if row["reason"] is None}
    figures = {
        "covers_by_year": {year: kept[year]["covers"] if year in kept else 0 for year in params.filtered},
        "covers_of_unknown_size": sum(row["unknown"] for row in kept.values()),
        "malformed_lines": (malformed[0] if malformed else None) or 0,
    }
    counts = {year: _counts([row for row in tally if row["year"] == year]) for year in params.filtered}
    return StageReport(counts, time.monotonic() - started, figures)


def _read_editions(spark: SparkSession, filtered: dict[str, str]) -> DataFrame:
    """(edition_key, cover_id, year) of every filtered edition; the folder of a year holds that publish_year alone."""
    editions = read_table(spark, FILTERED_FICTION, filtered.values())
    return editions.select("edition_key", "cover_id", F.col("publish_year").cast("string").alias("year"))


def _read_sizes(spark: SparkSession, chunks: list[str], editions: DataFrame) -> DataFrame:
    """(cover_id, width, height, lines) of the covers that `editions` show; malformed lines are those of a null cover_id.

    A size that is empty, zero, `\\N` or `None` is null: the service has the cover, and never measured it.
    """
    lines = spark.read.text(chunks) if chunks else spark.createDataFrame([], "value string")
    listed = spark.sql(
        """
        SELECT
            CASE WHEN id > 0 AND (width IS NOT NULL OR no_width) AND (height IS NOT NULL OR no_height) THEN id END AS cover_id,
            CASE WHEN width > 0 THEN width END AS width,
            CASE WHEN height > 0 THEN height END AS height,
            created
        FROM (
            SELECT
                try_cast(get(fields, 0) AS BIGINT) AS id,
                try_cast(get(fields, 1) AS INT) AS width, get(fields, 1) IN ('', '\\\\N', 'None') AS no_width,
                try_cast(get(fields, 2) AS INT) AS height, get(fields, 2) IN ('', '\\\\N', 'None') AS no_height,
                get(fields, 3) AS created
            FROM (SELECT split(value, '\t') AS fields FROM {lines})
        )
        """,
        lines=lines,
    )
    wanted = (
        editions.where("cover_id IS NOT NULL").select("cover_id").distinct().withColumn("wanted", F.lit(True))
    )
    found = listed.join(small(wanted, wanted.count()), "cover_id", "left").where("wanted OR cover_id IS NULL")
    newest = F.max(F.struct("created", "width", "height")).alias("newest")
    return (
        found.groupBy("cover_id")
        .agg(newest, F.count("*").alias("lines"))
        .select("cover_id", "newest.width", "newest.height", "lines")
    )


def _with_reason(editions: DataFrame, sizes: DataFrame, min_side: int) -> DataFrame:
    """`editions` with the size of the cover, and the first `CoverReason` that applies; null where it is wanted."""
    rows = editions.join(sizes.drop("lines"), "cover_id", "left")
    shorter = F.least("width", "height")
    longer = F.greatest("width", "height").cast("long")
    return rows.withColumn(
        "reason",
        F.when(F.col("cover_id").isNull(), CoverReason.NO_COVER.value)
        .when(shorter < min_side, CoverReason.TOO_SMALL.value)
        .when(longer > MAX_ASPECT_RATIO * shorter.cast("long"), CoverReason.ODD_SHAPE.value),
    )


def _covers(judged: DataFrame, params: CoverUrlsParams) -> DataFrame:
    """COVER_URLS and `year`: one row for each cover that a year's editions want."""
    template = cover_url(params.base_url, "{cover_id}", CoverSize(params.size))
    return (
        judged.where("reason IS NULL")
        .groupBy("year", "cover_id", "width", "height")
        .agg(F.sort_array(F.collect_set("edition_key")).alias("edition_keys"))
        .withColumn("url", F.replace(F.lit(template), F.lit("{cover_id}"), F.col("cover_id").cast("string")))
    )


def _counts(tally: list[Row]) -> Counts:
    by_reason = {row["reason"]: row["editions"] for row in tally}
    rejected = {reason: editions for reason, editions in by_reason.items() if reason}
    return Counts(sum(by_reason.values()), by_reason.get(None, 0), rejected)
