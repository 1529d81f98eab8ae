"""What tests of several parts share: one Spark session, one materialised graph, and the real records where they are."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    import dagster as dg
    from pyspark.sql import SparkSession

    from booksearch_assets_tests.graph.deployment import Deployment

_REPOSITORY = Path(__file__).resolve().parent.parent

# How fast examples are made and run says how busy the machine is, and nothing of what is tested.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")

_DEAR = {
    "graph": re.compile(r"\b(materialised|changeable)\b"),
    "spark": re.compile(r"\bspark: "),
    "milvus": re.compile(r"\b(mark\.milvus|milvus_server|BACKENDS)\b"),
    "quality": re.compile(r"\bSmallWorld\b"),
}
"""What is dear to make, a graph, a JVM, a server, and painted covers with their vectors, by how a test file asks for it."""

_FOLDERS = ("emr", "sagemaker")
"""Folders whose tests share one service or container; other tests of AWS would reset the service in between."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Tests that share what is dear go to one worker, the others file by file.

    Not by the plugin's own marks: its version 3.8 does not see them under pytest 9.2.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Scheduling(LoadScopeScheduling):
        def _split_scope(self, nodeid: str) -> str:
            file = nodeid.split("::")[0]
            return _shared_group(config.rootpath / file) or file

        def _assign_work_unit(self, node: Any) -> None:
            # What takes longest begins first, so that no process is left alone with it at the end.
            for group in reversed((*_DEAR, *_FOLDERS)):
                if group in self.workqueue:
                    self.workqueue.move_to_end(group, last=False)
            super()._assign_work_unit(node)

    return Scheduling(config, log)


@lru_cache
def _shared_group(file: Path) -> str | None:
    if file.parent.name in _FOLDERS:
        return file.parent.name
    text = file.read_text()
    return next((group for group, asks in _DEAR.items() if asks.search(text)), None)


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
