"""Amazon OpenSearch Serverless, in vector search collections: OpenSearch without what AWS does by itself.

It names documents itself, so a load cannot be repeated; it refreshes, merges, replicates and sizes as it likes, so
sealing waits until every row is found; and nothing in it can be closed for writing, so that a sealed collection is
unchanged is our own rule alone
(https://docs.aws.amazon.com/opensearch-service/latest/developerguide/serverless-genref.html). It has Faiss, HNSW and no
scripts, hence no exact index.

Belongs here: those differences. Does not: anything that it does as a cluster does (`opensearch_store`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pyarrow as pa

from booksearch_assets.vectorstores.contract import CollectionSpec, IndexKind
from booksearch_assets.vectorstores.errors import (
    CollectionNotFound,
    InvalidCollection,
    StoreUnavailable,
    VectorStoreError,
)
from booksearch_assets.vectorstores.opensearch_index import OpenSearchIndex
from booksearch_assets.vectorstores.opensearch_schema import Collection
from booksearch_assets.vectorstores.opensearch_store import OpenSearchStore

_VISIBLE_SECONDS = 900.0
"""New rows are found after about a minute, new indexes after some seconds."""

_UNFINISHED = -1
"""The number of rows while a load is under way, or after it broke."""


class OpenSearchServerlessStore(OpenSearchStore):
    """Collections as indexes of one collection of OpenSearch Serverless. Each is loaded once."""

    poll_seconds = 2.0

    def _create(self, spec: CollectionSpec) -> None:
        if Collection(spec, self._address.engine).index.kind is not IndexKind.HNSW:
            raise InvalidCollection(
                f"collection {spec.name!r}: OpenSearch Serverless builds HNSW alone; choose that, or name no index"
            )
        super()._create(spec)
        self._wait(f"collection {spec.name!r} to appear", lambda: spec.name in self.collections())

    @property
    def _new_settings(self) -> Mapping[str, Any]:
        return {}

    def _load(
        self,
        name: str,
        batches: Iterable[pa.RecordBatch | pa.Table],
        on_progress: Callable[[int], None] | None,
    ) -> int:
        collection = self._collection(name)
        if collection.rows is not None:
            raise VectorStoreError(
                f"collection {name!r} in {self.where} has been loaded, or a load of it broke off. OpenSearch Serverless "
                "names documents itself, so that rows would double; drop the collection and make it again"
            )
        self._remember(collection.loaded(_UNFINISHED))
        rows = self._write(collection.spec, batches, on_progress, named=False)
        self._remember(collection.loaded(rows))
        return rows

    def _finish(self, collection: Collection) -> None:
        expected, index = collection.rows or 0, OpenSearchIndex(self._client, collection, self.where)
        if expected == _UNFINISHED:
            raise VectorStoreError(
                f"collection {collection.spec.name!r} in {self.where}: its load broke off; drop it and make it again"
            )
        self._wait(
            f"{expected} rows of {collection.spec.name!r} to be found", lambda: index.count() >= expected
        )
        if (found := index.count()) > expected:
            raise VectorStoreError(
                f"collection {collection.spec.name!r} in {self.where} holds {found} rows of {expected}: some were sent "
                "twice, after an answer that was lost; drop it and make it again"
            )

    def _wait(self, what: str, done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + _VISIBLE_SECONDS
        while not self._is_there(done):
            if time.monotonic() > deadline:
                raise StoreUnavailable(f"{self.where}: waited {_VISIBLE_SECONDS:.0f} s for {what}, in vain")
            time.sleep(self.poll_seconds)

    @staticmethod
    def _is_there(done: Callable[[], bool]) -> bool:
        try:
            return done()
        except CollectionNotFound:
            return False
