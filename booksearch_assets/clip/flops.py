"""How much arithmetic one picture costs a model, from its `config.json`: what tells the time of a model never run here.

Belongs here: counting. Does not: how fast a machine is (`compute.rates`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from booksearch_assets.clip.bundle import CONFIG, Bundle

_CHANNELS = 3
# What Hugging Face's config classes take where `config.json` is silent; both have the rest in common.
_DEFAULTS = {
    "clip": {"patch_size": 32, "class_tokens": 1},
    "siglip": {"patch_size": 16, "class_tokens": 0},
}
_COMMON = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "image_size": 224}


def bundle_gflop(bundle: Bundle) -> float:
    """`image_gflop` of a bundle's model."""
    return image_gflop(json.loads((bundle.folder / CONFIG).read_text("utf-8")))


def image_gflop(config: Mapping[str, Any]) -> float:
    """Gigaflops of the image tower for one picture, a multiplication and an addition counted as two.

    Matrix products only, which are all but a hundredth of it. 8.82 for ViT-B/32; torch's counter says 8.73, since it leaves
    out those of scaled dot product attention on a CPU.
    Raises `ValueError` for a model type that is no dual encoder of vision transformers.
    """
    known = _DEFAULTS.get(str(config.get("model_type")))
    if known is None:
        raise ValueError(
            f"model_type is {config.get('model_type')!r}; expected one of {', '.join(_DEFAULTS)}"
        )
    vision = {**_COMMON, **known, **(config.get("vision_config") or {})}
    width, inner, layers = (
        int(vision[name]) for name in ("hidden_size", "intermediate_size", "num_hidden_layers")
    )
    patches = (int(vision["image_size"]) // int(vision["patch_size"])) ** 2
    tokens = patches + known["class_tokens"]
    in_layers = layers * (tokens * (4 * width**2 + 2 * width * inner) + 2 * tokens**2 * width)
    in_patches = patches * _CHANNELS * int(vision["patch_size"]) ** 2 * width
    return 2 * (in_layers + in_patches) / 1e9
