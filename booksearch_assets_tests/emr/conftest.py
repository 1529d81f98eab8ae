"""The service for all tests of this folder, and an application for each."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from booksearch_assets_tests.emr.serverless import BUCKET, LocalServerless, running_serverless
from booksearch_assets_tests.emr.stages.tally import TallyParams
from booksearch_assets_tests.emr.step import ENTRY_POINT, Step

MakeStep = Callable[..., Step]


@pytest.fixture(scope="session")
def running_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServerless]:
    with running_serverless(tmp_path_factory.mktemp("serverless")) as service:
        service.client("s3").put_object(Bucket=BUCKET, Key="tally.py", Body=ENTRY_POINT.encode())
        yield service


@pytest.fixture
def service(running_service: LocalServerless, monkeypatch: pytest.MonkeyPatch) -> LocalServerless:
    """The service, in the environment of one test."""
    for name, value in running_service.environment.items():
        monkeypatch.setenv(name, value)
    return running_service


@pytest.fixture
def make_step(service: LocalServerless, tmp_path: Path) -> MakeStep:
    """Makes a step on an application of its own; keyword arguments are the stage's, `settings` the launcher's."""

    def make(settings: dict[str, Any] | None = None, retries: int = 0, **params: Any) -> Step:
        told = TallyParams(diary=str(tmp_path / "diary"), **params)
        return Step(service.create_application(), tmp_path / "home", told, settings or {}, retries=retries)

    return make
