"""Small dumps for the tests of Spark stages, and the tables that the stages write."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from booksearch_assets.compute.editions import EditionsParams
from booksearch_assets.tables.contract import Table

Rows = list[dict[str, Any]]


def land(folder: Path, lines: Mapping[str, Iterable[bytes]], chunks: int = 1) -> dict[str, list[str]]:
    """Write the lines of each source as gzip chunks. Returns their URIs."""
    folder.mkdir(parents=True, exist_ok=True)
    uris: dict[str, list[str]] = {}
    for source, text in lines.items():
        text = list(text)
        size = -(-len(text) // chunks) or 1
        uris[source] = []
        for number in range(chunks):
            path = folder / f"{source}-{number}.txt.gz"
            path.write_bytes(
                gzip.compress(b"".join(line + b"\n" for line in text[number * size : (number + 1) * size]), 1)
            )
            uris[source].append(path.as_uri())
    return uris


def editions_params(
    folder: Path, chunks: dict[str, list[str]], first_year: int = 2010, dump_year: int = 2025
) -> EditionsParams:
    uri = folder.as_uri()
    return EditionsParams(
        chunks=chunks,
        parsed=f"{uri}/parsed",
        staging=f"{uri}/quarantine/_staging",
        output=f"{uri}/editions",
        quarantine=f"{uri}/quarantine",
        first_year=first_year,
        dump_year=dump_year,
    )


def read(table: Table, folder: Path) -> Rows:
    """The rows of every file below `folder`, each file kept to the contract on its own."""
    files = sorted(folder.rglob("*.parquet"))
    for file in files:
        rows = pq.ParquetFile(file).read()
        nulls = {name: rows[name].null_count for name in rows.column_names}
        assert table.violations(rows.schema, nulls) == [], file
    return ds.dataset([str(file) for file in files]).to_table().to_pylist() if files else []


def write_editions(folder: Path, rows: Rows, schema: pa.Schema) -> None:
    """Lay EDITIONS rows out by year as the editions stage does."""
    by_year: dict[str, Rows] = {}
    for row in rows:
        year = row["publish_year"]
        by_year.setdefault(str(year) if year and 2010 <= year <= 2025 else "other", []).append(row)
    for name, members in by_year.items():
        place = folder / f"year={name}"
        place.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.Table.from_pylist(members, schema), place / "part-0.parquet")
