"""Tiny random models of the real architectures, for the tests of ``booksearch_assets.clip``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from booksearch_assets.clip.bundle import Bundle, write_manifest

IMAGE_SIZE = 32
CONTEXT_LENGTH = 16
MODEL_ID = "test/tiny-clip"
REVISION = "0" * 40


def _write_tokenizer(folder: Path) -> None:
    from transformers import CLIPTokenizer

    # One token for each lower-case letter, inside and at the end of a word; the end token is the highest,
    # because CLIPModel of old configurations finds it by argmax.
    letters = "abcdefghijklmnopqrstuvwxyz0123456789.,"
    pieces = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {piece: index for index, piece in enumerate(pieces)}
    CLIPTokenizer(vocab=vocabulary, merges=[]).save_pretrained(folder)


def _write_clip(folder: Path) -> None:
    import torch
    from transformers import CLIPConfig, CLIPModel

    _write_tokenizer(folder)
    tower = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = CLIPConfig(
        text_config={
            **tower,
            "vocab_size": 78,
            "max_position_embeddings": CONTEXT_LENGTH,
            "bos_token_id": 76,
            "eos_token_id": 77,
        },
        vision_config={**tower, "image_size": IMAGE_SIZE, "patch_size": 8},
        projection_dim=16,
    )
    torch.manual_seed(7)
    CLIPModel(config).save_pretrained(folder)
    preprocessor = {
        "image_processor_type": "CLIPImageProcessor",
        "size": {"shortest_edge": IMAGE_SIZE},
        "crop_size": {"height": IMAGE_SIZE, "width": IMAGE_SIZE},
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))


@pytest.fixture(scope="session")
def _pristine_clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny-clip")
    _write_clip(folder)
    write_manifest(folder, MODEL_ID, REVISION)
    return folder


@pytest.fixture(scope="session")
def clip_bundle(_pristine_clip: Path) -> Bundle:
    """A random CLIP of 32 pixels and 16 dimensions; shared, so not to be changed."""
    return Bundle.open(_pristine_clip)


@pytest.fixture
def clip_folder(_pristine_clip: Path, tmp_path: Path) -> Path:
    """A copy of the same bundle's folder that a test may break."""
    return Path(shutil.copytree(_pristine_clip, tmp_path / "tiny-clip"))


@pytest.fixture(scope="session")
def siglip_bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A random SigLIP of the same size: no projection, texts padded to the context without a mask."""
    import torch
    from transformers import SiglipConfig, SiglipModel

    folder = tmp_path_factory.mktemp("tiny-siglip")
    _write_tokenizer(folder)
    tower = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
    config = SiglipConfig(
        text_config={
            **tower,
            "vocab_size": 78,
            "max_position_embeddings": CONTEXT_LENGTH,
            "bos_token_id": 76,
            "eos_token_id": 77,
            "projection_size": 32,
        },
        vision_config={**tower, "image_size": IMAGE_SIZE, "patch_size": 8},
    )
    torch.manual_seed(7)
    SiglipModel(config).save_pretrained(folder)
    preprocessor = {
        "image_processor_type": "SiglipImageProcessor",
        "size": {"height": IMAGE_SIZE, "width": IMAGE_SIZE},
    }
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor))
    write_manifest(folder, "test/tiny-siglip", REVISION)
    return Bundle.open(folder)


@pytest.fixture(scope="session")
def _clip_conversion(clip_bundle: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from booksearch_assets.clip.openvino_engine import convert

    folder = tmp_path_factory.mktemp("engines")
    convert(clip_bundle, folder)
    return folder


@pytest.fixture
def clip_engines(_clip_conversion: Path, tmp_path: Path) -> Path:
    """A folder with `clip_bundle`'s vision tower converted for OpenVINO, for a test to write into."""
    return Path(shutil.copytree(_clip_conversion, tmp_path / "engines"))


def _paint(seed: int) -> Image.Image:
    """A picture with structure at several scales, so that different pictures differ after resizing."""
    random = np.random.default_rng(seed)
    width, height = (int(edge) for edge in random.integers(20, 140, size=2))
    coarse = random.integers(0, 256, size=(4, 4, 3), dtype=np.uint8)
    image = np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC), np.int16)
    noise = random.integers(-20, 21, size=image.shape, dtype=np.int16)
    return Image.fromarray(np.clip(image + noise, 0, 255).astype(np.uint8))


@pytest.fixture(scope="session")
def pictures() -> list[Image.Image]:
    """33 painted pictures of odd sizes."""
    return [_paint(seed) for seed in range(33)]
