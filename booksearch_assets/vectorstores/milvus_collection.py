"""One collection on one Milvus, embedded or a server, through pymilvus: what both kinds have in common.

Belongs here: every call that pymilvus answers alike on both, and turning its errors into ours. Does not: locks,
folders, aliases and where the spec is kept (`milvus_lite`, `milvus_server`).
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from booksearch_assets.vectorstores.contract import (
    VECTOR,
    CollectionSpec,
    FieldKind,
    Hit,
    IndexKind,
    IndexSpec,
)
from booksearch_assets.vectorstores.errors import CollectionNotFound, StoreUnavailable, VectorStoreError
from booksearch_assets.vectorstores.filters import Filter, milvus_expression
from booksearch_assets.vectorstores.rows import (
    check_fields,
    check_search,
    checked_batches,
    checked_queries,
    vector_matrix,
)

if TYPE_CHECKING:
    from pymilvus import MilvusClient

_METRIC = "COSINE"
_MESSAGE_BYTES = 16 * 2**20
"""Bound on the vectors in one message: a server's proxy takes 64 MiB, and rows carry more than their vectors."""

_BUILD_SECONDS = 6 * 3600.0
_HITS_PER_CALL = 20_000
_QUERIES_PER_CALL = 100

_SEALED_CONSISTENCY = "Bounded"
"""A sealed collection is searched as it is. "Strong" would wait for the server's next tick, a fifth of a second."""

_LEAST_EF = 64
_MAX_EF = 32_768
_PASSING_SEEN = 200
"""How many more rows that pass a filter HNSW shall see than it is asked for."""

_FEW = 0.05
"""The share of rows that a server compares one by one: Milvus 2.3 does so where a filter takes out 93 % of a segment."""

_MANY = 0.4
"""The share from which HNSW keeps its recall under a filter: measured 0.99 at 30 %, 0.997 at 71 %, and 0.78 at 14 %."""

_SHARES_KEPT = 1_024


@dataclass(frozen=True)
class Dialect:
    """Where Milvus Lite and a server differ in calls that both have.

    `nested_params`: Lite reads index parameters only from a nested object, a server only flat ones. `scans_few`: a
    server leaves its index alone where few rows pass a filter, and knows remainders; Lite does neither. `insert_replaces`:
    Lite takes the last row of a key where a server keeps both, and its upsert looks for each row before it inserts it.
    """

    name: str
    batch_rows: int
    page_rows: int
    nested_params: bool
    scans_few: bool
    insert_replaces: bool
    default_index: IndexSpec
    call_seconds: float


class MilvusCollection:
    """Reads and fills one collection. Keeps `VectorIndex`, once sealed."""

    def __init__(self, client: MilvusClient, spec: CollectionSpec, dialect: Dialect, where: str) -> None:
        self._client, self._spec, self._dialect, self._where = client, spec, dialect, where
        # Only what is sealed is searched, and its rows never change.
        self._share = lru_cache(_SHARES_KEPT)(self._passing_share)

    @property
    def spec(self) -> CollectionSpec:
        return self._spec

    def create(self, description: str = "") -> None:
        from pymilvus import DataType

        schema = self._client.create_schema(
            auto_id=False, enable_dynamic_field=False, description=description
        )
        for field in self.spec.fields:
            match field.kind:
                case FieldKind.INT64:
                    schema.add_field(field.name, DataType.INT64)
                case FieldKind.TEXT:
                    key = field.name == self.spec.key
                    schema.add_field(field.name, DataType.VARCHAR, is_primary=key, max_length=field.max_bytes)
                case FieldKind.TEXTS:
                    schema.add_field(
                        field.name,
                        DataType.ARRAY,
                        element_type=DataType.VARCHAR,
                        max_capacity=field.capacity,
                        max_length=field.max_bytes,
                    )
        schema.add_field(VECTOR, DataType.FLOAT_VECTOR, dim=self.spec.dimension)
        with self._calling("create"):
            self._client.create_collection(self.spec.name, schema=schema, timeout=self._dialect.call_seconds)

    def load(
        self,
        batches: Iterable[pa.RecordBatch | pa.Table],
        on_progress: Callable[[int], None] | None = None,
        on_rows: Callable[[pa.Table], None] | None = None,
    ) -> int:
        """As `VectorStore.load`. `on_rows` is given the rows as they are stored, before they are."""
        # One row of each key is left, also where pymilvus sends a batch again after a lost answer.
        write = self._client.insert if self._dialect.insert_replaces else self._client.upsert
        loaded = 0
        for rows in checked_batches(self.spec, batches, self._bounded(self._dialect.batch_rows)):
            if on_rows:
                on_rows(rows)
            entities = rows.drop_columns(VECTOR).to_pylist()
            vectors = vector_matrix(rows[VECTOR], self.spec.dimension)
            for entity, vector in zip(entities, vectors, strict=True):
                entity[VECTOR] = vector
            with self._calling("load"):
                write(self.spec.name, entities, timeout=self._dialect.call_seconds)
            loaded += len(rows)
            if on_progress:
                on_progress(loaded)
        return loaded

    def build(self) -> int:
        """Flush, index, wait, open for reading. Returns the number of rows. May be repeated."""
        with self._calling("seal"):
            self._client.flush(self.spec.name, timeout=_BUILD_SECONDS)
            if not self.is_indexed():
                self._create_index()
            self._wait_until_indexed()
        self.open()
        return self.count()

    def is_indexed(self) -> bool:
        return bool(self._client.list_indexes(self.spec.name, VECTOR))

    def open(self) -> None:
        """Load the collection for searching. After a restart Lite forgets which collections were loaded."""
        with self._calling("open"):
            self._client.load_collection(self.spec.name, timeout=_BUILD_SECONDS)

    def count(self, filter: Filter | None = None) -> int:
        return self._counted(filter, "Strong")

    def search(
        self,
        vectors: np.ndarray,
        k: int,
        filter: Filter | None = None,
        fields: Sequence[str] = (),
        offset: int = 0,
    ) -> list[list[Hit]]:
        check_search(self.spec, k, filter, fields, offset)
        queries = checked_queries(self.spec, vectors)
        parts = self._parts(filter)
        if len(parts) == 1:
            return self._search(queries, k, filter, parts[0], fields, offset)
        found = [self._search(queries, offset + k, filter, part, fields, 0) for part in parts]
        merged = (
            sorted(chain.from_iterable(lists), key=lambda hit: (-hit.score, hit.key))
            for lists in zip(*found, strict=True)
        )
        return [hits[offset : offset + k] for hits in merged]

    def _search(
        self,
        queries: np.ndarray,
        k: int,
        filter: Filter | None,
        expression: str,
        fields: Sequence[str],
        offset: int,
    ) -> list[list[Hit]]:
        step = max(1, min(_QUERIES_PER_CALL, _HITS_PER_CALL // (offset + k)))
        answers: list[list[Hit]] = []
        for start in range(0, len(queries), step):
            with self._calling("search"):
                found = self._client.search(
                    self.spec.name,
                    data=list(queries[start : start + step]),
                    limit=k,
                    offset=offset,
                    filter=expression,
                    # Without output fields Lite would send every field, the vector included.
                    output_fields=list(fields) or [self.spec.key],
                    search_params={"metric_type": _METRIC, "params": self._effort(offset + k, filter)},
                    consistency_level=_SEALED_CONSISTENCY,
                    timeout=self._dialect.call_seconds,
                )
            answers += [[self._hit(hit, fields) for hit in hits] for hits in found]
        return answers

    def _parts(self, filter: Filter | None) -> list[str]:
        """The filter as one expression, or as several that part its rows into ones few enough to be compared one by one.

        HNSW finds its way by the rows that a filter takes out, and loses neighbours whatever `ef` is. A server compares
        all that pass once they are few, and then finds every neighbour.
        """
        expression = milvus_expression(filter)
        numbers = [field.name for field in self.spec.fields if field.kind is FieldKind.INT64]
        if not (filter and numbers and self._dialect.scans_few and self._index.kind is IndexKind.HNSW):
            return [expression]
        share = self._share(filter)
        if not _FEW < share < _MANY:
            return [expression]
        parts = math.ceil(share / _FEW)
        return [f"({expression}) and {numbers[0]} % {parts} == {part}" for part in range(parts)]

    def fetch(self, keys: Sequence[str], fields: Sequence[str]) -> dict[str, dict[str, Any]]:
        check_fields(self.spec, fields)
        wanted = list(dict.fromkeys(keys))
        step = self._bounded(1_000)
        rows: dict[str, dict[str, Any]] = {}
        for start in range(0, len(wanted), step):
            with self._calling("fetch"):
                found = self._client.get(
                    self.spec.name,
                    ids=wanted[start : start + step],
                    output_fields=list({self.spec.key, *fields}),
                    consistency_level="Strong",
                    timeout=self._dialect.call_seconds,
                )
            rows |= {row[self.spec.key]: {name: _plain(name, row[name]) for name in fields} for row in found}
        return rows

    def scan(self, fields: Sequence[str]) -> Iterator[pa.RecordBatch]:
        check_fields(self.spec, fields)
        schema = pa.schema([self.spec.schema.field(name) for name in fields])
        with self._calling("scan"):
            pages = self._client.query_iterator(
                self.spec.name,
                batch_size=self._bounded(self._dialect.page_rows),
                output_fields=list({self.spec.key, *fields}),
                consistency_level="Strong",
                timeout=self._dialect.call_seconds,
            )
        try:
            while True:
                with self._calling("scan"):
                    page = pages.next()
                if not page:
                    return
                columns = [pa.array([row[name] for row in page], schema.field(name).type) for name in fields]
                yield pa.RecordBatch.from_arrays(columns, schema=schema)
        finally:
            pages.close()

    def close(self) -> None:
        """Nothing: the connection belongs to the store."""

    @property
    def _index(self) -> IndexSpec:
        return self.spec.index or self._dialect.default_index

    def _create_index(self) -> None:
        params: dict[str, Any] = {
            IndexKind.FLAT: {},
            IndexKind.HNSW: {"M": self._index.m, "efConstruction": self._index.ef_construction},
            IndexKind.IVF_FLAT: {"nlist": self._index.nlist},
        }[self._index.kind]
        indexes = self._client.prepare_index_params()
        indexes.add_index(
            VECTOR,
            index_type=self._index.kind.value,
            metric_type=_METRIC,
            params={"params": params} if self._dialect.nested_params else params,
        )
        self._client.create_index(self.spec.name, indexes, timeout=_BUILD_SECONDS)

    def _wait_until_indexed(self) -> None:
        deadline = time.monotonic() + _BUILD_SECONDS
        while True:
            # The state says Finished while rows are still pending: only the numbers can be trusted.
            progress = self._client.describe_index(self.spec.name, VECTOR)
            if not progress["pending_index_rows"] and progress["indexed_rows"] >= progress["total_rows"]:
                return
            if time.monotonic() > deadline:
                raise StoreUnavailable(
                    f"{self._where}: the index of {self.spec.name!r} is not built after {_BUILD_SECONDS:.0f} s: {progress}"
                )
            time.sleep(0.2)

    def _effort(self, window: int, filter: Filter | None) -> dict[str, int]:
        """Search parameters: how much of an approximate index to visit. A filter thins out what HNSW finds."""
        match self._index.kind:
            case IndexKind.FLAT:
                return {}
            case IndexKind.HNSW if filter is None:
                return {"ef": min(_MAX_EF, max(_LEAST_EF, 2 * window))}
            case IndexKind.HNSW:
                wanted = (window + _PASSING_SEEN) / max(self._share(filter), 1 / _MAX_EF)
                return {"ef": min(_MAX_EF, max(2 * window, math.ceil(wanted)))}
            case IndexKind.IVF_FLAT:
                return {"nprobe": self._index.nlist if filter else max(1, self._index.nlist // 4)}

    def _passing_share(self, filter: Filter | None) -> float:
        rows = self._counted(None, _SEALED_CONSISTENCY)
        return self._counted(filter, _SEALED_CONSISTENCY) / max(1, rows)

    def _counted(self, filter: Filter | None, consistency: str) -> int:
        check_search(self.spec, 1, filter, ())
        with self._calling("count"):
            answer = self._client.query(
                self.spec.name,
                filter=milvus_expression(filter),
                output_fields=["count(*)"],
                consistency_level=consistency,
                timeout=self._dialect.call_seconds,
            )
        return int(answer[0]["count(*)"])

    def _hit(self, hit: Mapping[str, Any], fields: Sequence[str]) -> Hit:
        # Lite names the key by its field, a server calls it "id".
        key = hit[self.spec.key] if self.spec.key in hit else hit["id"]
        values = {
            name: key if name == self.spec.key else _plain(name, hit["entity"][name]) for name in fields
        }
        return Hit(key, float(hit["distance"]), values)

    def _bounded(self, rows: int) -> int:
        return max(1, min(rows, _MESSAGE_BYTES // (4 * self.spec.dimension)))

    def _calling(self, doing: str) -> Any:
        return milvus_errors(self._where, f"{doing} collection {self.spec.name!r}")


def connect(uri: str, token: str | None = None) -> MilvusClient:
    """A client of the Milvus at `uri`. Raises `StoreUnavailable`."""
    from pymilvus import MilvusClient

    # pymilvus prints a traceback for every failed call, also for those that we answer with our own error, and a
    # warning for every scan of Milvus Lite and Milvus 2.3, which send no time stamp with a page.
    for noisy in ("pymilvus.decorators", "pymilvus.client.iterator.query_iterator"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
    with milvus_errors(uri, "connect"):
        return MilvusClient(
            uri,
            token=token or "",
            timeout=10.0,
            # pymilvus pings every 10 s, for which Lite hangs up on calls longer than about 190 s ("too_many_pings").
            grpc_options={"grpc.keepalive_time_ms": 7_200_000},
        )


@contextmanager
def milvus_errors(where: str, doing: str) -> Iterator[None]:
    """Turn what pymilvus raises into a `VectorStoreError` that says where and during what."""
    import grpc
    from pymilvus.exceptions import MilvusException

    try:
        yield
    except grpc.RpcError as error:
        raise StoreUnavailable(
            f"{where}: cannot {doing}: {error}. Is the server up, and the token right?"
        ) from error
    except MilvusException as error:
        # pymilvus puts the gRPC status where the server's own code would be when no answer came at all.
        if isinstance(error.code, grpc.StatusCode) or "Fail connecting" in error.message:
            raise StoreUnavailable(
                f"{where}: cannot {doing}: {error.message}. Check that the server is up and that the address is right"
            ) from error
        if "not found" in error.message and "collection" in error.message:
            raise CollectionNotFound(
                f"{where}: cannot {doing}: it was dropped meanwhile ({error.message})"
            ) from error
        raise VectorStoreError(
            f"{where}: cannot {doing}: Milvus answered {error.message!r} (code {error.code})"
        ) from error


def _plain(name: str, value: Any) -> Any:
    if name == VECTOR:
        return np.asarray(value, dtype=np.float32)
    return list(value) if not isinstance(value, (int, str)) else value
