"""Stores to run the contract on: Milvus Lite in a temporary folder, and a real Milvus server on free ports."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from booksearch_assets.vectorstores.contract import VectorStore
from booksearch_assets.vectorstores.milvus_lite import MilvusLiteStore
from booksearch_assets.vectorstores.milvus_server import MilvusServerStore

BACKENDS = ["lite", pytest.param("server", marks=pytest.mark.milvus)]


@pytest.fixture(scope="session")
def milvus_uri(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Milvus server that lives as long as the test session."""
    milvus = pytest.importorskip(
        "milvus", reason="the Milvus server has no wheel here: pip install milvus==2.3.5"
    )
    config = milvus.MilvusServerConfig(data_dir=str(tmp_path_factory.mktemp("milvus")))
    ports = [name for name in config.configurable_items if name.endswith("_port")]
    free = iter(_free_ports(len(ports) + 1))
    config.update(**{name: next(free) for name in ports})
    server = milvus.MilvusServer(config)
    server.webservice_port = next(free)
    try:
        server.start()
        yield f"http://127.0.0.1:{server.listen_port}"
    finally:
        server.stop()


@pytest.fixture(scope="module", params=BACKENDS)
def reopen(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[], VectorStore]:
    """Opens the same store again and again, as another process would."""
    if request.param == "server":
        uri = request.getfixturevalue("milvus_uri")
        return lambda: MilvusServerStore(uri)
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


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for opened in sockets:
        opened.bind(("127.0.0.1", 0))
    ports = [opened.getsockname()[1] for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports
