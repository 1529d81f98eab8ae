"""The choice of covers: reasons, shared covers, and a covers_metadata that is messy or absent."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyspark.errors import AnalysisException

from booksearch_assets.compute import cover_urls
from booksearch_assets.compute.cover_urls import CoverUrlsParams
from booksearch_assets.tables.books import COVER_URL_REJECTIONS, COVER_URLS, FILTERED_FICTION
from booksearch_assets.tables.counts import Counts, StageReport
from booksearch_assets_tests.compute.dumps import Rows, read

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

pytestmark = pytest.mark.spark
BASE = "https://covers.example.org"


def write_filtered(folder: Path, covers: dict[str, dict[str, int | None]]) -> dict[str, str]:
    """Write FILTERED_FICTION for the cover of each edition of each year. Returns the folder of each year."""
    blank = {c.name: [] if pa.types.is_list(c.type) else None for c in FILTERED_FICTION.columns}
    folders = {}
    for year, of_year in covers.items():
        place = folder / f"year={year}" / "outcome=kept"
        place.mkdir(parents=True)
        facts = {"publish_year": int(year), "pages": 200, "fiction_rule": "is_fiction"}
        rows = [
            blank | facts | {"edition_key": key, "cover_id": cover_id} for key, cover_id in of_year.items()
        ]
        pq.write_table(pa.Table.from_pylist(rows, FILTERED_FICTION.schema), place / "part-0.parquet")
        folders[year] = f"file://{place}"
    return folders


def run(
    spark: SparkSession,
    folder: Path,
    covers: dict[str, dict[str, int | None]],
    metadata: bytes | None,
    **more: Any,
) -> StageReport:
    chunks = []
    if metadata is not None:
        (folder / "covers_metadata-0.txt.gz").write_bytes(gzip.compress(metadata))
        chunks = [(folder / "covers_metadata-0.txt.gz").as_uri()]
    filtered = write_filtered(folder / "filtered", covers)
    return cover_urls.run(spark, CoverUrlsParams(filtered, chunks, BASE, (folder / "out").as_uri(), **more))


def kept(folder: Path, year: str) -> dict[int, dict[str, Any]]:
    rows = read(COVER_URLS, folder / "out" / f"year={year}" / "outcome=kept")
    return {row["cover_id"]: row for row in rows}


def rejected(folder: Path, year: str) -> dict[str, str]:
    rows: Rows = read(COVER_URL_REJECTIONS, folder / "out" / f"year={year}" / "outcome=rejected")
    return {row["edition_key"]: row["reason"] for row in rows}


def test_covers_are_chosen_by_their_measured_size(spark: SparkSession, tmp_path: Path) -> None:
    metadata = (
        b"10\t333\t500\t2010-01-01\n11\t1\t1\t2010-01-01\n12\t100\t401\t2010-01-01\n13\t400\t100\t2010-01-01\n"
        b"14\t31\t40\t2010-01-01\n15\t32\t32\t2010-01-01\n16\t\\N\t\\N\t2010-01-01\n17\t0\t0\t2010-01-01\n18\t2147483647\t2147483647\tx\n"
    )
    covers: dict[str, int | None] = {f"OL{n}M": n for n in range(10, 20)} | {"OL1M": None}
    report = run(spark, tmp_path, {"2020": covers}, metadata)
    assert rejected(tmp_path, "2020") == {
        "OL1M": "no_cover",
        "OL11M": "too_small",
        "OL14M": "too_small",
        "OL12M": "odd_shape",
    }
    sizes = {cover_id: (row["width"], row["height"]) for cover_id, row in kept(tmp_path, "2020").items()}
    assert sizes == {
        10: (333, 500),
        13: (400, 100),
        15: (32, 32),
        18: (2**31 - 1, 2**31 - 1),
        **dict.fromkeys((16, 17, 19), (None, None)),
    }
    assert report.counts == {"2020": Counts(11, 7, {"no_cover": 1, "too_small": 2, "odd_shape": 1})}
    assert report.figures == {
        "covers_by_year": {"2020": 7},
        "covers_of_unknown_size": 3,
        "malformed_lines": 0,
    }


def test_a_cover_that_editions_share_is_one_row_in_each_year(spark: SparkSession, tmp_path: Path) -> None:
    covers: dict[str, dict[str, int | None]] = {
        "2019": {"OL3M": 7},
        "2020": {"OL9M": 7, "OL2M": 7, "OL10M": 8},
        "2021": {},
    }
    report = run(spark, tmp_path, covers, b"7\t300\t400\t2010-01-01\n")
    assert kept(tmp_path, "2019") == {
        7: {
            "cover_id": 7,
            "url": f"{BASE}/b/id/7-L.jpg?default=false",
            "width": 300,
            "height": 400,
            "edition_keys": ["OL3M"],
        }
    }
    assert {cover_id: row["edition_keys"] for cover_id, row in kept(tmp_path, "2020").items()} == {
        7: ["OL2M", "OL9M"],
        8: ["OL10M"],
    }
    assert report.counts == {"2019": Counts(1, 1), "2020": Counts(3, 3), "2021": Counts(0, 0)}
    assert report.figures["covers_by_year"] == {"2019": 1, "2020": 2, "2021": 0}


def test_malformed_metadata_is_counted_and_the_newest_line_of_a_cover_counts(
    spark: SparkSession, tmp_path: Path
) -> None:
    metadata = b"\n7\n7\t300\nseven\t300\t400\t2010-01-01\n-7\t300\t400\tx\n7\twide\t400\t2012-01-01\n7\t99999999999\t400\tx\n\xff\xfe\n"
    newest = b"7\t10\t10\t2009-01-01\n7\t300\t400\t2011-01-01\n7\t20\t20\t2010-01-01\n8\t300\t400\t2011-01-01"
    report = run(spark, tmp_path, {"2020": {"OL1M": 7}}, metadata + newest)
    assert (kept(tmp_path, "2020")[7]["width"], report.figures["malformed_lines"]) == (300, 8)


def test_without_metadata_every_cover_is_wanted(spark: SparkSession, tmp_path: Path) -> None:
    report = run(spark, tmp_path, {"2020": {"OL1M": 7, "OL2M": None}}, None, size="M")
    assert kept(tmp_path, "2020")[7] == {
        "cover_id": 7,
        "url": f"{BASE}/b/id/7-M.jpg?default=false",
        "width": None,
        "height": None,
        "edition_keys": ["OL1M"],
    }
    assert report.counts == {"2020": Counts(2, 1, {"no_cover": 1})}


def test_no_years_make_nothing_and_an_absent_folder_stops_the_stage(
    spark: SparkSession, tmp_path: Path
) -> None:
    output = f"file://{tmp_path}/out"
    assert cover_urls.run(spark, CoverUrlsParams({}, [], BASE, output)).counts == {}
    with pytest.raises(AnalysisException, match="PATH_NOT_FOUND.*absent"):
        cover_urls.run(spark, CoverUrlsParams({"2020": f"file://{tmp_path}/absent"}, [], BASE, output))
