"""What tests of several parts share: one Spark session, and the real records where they are at hand."""

from __future__ import annotations

import os
import sys
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
        pytest.skip(f"no real records in {folder}; set BOOKSEARCH_REAL_DATA to the folder that holds openlibrary/editions.txt")
    return folder


@pytest.fixture(scope="session")
def spark() -> Iterator[SparkSession]:
    """A Spark session on two local cores."""
    from pyspark.sql import SparkSession

    os.environ["PYSPARK_PYTHON"] = sys.executable
    session = (
        SparkSession.builder.master("local[2]")
        .appName("booksearch_assets_tests")
        .config("spark.driver.memory", "1g")
        .config("spark.driver.host", "127.0.0.1")
        .config("spark.driver.bindAddress", "127.0.0.1")
        .config("spark.ui.enabled", "false")
        .config("spark.ui.showConsoleProgress", "false")
        .config("spark.sql.shuffle.partitions", "2")
        .config("spark.sql.session.timeZone", "UTC")
        .getOrCreate()
    )
    session.sparkContext.setLogLevel("ERROR")
    yield session
    session.stop()
