"""One real Milvus server for all tests of a session, started by the first that asks for it."""

from __future__ import annotations

import atexit
import shutil
import socket
import tempfile
from functools import cache

import pytest


@cache
def milvus_server() -> str:
    """The address of a Milvus server on free ports that lives until this process ends. Skips where it has no wheel."""
    milvus = pytest.importorskip(
        "milvus", reason="the Milvus server has no wheel here: pip install milvus==2.3.5"
    )
    folder = tempfile.mkdtemp(prefix="milvus-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    config = milvus.MilvusServerConfig(data_dir=folder)
    ports = [name for name in config.configurable_items if name.endswith("_port")]
    free = iter(_free_ports(len(ports) + 1))
    config.update(**{name: next(free) for name in ports})
    server = milvus.MilvusServer(config)
    server.webservice_port = next(free)
    atexit.register(server.stop)
    server.start()
    return f"http://127.0.0.1:{server.listen_port}"


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    for opened in sockets:
        opened.bind(("127.0.0.1", 0))
    ports = [opened.getsockname()[1] for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports
