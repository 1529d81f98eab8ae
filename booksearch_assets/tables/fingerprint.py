"""Fingerprints: whether two versions hold the same rows, and whether two versions were made from the same things.

A rebuild compares them to leave alone what did not change. Belongs here: hashing rows and recipes. Does not: deciding
what is rebuilt (`assets.rebuild`), where versions lie (`tables.lake`).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from booksearch_assets.tables.commit import Commit
from booksearch_assets.tables.contract import Table

_DIGITS = 16


def rows_fingerprint(rows: pa.Table, table: Table) -> str:
    """A hash of the rows, whatever their order, their files and their chunks.

    Only of the columns that the contract calls content: when a row was fetched makes it no other row.
    """
    columns = table.content_names
    ordered = rows.select(columns).sort_by([(name, "ascending") for name in table.key])
    digest = hashlib.sha256()
    for name in columns:
        _hash_array(digest, ordered[name].combine_chunks().cast(table.schema.field(name).type))
    return digest.hexdigest()[:_DIGITS]


def recipe(inputs: Iterable[Commit], settings: Mapping[str, Any]) -> str:
    """A hash of what a partition is made from: the content of its inputs, and the settings that decide its rows.

    Inputs count by data version: a version that was written again with the same rows is the same input.
    """
    content = {f"{commit.table}/{commit.partition}": commit.data_version for commit in inputs}
    text = json.dumps([content, dict(settings)], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def _hash_array(digest: Any, array: pa.Array) -> None:
    """Adds the logical values: validity, lengths and values, without what happens to lie under a null."""
    digest.update(str(len(array)).encode())
    if array.null_count:
        digest.update(pc.is_valid(array).cast(pa.int8()).to_numpy().tobytes())
    if pa.types.is_struct(array.type):
        for index in range(array.type.num_fields):
            _hash_array(digest, pc.struct_field(array, index))
        return
    if pa.types.is_list(array.type):
        digest.update(pc.fill_null(pc.list_value_length(array), 0).to_numpy().tobytes())
        _hash_array(digest, pc.list_flatten(array))
        return
    if pa.types.is_fixed_size_list(array.type):
        _hash_array(digest, pc.list_flatten(array))
        return
    if pa.types.is_string(array.type) or pa.types.is_binary(array.type):
        binary = array.cast(pa.binary())
        digest.update(pc.fill_null(pc.binary_length(binary), 0).to_numpy().tobytes())
        digest.update(b"".join(pc.drop_null(binary).to_pylist()))
        return
    if pa.types.is_timestamp(array.type):
        array = array.cast(pa.int64())
    digest.update(pc.drop_null(array).cast(array.type).to_numpy(zero_copy_only=False).tobytes())
