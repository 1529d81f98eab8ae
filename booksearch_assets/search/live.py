"""Searching for as long as one likes what is published at the moment.

`SearchEngine` asks one collection for ever; `LiveSearch` follows the alias, for services that outlive many rebuilds.

Belongs here: when to change over, and what happens to queries meanwhile. Does not: answering one (`engine`), deciding
what is published (`versions`).
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from booksearch_assets.sagemaker.errors import EndpointError
from booksearch_assets.search.cursor import collection_of
from booksearch_assets.search.engine import ModelMismatch, QueryEncoder, SearchEngine
from booksearch_assets.search.item_index import ItemIndex
from booksearch_assets.search.query import Filters, Query, SearchResults, StaleCursor
from booksearch_assets.vectorstores.contract import VectorStore
from booksearch_assets.vectorstores.errors import CollectionNotFound, CollectionNotSealed, VectorStoreError

_log = logging.getLogger(__name__)

_Answer = TypeVar("_Answer")

EncoderFor = Callable[[str], QueryEncoder]
"""The encoder of a bundle id. Raises `ModelMismatch` while there is none, `EndpointError` where it is elsewhere and does not answer."""


@dataclass(frozen=True)
class _Serving:
    collection: str
    engine: SearchEngine


class LiveSearch:
    """Answers each query from the version that is live when it begins. Safe for many threads.

    A query is answered wholly by one version, which `SearchResults.collection` names: queries that are under way when
    the alias moves finish on the version that they began with. Later ones wait until the new one is open; where the alias is
    looked at only now and then, one waits and the others go on with the old one. Where the new one cannot be opened, the old one goes on serving and `held_up` says why: above all a collection of another model,
    for which `encoder_for` has no encoder yet. A version that retention drops under a query costs one more look at the
    alias, and no error.

    The alias is looked at once in `recheck_seconds`; 0 is before every query, which is right for Milvus Lite, where it
    means reading a small file. What held up a change is tried again after `retry_seconds`.

    Who walks through pages goes on with the version that the walk began on, for as long as it is there.

    `cache` is the folder of the versions' words (`item_index`), which otherwise are indexed by each process anew.

    Raises what `search` raises where nothing is published, or the first version cannot be opened.
    """

    def __init__(
        self,
        store: VectorStore,
        alias: str,
        encoder_for: EncoderFor,
        recheck_seconds: float = 0.0,
        retry_seconds: float = 5.0,
        cache: Path | None = None,
    ) -> None:
        self._store, self._alias, self._encoder_for, self._cache = store, alias, encoder_for, cache
        self._recheck_seconds, self._retry_seconds = recheck_seconds, retry_seconds
        self._lock = threading.Lock()
        self._next_look = 0.0
        self._held_up: str | None = None
        self._earlier: _Serving | None = None
        self._serving = self._opened()

    @property
    def collection(self) -> str:
        """The version that served last."""
        return self._serving.collection

    @property
    def held_up(self) -> str | None:
        """Why a newer version is published and not served, or None."""
        return self._held_up

    def search(self, query: Query) -> SearchResults[Any]:
        """One page of the best items of the live version, or of the version of the query's cursor.

        Raises `InvalidQuery`, `ItemNotFound`, `StaleCursor` where the cursor's version is gone, and a
        `VectorStoreError` or `ModelMismatch` where neither the live version nor the one before it can answer.
        """
        return self._asked(lambda engine: engine.search(query), query.cursor)

    def similar(
        self,
        key: str,
        k: int = 10,
        filters: Filters | None = None,
        cursor: str | None = None,
        collapse: bool = True,
    ) -> SearchResults[Any]:
        """`SearchEngine.similar` of the live version. Raises as `search`."""
        return self._asked(lambda engine: engine.similar(key, k, filters, cursor, collapse), cursor)

    def item(self, key: str) -> Any:
        """`SearchEngine.item` of the live version."""
        return self._asked(lambda engine: engine.item(key))

    def facets(self, query: Query | None = None, filters: Filters | None = None, top: int = 10) -> Any:
        """`SearchEngine.facets` of the live version."""
        return self._asked(lambda engine: engine.facets(query, filters, top), query.cursor if query else None)

    def _asked(self, ask: Callable[[SearchEngine], _Answer], cursor: str | None = None) -> _Answer:
        serving = self._current()
        if cursor is not None:
            return ask(self._begun_on(collection_of(cursor), serving).engine)
        while True:
            try:
                return ask(serving.engine)
            except CollectionNotFound:
                # Dropped under this query. Only another version can help: without one, this is the answer.
                again = self._after(serving)
                if again.collection == serving.collection:
                    raise
                serving = again

    def _begun_on(self, collection: str, serving: _Serving) -> _Serving:
        """The version that a walk through pages began on, while there is one. Raises `StaleCursor`."""
        if collection == serving.collection:
            return serving
        with self._lock:
            earlier = self._earlier
            if earlier is None or earlier.collection != collection:
                earlier = self._earlier = self._reopened(collection, serving)
            return earlier

    def _reopened(self, collection: str, serving: _Serving) -> _Serving:
        try:
            # The name comes from a reader, who may only name versions of this alias.
            if collection.startswith(f"{self._alias}_"):
                return self._open(collection)
        except (VectorStoreError, ModelMismatch, EndpointError):
            _log.info("a reader's cursor belongs to %r, which cannot be opened", collection)
        raise StaleCursor(
            f"the cursor belongs to {collection!r}, which is not there any more; {serving.collection} is searched now. "
            "Search again from the first page"
        )

    def _current(self) -> _Serving:
        if self._is_due() and self._lock.acquire(blocking=self._recheck_seconds == 0):
            try:
                if self._is_due():
                    self._look()
            finally:
                self._lock.release()
        return self._serving

    def _is_due(self) -> bool:
        return time.monotonic() >= self._next_look

    def _look(self) -> None:
        """Change over to the live version if there is another one, or stay and say why not."""
        self._next_look = time.monotonic() + self._recheck_seconds
        try:
            if self._store.published(self._alias) != self._serving.collection:
                self._earlier, self._serving = self._serving, self._opened()
                _log.info("serving %s now", self._serving.collection)
                if self._cache:
                    ItemIndex.forget(self._cache, self._alias, keep=self._store.collections())
            self._held_up = None
        except (VectorStoreError, ModelMismatch, EndpointError) as error:
            self._next_look = time.monotonic() + self._retry_seconds
            if str(error) != self._held_up:
                _log.warning("%s goes on serving: %s", self._serving.collection, error)
            self._held_up = str(error)

    def _after(self, gone: _Serving) -> _Serving:
        """The live version, looked up now, unless another query has changed over already."""
        with self._lock:
            if self._serving is gone:
                self._serving = self._opened()
                self._held_up = None
            return self._serving

    def _opened(self) -> _Serving:
        name = self._store.published(self._alias)
        while True:
            if name is None:
                raise CollectionNotFound(
                    f"nothing is published as {self._alias!r}; materialise the search asset first"
                )
            try:
                return self._open(name)
            except (CollectionNotFound, CollectionNotSealed):
                # Replaced and dropped since we looked.
                before, name = name, self._store.published(self._alias)
                if name == before:
                    raise

    def _open(self, name: str) -> _Serving:
        index = self._store.index(name)
        encoder = self._encoder_for(index.spec.properties.get("bundle_id", ""))
        items = ItemIndex.open(index, self._cache) if self._cache else None
        return _Serving(name, SearchEngine(index, encoder, items))
