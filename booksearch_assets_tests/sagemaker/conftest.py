"""One container for all tests of this folder, since it takes longer to start than to answer; the last one stops it."""

from __future__ import annotations

import tarfile
from collections.abc import Iterator

import pytest

from booksearch_assets.clip.bundle import Bundle
from booksearch_assets.clip.encoder import Encoder
from booksearch_assets.settings import PACKAGE
from booksearch_assets_tests.sagemaker.container import Container, started

MODEL = PACKAGE / "sample" / "model"


@pytest.fixture(scope="session")
def encoder() -> Encoder:
    return Encoder.load(Bundle.open(MODEL), threads=1)


@pytest.fixture(scope="session")
def container(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Container]:
    """One whose model was packed as docs/sagemaker.md says, and unpacked as SageMaker does."""
    folder = tmp_path_factory.mktemp("model")
    archive = folder / "model.tar.gz"
    with tarfile.open(archive, "w:gz", compresslevel=1) as packed:
        packed.add(MODEL, ".")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    archive.unlink()
    with started(folder) as running:
        running.wait_until_ready()
        yield running
