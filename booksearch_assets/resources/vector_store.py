"""The vector store as a resource."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

if TYPE_CHECKING:
    from booksearch_assets.vectorstores.contract import VectorStore


class VectorStoreResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """Milvus, embedded (a local folder) or a server (http://host:19530), or OpenSearch (opensearch+https://host)."""

    uri: str = Field(
        description="A local folder for Milvus Lite, or the address of a Milvus server or of an OpenSearch."
    )
    token: str = Field(
        default="",
        description="Of Milvus, user:password or an API key; of OpenSearch, the password of the address's user. Give it "
        "as an environment variable.",
    )

    @contextmanager
    def open(self) -> Iterator[VectorStore]:
        """A connection for the time of the block; on Milvus Lite its locks are given back at the end."""
        from booksearch_assets.vectorstores.connect import open_store

        store = open_store(self.uri, self.token or None)
        try:
            yield store
        finally:
            store.close()
