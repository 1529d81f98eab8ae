"""The command itself: what it refuses, what it says, what it answers, and how it stops."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from click.testing import CliRunner

from booksearch_assets.cli import main
from booksearch_assets.clip.bundle import Bundle
from booksearch_assets.search import BookFilters, Client, YearRange
from booksearch_assets.search.books_collection import BOOKS, book_rows, books_collection
from booksearch_assets.search.client import AccessDenied
from booksearch_assets.settings import Settings
from booksearch_assets.vectorstores.connect import open_store
from booksearch_assets_tests.search.api.service import picture
from booksearch_assets_tests.search.library import covers, fiction

TOKEN = "a-token-of-the-tests"


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_strangers_need_a_token_unless_somebody_says_otherwise(
    host: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BOOKSEARCH_API_TOKENS", raising=False)
    result = CliRunner().invoke(main, ["serve", "--host", host, "--port", "0"])
    assert result.exit_code == 1
    assert "set BOOKSEARCH_API_TOKENS, or say --public" in result.output


def test_a_port_that_is_taken_ends_the_command_before_anything_is_loaded() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        result = CliRunner().invoke(main, ["serve", "--port", str(port)])
    assert result.exit_code == 1
    assert f"cannot listen at 127.0.0.1 port {port}" in result.output


def test_a_weak_token_is_refused_and_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BOOKSEARCH_API_TOKENS", "s3cret")
    result = CliRunner().invoke(main, ["serve"])
    assert result.exit_code == 1
    assert "BOOKSEARCH_API_TOKENS must be tokens" in result.output and "s3cret" not in result.output


def _publish(settings: Settings, count: int) -> None:
    """Books of the model that the package brings, whose vectors are any: loading the model here too would take seconds."""
    bundle = Bundle.open(settings.bundle)
    vectors = np.random.default_rng(0).normal(size=(count, bundle.dimension)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), bundle.dimension)
    numbers = range(1, count + 1)
    rows = book_rows(
        fiction(
            [
                {"edition_key": f"OL{n}M", "cover_id": n, "title": f"Ship {n}", "publish_year": 2000 + n}
                for n in numbers
            ]
        ),
        covers({n: [f"OL{n}M"] for n in numbers}),
        pa.table({"cover_id": pa.array(numbers, pa.int64()), "vector": column}),
    )
    name = f"{BOOKS.name}_20260131T120000000000_5e12e0"
    spec = books_collection(
        name, bundle.dimension, {"bundle_id": bundle.bundle_id, "model_id": bundle.manifest.model_id}
    )
    with open_store(settings.milvus_uri) as store:
        store.create(spec)
        store.load(name, [rows])
        store.seal(name)
        store.publish(BOOKS.name, name)


@pytest.mark.system
def test_a_deployment_is_served_until_it_is_stopped(tmp_path: Path) -> None:
    settings = Settings.from_environment({"BOOKSEARCH_HOME": str(tmp_path)})
    _publish(settings, 8)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("BOOKSEARCH_")}
    process = subprocess.Popen(
        [sys.executable, "-m", "booksearch_assets.cli", "serve", "--port", "0"],
        env=environment | {"BOOKSEARCH_HOME": str(tmp_path), "BOOKSEARCH_API_TOKENS": TOKEN},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout and process.stderr
        said = process.stdout.readline()
        address = re.search(r"http://127\.0\.0\.1:\d+", said)
        assert address, said + process.stderr.read()
        with Client(address[0], token=TOKEN) as books:
            found = books.search("ship 5", filters=BookFilters(years=YearRange(2004, 2006))).results
            assert found[0].year == 2005 and len(found) == 3
            assert len(books.search(image=picture(), k=4).results) == 4
            assert books.facets().total == 8
            [version] = books.versions()
            assert version.live and version.model_id
        with Client(address[0]) as strangers, pytest.raises(AccessDenied):
            strangers.search("ship")
    finally:
        process.send_signal(signal.SIGTERM)
        _, log = process.communicate(timeout=60)
    assert process.returncode == 0, log
    assert "token 1 POST /v1/search 200" in log
    assert TOKEN not in log and "ship" not in log
