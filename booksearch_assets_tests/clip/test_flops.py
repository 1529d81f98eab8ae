"""The arithmetic of a picture, beside what torch counted while it was done."""

from __future__ import annotations

import json
from typing import Any

import pytest

from booksearch_assets.clip.flops import image_gflop
from booksearch_assets.settings import PACKAGE

# What `torch.utils.flop_counter` says, and the two products of attention that it leaves out on a CPU.
COUNTED, ATTENTION = 0.349766, 6 * 2 * 2 * 65**2 * 192 / 1e9


def test_it_is_what_torch_counts_and_attention() -> None:
    config = json.loads((PACKAGE / "sample" / "model" / "config.json").read_text("utf-8"))
    assert image_gflop(config) == pytest.approx(COUNTED + ATTENTION, rel=1e-3)


def test_what_a_configuration_leaves_out_is_what_hugging_face_takes() -> None:
    assert image_gflop({"model_type": "clip"}) == pytest.approx(8.73, rel=0.02)
    large: dict[str, Any] = {
        "hidden_size": 1024,
        "intermediate_size": 4096,
        "num_hidden_layers": 24,
        "patch_size": 14,
    }
    assert image_gflop({"model_type": "clip", "vision_config": large}) == pytest.approx(162, rel=0.02)


def test_another_kind_of_model_is_refused() -> None:
    with pytest.raises(ValueError, match="'bert'; expected one of clip, siglip"):
        image_gflop({"model_type": "bert"})
