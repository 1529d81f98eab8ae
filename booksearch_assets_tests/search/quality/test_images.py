"""Self-match over indexes whose answers are known, and spoilt pictures of the sample world."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from booksearch_assets.search.quality.images import TRANSFORMS, robustness, self_match
from booksearch_assets.search.quality.neighbours import KEPT_SHARES, keeping, neighbour_recall
from booksearch_assets.vectorstores.contract import Hit
from booksearch_assets.vectorstores.exact import ExactIndex
from booksearch_assets.vectorstores.filters import Filter
from booksearch_assets_tests.search import library
from booksearch_assets_tests.search.quality.world import SmallWorld


class _Forgetful(ExactIndex):
    """Never finds the nearest, as an approximate index may fail to; under a filter it misses the nearest five."""

    def search(
        self,
        vectors: np.ndarray,
        k: int,
        filter: Filter | None = None,
        fields: Sequence[str] = (),
        offset: int = 0,
    ) -> list[list[Hit]]:
        return super().search(vectors, k, filter, fields, offset + (5 if filter else 1))


def _forgetful(index: ExactIndex) -> _Forgetful:
    return _Forgetful(index.spec, pa.Table.from_batches(index.scan(index.spec.schema.names)))


def test_self_match_of_a_sound_collection() -> None:
    # Covers 1 and 2 show the same: either may come first.
    index = library.shelf(
        [("OL1M", "", 1, "ship", 2015), ("OL2M", "", 2, "ship", 2015), ("OL3M", "", 3, "moon", 2015)]
    )
    result = self_match(index, sample=10, seed=0)
    assert (result.sampled, result.share) == (3, 1.0)
    assert self_match(index, sample=2, seed=0).sampled == 2


def test_self_match_sees_an_index_that_misses_the_nearest() -> None:
    sound = library.shelf([(f"OL{i}M", "", i, f"word{i}", 2015) for i in range(10)])
    assert self_match(_forgetful(sound), sample=10, seed=0).share == 0.0


def test_self_match_of_nothing_is_no_success() -> None:
    assert self_match(library.shelf([]), 10, 0).share == 0.0


def test_transforms_spoil_a_picture_and_leave_it_a_picture() -> None:
    generator = np.random.default_rng(0)
    picture = Image.fromarray(generator.integers(0, 255, (300, 200, 3), np.uint8))
    spoilt = {name: transform(picture, 3) for name, transform in TRANSFORMS.items()}
    assert spoilt["as it is"].tobytes() == picture.tobytes()
    assert spoilt["half the size"].size == (100, 150)
    width, height = spoilt["10 % cropped"].size
    assert width * height == pytest.approx(0.9 * 200 * 300, rel=0.02)
    assert all(image.mode == "RGB" for image in spoilt.values())
    assert len({image.tobytes() for image in spoilt.values()}) == len(spoilt)


def test_spoilt_pictures_find_their_book(world: SmallWorld) -> None:
    some = {cover: world.pictures[cover] for cover in sorted(world.pictures)[:16]}
    index = world.index()
    said: list[tuple[int, int]] = []
    shares = robustness(
        index,
        world.encoder,
        some | {1: b"of no book", min(some): b"damaged"},
        lambda done, total: said.append((done, total)),
    )
    assert list(shares) == list(TRANSFORMS)
    assert shares["as it is"].value == 1.0
    assert all(share.value >= 0.8 for share in shares.values()), shares
    assert said[-1] == (16, 16)
    lost = robustness(_forgetful(index), world.encoder, dict(list(some.items())[:4]))
    assert lost["as it is"].value == 0.0


def test_recall_of_neighbours_under_filters(world: SmallWorld) -> None:
    index = world.index()
    vectors = world.encoder.encode_texts(["a red dragon", "a ship at sea", "an owl at night"])
    for share in KEPT_SHARES:
        assert index.count(keeping(index, share)) / index.count() == pytest.approx(share, abs=0.02)
    assert neighbour_recall(index, index, vectors) == {"all": 1.0, "3 %": 1.0, "14 %": 1.0}
    forgetful = neighbour_recall(_forgetful(index), index, vectors)
    assert forgetful["all"] == pytest.approx(0.9)
    assert forgetful["14 %"] == pytest.approx(0.5)
