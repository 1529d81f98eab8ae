"""ViT-B/32 with random weights, made here, since no weights may be brought along: as fast as the trained one.

Belongs here: its files, as a bundle of ours and as the checkpoint that clip-retrieval reads. Does not: running it.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from booksearch_assets.clip.bundle import PREPROCESSOR, TOKENIZERS, WEIGHTS, Bundle, write_manifest
from booksearch_assets.settings import PACKAGE

if TYPE_CHECKING:
    from torch import Generator, Size, Tensor

_SCALE = 0.03
_SAMPLE = PACKAGE / "sample" / "model"
_PREPROCESSOR = {
    "image_processor_type": "CLIPImageProcessor",
    "do_resize": True,
    "size": {"shortest_edge": 224},
    "resample": 3,
    "do_center_crop": True,
    "crop_size": {"height": 224, "width": 224},
    "do_rescale": True,
    "do_normalize": True,
    "image_mean": [0.48145466, 0.4578275, 0.40821073],
    "image_std": [0.26862954, 0.26130258, 0.27577711],
}


def vit_b32(scratch: Path) -> Bundle:
    """The bundle in `scratch`, made at the first call: 605 MB of float32 weights, as the published one has."""
    folder = scratch / "vit-b32"
    if not folder.exists():
        import torch
        from safetensors.torch import save_file
        from transformers import CLIPConfig, CLIPModel

        making = scratch / "vit-b32-unfinished"
        config = CLIPConfig(text_config=_ends_of_texts(), vision_config={}, projection_dim=512)
        config.save_pretrained(making)
        # Without weights: to draw those that transformers would begin to train with takes many times as long.
        with torch.device("meta"):
            shapes = {name: weight.shape for name, weight in CLIPModel(config).state_dict().items()}
        generator = torch.Generator().manual_seed(0)
        weights = {name: _drawn(name, shape, generator) for name, shape in shapes.items()}
        save_file(weights, making / WEIGHTS, metadata={"format": "pt"})
        (making / PREPROCESSOR).write_text(json.dumps(_PREPROCESSOR))
        for name in (*TOKENIZERS, "tokenizer_config.json"):
            if (_SAMPLE / name).exists():
                shutil.copyfile(_SAMPLE / name, making / name)
        write_manifest(making, "booksearch/random-vit-b32", "benchmark")
        making.rename(folder)
    return Bundle.open(folder)


def _drawn(name: str, shape: Size, generator: Generator) -> Tensor:
    import torch

    if name == "logit_scale":
        return torch.tensor(2.6592)
    if "norm" in name or name.endswith("bias"):
        return torch.full(shape, float("norm" in name and name.endswith("weight")))
    # clip-retrieval halves what it loads: numbers that a half can hold are the same to everyone.
    return torch.randn(shape, generator=generator).mul_(_SCALE).half().float()


def _ends_of_texts() -> dict[str, int]:
    """Those of the sample model, whose tokenizer it uses: the architecture's own vocabulary is not to be had here."""
    config = json.loads((_SAMPLE / "config.json").read_text())["text_config"]
    return {name: config[name] for name in ("bos_token_id", "eos_token_id", "pad_token_id")}


def openai_checkpoint(scratch: Path) -> Path:
    """The same weights by the names of OpenAI's own release, which is what clip-retrieval loads."""
    import torch
    from safetensors.torch import load_file

    bundle = vit_b32(scratch)
    path = scratch / "vit-b32.pt"
    if not path.exists():
        weights = load_file(bundle.folder / WEIGHTS)
        torch.save(_renamed(weights), path)
    return path


def _renamed(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    vision, text = "vision_model.", "text_model."
    named = {
        "visual.class_embedding": weights[f"{vision}embeddings.class_embedding"],
        "visual.conv1.weight": weights[f"{vision}embeddings.patch_embedding.weight"],
        "visual.positional_embedding": weights[f"{vision}embeddings.position_embedding.weight"],
        "visual.proj": weights["visual_projection.weight"].T.contiguous(),
        "token_embedding.weight": weights[f"{text}embeddings.token_embedding.weight"],
        "positional_embedding": weights[f"{text}embeddings.position_embedding.weight"],
        "text_projection": weights["text_projection.weight"].T.contiguous(),
        "logit_scale": weights["logit_scale"],
    }
    for ours, theirs in (
        # The spelling is transformers' own.
        (f"{vision}pre_layrnorm", "visual.ln_pre"),
        (f"{vision}post_layernorm", "visual.ln_post"),
        (f"{text}final_layer_norm", "ln_final"),
    ):
        named |= _linear(weights, ours, theirs)
    for ours, theirs in ((vision, "visual.transformer.resblocks"), (text, "transformer.resblocks")):
        for layer in range(12):
            named |= _block(weights, f"{ours}encoder.layers.{layer}", f"{theirs}.{layer}")
    return named


def _block(weights: dict[str, Tensor], ours: str, theirs: str) -> dict[str, Tensor]:
    import torch

    parts = {
        "self_attn.out_proj": "attn.out_proj",
        "layer_norm1": "ln_1",
        "layer_norm2": "ln_2",
        "mlp.fc1": "mlp.c_fc",
        "mlp.fc2": "mlp.c_proj",
    }
    named = {}
    for mine, its in parts.items():
        named |= _linear(weights, f"{ours}.{mine}", f"{theirs}.{its}")
    for kind in ("weight", "bias"):
        three = [weights[f"{ours}.self_attn.{part}_proj.{kind}"] for part in "qkv"]
        named[f"{theirs}.attn.in_proj_{kind}"] = torch.cat(three)
    return named


def _linear(weights: dict[str, Tensor], ours: str, theirs: str) -> dict[str, Tensor]:
    return {f"{theirs}.{kind}": weights[f"{ours}.{kind}"] for kind in ("weight", "bias")}
