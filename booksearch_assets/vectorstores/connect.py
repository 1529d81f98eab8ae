"""Choosing the backend from an address.

Belongs here: what an address means. Does not: what a backend does.
"""

from __future__ import annotations

from pathlib import Path

from booksearch_assets.vectorstores.contract import VectorIndex, VectorStore
from booksearch_assets.vectorstores.errors import CollectionNotFound, StoreUnavailable
from booksearch_assets.vectorstores.milvus_lite import MilvusLiteStore
from booksearch_assets.vectorstores.milvus_server import MilvusServerStore

_SERVER_SCHEMES = ("http://", "https://", "tcp://")


def open_store(uri: str, token: str | None = None, lock_timeout: float = 60.0) -> VectorStore:
    """The store at `uri`: a server for http, https and tcp, else a local folder for Milvus Lite.

    Raises `StoreUnavailable` for a server that does not answer or an address of another kind.
    """
    if uri.startswith(_SERVER_SCHEMES):
        return MilvusServerStore(uri, token)
    if "://" in uri and not uri.startswith("file://"):
        raise StoreUnavailable(
            f"{uri!r} is no vector store: expected a local folder, or an address with {', '.join(_SERVER_SCHEMES)}"
        )
    return MilvusLiteStore(Path(uri.removeprefix("file://")), lock_timeout)


def open_published(uri: str, alias: str, token: str | None = None) -> VectorIndex:
    """The collection that `alias` points at, to read.

    Raises `CollectionNotFound` where nothing is published under the alias.
    """
    store = open_store(uri, token)
    name = store.published(alias)
    if name is None:
        raise CollectionNotFound(
            f"nothing is published as {alias!r} in {uri}; materialise the search asset first"
        )
    return store.index(name)
