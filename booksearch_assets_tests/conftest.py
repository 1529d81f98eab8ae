"""What tests of several parts share: one Spark session, one materialised graph, and the real records where they are."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    import dagster as dg
    from pyspark.sql import SparkSession

    from booksearch_assets_tests.graph.deployment import Deployment

_REPOSITORY = Path(__file__).resolve().parent.parent


_GRAPH = {"spark", "materialised"}
"""Fixtures that are dear to make: a JVM, and a whole graph that uses it."""


# Before the plugin that reads the groups.
@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Say which tests go to the same worker: those that share a JVM and graph, or a server, else those of a file."""
    for item in items:
        group = item.nodeid.split("::")[0]
        if _GRAPH & set(getattr(item, "fixturenames", ())):
            group = "graph"
        elif item.get_closest_marker("milvus"):
            group = "milvus"
        item.add_marker(pytest.mark.xdist_group(group))


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


@pytest.fixture(scope="session")
def materialised(tmp_path_factory: pytest.TempPathFactory) -> tuple[Deployment, dg.ExecuteInProcessResult]:
    """The whole books graph on a small sample world, all years in one run: for tests that only look."""
    from booksearch_assets_tests.graph.deployment import Deployment, failures

    deployment = Deployment.of_sample(tmp_path_factory.mktemp("books"))
    # So few covers would be embedded without Spark.
    config = {"ops": {"books__cover_embeddings": {"config": {"spark_from": 0}}}}
    result = deployment.run(config=config)
    assert result.success, failures(result)
    return deployment, result


@pytest.fixture
def changeable(materialised: tuple[Deployment, dg.ExecuteInProcessResult], tmp_path: Path) -> Deployment:
    """A copy of the materialised deployment with an instance of its own: for tests that change things."""
    from booksearch_assets_tests.graph.deployment import Deployment

    settings = materialised[0].settings
    shutil.copytree(settings.home, tmp_path / "home")
    # The covers' URLs hold the port: with another one, every year would have changed.
    return Deployment.of_sample(tmp_path / "home", sample_port=settings.sample_port)
