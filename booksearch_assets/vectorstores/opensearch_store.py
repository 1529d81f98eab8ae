"""OpenSearch: collections shared by many processes as indexes of a cluster, or of Amazon OpenSearch Service.

The load follows OpenSearch's advice for vectors: nothing is refreshed or replicated before all rows are in, then the
segments are merged into one, so that a search walks one graph
(https://docs.opensearch.org/latest/vector-search/performance-tuning-indexing/).

Belongs here: the life of an index. Does not: what only Serverless lacks (`opensearch_serverless`), reading
(`opensearch_index`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pyarrow as pa

from booksearch_assets.vectorstores.checked_store import CheckedStore
from booksearch_assets.vectorstores.contract import CollectionSpec, IndexKind, VectorIndex, checked_name
from booksearch_assets.vectorstores.errors import StoreUnavailable, VectorStoreError
from booksearch_assets.vectorstores.filters import Filter
from booksearch_assets.vectorstores.opensearch_bulk import BulkWriter
from booksearch_assets.vectorstores.opensearch_client import (
    Engine,
    OpenSearchAddress,
    connect_opensearch,
    opensearch_errors,
)
from booksearch_assets.vectorstores.opensearch_index import OpenSearchIndex
from booksearch_assets.vectorstores.opensearch_schema import (
    LOADING_SETTINGS,
    SEALED_SETTINGS,
    Collection,
    collection_name,
    index_name,
)
from booksearch_assets.vectorstores.rows import checked_batches

_BATCH_ROWS = 2_000
_MERGE_SECONDS = 6 * 3600.0
_POLL_SECONDS = 0.2
_SLOW_CALL_SECONDS = 900.0

_log = logging.getLogger(__name__)


class OpenSearchStore(CheckedStore):
    """Collections of the OpenSearch at `uri` (`OpenSearchAddress.parse`). Raises `StoreUnavailable`."""

    def __init__(self, uri: str, address: OpenSearchAddress) -> None:
        super().__init__(uri)
        self._address = address
        self._client = connect_opensearch(address, uri)
        self._open: dict[str, OpenSearchIndex] = {}

    def collections(self) -> list[str]:
        return sorted(name for name in map(collection_name, self._indexes()) if name)

    def published(self, alias: str) -> str | None:
        holders = sorted(self._holders(index_name(checked_name(alias, "alias"))))
        if not holders:
            return None
        name = collection_name(holders[0])
        if name is None or len(holders) > 1:
            raise VectorStoreError(
                f"{self.where}: the alias {alias!r} points at {', '.join(holders)}, where booksearch points it at one "
                "collection; publish a version under it again"
            )
        return name

    def close(self) -> None:
        self._open.clear()
        self._client.close()

    def _indexes(self) -> Mapping[str, Any]:
        """Every index with its aliases."""
        with self._calling("list collections"):
            return dict(self._client.indices.get_alias())

    def _aliases(self) -> dict[str, str]:
        # Others may have aliases here too, over as many indexes as they like.
        return {
            alias: target
            for index, told in self._indexes().items()
            if (target := collection_name(index))
            for alias in filter(None, map(collection_name, told["aliases"]))
        }

    def _is_sealed(self, name: str) -> bool:
        return name in self._open or self._collection(name).sealed

    def _create(self, spec: CollectionSpec) -> None:
        collection = Collection(spec, self._address.engine)
        with self._calling(f"create collection {spec.name!r}"):
            self._client.indices.create(index=index_name(spec.name), body=collection.body(self._new_settings))

    @property
    def _new_settings(self) -> Mapping[str, Any]:
        # One shard: with more, each search walks a graph in each.
        return {**LOADING_SETTINGS, "number_of_shards": 1}

    def _load(
        self,
        name: str,
        batches: Iterable[pa.RecordBatch | pa.Table],
        on_progress: Callable[[int], None] | None,
    ) -> int:
        spec = self._describe(name)
        # Whoever was killed while sealing has left it closed.
        self._change_settings(name, LOADING_SETTINGS)
        return self._write(spec, batches, on_progress, named=True)

    def _write(
        self,
        spec: CollectionSpec,
        batches: Iterable[pa.RecordBatch | pa.Table],
        on_progress: Callable[[int], None] | None,
        named: bool,
    ) -> int:
        writer = BulkWriter(self._client, index_name(spec.name), spec, self.where, named)
        loaded = 0
        for rows in checked_batches(spec, batches, _BATCH_ROWS):
            writer.write(rows)
            loaded += len(rows)
            if on_progress:
                on_progress(loaded)
        return loaded

    def _seal(self, name: str) -> int:
        collection = self._collection(name)
        if not collection.sealed:
            self._finish(collection)
            self._remember(collection.finished())
        return self._index(name).count()

    def _finish(self, collection: Collection) -> None:
        """Bring every row where searches find it, for good."""
        name, index = collection.spec.name, index_name(collection.spec.name)
        with self._calling(f"seal collection {name!r}"):
            self._client.indices.refresh(index=index, request_timeout=_SLOW_CALL_SECONDS)
            # As a task: the load balancers of AWS hang up on calls longer than a minute.
            started = self._client.indices.forcemerge(
                index=index, max_num_segments=1, params={"wait_for_completion": "false"}
            )
        self._wait_for(started["task"], f"merge the segments of {name!r}")
        with self._calling(f"seal collection {name!r}"):
            # From here on searches walk the merged segment.
            self._client.indices.refresh(index=index, request_timeout=_SLOW_CALL_SECONDS)
        self._change_settings(name, SEALED_SETTINGS)
        if collection.engine is Engine.FAISS and collection.index.kind is IndexKind.HNSW:
            self._warm_up(name)

    def _warm_up(self, name: str) -> None:
        """Have Faiss read the graph into its memory now, and not during the first searches."""
        try:
            with self._calling(f"warm up collection {name!r}"):
                self._client.transport.perform_request(
                    "GET",
                    f"/_plugins/_knn/warmup/{index_name(name)}",
                    params={"request_timeout": _SLOW_CALL_SECONDS},
                )
        except StoreUnavailable as error:
            # The collection is whole without it; a load balancer may hang up while a large graph is read.
            _log.warning("the first searches of %s will be slow: %s", name, error)

    def _wait_for(self, task: str, doing: str) -> None:
        deadline = time.monotonic() + _MERGE_SECONDS
        while True:
            with self._calling(doing):
                state = self._client.tasks.get(task_id=task)
            if state["completed"]:
                failures = state.get("response", {}).get("_shards", {}).get("failures")
                if state.get("error") or failures:
                    raise VectorStoreError(f"{self.where}: cannot {doing}: {state.get('error') or failures}")
                return
            if time.monotonic() > deadline:
                raise StoreUnavailable(f"{self.where}: cannot {doing}: not done after {_MERGE_SECONDS:.0f} s")
            time.sleep(_POLL_SECONDS)

    def _index(self, name: str) -> VectorIndex:
        if name not in self._open:
            self._open[name] = OpenSearchIndex(self._client, self._collection(name), self.where)
        return self._open[name]

    def _count(self, name: str, filter: Filter | None) -> int:
        return self._index(name).count(filter)

    def _describe(self, name: str) -> CollectionSpec:
        return self._collection(name).spec

    def _drop(self, name: str) -> None:
        self._open.pop(name, None)
        with self._calling(f"drop collection {name!r}"):
            self._client.indices.delete(index=index_name(name))

    def _publish(self, alias: str, name: str) -> None:
        pointer, wanted = index_name(alias), index_name(name)
        holders = self._holders(pointer)
        while True:
            # All in one call, which no search sees half done.
            actions = [{"remove": {"index": index, "alias": pointer}} for index in holders - {wanted}]
            actions.append({"add": {"index": wanted, "alias": pointer}})
            with self._calling(f"publish {name!r} as {alias!r}"):
                self._client.indices.update_aliases(body={"actions": actions})
            holders = self._holders(pointer)
            # Two that publish at once may both have added theirs. Where it is one again, the last of them has won.
            if len(holders) <= 1:
                return

    def _holders(self, pointer: str) -> set[str]:
        return {index for index, told in self._indexes().items() if pointer in told["aliases"]}

    def _collection(self, name: str) -> Collection:
        index = index_name(name)
        with self._calling(f"describe collection {name!r}"):
            mapping = self._client.indices.get_mapping(index=index)[index]["mappings"]
        return Collection.of_mapping(mapping, f"{self.where}: collection {name!r}")

    def _remember(self, collection: Collection) -> None:
        name = collection.spec.name
        with self._calling(f"describe collection {name!r}"):
            self._client.indices.put_mapping(index=index_name(name), body=collection.meta)

    def _change_settings(self, name: str, settings: Mapping[str, Any]) -> None:
        with self._calling(f"change settings of collection {name!r}"):
            self._client.indices.put_settings(index=index_name(name), body={"index": dict(settings)})

    def _calling(self, doing: str) -> Any:
        return opensearch_errors(self.where, doing)
