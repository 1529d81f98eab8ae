"""Files of a path, file:// or s3:// URI, as tasks read and write them by Arrow.

Belongs here: opening and naming them, files that are whole or not there. Does not: columns and encodings (`tables.parquet`),
which files make a table (`tables.lake`).
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq


@contextmanager
def whole_parquet(uri: str, schema: pa.Schema, **settings: Any) -> Iterator[pq.ParquetWriter]:
    """A writer of the Parquet file at `uri`, whose folder is made. Nothing is there until all of it is written.

    `settings` are those of `ParquetWriter`. What an error or a kill cuts short stays beside it under a name that starts
    with a dot, which no reader of tables takes for data.
    """
    filesystem, place = filesystem_of(uri)
    folder, _, name = place.rpartition("/")
    filesystem.create_dir(folder, recursive=True)
    # Closing a Parquet file that an error cut short makes it look like a whole one.
    unfinished = f"{folder}/.{name}.{secrets.token_hex(4)}.tmp"
    with pq.ParquetWriter(unfinished, schema, filesystem=filesystem, **settings) as writer:
        yield writer
    filesystem.move(unfinished, place)


def open_parquet(uri: str) -> pq.ParquetFile:
    """The Parquet file at `uri`. Of one that is not on this machine, columns are fetched together."""
    filesystem, place = filesystem_of(uri)
    return pq.ParquetFile(place, filesystem=filesystem, pre_buffer=filesystem.type_name != "local")


def filesystem_of(uri: str) -> tuple[pafs.FileSystem, str]:
    """The file system of a path, file:// or s3:// URI, and the place in it, without a slash at its end."""
    filesystem, path = pafs.FileSystem.from_uri(uri if "://" in uri else Path(uri).absolute().as_uri())
    return filesystem, path.rstrip("/")
