"""The OpenSearch that tests run on: a real one where OPENSEARCH_URL names it, else osmem-server behind the k-NN shim."""

from __future__ import annotations

import atexit
import os
from contextlib import ExitStack
from functools import cache

from booksearch_assets.vectorstores.connect import open_store
from booksearch_assets.vectorstores.contract import VectorStore
from booksearch_assets.vectorstores.opensearch_client import SCHEME
from booksearch_assets_tests.vectorstores.knn_shim import KnnShim, serving

PASSWORD = os.environ.get("OPENSEARCH_PASSWORD")


@cache
def osmem_url() -> str:
    """An empty osmem-server that lives as long as this process."""
    from osmem_server import OsmemServer

    server = OsmemServer.start(japanese=False)
    atexit.register(server.close)
    return server.url


@cache
def opensearch_uri() -> str:
    """The address of the OpenSearch for the tests of this process, as `open_store` reads it."""
    if given := os.environ.get("OPENSEARCH_URL"):
        _forget_what_is_made(SCHEME + given)
        return SCHEME + given
    stack = ExitStack()
    atexit.register(stack.close)
    return SCHEME + stack.enter_context(serving(KnnShim(osmem_url()))).url


def with_option(uri: str, option: str) -> str:
    return f"{uri}{'&' if '?' in uri else '?'}{option}"


def open_opensearch(engine: str = "lucene") -> VectorStore:
    return open_store(with_option(opensearch_uri(), f"engine={engine}"), PASSWORD)


def _forget_what_is_made(uri: str) -> None:
    """Drop what the tests leave on a node that others use too."""
    with open_store(uri, PASSWORD) as store:
        before = set(store.collections())

    def drop() -> None:
        from opensearchpy import OpenSearch

        with open_store(uri, PASSWORD) as store:
            client: OpenSearch = store._client  # type: ignore[attr-defined]
            for name in set(store.collections()) - before:
                client.indices.delete(index=_index_of(name))

    atexit.register(drop)


def _index_of(name: str) -> str:
    from booksearch_assets.vectorstores.opensearch_schema import index_name

    return index_name(name)
