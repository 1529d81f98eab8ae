"""One small world for all tests of quality, measured once: painting and embedding it is what they cost."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from booksearch_assets.search.quality.evaluation import Effort, Other, evaluate
from booksearch_assets.search.quality.report import QualityReport
from booksearch_assets.search.quality.systems import VectorSystem
from booksearch_assets_tests.search.quality.world import SmallWorld, small_world


@dataclass(frozen=True)
class Measured:
    """A report, and what was told of its progress."""

    report: QualityReport
    progress: list[tuple[str, int, int | None]]


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> SmallWorld:
    return small_world(tmp_path_factory.mktemp("quality"))


@pytest.fixture(scope="session")
def measured(world: SmallWorld) -> Measured:
    """`books_1`, the whole small world, beside an equal `books_0`."""
    progress: list[tuple[str, int, int | None]] = []
    report = evaluate(
        world.index("books_1"),
        world.encoder,
        world.read_images,
        str(world.known_items),
        Other(version=VectorSystem(world.index("books_0"), world.encoder)),
        Effort(pictures=8, prototype_images=80, timed=5, neighbours=8),
        lambda *said: progress.append(said),
    )
    return Measured(report, progress)


@pytest.fixture(scope="session")
def report(measured: Measured) -> QualityReport:
    return measured.report
