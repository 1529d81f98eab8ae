"""Parsed chunks outlive a run that fails, and no run takes those of other chunks, years or parsers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from booksearch_assets.compute import editions, parsed_chunks
from booksearch_assets.compute.parsed_chunks import ParsedChunks, drop_parsed, parse_chunks
from booksearch_assets.openlibrary.chunks import PARSINGS, DamagedChunk, Source, parse_chunk
from booksearch_assets.tables.books import EDITIONS, QUARANTINE
from booksearch_assets_tests.compute.dumps import editions_params, land, read
from booksearch_assets_tests.openlibrary.messy import author_line, edition_line, work_line

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark

LINES = {
    "editions": [edition_line(seed) for seed in range(120)],
    "works": [work_line(seed) for seed in range(40)],
    "authors": [author_line(seed) for seed in range(20)],
}


def files(parsed: ParsedChunks) -> list[Path]:
    return sorted(Path(parsed.folder).iterdir())


def test_one_file_for_each_chunk_holds_its_rows_by_year(spark: SparkSession, tmp_path: Path) -> None:
    uris = land(tmp_path / "landed", {"editions": LINES["editions"]}, chunks=4)["editions"]
    parsed = parse_chunks(spark, uris, Source.EDITIONS, 2010, 2025, str(tmp_path / "a b%20c"))
    assert (parsed.parsed, parsed.kept, parsed.lines) == (4, 0, 120)
    assert parsed.records + parsed.rejects == 120 and parsed.rejects == sum(parsed.reasons.values()) > 0
    groups: set[str] = set()
    for uri, chunk, path in zip(uris, parsed.chunks, files(parsed), strict=True):
        assert (chunk.name, chunk.file) == (uri.rpartition("/")[2], str(path))
        file = pq.ParquetFile(path)
        schema = PARSINGS[Source.EDITIONS].schema
        expected = pa.Table.from_batches(parse_chunk(uri, Source.EDITIONS, 2025), schema)
        assert file.read().sort_by("line").equals(expected)
        assert file.num_row_groups == len(chunk.groups)
        for number, (group, size) in enumerate(chunk.groups.items()):
            rows = file.read_row_group(number).to_pylist()
            assert len(rows) == size
            assert [row["line"] for row in rows] == sorted(row["line"] for row in rows)
            assert {group_of(row) for row in rows} == {group}
        groups |= chunk.groups.keys()
    assert {"other", "rejects"} < groups and any(group.isdigit() for group in groups)


def group_of(row: dict[str, Any]) -> str:
    year = row["publish_year"]
    if row["reason"]:
        return "rejects"
    return str(year) if year and 2010 <= year <= 2025 else "other"


def test_what_a_kept_file_holds_is_read_from_it(spark: SparkSession, tmp_path: Path) -> None:
    landed = land(tmp_path / "landed", LINES, chunks=2)
    for source in Source:
        first, second = (
            parse_chunks(spark, landed[source], source, 2010, 2025, str(tmp_path / "parsed"))
            for _ in range(2)
        )
        assert (first.parsed, second.kept) == (2, 2)
        assert second.chunks == first.chunks
    assert first.redirects > 0


def test_a_stage_that_failed_is_continued_with_the_chunks_that_are_missing(
    spark: SparkSession, tmp_path: Path
) -> None:
    landed = land(tmp_path / "landed", LINES, chunks=3)
    broken = tmp_path / "landed" / "works-1.txt.gz"
    sound = broken.read_bytes()
    broken.write_bytes(sound[:-6])
    params = editions_params(tmp_path, landed)
    with pytest.raises(DamagedChunk):
        editions.run(spark, params)
    assert not list((tmp_path / "parsed").glob("works-*/00001.parquet"))
    broken.write_bytes(sound)
    report = editions.run(spark, params)
    # Editions were all parsed; of the works, tasks beside the one that failed may have ended or not.
    kept, parsed = report.figures["chunks_kept_from_a_killed_run"], report.figures["chunks_parsed"]
    assert kept >= 3 and parsed >= 4 and kept + parsed == 9

    undisturbed = tmp_path / "undisturbed"
    whole = editions.run(spark, editions_params(undisturbed, landed))
    assert whole.figures["chunks_parsed"] == 9 and whole.counts == report.counts
    for table, folder in ((EDITIONS, "editions"), (QUARANTINE, "quarantine")):
        rows = [sorted(map(str, read(table, home / folder))) for home in (tmp_path, undisturbed)]
        assert rows[0] == rows[1] != []


def test_rows_of_other_chunks_years_or_parsers_are_never_taken_and_are_dropped(
    spark: SparkSession, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    landed = land(tmp_path / "landed", LINES, chunks=2)
    root = str(tmp_path / "parsed")
    works = parse_chunks(spark, landed["works"], Source.WORKS, 2010, 2025, root)
    parse_chunks(spark, landed["authors"], Source.AUTHORS, 2010, 2025, root)
    assert parse_chunks(spark, landed["authors"], Source.AUTHORS, 2010, 2025, root).kept == 2
    assert parse_chunks(spark, landed["authors"][:1], Source.AUTHORS, 2010, 2025, root).kept == 0
    assert parse_chunks(spark, landed["authors"][:1], Source.AUTHORS, 2010, 2026, root).kept == 0
    assert parse_chunks(spark, landed["authors"][:1], Source.AUTHORS, 2009, 2026, root).kept == 0
    monkeypatch.setattr(parsed_chunks, "rules_version", lambda: "other rules")
    last = parse_chunks(spark, landed["authors"][:1], Source.AUTHORS, 2009, 2026, root)
    assert (last.parsed, last.kept) == (1, 0)
    assert sorted(Path(root).iterdir()) == sorted([Path(works.folder), Path(last.folder)])
    drop_parsed(root)
    drop_parsed(str(tmp_path / "never"))
    assert list(Path(root).iterdir()) == []
