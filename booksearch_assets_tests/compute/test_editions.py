"""The editions stage against the oracle, and the rules about revisions, redirects and bad input."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from booksearch_assets.compute import editions
from booksearch_assets.openlibrary.chunks import DamagedChunk
from booksearch_assets.tables.books import EDITIONS, QUARANTINE
from booksearch_assets.tables.counts import Counts, StageReport
from booksearch_assets_tests.compute.dumps import Rows, editions_params, land, read
from booksearch_assets_tests.openlibrary import oracle
from booksearch_assets_tests.openlibrary.messy import author_line, edition_line, work_line

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark
LINES = st.integers(0, 2**62)


def line(
    kind: str, key: str, revision: int = 1, modified: str = "2020-01-01T00:00:00.000000", **fields: Any
) -> bytes:
    return f"/type/{kind}\t/x/{key}\t{revision}\t{modified}\t{json.dumps(fields)}".encode()


def run(
    spark: SparkSession,
    folder: Path,
    lines: list[bytes],
    works: Sequence[bytes] = (),
    authors: Sequence[bytes] = (),
    chunks: int = 1,
) -> tuple[StageReport, dict[str, dict[str, Any]]]:
    landed = land(folder / "landed", {"editions": lines, "works": works, "authors": authors}, chunks)
    report = editions.run(spark, editions_params(folder, landed))
    assert report.total.unaccounted == 0
    rows = read(EDITIONS, folder / "editions")
    assert len({row["edition_key"] for row in rows}) == len(rows) == report.total.rows_out
    assert not (folder / "quarantine" / "_staging").exists()
    return report, {row["edition_key"]: row for row in rows}


def assert_agrees(
    spark: SparkSession, folder: Path, lines: list[bytes], works: list[bytes], authors: list[bytes]
) -> StageReport:
    report, rows = run(spark, folder, lines, works, authors)
    expected = oracle.editions_of(lines, works, authors, dump_year=2025)
    assert rows == expected.editions
    quarantine: Rows = read(QUARANTINE, folder / "quarantine")
    assert sorted((row["source"], row["line"], row["reason"]) for row in quarantine) == sorted(
        expected.quarantine
    )
    sources = {"editions": lines, "works": works, "authors": authors}
    assert all(row["raw"] == sources[row["source"]][row["line"] - 1].rstrip(b"\r\n") for row in quarantine)
    rejected = Counter(reason for source, _, reason in expected.quarantine if source == "editions")
    superseded = {"superseded": expected.superseded} if expected.superseded else {}
    assert report.total == Counts(len(lines), len(expected.editions), dict(rejected) | superseded)
    assert report.figures["works_lines"] == len(works)
    assert report.figures["works_rejected"] == sum(source == "works" for source, _, _ in expected.quarantine)
    return report


def test_real_records_agree_with_the_oracle(spark: SparkSession, real_data: Path, tmp_path: Path) -> None:
    folder = real_data / "openlibrary"
    files = {
        name: (folder / f"{name}.txt").read_bytes().splitlines()
        for name in ("editions", "editions_older_revisions", "works", "authors")
    }
    assert len(files["editions"]) == 546
    # The works name no edition's work, so half of the editions are given one, to have real subjects and authors joined.
    keys = [json.loads(work.split(b"\t", 4)[4])["key"] for work in files["works"]]
    joined = [
        _with_work(edition, keys[n]) if n % 2 else edition
        for n, edition in enumerate(files["editions"][:500])
    ]
    report = assert_agrees(
        spark,
        tmp_path,
        joined + files["editions"][500:] + files["editions_older_revisions"],
        files["works"],
        files["authors"],
    )
    assert report.total.rejected == {"superseded": 10}


def _with_work(edition: bytes, key: str) -> bytes:
    *head, payload = edition.split(b"\t", 4)
    return b"\t".join([*head, json.dumps(json.loads(payload) | {"works": [{"key": key}]}).encode()])


@settings(max_examples=3, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(LINES, min_size=200, max_size=200),
    st.lists(LINES, min_size=60, max_size=60),
    st.lists(LINES, min_size=40, max_size=40),
)
def test_messy_records_agree_with_the_oracle(
    spark: SparkSession, editions: list[int], works: list[int], authors: list[int]
) -> None:
    with TemporaryDirectory() as folder:
        assert_agrees(
            spark,
            Path(folder),
            [*map(edition_line, editions)],
            [*map(work_line, works)],
            [*map(author_line, authors)],
        )


def test_the_newest_revision_wins_wherever_it_stands(spark: SparkSession, tmp_path: Path) -> None:
    lines = [
        line("edition", "OL1M", 3, title="newest"),
        line("edition", "OL1M", 2, "2024-01-01T00:00:00.000000", title="older"),
        line("edition", "OL2M", 1, "2019-01-01T00:00:00.000000", title="changed first"),
        line("edition", "OL2M", 1, "2019-02-01T00:00:00.000000", title="changed last"),
        line("edition", "OL3M", title="first line"),
        line("edition", "OL3M", title="last line"),
        line("edition", "OL4M", 10, title="ten"),
        line("edition", "OL4M", 9, title="nine"),
    ]
    for chunks in (1, 3):
        report, rows = run(spark, tmp_path / str(chunks), lines, chunks=chunks)
        assert [rows[f"OL{n}M"]["title"] for n in (1, 2, 3, 4)] == [
            "newest",
            "changed last",
            "last line",
            "ten",
        ]
        assert report.total == Counts(8, 4, {"superseded": 4})


def test_redirects_are_followed_five_times_and_loops_end(spark: SparkSession, tmp_path: Path) -> None:
    works = [
        line("work", "OL9W", subjects=["Reached"], authors=[{"author": {"key": "/authors/OL1A"}}]),
        *(line("redirect", f"OL{n}W", location=f"/works/OL{n + 1}W") for n in range(3, 9)),
        line("redirect", "OL20W", location="/works/OL21W"),
        line("redirect", "OL21W", location="/works/OL20W"),
        line("redirect", "OL30W", location="/works/OL30W"),
    ]
    authors = [line("redirect", "OL1A", location="/authors/OL2A"), line("author", "OL2A", name="A. Name")]
    references = {
        "OL1M": "OL9W",
        "OL2M": "OL4W",
        "OL3M": "OL3W",
        "OL4M": "OL20W",
        "OL5M": "OL30W",
        "OL6M": "OL404W",
    }
    lines = [line("edition", key, works=[{"key": f"/works/{work}"}]) for key, work in references.items()] + [
        line("edition", "OL7M")
    ]
    report, rows = run(spark, tmp_path, lines, works, authors)
    assert {key: row["work_key"] for key, row in rows.items()} == {
        "OL1M": "OL9W",
        "OL2M": "OL9W",
    } | dict.fromkeys(["OL3M", "OL4M", "OL5M", "OL6M", "OL7M"])
    assert (rows["OL2M"]["work_subjects"], rows["OL2M"]["authors"]) == (["Reached"], ["A. Name"])
    assert {name: report.figures[name] for name in ("orphans", "missing_works", "redirected_works")} == {
        "orphans": 1,
        "missing_works": 4,
        "redirected_works": 3,
    }


def test_authors_come_from_the_work_in_order_or_else_from_the_edition(
    spark: SparkSession, tmp_path: Path
) -> None:
    authors = [line("author", f"OL{n}A", name=f"Author {n}") for n in range(1, 13)] + [
        line("author", "OL99A")
    ]
    works = [
        line("work", "OL1W", authors=[{"author": {"key": f"/authors/OL{n}A"}} for n in (12, 3, 404, 7, 1)]),
        line("work", "OL2W", authors=[{"author": {"key": "/authors/OL99A"}}]),
    ]
    own = [{"key": "/authors/OL5A"}, {"key": "/authors/OL2A"}]
    lines = [
        line("edition", "OL1M", works=[{"key": "/works/OL1W"}], authors=own),
        line("edition", "OL2M", works=[{"key": "/works/OL2W"}], authors=own),
        line("edition", "OL3M", authors=own),
        line("edition", "OL4M", works=[{"key": "/works/OL2W"}]),
    ]
    _, rows = run(spark, tmp_path, lines, works, authors)
    assert rows["OL1M"]["authors"] == ["Author 12", "Author 3", "Author 7", "Author 1"]
    assert rows["OL2M"]["authors"] == rows["OL3M"]["authors"] == ["Author 5", "Author 2"]
    assert rows["OL4M"]["authors"] == []


def test_each_year_has_its_folder_and_all_others_share_one(spark: SparkSession, tmp_path: Path) -> None:
    dates = {"OL1M": "2010", "OL2M": "May 2025", "OL3M": "2009", "OL4M": "2026", "OL5M": "", "OL6M": "2010"}
    report, _ = run(
        spark, tmp_path, [line("edition", key, publish_date=date) for key, date in dates.items()], chunks=3
    )
    assert {year: rows for year, rows in report.figures["rows_by_year"].items() if rows} == {
        "2010": 2,
        "2025": 1,
        "other": 3,
    }
    files = sorted(file.parent.name for file in (tmp_path / "editions").rglob("*.parquet"))
    assert files == ["year=2010", "year=2025", "year=other"]


def test_an_empty_dump_makes_an_empty_table(spark: SparkSession, tmp_path: Path) -> None:
    report, rows = run(spark, tmp_path, [])
    assert (report.total, rows) == (Counts(0, 0), {})
    assert set(report.figures["rows_by_year"].values()) == {0}
    report = editions.run(
        spark, editions_params(tmp_path / "none", {"editions": [], "works": [], "authors": []})
    )
    assert report.total == Counts(0, 0)
    report, rows = run(spark, tmp_path / "works", [], [line("work", "OL1W")], [line("author", "OL1A")])
    assert (report.total, report.figures["works_lines"], rows) == (Counts(0, 0), 1, {})


def test_a_damaged_chunk_stops_the_stage_by_name(spark: SparkSession, tmp_path: Path) -> None:
    landed = land(tmp_path, {"editions": [line("edition", "OL1M")], "works": [], "authors": []})
    path = tmp_path / "editions-0.txt.gz"
    path.write_bytes(path.read_bytes()[:-6])
    with pytest.raises(
        DamagedChunk,
        match=r"^the chunk file://.*editions-0\.txt\.gz cannot be read after \d+ whole lines: .*land the dump again\.$",
    ):
        editions.run(spark, editions_params(tmp_path, landed))
