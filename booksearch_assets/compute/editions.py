"""The editions table: every line of the dump parsed once, the newest revision of each key, joined to work and authors.

Python parses the chunks into a folder of Parquet for each source, which a killed run leaves to the next. All that
relates rows to rows is Spark SQL over that, among narrow columns alone: it decides which revisions are superseded, and
what an edition has from its work and authors. Wide rows go from the parsed files to the table's as they are.

Belongs here: revisions, redirects, joins, counts. Does not: parsing (`compute.parsed_chunks`), lines and fields
(`openlibrary`), writing the table's files (`compute.edition_files`).
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Self

import pyarrow as pa
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from booksearch_assets.compute.edition_files import (
    FILE,
    EditionFile,
    EditionFolders,
    plan_files,
    rejects_of,
    write_editions,
    write_quarantine,
)
from booksearch_assets.compute.parsed_chunks import OTHER_YEARS, ParsedChunks, parse_chunks
from booksearch_assets.compute.spark_tables import configure, delete_folder, small, spark_schema
from booksearch_assets.compute.spark_tasks import for_tasks, run_tasks
from booksearch_assets.openlibrary.chunks import PARSINGS, Source
from booksearch_assets.tables.counts import Counts, StageReport

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

    `older` are the places of the records that newer ones supersede, of which there are `superseded`.
    """

    chunks: ParsedChunks
    newest: DataFrame
    older: DataFrame
    superseded: int


def run(spark: SparkSession, params: EditionsParams) -> StageReport:
    """Make the editions table. Raises `DamagedChunk` where a chunk is not the gzip file that was landed.

    Counts are of lines of the editions dump, rejected by `RejectReason` or as superseded by a newer revision.
    """
    started = time.monotonic()
    configure(spark)
    for folder in (params.staging, params.output, params.quarantine):
        delete_folder(spark, folder)
    try:
        parsed = {source: _parse(spark, params, source) for source in Source}
        parsing_ended = time.monotonic()
        _write_quarantine(spark, parsed, params.quarantine)
        staged = {source: _stage(spark, params, source, parsed[source]) for source in Source}
        figures = _write_editions(spark, params, staged)
    finally:
        delete_folder(spark, params.staging)
    figures["chunks_parsed"] = sum(source.parsed for source in parsed.values())
    figures["chunks_kept_from_a_killed_run"] = sum(source.kept for source in parsed.values())
    lines = sum(source.lines for source in parsed.values())
    figures["lines_parsed_per_second"] = round(lines / (parsing_ended - started), 1)
    for source in (Source.WORKS, Source.AUTHORS):
        figures[f"{source}_lines"] = parsed[source].lines
        figures[f"{source}_rejected"] = parsed[source].rejects
        figures[f"{source}_superseded"] = staged[source].superseded
    rejected = parsed[Source.EDITIONS].reasons
    if superseded := staged[Source.EDITIONS].superseded:
        rejected[SUPERSEDED] = superseded
    counts = Counts(parsed[Source.EDITIONS].lines, sum(figures["rows_by_year"].values()), rejected)
    return StageReport({"": counts}, time.monotonic() - started, figures)


def _parse(spark: SparkSession, params: EditionsParams, source: Source) -> ParsedChunks:
    uris = params.chunks.get(source, [])
    return parse_chunks(spark, uris, source, params.first_year, params.dump_year, params.parsed)


def _stage(spark: SparkSession, params: EditionsParams, source: Source, chunks: ParsedChunks) -> _Staged:
    parsed = spark.read.schema(spark_schema(PARSINGS[source].schema)).parquet(chunks.folder)
    records = parsed.where("reason IS NULL").drop("reason", "raw")
    key = _KEY[source]
    keys = records.agg(F.count_distinct(key)).collect()[0][0] if chunks.records else 0
    older = _superseded(spark, records, key)
    superseded = chunks.records - keys
    if superseded:
        folder = f"{params.staging}/{source}_superseded"
        older.write.parquet(folder)
        older = spark.read.schema(older.schema).parquet(folder)
        places = small(older.select("chunk", "line"), superseded)
        records = records.join(places, ["chunk", "line"], "left_anti")
    return _Staged(chunks, records, older, superseded)


def _superseded(spark: SparkSession, records: DataFrame, key: str) -> DataFrame:
    """Chunk and line of every record that a newer one of the same key supersedes, and the year of an edition."""
    columns = ", ".join(name for name in ("chunk", "line", "publish_year") if name in records.columns)
    return spark.sql(
        f"""
        SELECT {columns} FROM (
            SELECT {columns}, row_number() OVER (
                PARTITION BY {key} ORDER BY revision DESC, last_modified DESC, chunk DESC, line DESC
            ) AS age
            FROM {{records}}
        ) WHERE age > 1
        """,
        records=records,
    )


def _write_quarantine(spark: SparkSession, parsed: dict[Source, ParsedChunks], folder: str) -> None:
    rejects = [(source, piece) for source, chunks in parsed.items() for piece in rejects_of(chunks)]
    groups = for_tasks(spark, rejects, lambda rejects: rejects[1].rows)
    files = [(f"{folder}/part-{number:05d}.parquet", group) for number, group in enumerate(groups)]
    run_tasks(spark, files, lambda file: write_quarantine(*file))


def _write_editions(
    spark: SparkSession, params: EditionsParams, staged: dict[Source, _Staged]
) -> dict[str, Any]:
    """Join and write EDITIONS. Returns the figures of the report that tell of the table.

    `orphans` are editions that name no work, `missing_works` those whose work the dump does not have, and
    `redirected_works` those that name a merged work.
    """
    editions = staged[Source.EDITIONS]
    works = _Catalogue.of(spark, staged[Source.WORKS])
    files = plan_files(editions.chunks, params.years)
    credits = superseded = ""
    if editions.superseded:
        superseded = _in_files(spark, params, files, "superseded", editions.older)
    if files and (staged[Source.WORKS].chunks.records or staged[Source.AUTHORS].chunks.records):
        credited = _credited(spark, params, editions.newest, works, staged[Source.AUTHORS])
        credits = _in_files(spark, params, files, "credits", credited)
    folders = EditionFolders(params.output, credits, superseded)
    largest_first = sorted(files, key=lambda file: -file.rows)
    groups = for_tasks(spark, largest_first, lambda file: file.rows)
    written = [*chain(*run_tasks(spark, groups, lambda files: write_editions(files, folders)))]

    rows_by_year = dict.fromkeys(params.years, 0)
    for file in written:
        rows_by_year[file["year"]] += file["rows"]
    orphans, with_work = (sum(file[figure] for file in written) for figure in ("orphans", "with_work"))
    return {
        "rows_by_year": rows_by_year,
        "orphans": orphans,
        "missing_works": sum(rows_by_year.values()) - orphans - with_work,
        "redirected_works": _redirected(editions.newest, works),
    }


def _in_files(
    spark: SparkSession, params: EditionsParams, files: Sequence[EditionFile], name: str, rows: DataFrame
) -> str:
    """Write what was decided of editions, by their chunk, line and publish_year, for the files that they go to.

    Returns the folder.
    """
    places = [(piece.chunk, file.year, file.number) for file in files for piece in file.pieces]
    chunks, years, numbers = zip(*places, strict=True)
    found = pa.table({"chunk": chunks, "_year": years, FILE: numbers})
    of_year = f"publish_year BETWEEN {params.first_year} AND {params.dump_year}"
    year = F.expr(f"CASE WHEN {of_year} THEN CAST(publish_year AS STRING) ELSE '{OTHER_YEARS}' END")
    placed = rows.withColumn("_year", year).join(
        small(spark.createDataFrame(found), len(places)), ["chunk", "_year"]
    )
    folder = f"{params.staging}/{name}"
    placed.drop("_year", "publish_year").hint("rebalance", FILE).write.partitionBy(FILE).parquet(folder)
    return folder


def _redirected(editions: DataFrame, works: _Catalogue) -> int:
    if works.redirects is None:
        return 0
    references = editions.select("work_reference", F.col("work_reference").alias("followed"))
    followed = works.follow(references, "followed")
    return int(followed.selectExpr("count_if(work_reference != followed)").collect()[0][0])


@dataclass(frozen=True)
class _Catalogue:
    """The records of one source, and, where some were merged, to which key the key of each of those leads."""

    records: DataFrame
    redirects: DataFrame | None

    @classmethod
    def of(cls, spark: SparkSession, staged: _Staged) -> Self:
        """Part records from redirects, and follow these to their end."""
        records = staged.newest.where("location IS NULL").drop("location")
        if not staged.chunks.redirects:
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


def _credited(
    spark: SparkSession, params: EditionsParams, editions: DataFrame, works: _Catalogue, authors: _Staged
) -> DataFrame:
    """The chunk, line and publish_year of every edition that has a work or authors, with the columns that these fill."""
    written_by = _Catalogue.of(spark, authors)
    credited = _credited_works(spark, works, written_by)
    credited.write.parquet(f"{params.staging}/credited_works")
    credited = spark.read.schema(credited.schema).parquet(f"{params.staging}/credited_works")
    editions = works.follow(editions, "work_reference")
    # The edition's own authors matter, and are looked up, only where its work names none.
    unnamed = spark.sql(
        """
        SELECT edition_key AS key, author_keys FROM {editions}
        LEFT ANTI JOIN (SELECT key FROM {works} WHERE names IS NOT NULL) ON work_reference = key
        """,
        editions=editions,
        works=credited,
    )
    return spark.sql(
        """
        SELECT e.chunk, e.line, e.publish_year, w.key AS work_key,
            coalesce(w.names, own.names, CAST(array() AS ARRAY<STRING>)) AS authors,
            coalesce(w.subjects, CAST(array() AS ARRAY<STRING>)) AS work_subjects
        FROM {editions} e
        LEFT JOIN {works} w ON e.work_reference = w.key
        LEFT JOIN {own} own ON e.edition_key = own.key
        WHERE w.key IS NOT NULL OR own.key IS NOT NULL
        """,
        editions=editions,
        works=credited,
        own=_names(spark, unnamed, written_by),
    )
