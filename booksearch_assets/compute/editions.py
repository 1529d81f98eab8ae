"""The editions table: every line of the dump parsed once, the newest revision of each key, joined to work and authors.

Python parses the chunks into a folder of Parquet for each source, which a killed run leaves to the next; all that
relates rows to rows is Spark SQL over that. Wide rows are shuffled for their joins and for the layout by year alone: superseded revisions, which a dump
has few of, are found among narrow columns and taken out by a broadcast.

Belongs here: revisions, redirects, joins, quarantine, counts. Does not: parsing (`compute.parsed_chunks`), lines and
fields (`openlibrary`).
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, Self

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from booksearch_assets.compute.parsed_chunks import ParsedChunks, parse_chunks
from booksearch_assets.compute.spark_tables import (
    configure,
    delete_folder,
    small,
    spark_schema,
    write_years,
)
from booksearch_assets.openlibrary.chunks import PARSINGS, Source
from booksearch_assets.tables.books import EDITIONS, QUARANTINE
from booksearch_assets.tables.counts import Counts, StageReport

OTHER_YEARS = "other"
SUPERSEDED = "superseded"
MAX_REDIRECTS = 5

_KEY = {Source.EDITIONS: "edition_key", Source.WORKS: "key", Source.AUTHORS: "key"}


@dataclass(frozen=True)
class EditionsParams:
    """`chunks` maps the name of each `Source` to the URIs of its landed chunks.

    EDITIONS goes to `output`, in folders `year=YYYY` from `first_year` to `dump_year` and `year=other` for the rest;
    QUARANTINE goes to `quarantine`; what an earlier attempt left in either is deleted first. `parsed` is where parsed chunks are kept from run to run: the caller deletes it
    (`drop_parsed`) once the table is committed. `staging` is working room, deleted when the stage ends.
    """

    chunks: dict[str, list[str]]
    parsed: str
    staging: str
    output: str
    quarantine: str
    first_year: int
    dump_year: int

    @property
    def years(self) -> list[str]:
        return [*map(str, range(self.first_year, self.dump_year + 1)), OTHER_YEARS]


@dataclass(frozen=True)
class _Staged:
    """The parsed lines of one source, and the newest revision of each key among them.

    `counts` are of its lines, `redirects` says how many of the parsed ones are redirects.
    """

    chunks: ParsedChunks
    parsed: DataFrame
    newest: DataFrame
    counts: Counts
    redirects: int

    @property
    def rejected(self) -> int:
        return sum(self.counts.rejected.values()) - self.superseded

    @property
    def superseded(self) -> int:
        return self.counts.rejected.get(SUPERSEDED, 0)


def run(spark: SparkSession, params: EditionsParams) -> StageReport:
    """Make the editions table. Raises `DamagedChunk` where a chunk is not the gzip file that was landed.

    Counts are of lines of the editions dump, rejected by `RejectReason` or as superseded by a newer revision.
    """
    started = time.monotonic()
    configure(spark)
    for folder in (params.staging, params.output, params.quarantine):
        delete_folder(spark, folder)
    try:
        staged = {source: _stage(spark, params, source) for source in Source}
        parsed = time.monotonic()
        _write_quarantine(staged, params.quarantine)
        figures = _write_editions(spark, params, staged)
    finally:
        delete_folder(spark, params.staging)
    chunks = [source.chunks for source in staged.values()]
    figures["chunks_parsed"] = sum(source.parsed for source in chunks)
    figures["chunks_kept_from_a_killed_run"] = sum(source.kept for source in chunks)
    figures["lines_parsed_per_second"] = round(sum(source.lines for source in chunks) / (parsed - started), 1)
    for source in (Source.WORKS, Source.AUTHORS):
        figures[f"{source}_lines"] = staged[source].counts.rows_in
        figures[f"{source}_rejected"] = staged[source].rejected
        figures[f"{source}_superseded"] = staged[source].superseded
    counts = replace(staged[Source.EDITIONS].counts, rows_out=sum(figures["rows_by_year"].values()))
    return StageReport({"": counts}, time.monotonic() - started, figures)


def _stage(spark: SparkSession, params: EditionsParams, source: Source) -> _Staged:
    chunks = parse_chunks(spark, params.chunks.get(source, []), source, params.dump_year, params.parsed)
    parsed = spark.read.schema(spark_schema(PARSINGS[source].schema)).parquet(chunks.folder)
    redirect = "location IS NOT NULL" if "location" in parsed.columns else "false"
    tally = parsed.groupBy("reason").agg(
        F.count("*").alias("lines"),
        F.count_distinct(_KEY[source]).alias("keys"),
        F.expr(f"count_if({redirect})").alias("redirects"),
    )
    by_reason = {row["reason"]: row for row in tally.collect()}
    lines = sum(row["lines"] for row in by_reason.values())
    rejected = {reason: row["lines"] for reason, row in by_reason.items() if reason}
    records = by_reason.get(None)
    newest = parsed.where("reason IS NULL")
    superseded = records["lines"] - records["keys"] if records else 0
    if superseded:
        rejected[SUPERSEDED] = superseded
        superseded_rows = f"{params.staging}/{source}_superseded"
        _superseded(spark, newest, _KEY[source]).write.parquet(superseded_rows)
        older = spark.read.schema("chunk string, line long").parquet(superseded_rows)
        newest = newest.join(small(older, superseded), ["chunk", "line"], "left_anti")
    return _Staged(
        chunks=chunks,
        parsed=parsed,
        newest=newest.drop("chunk", "line", "reason", "raw"),
        counts=Counts(lines, lines - sum(rejected.values()), rejected),
        redirects=records["redirects"] if records else 0,
    )


def _superseded(spark: SparkSession, records: DataFrame, key: str) -> DataFrame:
    """(chunk, line) of every record that a newer one of the same key supersedes."""
    return spark.sql(
        f"""
        SELECT chunk, line FROM (
            SELECT chunk, line, row_number() OVER (
                PARTITION BY {key} ORDER BY revision DESC, last_modified DESC, chunk DESC, line DESC
            ) AS age
            FROM {{records}}
        ) WHERE age > 1
        """,
        records=records,
    )


def _write_quarantine(staged: dict[Source, _Staged], folder: str) -> None:
    if not any(rows.rejected for rows in staged.values()):
        return
    rejects = [
        rows.parsed.where("reason IS NOT NULL").selectExpr(
            f"'{source}' AS source", "chunk", "line", "reason", "raw"
        )
        for source, rows in staged.items()
    ]
    all_rejects = reduce(DataFrame.unionByName, rejects).select(*QUARANTINE.column_names)
    all_rejects.hint("rebalance").write.mode("append").parquet(folder)


def _write_editions(
    spark: SparkSession, params: EditionsParams, staged: dict[Source, _Staged]
) -> dict[str, Any]:
    """Join and write EDITIONS. Returns the figures of the report that tell of the table.

    `orphans` are editions that name no work, `missing_works` those whose work the dump does not have, and
    `redirected_works` those that name a merged work.
    """
    authors = _Catalogue.of(spark, staged[Source.AUTHORS])
    works = _Catalogue.of(spark, staged[Source.WORKS])
    credited = _credited_works(spark, works, authors)
    credited.write.parquet(f"{params.staging}/credited_works")
    credited = spark.read.schema(credited.schema).parquet(f"{params.staging}/credited_works")
    works = replace(works, records=credited)
    editions = staged[Source.EDITIONS].newest

    rows = _joined(spark, editions, works, authors)
    of_year = f"publish_year BETWEEN {params.first_year} AND {params.dump_year}"
    year = F.expr(f"CASE WHEN {of_year} THEN CAST(publish_year AS STRING) ELSE '{OTHER_YEARS}' END")
    write_years(rows.withColumn("year", year), EDITIONS, params.output)

    written = spark.read.schema("work_key string, year string").parquet(params.output)
    by_year = (
        written.groupBy("year")
        .agg(F.count("*").alias("rows"), F.count("work_key").alias("with_work"))
        .collect()
    )
    rows_by_year = {row["year"]: row["rows"] for row in by_year}
    references = editions.select("work_reference", F.col("work_reference").alias("followed"))
    orphans, redirected = (
        works.follow(references, "followed")
        .selectExpr("count_if(work_reference IS NULL)", "count_if(work_reference != followed)")
        .collect()[0]
    )
    return {
        "rows_by_year": {year: rows_by_year.get(year, 0) for year in params.years},
        "orphans": orphans,
        "missing_works": sum(rows_by_year.values()) - orphans - sum(row["with_work"] for row in by_year),
        "redirected_works": redirected,
    }


@dataclass(frozen=True)
class _Catalogue:
    """The records of one source, and, where some were merged, to which key the key of each of those leads."""

    records: DataFrame
    redirects: DataFrame | None

    @classmethod
    def of(cls, spark: SparkSession, staged: _Staged) -> Self:
        """Part records from redirects, and follow these to their end."""
        records = staged.newest.where("location IS NULL").drop("location")
        if not staged.redirects:
            return cls(records, None)
        found = staged.newest.where("location IS NOT NULL").select("key", "location").toArrow()
        ends = follow_redirects(
            dict(zip(found["key"].to_pylist(), found["location"].to_pylist(), strict=True))
        )
        table = pa.table(
            [list(ends), list(ends.values())],
            schema=pa.schema(dict.fromkeys(found.column_names, pa.string())),
        )
        return cls(records, small(spark.createDataFrame(table), len(ends)))

    def follow(self, rows: DataFrame, reference: str) -> DataFrame:
        """`rows` with the keys in the column `reference` replaced by those that they lead to."""
        if self.redirects is None:
            return rows
        redirects = self.redirects.toDF(reference, "_location")
        followed = F.coalesce("_location", reference)
        return rows.join(redirects, reference, "left").withColumn(reference, followed).drop("_location")


def follow_redirects(hops: dict[str, str]) -> dict[str, str]:
    """Where each key of `hops` leads to after at most MAX_REDIRECTS hops.

    A loop, or a longer chain, ends at the key of another redirect, which no record has: it leads nowhere.
    """
    ends = hops
    for _ in range(MAX_REDIRECTS - 1):
        ends = {key: hops.get(end, end) for key, end in ends.items()}
    return ends


def _names(spark: SparkSession, owners: DataFrame, authors: _Catalogue) -> DataFrame:
    """(key, names) for the (key, author_keys) of `owners` that have an author whose name is known; order kept."""
    credits = spark.sql(
        "SELECT key AS owner, posexplode(author_keys) AS (position, author_key) FROM {owners}", owners=owners
    )
    return spark.sql(
        """
        SELECT owner AS key, transform(array_sort(collect_list(struct(position, name))), c -> c.name) AS names
        FROM {credits} JOIN {authors} ON author_key = key
        WHERE name IS NOT NULL
        GROUP BY owner
        """,
        credits=authors.follow(credits, "author_key"),
        authors=authors.records,
    )


def _credited_works(spark: SparkSession, works: _Catalogue, authors: _Catalogue) -> DataFrame:
    """(key, subjects, names) of every work; names are null where no author's name is known."""
    return works.records.select("key", "subjects").join(
        _names(spark, works.records.select("key", "author_keys"), authors), "key", "left"
    )


def _joined(spark: SparkSession, editions: DataFrame, works: _Catalogue, authors: _Catalogue) -> DataFrame:
    """The columns of EDITIONS. `works` are credited works."""
    editions = works.follow(editions, "work_reference")
    # The edition's own authors matter, and are looked up, only where its work names none.
    unnamed = spark.sql(
        """
        SELECT edition_key AS key, author_keys FROM {editions}
        LEFT ANTI JOIN (SELECT key FROM {works} WHERE names IS NOT NULL) ON work_reference = key
        """,
        editions=editions,
        works=works.records,
    )
    return spark.sql(
        """
        SELECT e.*, w.key AS work_key, coalesce(w.names, own.names, CAST(array() AS ARRAY<STRING>)) AS authors,
            coalesce(w.subjects, CAST(array() AS ARRAY<STRING>)) AS work_subjects
        FROM {editions} e
        LEFT JOIN {works} w ON e.work_reference = w.key
        LEFT JOIN {own} own ON e.edition_key = own.key
        """,
        editions=editions,
        works=works.records,
        own=_names(spark, unnamed, authors),
    )
