"""Stores to run the contract on: Milvus Lite in a temporary folder, a real Milvus server, and OpenSearch."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from booksearch_assets.vectorstores.contract import VectorStore
from booksearch_assets.vectorstores.milvus_lite import MilvusLiteStore
from booksearch_assets.vectorstores.milvus_server import MilvusServerStore
from booksearch_assets_tests.vectorstores.opensearch import open_opensearch
from booksearch_assets_tests.vectorstores.server import milvus_server

BACKENDS = ["lite", pytest.param("server", marks=pytest.mark.milvus), "opensearch"]


@pytest.fixture(scope="session")
def milvus_uri() -> str:
    """The address of a Milvus server that lives as long as the test session."""
    return milvus_server()


@pytest.fixture(scope="module", params=BACKENDS)
def reopen(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], VectorStore]:
    """Opens the same store again and again, as another process would."""
    if request.param == "server":
        uri = request.getfixturevalue("milvus_uri")
        return lambda: MilvusServerStore(uri)
    if request.param == "opensearch":
        return open_opensearch
    root = tmp_path_factory.mktemp("lite")
    return lambda: MilvusLiteStore(Path(root), lock_timeout=1.0)


@pytest.fixture
def store(reopen: Callable[[], VectorStore]) -> Iterator[VectorStore]:
    opened = reopen()
    yield opened
    opened.close()


@pytest.fixture
def name() -> str:
    """A collection name that no other test uses: the server is shared."""
    return f"c_{secrets.token_hex(6)}"
