"""Pictures that are nearly the same."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from booksearch_assets.search.near_duplicates import SAME_PICTURE, near_duplicates

DIMENSION = 64


def _table(covers: dict[int, np.ndarray]) -> pa.Table:
    vectors = np.array(list(covers.values()), np.float32).reshape(-1, DIMENSION)
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), DIMENSION)
    return pa.table({"cover_id": pa.array(covers, pa.int64()), "vector": column})


def _at(vector: np.ndarray, cosine: float, seed: int) -> np.ndarray:
    """A unit vector with this cosine to `vector`."""
    aside = np.random.default_rng(seed).normal(size=vector.shape)
    aside -= (aside @ vector) * vector
    return cosine * vector + np.sqrt(1 - cosine**2) * aside / np.linalg.norm(aside)


@pytest.fixture(scope="module")
def covers() -> dict[int, np.ndarray]:
    """A thousand covers in a narrow cone, as CLIP's are."""
    vectors = np.random.default_rng(0).normal(size=(1000, DIMENSION)) + np.eye(DIMENSION)[0] * 8
    return dict(enumerate(vectors / np.linalg.norm(vectors, axis=1, keepdims=True)))


def test_twins_across_batches_and_nothing_else(covers: dict[int, np.ndarray]) -> None:
    near = {5000 + cover: _at(covers[cover], 0.9992, cover) for cover in range(0, 1000, 10)}
    apart = {7000 + cover: _at(covers[cover], 0.998, cover) for cover in range(0, 1000, 10)}
    batches = [_table(near), _table({}), _table(covers), _table(apart)]
    found = near_duplicates(lambda: batches)
    assert found.keys() <= near.keys()
    assert all(standing == cover - 5000 for cover, standing in found.items())
    assert len(found) >= 0.98 * len(near)


def test_a_cover_never_stands_for_what_is_only_near_to_one_of_its_own(covers: dict[int, np.ndarray]) -> None:
    first = covers[0]
    aside = _at(first, 0.0, 1)
    angle = np.arccos(SAME_PICTURE) * 0.9
    chain = {
        number: np.cos(number * angle) * first + np.sin(number * angle) * aside for number in (0, 1, 2, 3)
    }
    assert near_duplicates(lambda: [_table(chain)]) == {1: 0, 3: 2}


def test_equal_pictures_and_one_cover_in_two_years(covers: dict[int, np.ndarray]) -> None:
    same = dict.fromkeys(range(100, 140), covers[0])
    assert near_duplicates(lambda: [_table(same), _table({100: covers[0]})]) == dict.fromkeys(
        range(101, 140), 100
    )
    assert near_duplicates(lambda: [_table({})]) == {}
    assert near_duplicates(list) == {}
