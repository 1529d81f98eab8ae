"""The encoder gives Hugging Face's own vectors, whatever the batch, the order and the threads."""

from __future__ import annotations

import pickle
import shutil
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from booksearch_assets.clip.bundle import Bundle, BundleError, write_manifest
from booksearch_assets.clip.encoder import DegenerateVectorError, Encoder

TEXTS = [
    "a lighthouse in a storm",
    "a wolf",
    "dragon over a castle, by night",
    "x",
    "a rose and a skull. " * 20,
    "UPPER and   spaces",
]


@pytest.fixture(scope="module")
def encoder(clip_bundle: Bundle) -> Encoder:
    return Encoder.load(clip_bundle)


@pytest.fixture(scope="module")
def siglip_encoder(siglip_bundle: Bundle) -> Encoder:
    return Encoder.load(siglip_bundle)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _hugging_face_images(bundle: Bundle, images: list[Image.Image]) -> np.ndarray:
    import torch
    from transformers import CLIPImageProcessorPil, CLIPModel

    processor = CLIPImageProcessorPil.from_pretrained(bundle.folder)
    model = CLIPModel.from_pretrained(bundle.folder, dtype=torch.float32).eval()
    with torch.no_grad():
        output = model.get_image_features(**processor(images, return_tensors="pt"))
    return _unit(output.pooler_output.numpy())


def test_image_vectors_are_hugging_faces(
    clip_bundle: Bundle, encoder: Encoder, pictures: list[Image.Image]
) -> None:
    vectors = encoder.encode_images(pictures)
    assert vectors.shape == (33, 16)
    assert vectors.dtype == np.float32
    expected = _hugging_face_images(clip_bundle, pictures)
    assert (vectors * expected).sum(axis=1).min() >= 0.9999
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
    # Guard: were all pictures alike to this model, the comparison above would prove nothing.
    centred = _unit(vectors - vectors.mean(axis=0))
    assert np.median(centred @ centred.T) < 0.5
    np.testing.assert_allclose(centred, _unit(expected - expected.mean(axis=0)), atol=1e-4)


def test_text_vectors_are_hugging_faces(clip_bundle: Bundle, encoder: Encoder) -> None:
    import torch
    from transformers import CLIPModel, CLIPTokenizer

    tokenizer = CLIPTokenizer.from_pretrained(clip_bundle.folder)
    model = CLIPModel.from_pretrained(clip_bundle.folder).eval()
    tokens = tokenizer(TEXTS, padding=True, truncation=True, max_length=16, return_tensors="pt")
    with torch.no_grad():
        expected = _unit(model.get_text_features(**tokens).pooler_output.numpy())
    vectors = encoder.encode_texts(TEXTS)
    assert (vectors * expected).sum(axis=1).min() >= 0.9999
    np.testing.assert_allclose(vectors, expected, atol=1e-5)
    assert (vectors @ vectors.T)[~np.eye(len(TEXTS), dtype=bool)].max() < 0.9999


def test_siglip_vectors_are_hugging_faces(
    siglip_bundle: Bundle, siglip_encoder: Encoder, pictures: list[Image.Image]
) -> None:
    import torch
    from transformers import AutoTokenizer, SiglipImageProcessorPil, SiglipModel

    model = SiglipModel.from_pretrained(siglip_bundle.folder).eval()
    processor = SiglipImageProcessorPil.from_pretrained(siglip_bundle.folder)
    tokenizer = AutoTokenizer.from_pretrained(siglip_bundle.folder)
    tokens = tokenizer(TEXTS, padding="max_length", truncation=True, max_length=16, return_tensors="pt")
    with torch.no_grad():
        images = model.get_image_features(**processor(pictures, return_tensors="pt")).pooler_output.numpy()
        texts = model.get_text_features(input_ids=tokens["input_ids"]).pooler_output.numpy()
    assert siglip_encoder.dimension == 32
    np.testing.assert_allclose(siglip_encoder.encode_images(pictures), _unit(images), atol=1e-5)
    np.testing.assert_allclose(siglip_encoder.encode_texts(TEXTS), _unit(texts), atol=1e-5)


@pytest.mark.parametrize("batch_size", [1, 3, 8, 32])
@pytest.mark.parametrize("architecture", ["encoder", "siglip_encoder"])
def test_vectors_do_not_depend_on_batch_size_or_order(
    architecture: str, batch_size: int, pictures: list[Image.Image], request: pytest.FixtureRequest
) -> None:
    encoder: Encoder = request.getfixturevalue(architecture)
    images = encoder.encode_images(pictures, batch_size=batch_size)
    np.testing.assert_allclose(images, encoder.encode_images(pictures[::-1])[::-1], atol=1e-5)
    texts = encoder.encode_texts(TEXTS, batch_size=batch_size)
    # Another one, since an encoder remembers the texts that it has seen.
    fresh = Encoder.load(encoder.bundle)
    np.testing.assert_allclose(texts, fresh.encode_texts(TEXTS[::-1])[::-1], atol=1e-5)


def test_known_texts_are_not_encoded_again_and_the_oldest_are_forgotten(
    clip_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = Encoder.load(clip_bundle)
    asked: list[str] = []
    encode = encoder._encode_text_batch
    monkeypatch.setattr(encoder, "_encode_text_batch", lambda texts: (asked.extend(texts), encode(texts))[1])
    monkeypatch.setattr("booksearch_assets.clip.encoder.KNOWN_TEXTS", 2)
    first = encoder.encode_texts(["a wolf", "a ship", "a wolf"])
    assert asked == ["a wolf", "a ship"]
    np.testing.assert_array_equal(first[0], first[2])
    encoder.encode_texts(["a ship", "a tower"])
    assert asked == ["a wolf", "a ship", "a tower"]
    again = encoder.encode_texts(["a wolf"])
    assert asked[-1] == "a wolf"
    np.testing.assert_allclose(again[0], first[0], atol=1e-6)


def test_vectors_do_not_depend_on_threads(clip_bundle: Bundle, pictures: list[Image.Image]) -> None:
    import torch

    before = torch.get_num_threads()
    try:
        vectors = []
        for threads in (1, 2, 3):
            encoder = Encoder.load(clip_bundle, threads=threads)
            assert torch.get_num_threads() == threads
            vectors.append(encoder.encode_images(pictures))
        Encoder.load(clip_bundle)
        assert torch.get_num_threads() == 3, "threads were changed although nobody asked"
    finally:
        torch.set_num_threads(before)
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-5)
    np.testing.assert_allclose(vectors[0], vectors[2], atol=1e-5)


def test_half_precision_weights_are_computed_in_float32(
    clip_folder: Path, pictures: list[Image.Image]
) -> None:
    import torch
    from transformers import CLIPModel

    model = CLIPModel.from_pretrained(clip_folder)
    model.half().save_pretrained(clip_folder)
    write_manifest(clip_folder, "test/half", "1")
    vectors = Encoder.load(Bundle.open(clip_folder)).encode_images(pictures)

    from transformers import CLIPImageProcessorPil

    pixels = CLIPImageProcessorPil.from_pretrained(clip_folder)(pictures, return_tensors="pt")
    with torch.no_grad():
        expected = _unit(model.float().get_image_features(**pixels).pooler_output.numpy())
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, expected, atol=1e-5)


def test_nothing_to_encode_gives_no_rows(encoder: Encoder) -> None:
    assert encoder.encode_images([]).shape == (0, 16)
    assert encoder.encode_texts([]).shape == (0, 16)
    assert encoder.encode_texts([]).dtype == np.float32


@pytest.mark.parametrize("empty", ["", "  \n\t"])
def test_empty_text_is_refused_by_row(encoder: Encoder, empty: str) -> None:
    with pytest.raises(ValueError, match="text 1 of 2 is empty"):
        encoder.encode_texts(["a wolf", empty])


def test_one_text_is_not_a_sequence_of_texts(encoder: Encoder) -> None:
    with pytest.raises(TypeError, match="Put it in a list"):
        encoder.encode_texts("wolf")


def test_batch_size_below_one_is_refused(encoder: Encoder) -> None:
    with pytest.raises(ValueError, match="batch_size 0"):
        encoder.encode_texts(["a wolf"], batch_size=0)


def test_long_text_is_cut_and_keeps_its_end(encoder: Encoder) -> None:
    # 16 positions less the start and the end leave 14 letters.
    long, longer, other = encoder.encode_texts(
        ["abcdefghijklmn", "abcdefghijklmn" + "z" * 5000, "bcdefghijklmno"]
    )
    # The last letter that is kept is inside a word in one and its end in the other, hence not quite equal.
    fits, cut = encoder.encode_texts(["a b c d e f g h i j k l m n", "a b c d e f g h i j k l m n o p q"])
    np.testing.assert_allclose(fits, cut, atol=1e-6)
    assert long @ longer > long @ other


class _BrokenEngine:
    """Returns what it is given for vectors."""

    def __init__(self, rows: np.ndarray) -> None:
        self._rows = rows

    def encode_pixels(self, pixels: np.ndarray) -> np.ndarray:
        rows, self._rows = self._rows[: len(pixels)], self._rows[len(pixels) :]
        return rows

    def encode_tokens(self, input_ids: np.ndarray, attention_mask: np.ndarray | None) -> np.ndarray:
        raise NotImplementedError


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_vector_without_direction_is_refused_by_row(
    clip_bundle: Bundle, pictures: list[Image.Image], value: float
) -> None:
    rows = np.ones((10, 16), np.float32)
    rows[9] = value
    encoder = Encoder(clip_bundle, _BrokenEngine(rows))
    with pytest.raises(DegenerateVectorError, match="row 9 "):
        encoder.encode_images(pictures[:10], batch_size=4)


def test_broken_weights_are_refused(clip_folder: Path, pictures: list[Image.Image]) -> None:
    import torch
    from transformers import CLIPModel

    model = CLIPModel.from_pretrained(clip_folder)
    with torch.no_grad():
        model.visual_projection.weight.fill_(float("nan"))
    model.save_pretrained(clip_folder)
    write_manifest(clip_folder, "test/broken", "1")
    encoder = Encoder.load(Bundle.open(clip_folder))
    with pytest.raises(DegenerateVectorError, match="row 0 .*length nan"):
        encoder.encode_images(pictures[:2])


def test_weights_that_do_not_fit_the_architecture_are_refused(clip_folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(clip_folder / "model.safetensors")
    del weights["visual_projection.weight"]
    save_file(weights, clip_folder / "model.safetensors", metadata={"format": "pt"})
    write_manifest(clip_folder, "test/headless", "1")
    with pytest.raises(BundleError, match="lacks .* visual_projection.weight"):
        Encoder.load(Bundle.open(clip_folder))


def test_moved_bundle_gives_the_same_vectors(
    clip_bundle: Bundle, encoder: Encoder, pictures: list[Image.Image], tmp_path: Path
) -> None:
    shutil.copytree(clip_bundle.folder, tmp_path / "elsewhere")
    moved = pickle.loads(pickle.dumps(Bundle.open(tmp_path / "elsewhere")))
    other = Encoder.load(moved)
    assert other.bundle_id == encoder.bundle_id
    np.testing.assert_array_equal(other.encode_images(pictures[:4]), encoder.encode_images(pictures[:4]))


def test_sample_model_gives_hugging_faces_vectors(pictures: list[Image.Image]) -> None:
    folder = Path(str(resources.files("booksearch_assets") / "sample" / "model"))
    if not (folder / "manifest.json").exists():
        pytest.skip("the sample model has not been trained: booksearch sample train-clip")
    bundle = Bundle.open(folder)
    vectors = Encoder.load(bundle).encode_images(pictures)
    assert (vectors * _hugging_face_images(bundle, pictures)).sum(axis=1).min() >= 0.9999
