"""How columns are laid out in Parquet: by what they hold, and by who reads them. `benchmarks/parquet.py` measures it.

Belongs here: encodings, compression and row groups. Does not: where files lie (`tables.lake`, `tables.shards`).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

_PICTURE_ROWS = 8


@lru_cache
def writer_settings(schema: pa.Schema, only_arrow: bool = False) -> dict[str, Any]:
    """Arguments of `pyarrow.parquet.ParquetWriter` for rows of a schema.

    Floats have no dictionary: no two numbers of a vector are alike, and looking for them costs a third of the write.
    Where only Arrow reads them, their bytes are split by place, which makes vectors 9 % smaller and quicker to read, but
    which not every reader knows. Pictures are compressed already. The rest is zstd of level 1: level 3 makes vectors no
    smaller.
    """
    leaves = _leaves(schema)
    floats = [path for path, kind, _ in leaves if kind in ("FLOAT", "DOUBLE")]
    raw = [path for path, kind, meaning in leaves if kind == "BYTE_ARRAY" and meaning == "NONE"]
    return {
        "compression": {path: "NONE" if path in raw else "ZSTD" for path, *_ in leaves},
        "use_dictionary": [path for path, *_ in leaves if path not in floats + raw],
        "use_byte_stream_split": floats if only_arrow else [],
    }


def shard_rows(schema: pa.Schema) -> int | None:
    """Rows of a row group of a shard: few where one picture is read at a time, else all that there are.

    A picture is read in a fifth of the time that it takes in groups of 64. Vectors in such groups are 10 % larger, and
    take a third longer to read.
    """
    return _PICTURE_ROWS if any(pa.types.is_binary(field.type) for field in schema) else None


def _leaves(schema: pa.Schema) -> list[tuple[str, str, str]]:
    """Path, physical type and meaning of every column as Parquet has them, in which a list is a column of elements."""
    buffer = pa.BufferOutputStream()
    pq.ParquetWriter(buffer, schema).close()
    columns = pq.ParquetFile(pa.BufferReader(buffer.getvalue())).schema
    found = (columns.column(number) for number in range(len(columns)))
    return [(column.path, column.physical_type, str(column.logical_type.type)) for column in found]
