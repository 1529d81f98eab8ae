"""A sealed collection as one Parquet file, so that readers need neither the store nor its lock.

Belongs here: writing and reading the file. Does not: searching it (`exact`).
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from booksearch_assets.vectorstores.contract import CollectionSpec
from booksearch_assets.vectorstores.errors import CollectionNotSealed, StoreDamaged, StoreUnavailable

_SPEC = b"booksearch.collection"


def write_snapshot(path: Path, spec: CollectionSpec, batches: Iterable[pa.RecordBatch]) -> int:
    """Write rows of `spec.schema`, ordered by key, with the spec in the file's metadata. Returns their number."""
    schema = spec.schema.with_metadata({_SPEC: spec.to_json().encode()})
    written = 0
    with replacing(path) as place, pq.ParquetWriter(place, schema, compression="lz4") as writer:
        for batch in batches:
            writer.write_batch(batch.cast(schema))
            written += batch.num_rows
    return written


def read_snapshot(path: Path) -> tuple[CollectionSpec, pa.Table]:
    """The spec and the rows. Raises `CollectionNotSealed` where there is no file, `StoreDamaged` for a bad one."""
    try:
        rows = pq.read_table(path)
        return CollectionSpec.from_json((rows.schema.metadata or {})[_SPEC].decode()), rows
    except FileNotFoundError:
        raise CollectionNotSealed(
            f"there is no snapshot {path}: the collection was not sealed, or was dropped"
        ) from None
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as error:
        raise StoreDamaged(
            f"{path} is not the snapshot of a collection ({error}); drop the collection and materialise it again"
        ) from error


def snapshot_rows(path: Path) -> int:
    """Number of rows, by the footer alone. Raises `StoreDamaged` for a bad file."""
    try:
        return int(pq.read_metadata(path).num_rows)
    except (pa.ArrowException, OSError) as error:
        raise StoreDamaged(f"{path} is not the snapshot of a collection ({error})") from error


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A place to write what shall become `path` in one step. Raises `StoreUnavailable` where it cannot be written."""
    place = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield place
        os.replace(place, path)
    except OSError as error:
        raise StoreUnavailable(
            f"cannot write {path}: {error}. Make its folder writable, or choose another"
        ) from error
    finally:
        place.unlink(missing_ok=True) if place.parent.is_dir() else None
