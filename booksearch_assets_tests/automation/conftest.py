"""Dumps of a tiny world, made once, and a server of a copy that a test may damage."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import dagster as dg
import pytest

from booksearch_assets.automation.new_dump import Pace
from booksearch_assets.sample.dump_site import prepare_dumps
from booksearch_assets.sample.server import SampleServer, ServerOptions
from booksearch_assets.sample.world import World
from booksearch_assets_tests.automation.watch import Watch

RELEASES = (0, 1, 2)


@pytest.fixture(scope="session")
def dumps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dumps")
    prepare_dumps(World(editions=100), folder, RELEASES)
    return folder


@pytest.fixture
def site(dumps: Path, tmp_path: Path) -> Path:
    """A copy of the dumps' folder, served for the test."""
    return shutil.copytree(dumps, tmp_path / "site")


@pytest.fixture(scope="session")
def storage() -> dg.DagsterInstance:
    return dg.DagsterInstance.ephemeral()


@pytest.fixture
def instance(storage: dg.DagsterInstance) -> dg.DagsterInstance:
    """An instance without runs; making a new one would take longer than most tests."""
    for run in storage.get_runs():
        storage.delete_run(run.run_id)
    return storage


@pytest.fixture
def watch(site: Path, tmp_path: Path, instance: dg.DagsterInstance) -> Iterator[Watch]:
    world = World(editions=100)
    with SampleServer(world, site, options=ServerOptions(releases=RELEASES)) as server:
        pace = Pace(timedelta(hours=1), (timedelta(0), timedelta(hours=1)))
        yield Watch(tmp_path / "home", server.url, pace, instance)
