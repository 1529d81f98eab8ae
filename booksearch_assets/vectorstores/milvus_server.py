"""A Milvus server, or a cluster of them: collections shared by many processes, with real aliases.

Belongs here: the calls that only a server has, and waiting for what it does in the background. Does not: calls that
Lite answers alike (`milvus_collection`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pyarrow as pa

from booksearch_assets.vectorstores.checked_store import CheckedStore
from booksearch_assets.vectorstores.contract import CollectionSpec, IndexKind, IndexSpec, VectorIndex
from booksearch_assets.vectorstores.errors import InvalidCollection, VectorStoreError
from booksearch_assets.vectorstores.filters import Filter
from booksearch_assets.vectorstores.milvus_collection import Dialect, MilvusCollection, connect, milvus_errors

SERVER = Dialect(
    name="Milvus",
    batch_rows=5_000,
    page_rows=5_000,
    nested_params=False,
    scans_few=True,
    insert_replaces=False,
    default_index=IndexSpec(IndexKind.HNSW),
    call_seconds=60.0,
)


class MilvusServerStore(CheckedStore):
    """Collections of the Milvus at `uri` (http, https or tcp; the database may follow as its path).

    A collection's spec is kept as JSON in its description. Connects on creation: raises `StoreUnavailable`.
    """

    def __init__(self, uri: str, token: str | None = None) -> None:
        super().__init__(uri)
        self._client = connect(uri, token)
        self._open: dict[str, MilvusCollection] = {}

    def collections(self) -> list[str]:
        with milvus_errors(self.where, "list collections"):
            return sorted(self._client.list_collections(timeout=SERVER.call_seconds))

    def close(self) -> None:
        self._open.clear()
        self._client.close()

    def _aliases(self) -> dict[str, str]:
        with milvus_errors(self.where, "list aliases"):
            aliases = self._client.list_aliases(timeout=SERVER.call_seconds)["aliases"]
            return {alias: self._client.describe_alias(alias)["collection_name"] for alias in aliases}

    def _is_sealed(self, name: str) -> bool:
        # Only sealing makes an index, after the last row was flushed.
        return name in self._open or self._collection(name).is_indexed()

    def _create(self, spec: CollectionSpec) -> None:
        MilvusCollection(self._client, spec, SERVER, self.where).create(description=spec.to_json())

    def _load(
        self,
        name: str,
        batches: Iterable[pa.RecordBatch | pa.Table],
        on_progress: Callable[[int], None] | None,
    ) -> int:
        return self._collection(name).load(batches, on_progress)

    def _seal(self, name: str) -> int:
        return self._collection(name).build()

    def _index(self, name: str) -> VectorIndex:
        if name not in self._open:
            collection = self._collection(name)
            collection.open()
            self._open[name] = collection
        return self._open[name]

    def _count(self, name: str, filter: Filter | None) -> int:
        return self._index(name).count(filter)

    def _describe(self, name: str) -> CollectionSpec:
        with milvus_errors(self.where, f"describe collection {name!r}"):
            description = self._client.describe_collection(name, timeout=SERVER.call_seconds)["description"]
        try:
            return CollectionSpec.from_json(description)
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidCollection(
                f"{self.where}: collection {name!r} was not made by booksearch (its description is no spec: {error}); "
                "choose another name"
            ) from error

    def _drop(self, name: str) -> None:
        self._open.pop(name, None)
        try:
            with milvus_errors(self.where, f"drop collection {name!r}"):
                self._client.drop_collection(name, timeout=SERVER.call_seconds)
        except VectorStoreError:
            # Milvus from 2.5.5 on refuses by itself, when another process has published it since we looked.
            self._refuse_published(name)
            raise

    def _publish(self, alias: str, name: str) -> None:
        exists = alias in self._aliases()
        with milvus_errors(self.where, f"publish {name!r} as {alias!r}"):
            # Altering a missing alias and creating an existing one both fail.
            change = self._client.alter_alias if exists else self._client.create_alias
            change(name, alias, timeout=SERVER.call_seconds)

    def _collection(self, name: str) -> MilvusCollection:
        return MilvusCollection(self._client, self._describe(name), SERVER, self.where)
