"""One sample world, materialised once for the tests that only look, and copied for those that change things."""

from __future__ import annotations

import shutil
from pathlib import Path

import dagster as dg
import pytest

from booksearch_assets_tests.graph.deployment import Deployment, failures


@pytest.fixture(scope="session")
def materialised(tmp_path_factory: pytest.TempPathFactory) -> tuple[Deployment, dg.ExecuteInProcessResult]:
    """The whole books graph, all years in one run."""
    deployment = Deployment.of_sample(tmp_path_factory.mktemp("books"))
    result = deployment.run()
    assert result.success, failures(result)
    return deployment, result


@pytest.fixture
def changeable(materialised: tuple[Deployment, dg.ExecuteInProcessResult], tmp_path: Path) -> Deployment:
    """A copy of the materialised deployment, with an instance of its own. Commits name absolute places, so they are moved."""
    original = materialised[0].settings.home
    home = tmp_path / "home"
    shutil.copytree(original, home)
    for record in [*home.rglob("current/*.json"), *home.rglob("commits/*/*.json")]:
        record.write_text(record.read_text().replace(str(original), str(home)))
    return Deployment.of_sample(home)
