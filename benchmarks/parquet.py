"""How tables, vectors and pictures are best kept in Parquet, each for what reads it: `python benchmarks/parquet.py`.

Vectors are read whole, pictures by row (the API and the contact sheets) or whole shards at a time (embedding), tables by
column. Writes and reads are timed by processor seconds, which a busy machine changes least. The table that it prints is
in `docs/performance.md`; what wins is set in `tables/lake.py` and `tables/shards.py`.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from pictures import DISTINCT, picture

REPETITIONS = 5


@dataclass(frozen=True)
class Way:
    """A way to write a file: arguments of `pyarrow.parquet.write_table`."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


def compression(name: str, level: int | None = None, **more: Any) -> dict[str, Any]:
    return {"compression": name, "compression_level": level, **more}


CODECS = [
    Way("none", compression("none")),
    Way("snappy", compression("snappy")),
    Way("lz4", compression("lz4")),
    Way("zstd 1", compression("zstd", 1)),
    Way("zstd 3", compression("zstd", 3)),
    Way("zstd 9", compression("zstd", 9)),
]
PLAIN = {"use_dictionary": False}
SPLIT = {"use_dictionary": False, "use_byte_stream_split": ["vector.list.element"]}


def vectors(rows: int, dimension: int, fixed: bool) -> pa.Table:
    """L2-normalised float32, as an encoder gives them."""
    values = np.random.default_rng(0).normal(size=(rows, dimension)).astype(np.float32)
    values /= np.linalg.norm(values, axis=1, keepdims=True)
    flat = pa.array(values.ravel())
    column = (
        pa.FixedSizeListArray.from_arrays(flat, dimension)
        if fixed
        else pa.ListArray.from_arrays(pa.array(np.arange(0, len(flat) + 1, dimension, dtype=np.int32)), flat)
    )
    names = pa.array(["openai/clip-vit-base-patch32"] * rows)
    return pa.table({"cover_id": pa.array(range(rows), pa.int64()), "vector": column, "model_id": names})


def covers() -> pa.Table:
    """JPEGs, no two alike, with what is read without them."""
    content = [picture(number) for number in range(DISTINCT)]
    keys = pa.array(range(DISTINCT), pa.int64())
    return pa.table({"cover_id": keys, "content": pa.array(content), "status": pa.array(["ok"] * DISTINCT)})


def measured(
    rows: pa.Table, way: Way, read: Callable[[Path], object], folder: Path
) -> tuple[int, float, float]:
    """Bytes of the file, and processor milliseconds of writing it and of reading it: medians."""
    file = folder / "measured.parquet"
    written, got = [], []
    for _ in range(REPETITIONS):
        started = time.process_time()
        pq.write_table(rows, file, **way.arguments)
        written.append(time.process_time() - started)
        started = time.process_time()
        read(file)
        got.append(time.process_time() - started)
    return file.stat().st_size, 1000 * statistics.median(written), 1000 * statistics.median(got)


def whole(file: Path) -> object:
    return pq.read_table(file)


def one_row(file: Path) -> object:
    """A row in the middle, as `ShardStore.row` reads it."""
    with pq.ParquetFile(file) as opened:
        number = opened.metadata.num_rows // 2
        for group in range(opened.num_row_groups):
            rows = opened.metadata.row_group(group).num_rows
            if number < rows:
                return opened.read_row_group(group, ["content"]).slice(number, 1).to_pylist()
            number -= rows
    raise IndexError(number)


def show(title: str, rows: pa.Table, ways: list[Way], read: Callable[[Path], object], folder: Path) -> None:
    print(
        f"\n{title}\n\n| way | MB | write, ms of a core | read, ms of a core |\n| --- | ---: | ---: | ---: |"
    )
    for way in ways:
        size, write, took = measured(rows, way, read, folder)
        print(f"| {way.name} | {size / 1e6:,.2f} | {write:,.1f} | {took:,.1f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--vectors", type=int, default=8192)
    parser.add_argument(
        "--table", type=Path, help="A Parquet file of rows, such as one of books/editions in a lake."
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="parquet-") as scratch:
        folder = Path(scratch)
        fixed, loose = (vectors(options.vectors, 512, fixed) for fixed in (True, False))
        show("Vectors, fixed-size lists, by codec", fixed, CODECS, whole, folder)
        ways = [
            Way("plain, zstd 1", compression("zstd", 1, **PLAIN)),
            Way("plain, none", compression("none", **PLAIN)),
            Way("byte stream split, zstd 1", compression("zstd", 1, **SPLIT)),
        ]
        show("Vectors, fixed-size lists, by encoding", fixed, ways, whole, folder)
        show("Vectors, lists of any length", loose, [Way("zstd 1", compression("zstd", 1))], whole, folder)
        groups = [
            Way(f"{n:,} rows", compression("zstd", 1, **PLAIN, row_group_size=n))
            for n in (64, 512, 4096, 16_384)
        ]
        show("Vectors, by row group", fixed, groups, whole, folder)
        painted = covers()
        show("Pictures, by codec, all read", painted, CODECS, whole, folder)
        groups = [Way(f"{n:,} rows", compression("none", row_group_size=n)) for n in (1, 8, 64)]
        show("Pictures, by row group, one read", painted, groups, one_row, folder)
        if options.table:
            show(
                f"Rows of {options.table.parent.name}, by codec",
                pq.read_table(options.table),
                CODECS,
                whole,
                folder,
            )


if __name__ == "__main__":
    main()
