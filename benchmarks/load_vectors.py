"""Loading into Milvus: our store beside bare pymilvus with the same rows, in Milvus Lite or, with --server, in a server.

Two rows: the inserts alone, and all that it takes until the rows can be searched. pymilvus is used as its fastest
supported way was measured to be: lists of dictionaries whose vectors are rows of one array, 1,000 at a time in Milvus
Lite and 5,000 in a server, into a collection without an index, which is built afterwards. It checks nothing, and keeps
no snapshot.

Belongs here: this comparison. Does not: the rows (`search_world`).
"""

from __future__ import annotations

import argparse
import contextlib
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from harness import Contestant, Done, compare
from rows import At, Row, faster

if TYPE_CHECKING:
    import pyarrow as pa

    from booksearch_assets.vectorstores.contract import CollectionSpec

_DIMENSION = 512
_BATCH_LITE, _BATCH_SERVER = 1_000, 5_000


def add_options(parser: argparse._ArgumentGroup) -> None:
    parser.add_argument("--loaded", type=int, default=12_000, help="Rows to load.")
    parser.add_argument("--server", action="store_true", help="Into a Milvus server, not Milvus Lite.")


def rows(options: argparse.Namespace) -> Iterator[Row]:
    count = 2_000 if options.quick else options.loaded
    with milvus_address(options.server) as uri:
        arguments = {"rows": str(_written(options.scratch, count)), "uri": uri}
        measured = compare(
            [Contestant("booksearch", ours, arguments), Contestant("pymilvus", bare, arguments)],
            options.repetitions,
        )
    mine, its = measured["booksearch"], measured["pymilvus"]
    where = "Milvus" if options.server else "Milvus Lite"
    yield faster(
        f"load into {where}",
        mine,
        its,
        at_least=0.9,
        note=f"{count / mine.seconds:,.0f} and {count / its.seconds:,.0f} rows a second",
    )
    searchable = [each.figure("searchable_after") for each in (mine, its)]
    yield Row(
        f"load into {where}, until it is searchable",
        *(f"{each.name} {seconds:.1f} s" for each, seconds in zip((mine, its), searchable, strict=True)),
        searchable[1] / searchable[0],
        At.LEAST,
        peak_memory=mine.peak_memory,
        note="ours also reads rows back to compare them, and writes the snapshot that answers searches"
        if not options.server
        else "",
        measured=(mine, its),
    )


@contextlib.contextmanager
def milvus_address(server: bool) -> Iterator[str | None]:
    """None is a new folder of Milvus Lite for each contestant."""
    if not server:
        yield None
        return
    from booksearch_assets_tests.vectorstores.server import milvus_server

    yield milvus_server()


def _written(scratch: Path, count: int) -> Path:
    import pyarrow.parquet as pq
    from search_world import book_rows, unit_vectors

    path = scratch / f"rows-{count}.parquet"
    schema = _spec("rows").schema
    with pq.ParquetWriter(path, schema) as writer:
        for table in book_rows(unit_vectors(count, _DIMENSION), schema):
            writer.write_table(table)
    return path


def _spec(name: str) -> CollectionSpec:
    from booksearch_assets.search.books_collection import books_collection

    return books_collection(name, _DIMENSION, {"bundle_id": "random", "model_id": "random"})


def _read(path: str) -> pa.Table:
    import pyarrow.parquet as pq

    return pq.read_table(path, schema=_spec("rows").schema)


def ours(rows: str, uri: str | None) -> Done:
    """As the asset of the collection does: create, load, seal."""
    from booksearch_assets.vectorstores.connect import open_store

    table, spec = _read(rows), _spec(f"bench_{secrets.token_hex(4)}")
    with TemporaryDirectory() as folder, open_store(uri or folder) as store:
        store.create(spec)
        started = time.perf_counter()
        store.load(spec.name, table.to_batches())
        loaded = time.perf_counter() - started
        store.seal(spec.name)
        searchable = time.perf_counter() - started
        answer = {"rows": store.count(spec.name)}
        store.drop(spec.name)
    return Done(answer, loaded, {"searchable_after": searchable})


def bare(rows: str, uri: str | None) -> Done:
    """pymilvus alone, with the index that our store makes."""
    from pymilvus import MilvusClient

    from booksearch_assets.vectorstores.milvus_lite import MilvusLiteStore
    from booksearch_assets.vectorstores.milvus_server import MilvusServerStore

    table, name = _read(rows), f"bench_{secrets.token_hex(4)}"
    with TemporaryDirectory() as folder:
        # A collection of the same fields, which is no part of the comparison.
        spec = _spec(name)
        if uri:
            with MilvusServerStore(uri) as store:
                store.create(spec)
            client, batch = MilvusClient(uri), _BATCH_SERVER
            index, kind = {"M": 16, "efConstruction": 200}, "HNSW"
        else:
            with MilvusLiteStore(Path(folder)) as lite:
                lite.create(spec)
            client, batch = MilvusClient(f"{folder}/{name}.db"), _BATCH_LITE
            index, kind = {}, "FLAT"
        started = time.perf_counter()
        for start in range(0, len(table), batch):
            client.insert(name, _entities(table.slice(start, batch)))
        loaded = time.perf_counter() - started
        client.flush(name)
        indexes = client.prepare_index_params()
        indexes.add_index("vector", index_type=kind, metric_type="COSINE", params=index)
        client.create_index(name, indexes)
        client.load_collection(name)
        searchable = time.perf_counter() - started
        counted = client.query(name, output_fields=["count(*)"], consistency_level="Strong")
        if uri:
            client.drop_collection(name)
        client.close()
    return Done({"rows": counted[0]["count(*)"]}, loaded, {"searchable_after": searchable})


def _entities(rows: pa.Table) -> list[dict[str, Any]]:
    import numpy as np

    vectors = np.asarray(rows["vector"].combine_chunks().flatten()).reshape(-1, _DIMENSION)
    entities = rows.drop_columns("vector").to_pylist()
    for entity, vector in zip(entities, vectors, strict=True):
        entity["vector"] = vector
    return entities
