"""The ways from a dump's `.gz` to recent English fiction that are compared, each as a function for a process of its own.

Ours keeps every edition in a table and counts a reason for each one dropped; the others keep what passes their filter.
All of them answer with the keys that pass the prototype's rules and claim no later year than the dump's, which none of our
partitions is for; they read them after their time is taken.

Belongs here: ours, the prototype's way written anew from its description, and its rules in duckdb and polars. Does not:
what is compared with what (`dump_stages`, `growth`).

The prototype (book_semantic_search_cloud, `openlibrary_spark_filtered_set.py`): Spark's CSV reader with a header on a
file that has none, `from_json` to a map of strings, native filters, then `count()` and `write`, which reads everything
twice, in 500 partitions. It ran on Spark 3, whose casts give null where Spark 4 raises.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import processes
from dump_world import YEAR
from harness import Done
from processes import since_start

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

FIRST_YEAR = 2010
FIRST_FOLDER = 1990
_BLOCK = 1 << 20
_PARQUET_RATIO = 4
_COLUMNS = (
    *("title", "isbn_10", "isbn_13", "publish_date", "key", "subjects", "description", "genres"),
    *("number_of_pages", "languages"),
)


FILTER = "filtered_fiction"
"""A figure of ours: the seconds of this stage."""

PEAK = "peak"


def prototype_again(editions: str) -> Iterator[Done]:
    """The prototype, again and again in one process. Its start is the first time, from the process's own on."""
    global _began
    while True:
        yield prototype(editions)
        # After a pause in which the others had their turn.
        _began = time.perf_counter()


def ours_again(dumps: dict[str, str]) -> Iterator[Done]:
    """Ours, for one dump after another in one process. Its start is the last of them, from the process's own on.

    Answers for the last one. Of each, by its name, the seconds and the most memory meanwhile.
    """
    global _began
    yield ours([*dumps.values()][-1])
    while True:
        figures: dict[str, float] = {}
        for name, editions in dumps.items():
            _began = time.perf_counter()
            with processes.watching(os.getpid()) as usage:
                done = ours(editions)
            figures |= {name: done.seconds or 0.0, f"{name}, {PEAK}": usage.peak_memory}
        yield Done(done.answer, figures={**figures, **done.figures})


_began: float | None = None
"""When this time began, where the process has done it before."""


def _elapsed() -> float:
    return since_start() if _began is None else time.perf_counter() - _began


def ours(editions: str, works: str = "", authors: str = "", keep_in: str = "") -> Done:
    """Land, parse, join and filter, each stage as its asset runs it. `works` and `authors` may be left out.

    `keep_in` is a folder for what it makes, which is otherwise deleted.
    """
    with contextlib.ExitStack() as stack:
        folder = Path(keep_in or stack.enter_context(tempfile.TemporaryDirectory(prefix="ours-")))
        shutil.rmtree(folder, ignore_errors=True)
        _land(folder, editions=editions, works=works, authors=authors)
        landed = _elapsed()
        _make_editions(folder)
        made = _elapsed()
        _filter(folder)
        seconds = _elapsed()
        figures = {"landing": landed, "editions": made - landed, FILTER: seconds - made}
        return Done(_digest(_kept(folder)), seconds, figures)


def filter_again(folder: str) -> Done:
    """Filter what `ours` made and kept."""
    _filter(Path(folder))
    seconds = _elapsed()
    return Done(_digest(_kept(Path(folder))), seconds)


def land_only(editions: str) -> Done:
    """Cut a dump into chunks. Answers with the bytes of its text."""
    with tempfile.TemporaryDirectory(prefix="ours-") as folder:
        landed = _land(Path(folder), editions=editions)
        seconds = _elapsed()
        return Done(landed["editions"].raw_bytes, seconds)


def decompress(editions: str) -> Done:
    """ISA-L on one core, its output dropped, as `igzip -dc` to nowhere: nothing that reads a dump can take less."""
    from isal import igzip

    size = 0
    with igzip.open(editions, "rb") as text:
        while block := text.read(_BLOCK):
            size += len(block)
    return Done(size)


def prototype(editions: str) -> Done:
    """The prototype's job as it was coded, but for the `.gz`: it read the text, which somebody had decompressed."""
    from pyspark.sql import functions as F

    spark = _spark()
    schema = "type STRING, key STRING, revision INT, last_modified DATE, json_column STRING"
    dump = spark.read.csv(editions, sep="\t", header=True, schema=schema)
    parsed = dump.withColumn("json", F.from_json("json_column", "map<string,string>"))
    subjects = F.lower("subjects")
    kept = (
        parsed.select(*(F.col("json")[name].alias(name) for name in _COLUMNS))
        .filter(F.col("languages").contains("/languages/eng"))
        .filter(~subjects.like("%juvenile%"))
        .filter(~subjects.like("%children%"))
        .filter(subjects.like("%fiction%"))
        .filter(F.col("number_of_pages").cast("int") >= 100)
        .withColumn("year", F.regexp_extract("publish_date", r"(\d{4})", 1).cast("int"))
        .filter(F.col("year") >= FIRST_YEAR)
    )
    kept.count()
    return _write_and_read(spark, kept.repartition(500))


def row_at_a_time(editions: str) -> Done:
    """Spark with a Python UDF that reads the JSON of one row, over the `.gz` once: what many would write first."""
    from pyspark.sql import functions as F

    spark = _spark()
    fields = ", ".join(f"{name} STRING" for name in _COLUMNS)
    # Else Spark runs it once for the filter and once more for the columns.
    parse = F.udf(_passing, f"struct<{fields}, year INT>").asNondeterministic()
    kept = spark.read.text(editions).select(parse("value").alias("book")).where("book IS NOT NULL")
    return _write_and_read(spark, kept.select("book.*"))


def _passing(line: str) -> dict[str, Any] | None:
    try:
        record = json.loads(line.split("\t", 4)[4])
    except (ValueError, IndexError):
        return None
    texts = {name: record.get(name) for name in _COLUMNS} if isinstance(record, dict) else {}
    subjects = json.dumps(texts.get("subjects"), ensure_ascii=False).lower()
    digits = re.search("[0-9]{4}", str(texts.get("publish_date")))
    wanted = (
        "/languages/eng" in json.dumps(texts.get("languages"))
        and "juvenile" not in subjects
        and "children" not in subjects
        and "fiction" in subjects
        and _whole(texts["number_of_pages"]) >= 100
        and digits is not None
        and int(digits[0]) >= FIRST_YEAR
    )
    if not wanted or digits is None:
        return None
    return {name: text if isinstance(text, str) else json.dumps(text) for name, text in texts.items()} | {
        "year": int(digits[0])
    }


def _whole(value: Any) -> int:
    try:
        return int(value)
    except (TypeError, ValueError):
        return 0


def with_duckdb(editions: str) -> Done:
    """The prototype's rules in one query of duckdb, what cannot pass sieved out before any JSON is read."""
    import duckdb

    with tempfile.TemporaryDirectory(prefix="duckdb-") as folder:
        output = f"{folder}/kept.parquet"
        columns = ", ".join(f"doc ->> '$.{name}' AS {name}" for name in _COLUMNS)
        duckdb.sql(
            f"""
            COPY (
                SELECT * FROM (
                    SELECT {columns}, TRY_CAST(regexp_extract(publish_date, '[0-9]{{4}}') AS INT) AS year
                    FROM (
                        SELECT CASE WHEN json_valid(json) THEN json END AS doc
                        FROM read_csv('{editions}', delim='\t', quote='', escape='', header=false, null_padding=true,
                            columns={{'type': 'VARCHAR', 'record': 'VARCHAR', 'revision': 'VARCHAR',
                            'modified': 'VARCHAR', 'json': 'VARCHAR'}}, auto_detect=false,
                            strict_mode=false, max_line_size=67108864, compression='gzip')
                        WHERE contains(json, '/languages/eng') AND contains(lower(json), 'fiction')
                    )
                )
                WHERE contains(languages, '/languages/eng') AND contains(lower(subjects), 'fiction')
                    AND NOT contains(lower(subjects), 'juvenile') AND NOT contains(lower(subjects), 'children')
                    AND TRY_CAST(number_of_pages AS INT) >= 100 AND year >= {FIRST_YEAR}
            ) TO '{output}' (FORMAT parquet, COMPRESSION zstd)
            """
        )
        seconds = _elapsed()
        return Done(_digest(_parquet_keys(output)), seconds)


def with_polars(editions: str) -> Done:
    """The same in one lazy query of polars."""
    import polars as pl

    text = pl.col("json")
    with tempfile.TemporaryDirectory(prefix="polars-") as folder:
        output = f"{folder}/kept.parquet"
        kept = (
            pl.scan_csv(
                editions,
                separator="\t",
                has_header=False,
                quote_char=None,
                new_columns=["type", "record", "revision", "modified", "json"],
                schema_overrides=[pl.String] * 5,
                truncate_ragged_lines=True,
            )
            .filter(
                text.str.contains("/languages/eng", literal=True),
                text.str.to_lowercase().str.contains("fiction", literal=True),
            )
            .select(text.str.json_path_match(f"$.{name}").alias(name) for name in _COLUMNS)
            .with_columns(
                year=pl.col("publish_date").str.extract("([0-9]{4})", 1).cast(pl.Int32, strict=False),
                lowered=pl.col("subjects").str.to_lowercase(),
            )
            .filter(
                pl.col("languages").str.contains("/languages/eng", literal=True),
                pl.col("lowered").str.contains("fiction", literal=True),
                ~pl.col("lowered").str.contains("juvenile", literal=True),
                ~pl.col("lowered").str.contains("children", literal=True),
                pl.col("number_of_pages").cast(pl.Int32, strict=False) >= 100,
                pl.col("year") >= FIRST_YEAR,
            )
        )
        kept.drop("lowered").sink_parquet(output, compression="zstd")
        seconds = _elapsed()
        return Done(_digest(_parquet_keys(output)), seconds)


def _land(folder: Path, **dumps: str) -> dict[str, Any]:
    from booksearch_assets.compute.landing import chunk_size_for, land
    from booksearch_assets.openlibrary.dump_site import DumpKind

    return {
        kind: land(
            Path(path),
            str(folder / kind),
            expects=DumpKind(kind).problem,
            chunk_bytes=chunk_size_for(Path(path).stat().st_size, os.cpu_count() or 1),
        )
        for kind, path in dumps.items()
        if path
    }


def _make_editions(folder: Path) -> None:
    from booksearch_assets.compute.editions import EditionsParams
    from booksearch_assets.compute.landing import Landed
    from booksearch_assets.compute.plan import Work
    from booksearch_assets.resources.spark import LocalSparkLauncher, SparkTuning

    uri = folder.as_uri()
    kinds = [kind for kind in ("editions", "works", "authors") if (folder / kind).exists()]
    landed = {kind: Landed.read(str(folder / kind)) for kind in kinds}
    params = EditionsParams(
        chunks={kind: [f"{uri}/{kind}/{chunk.name}" for chunk in landed[kind].chunks] for kind in kinds},
        parsed=f"{uri}/parsed",
        staging=f"{uri}/staging",
        output=f"{uri}/table",
        quarantine=f"{uri}/quarantine",
        first_year=FIRST_FOLDER,
        dump_year=YEAR,
    )
    work = Work(
        rows=sum(dump.lines for dump in landed.values()),
        input_bytes=sum(dump.raw_bytes for dump in landed.values()),
        pieces=sum(len(dump.chunks) for dump in landed.values()),
    )
    report = LocalSparkLauncher().run("editions", params, SparkTuning(), work)
    print(report.figures)


def _filter(folder: Path) -> None:
    from booksearch_assets.compute.filtered_fiction import FilteredFictionParams
    from booksearch_assets.compute.plan import Work
    from booksearch_assets.resources.spark import LocalSparkLauncher, SparkTuning

    years = [str(year) for year in range(FIRST_FOLDER, YEAR + 1)]
    params = FilteredFictionParams(
        editions=f"{folder.as_uri()}/table",
        years=years,
        profile="article",
        dump_year=YEAR,
        output=f"{folder.as_uri()}/filtered",
    )
    size = sum(file.stat().st_size for file in (folder / "table").rglob("*.parquet"))
    work = Work(rows=1_000_000, input_bytes=_PARQUET_RATIO * size)
    report = LocalSparkLauncher().run("filtered_fiction", params, SparkTuning(), work)
    print(report.figures)


def _spark() -> SparkSession:
    """A session as one who follows a tutorial starts it, with the memory that ours has."""
    os.environ["PYSPARK_PYTHON"] = sys.executable
    from pyspark.sql import SparkSession

    return (
        SparkSession.builder.master("local[*]")
        .config("spark.driver.memory", "2g")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .config("spark.sql.ansi.enabled", "false")
        .getOrCreate()
    )


def _write_and_read(spark: SparkSession, kept: DataFrame) -> Done:
    with tempfile.TemporaryDirectory(prefix="prototype-") as folder:
        kept.write.mode("overwrite").csv(f"{folder}/kept", header=True)
        seconds = _elapsed()
        written = spark.read.csv(f"{folder}/kept", header=True, multiLine=True).where(f"year <= {YEAR}")
        return Done(_digest(row["key"] for row in written.select("key").collect()), seconds)


def _kept(folder: Path) -> list[str]:
    import pyarrow.parquet as pq

    files = (folder / "filtered").glob("year=*/outcome=kept/*.parquet")
    return [key for file in files for key in pq.ParquetFile(file).read(["edition_key"])[0].to_pylist()]


def _parquet_keys(file: str) -> list[str]:
    import pyarrow.parquet as pq

    books = pq.ParquetFile(file).read(["key", "year"]).to_pylist()
    return [book["key"] for book in books if book["year"] <= YEAR]


def _digest(keys: Iterable[str]) -> dict[str, Any]:
    """How many keys there are, and a checksum of them in order, bare of their paths."""
    bare = sorted({key.rpartition("/")[2] for key in keys})
    return {"books": len(bare), "sha256": hashlib.sha256("\n".join(bare).encode()).hexdigest()}
