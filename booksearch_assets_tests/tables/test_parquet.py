"""What is written: vectors as fixed-size lists without a dictionary, pictures as they are, groups as they are read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from booksearch_assets.tables.books import COVERS
from booksearch_assets.tables.lake import Lake
from booksearch_assets.tables.parquet import shard_rows, writer_settings
from booksearch_assets.tables.shards import ShardStore

ROWS = 20


def _column(file: pq.ParquetFile, path: str) -> pq.ColumnChunkMetaData:
    group = file.metadata.row_group(0)
    columns = (group.column(number) for number in range(group.num_columns))
    return next(column for column in columns if column.path_in_schema == path)


def _vectors() -> pa.Table:
    schema = COVERS.vectors(64).schema
    values = pa.array(np.random.default_rng(0).normal(size=ROWS * 64).astype(np.float32))
    given = {"vector": pa.FixedSizeListArray.from_arrays(values, 64)}
    for field in schema:
        if pa.types.is_integer(field.type):
            given[field.name] = pa.array(range(ROWS), field.type)
        elif pa.types.is_string(field.type):
            given[field.name] = pa.array(["same"] * ROWS)
    return pa.table([given[field.name] for field in schema], schema=schema)


def test_a_shard_of_vectors_is_one_group_with_its_bytes_split(tmp_path: Path) -> None:
    rows = _vectors()
    store = ShardStore(str(tmp_path), "vectors", COVERS.vectors(64))
    shard = store.append(rows)
    [path] = tmp_path.rglob("*.parquet")
    file = pq.ParquetFile(path)
    assert file.num_row_groups == 1
    vector = _column(file, "vector.list.element")
    assert "BYTE_STREAM_SPLIT" in vector.encodings and vector.compression == "ZSTD"
    assert pa.types.is_fixed_size_list(file.schema_arrow.field("vector").type)
    assert store.read(shard).equals(rows)


def test_a_table_of_vectors_is_plain_for_every_reader(tmp_path: Path) -> None:
    rows = _vectors()
    pending = Lake(str(tmp_path)).begin("books/cover_embeddings")
    pending.write(rows, rows.schema, "2015")
    [path] = tmp_path.rglob("*.parquet")
    vector = _column(pq.ParquetFile(path), "vector.list.element")
    assert "PLAIN" in vector.encodings
    assert not {"BYTE_STREAM_SPLIT", "RLE_DICTIONARY"} & set(vector.encodings)


def test_pictures_are_kept_as_they_are_in_groups_of_few() -> None:
    schema = pa.schema([("cover_id", pa.int64()), ("content", pa.binary()), ("url", pa.string())])
    settings = writer_settings(schema, only_arrow=True)
    assert settings["compression"] == {"cover_id": "ZSTD", "content": "NONE", "url": "ZSTD"}
    assert "content" not in settings["use_dictionary"]
    assert (shard_rows(schema), shard_rows(_vectors().schema)) == (8, None)
