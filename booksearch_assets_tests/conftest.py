"""What tests of several parts share: one Spark session, and the real records where they are at hand."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

_REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real records, `openlibrary/editions.txt` among them, which are kept outside the repository."""
    folder = Path(os.environ.get("BOOKSEARCH_REAL_DATA") or _REPOSITORY.parent / "shared" / "data")
    if not (folder / "openlibrary" / "editions.txt").exists():
        pytest.skip(
            f"no real records in {folder}; set BOOKSEARCH_REAL_DATA to the folder that holds openlibrary/editions.txt"
        )
    return folder


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """The session that the local launcher starts, so that stages and whole graphs share one JVM."""
    from booksearch_assets.resources.spark import SparkTuning
    from booksearch_assets_tests.graph.deployment import LAUNCHER

    session = LAUNCHER.session(SparkTuning())
    session.conf.set("spark.sql.shuffle.partitions", "2")
    yield session
    session.stop()
