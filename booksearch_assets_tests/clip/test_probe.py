"""The rule that picks an engine, and the measures that it goes by."""

from __future__ import annotations

import numpy as np
import pytest

from booksearch_assets.clip.engines import REFERENCE
from booksearch_assets.clip.probe import Measurement, centred_cosines, choose, overlap


def measurement(choice: str, rate: float, overlap: float = 1.0, cosine: float = 1.0) -> Measurement:
    return Measurement(choice=choice, images_per_second=rate, overlap=overlap, centred_cosine=cosine)


SLOW = measurement("torch-float32", 10)
GOOD = measurement("torch-bfloat16", 25, 0.99, 0.999)


@pytest.mark.parametrize(
    ("others", "chosen", "why"),
    [
        ([], "torch-float32", "nothing that keeps"),
        ([GOOD], "torch-bfloat16", "2.5 times as fast as torch-float32 and keeps 99.0%"),
        ([GOOD, measurement("openvino-bfloat16", 40, 0.985)], "openvino-bfloat16", "4.0 times"),
        # Fast but wrong.
        ([GOOD, measurement("openvino-bfloat16", 90, 0.93)], "torch-bfloat16", "openvino-bfloat16 is faster, but"),
        ([measurement("openvino-bfloat16", 90, 0.979)], "torch-float32", "keeps 97.9% of them"),
        # Right on average, wrong on one picture.
        ([measurement("openvino-bfloat16", 90, 0.99, 0.9)], "torch-float32", "nothing that keeps"),
        # Not worth its differences.
        ([measurement("openvino-float32", 10.9)], "torch-float32", "1.1 times as fast"),
        ([GOOD, measurement("torch-bfloat16+reduced", 26, 0.99)], "torch-bfloat16", "2.5 times"),
        ([GOOD, measurement("torch-bfloat16+reduced", 50, 0.985)], "torch-bfloat16+reduced", "5.0 times"),
        ([GOOD, measurement("torch-bfloat16+reduced", 50, 0.95)], "torch-bfloat16", "keeps 95.0% of them"),
    ],
)  # fmt: skip
def test_the_fastest_that_keeps_the_neighbours_is_chosen(
    others: list[Measurement], chosen: str, why: str
) -> None:
    choice, reason = choose([SLOW, *others])
    assert str(choice) == chosen
    assert why in reason


def test_an_engine_that_fails_is_told_and_not_chosen() -> None:
    failed = Measurement(
        choice="openvino-bfloat16",
        images_per_second=0,
        overlap=0,
        centred_cosine=-1,
        failed="no such operation",
    )
    choice, why = choose([SLOW, failed])
    assert choice == REFERENCE
    assert "openvino-bfloat16 failed: no such operation" in why


def _vectors(seed: int, noise: float = 0.0) -> np.ndarray:
    """Unit vectors in a narrow cone, as CLIP's are."""
    drawn = np.random.default_rng(0).standard_normal((200, 32)).astype(np.float32) + 12
    drawn += noise * np.random.default_rng(seed).standard_normal(drawn.shape).astype(np.float32)
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def test_plain_cosine_hides_what_centred_cosine_and_overlap_show() -> None:
    reference, shuffled = _vectors(0), np.roll(_vectors(0), 1, axis=0)
    assert (reference * shuffled).sum(axis=1).min() > 0.97
    assert centred_cosines(reference, shuffled).mean() < 0.1
    assert overlap(reference, shuffled) < 0.2
    assert overlap(reference, reference) == 1
    np.testing.assert_allclose(centred_cosines(reference, reference), 1, atol=1e-5)
    overlaps = [overlap(reference, _vectors(1, noise)) for noise in (0.001, 0.05, 0.5)]
    assert overlaps == sorted(overlaps, reverse=True)
    assert overlaps[0] > 0.98 > overlaps[1]


def test_vectors_that_agree_with_each_other_but_not_with_the_reference_are_caught() -> None:
    """A rotated space has the same neighbours in itself, and none for the reference's queries."""
    reference = _vectors(0)
    rotation, _ = np.linalg.qr(np.random.default_rng(3).standard_normal((32, 32)))
    assert overlap(reference, (reference @ rotation).astype(np.float32)) < 0.5
