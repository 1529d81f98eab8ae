"""When a version counts as worse than another, and what the check of the collection makes of it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from booksearch_assets.assets.books import books_catalogue
from booksearch_assets.checks.collection import collection_rules
from booksearch_assets.checks.rule import Outcome, Scope
from booksearch_assets.clip.bundle import write_manifest
from booksearch_assets.resources.model import ModelResource
from booksearch_assets.resources.open_library import OpenLibraryResource
from booksearch_assets.resources.pictures import PictureServicesResource
from booksearch_assets.resources.product_release import ProductReleaseResource
from booksearch_assets.resources.vector_store import VectorStoreResource
from booksearch_assets.search.books_collection import books_collection
from booksearch_assets.search.publications import Reason
from booksearch_assets.search.quality.comparison import compare
from booksearch_assets.search.quality.opening import store_report
from booksearch_assets.search.quality.query_sets import Kind, query_sets
from booksearch_assets.search.quality.report import Pairing, QualityReport
from booksearch_assets.search.quality.systems import VectorSystem
from booksearch_assets.search.versions import (
    REQUIRED_TO_PUBLISH,
    NotPublishable,
    Versions,
    collection_name,
    collection_table,
    quality_table,
)
from booksearch_assets.tables.commit import Commit
from booksearch_assets.tables.lake import Lake
from booksearch_assets.tables.verdicts import Verdict, record_verdict
from booksearch_assets.vectorstores.contract import VectorStore
from booksearch_assets.vectorstores.milvus_lite import MilvusLiteStore
from booksearch_assets_tests.search.quality.world import MODEL, SmallWorld

CHECK = "quality_not_below_live"


def _damaged(world: SmallWorld) -> dict[int, np.ndarray]:
    """A tenth of the covers have the vectors of others."""
    covers = sorted(world.vectors)
    moved = covers[::10]
    return dict(world.vectors) | {
        cover: world.vectors[other] for cover, other in zip(moved, moved[1:] + moved[:1], strict=True)
    }


def test_equal_versions_differ_in_nothing(world: SmallWorld) -> None:
    one, other = (VectorSystem(world.index(name), world.encoder) for name in ("books_1", "books_2"))
    comparison = compare(one, other, query_sets(one.index, str(world.known_items)))
    assert comparison.pairing is Pairing.PAIRED
    assert {difference.kind for difference in comparison.differences} == set(Kind)
    assert all(difference.difference.value == 0 for difference in comparison.differences)
    assert comparison.regressions == ()


def test_more_books_that_come_before_the_right_one_are_no_regression(world: SmallWorld) -> None:
    queries = query_sets(world.index(), str(world.known_items))
    few = dict(list(world.vectors.items())[:60])
    # The new covers are near the old ones, so that each pushes an old one down.
    grown = dict(world.vectors) | {
        new: few[old] for old, new in zip(few, list(world.vectors)[60:120], strict=True)
    }
    small = VectorSystem(world.index("books_1", few), world.encoder)
    large = VectorSystem(world.index("books_2", grown), world.encoder)
    comparison = compare(large, small, queries)
    assert comparison.shared_images == len(few)
    assert comparison.regressions == ()


def test_versions_with_no_book_in_common_are_not_compared(world: SmallWorld) -> None:
    covers = list(world.vectors.items())
    one = VectorSystem(world.index("books_1", dict(covers[:50])), world.encoder)
    other = VectorSystem(world.index("books_2", dict(covers[50:100])), world.encoder)
    comparison = compare(one, other, query_sets(one.index, str(world.known_items)))
    assert (comparison.pairing, comparison.shared_images) == (Pairing.NOTHING, 0)
    assert "0 images are in both" in comparison.note


class Deployment:
    """Versions of the small world in a real store and lake, judged by the real check."""

    def __init__(self, world: SmallWorld, folder: Path, store: VectorStore) -> None:
        self.world, self.folder, self.store = world, folder, store
        self.lake = Lake(str(folder / "lake"))
        self.versions = Versions(self.lake, store, "books")
        self.model = ModelResource(folder=str(MODEL))

    def build(self, vectors: Mapping[int, np.ndarray] | None = None, bundle_id: str = "") -> Commit:
        """One version, which passed every other check."""
        pending = self.lake.begin(collection_table("books"))
        name = collection_name("books", pending.version)
        properties = self.world.properties | ({"bundle_id": bundle_id} if bundle_id else {})
        spec = books_collection(name, self.world.encoder.dimension, properties)
        self.store.create(spec)
        rows = self.store.load(name, [self.world.rows(vectors)])
        self.store.seal(name)
        commit = pending.commit(rows=rows, facts={**properties, "collection": name})
        for check in REQUIRED_TO_PUBLISH:
            if check != CHECK:
                record_verdict(self.lake, commit, Verdict(check, True))
        return commit

    def judge(self, commit: Commit) -> Outcome:
        [rule] = [rule for rule in collection_rules(books_catalogue(2010)) if rule.name == CHECK]
        assert rule.blocking
        books = OpenLibraryResource(downloads="unused", known_items=str(self.world.known_items))
        known = PictureServicesResource(
            books=books, products=ProductReleaseResource(root="unused", source="unused", downloads="unused")
        )
        store = VectorStoreResource(uri=str(self.folder / "milvus"))
        return rule.judge(Scope(self.lake, [commit], self.model, store, known))

    def publish(self, commit: Commit) -> None:
        self.versions.publish(commit.facts["collection"], Reason.ASSET)


@pytest.fixture
def deployment(world: SmallWorld, tmp_path: Path) -> Iterator[Deployment]:
    with MilvusLiteStore(tmp_path / "milvus") as store:
        yield Deployment(world, tmp_path, store)


def test_a_regression_blocks_publishing_and_an_equal_version_does_not(deployment: Deployment) -> None:
    first = deployment.build()
    outcome = deployment.judge(first)
    assert outcome.passed
    assert "first version" in outcome.figures["compared"]
    assert outcome.figures["candidate_caption_mrr"] > 0.9
    deployment.publish(first)

    equal = deployment.build()
    assert deployment.judge(equal).passed

    worse = deployment.build(_damaged(deployment.world))
    outcome = deployment.judge(worse)
    assert not outcome.passed
    names = [commit.facts["collection"] for commit in (worse, first)]
    assert [outcome.figures["candidate"], outcome.figures["live"]] == names
    [caption] = [text for text in outcome.figures["worse"] if text.startswith("caption MRR")]
    assert "a difference of -0." in caption
    with pytest.raises(NotPublishable, match=f"{CHECK} failed"):
        deployment.publish(worse)
    assert deployment.versions.live() == names[1]

    # Going back up from a damaged version is no regression, however it came to be live.
    deployment.publish(equal)


def test_a_version_of_another_model_is_measured_with_its_own(
    deployment: Deployment, report: QualityReport, tmp_path: Path
) -> None:
    other = tmp_path / "models" / "other"
    shutil.copytree(MODEL, other)
    bundle_id = write_manifest(other, "other/clip", "1").bundle_id
    live = deployment.build(bundle_id=bundle_id)
    deployment.model = ModelResource(folder=str(MODEL), shelves=[str(tmp_path / "models")])
    assert deployment.judge(live).passed
    deployment.publish(live)
    worse = deployment.build(_damaged(deployment.world))
    outcome = deployment.judge(worse)
    assert not outcome.passed
    assert Pairing.PAIRED in outcome.figures["compared"]

    # Without its bundle, its stored figures are what there is, once there are any.
    deployment.model = ModelResource(folder=str(MODEL))
    outcome = deployment.judge(worse)
    assert outcome.passed
    assert "is not at hand, and no figures of it are stored" in outcome.figures["compared"]
    pending = deployment.lake.begin(quality_table("books"))
    store_report(deployment.lake, pending, replace(report, collection=live.facts["collection"]), {})
    pending.commit(rows=1, facts={"collection": live.facts["collection"]})
    outcome = deployment.judge(worse)
    assert not outcome.passed
    assert Pairing.STORED in outcome.figures["compared"]
    assert "is not at hand" in outcome.figures["compared"]
