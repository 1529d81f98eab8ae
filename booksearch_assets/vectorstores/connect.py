"""Choosing the backend from an address.

Belongs here: what an address means. Does not: what a backend does.
"""

from __future__ import annotations

from pathlib import Path

from booksearch_assets.vectorstores.contract import VectorIndex, VectorStore
from booksearch_assets.vectorstores.errors import CollectionNotFound, StoreUnavailable
from booksearch_assets.vectorstores.milvus_lite import MilvusLiteStore
from booksearch_assets.vectorstores.milvus_server import MilvusServerStore
from booksearch_assets.vectorstores.opensearch_client import SCHEME, OpenSearchAddress

_SERVER_SCHEMES = ("http://", "https://", "tcp://")


def open_store(uri: str, token: str | None = None, lock_timeout: float = 60.0) -> VectorStore:
    """The store at `uri`: OpenSearch for opensearch+https and opensearch+http (`OpenSearchAddress.parse`), a Milvus
    server for http, https and tcp, else a local folder for Milvus Lite.

    `token` is the secret of a server: Milvus's user:password or key, the password of OpenSearch's user. Raises
    `StoreUnavailable` for a server that does not answer or an address of another kind.
    """
    if uri.startswith(SCHEME):
        return _open_opensearch(uri, token)
    if uri.startswith(_SERVER_SCHEMES):
        return MilvusServerStore(uri, token)
    if "://" in uri and not uri.startswith("file://"):
        raise StoreUnavailable(
            f"{uri!r} is no vector store: expected a local folder, or an address with "
            f"{', '.join(_SERVER_SCHEMES)} or {SCHEME}https://"
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


def _open_opensearch(uri: str, password: str | None) -> VectorStore:
    from booksearch_assets.vectorstores.opensearch_serverless import OpenSearchServerlessStore
    from booksearch_assets.vectorstores.opensearch_store import OpenSearchStore

    address = OpenSearchAddress.parse(uri, password)
    return (OpenSearchServerlessStore if address.serverless else OpenSearchStore)(uri, address)
