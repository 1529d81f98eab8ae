"""Pixels equal Hugging Face's to the last bit, and no bytes can hurt the decoder."""

from __future__ import annotations

import io
import json
import pickle
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from booksearch_assets.clip.preprocess import Preprocessing, Undecodable, UndecodableImage, decode_image

CLIP = {"image_processor_type": "CLIPImageProcessor"}
CONFIGS = {
    "CLIP of 224": CLIP,
    "CLIP as published in 2021": {
        "feature_extractor_type": "CLIPFeatureExtractor",
        "size": 224,
        "crop_size": 224,
        "resample": 3,
        "do_resize": True,
        "do_center_crop": True,
        "do_normalize": True,
        "image_mean": [0.48145466, 0.4578275, 0.40821073],
        "image_std": [0.26862954, 0.26130258, 0.27577711],
    },
    "CLIP of 64, odd crop": {**CLIP, "size": {"shortest_edge": 64}, "crop_size": {"height": 63, "width": 57}},
    "CLIP resized to a square": {
        **CLIP,
        "size": {"height": 64, "width": 64},
        "do_center_crop": False,
    },
    "CLIP resized to a rectangle, bilinear": {
        **CLIP,
        "size": {"height": 48, "width": 80},
        "crop_size": {"height": 40, "width": 41},
        "resample": 2,
    },
    "SigLIP": {"image_processor_type": "SiglipImageProcessor"},
}
SIZES = [
    (1, 1),
    (1, 7),
    (9, 1),
    (2, 64),
    (223, 225),
    (333, 500),
    (500, 333),
    (641, 479),
    (1201, 90),
    (3000, 4001),
]
MODES = [
    "1",
    "L",
    "P",
    "RGB",
    "RGBA",
    "CMYK",
    "YCbCr",
    "HSV",
    "LAB",
    "I",
    "F",
    "LA",
    "PA",
    "RGBX",
    "RGBa",
    "I;16",
]


def _random_image(width: int, height: int, seed: int = 0) -> Image.Image:
    random = np.random.default_rng(seed)
    return Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=np.uint8))


def _image_of_mode(mode: str) -> Image.Image:
    random = np.random.default_rng(5)
    if mode == "I;16":
        return Image.fromarray(random.integers(0, 65536, (45, 61), dtype=np.uint16))
    if mode == "PA":
        return _image_of_mode("LA").convert("PA")
    image = _random_image(61, 45, seed=5)
    if mode in ("LA", "RGBA", "RGBa"):
        image.putalpha(Image.fromarray(random.integers(0, 256, (45, 61), dtype=np.uint8)))
    if mode == "LAB":
        return Image.frombytes("LAB", image.size, image.tobytes())
    return image.convert(mode)


def _hugging_face(folder: Path, image: Image.Image) -> np.ndarray:
    from transformers import CLIPImageProcessorPil, SiglipImageProcessorPil

    name = json.loads((folder / "preprocessor_config.json").read_text()).get("image_processor_type", "CLIP")
    processor = SiglipImageProcessorPil if name.startswith("Siglip") else CLIPImageProcessorPil
    return processor.from_pretrained(folder)(image, return_tensors="np")["pixel_values"][0]


@pytest.fixture(params=CONFIGS)
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder with the preprocessor_config.json of one kind of model."""
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(CONFIGS[request.param]))
    return tmp_path


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_pixels_are_hugging_faces_for_every_size(folder: Path, size: tuple[int, int]) -> None:
    preprocessing = Preprocessing.from_config(folder / "preprocessor_config.json")
    image = _random_image(*size)
    pixels = preprocessing(image)
    assert pixels.dtype == np.float32
    assert pixels.shape == (3, *preprocessing.output_size)
    np.testing.assert_array_equal(pixels, _hugging_face(folder, image))


@pytest.mark.parametrize("mode", MODES)
def test_pixels_are_hugging_faces_for_every_mode(mode: str, folder: Path) -> None:
    image = _image_of_mode(mode)
    assert image.mode == mode
    pixels = Preprocessing.from_config(folder / "preprocessor_config.json")(image)
    np.testing.assert_array_equal(pixels, _hugging_face(folder, image))


def test_transparent_palette_is_laid_on_white(tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(CLIP))
    image = Image.new("P", (40, 30), 3)
    image.putpalette([0, 0, 0] * 256)
    image.info["transparency"] = 3
    pixels = Preprocessing.from_config(tmp_path / "preprocessor_config.json")(image)
    white = (1 - np.array([0.48145466, 0.4578275, 0.40821073])) / [0.26862954, 0.26130258, 0.27577711]
    np.testing.assert_allclose(pixels.mean(axis=(1, 2)), white, rtol=1e-6)
    np.testing.assert_array_equal(pixels, _hugging_face(tmp_path, image))


@pytest.mark.parametrize("size", [(3, 1000), (1000, 3), (40, 4000), (1, 65), (64, 64 * 64)], ids=str)
def test_extreme_strip_stays_close_to_hugging_face(size: tuple[int, int], tmp_path: Path) -> None:
    config = {**CLIP, "size": {"shortest_edge": 32}, "crop_size": 31}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(config))
    width, height = size
    y, x = np.mgrid[0:height, 0:width]
    waves = np.stack([np.sin(x / 2 + y / 3), np.cos(y / 5), np.sin((x - y) / 7)], axis=-1)
    image = Image.fromarray((100 * waves + 127).astype(np.uint8))
    pixels = Preprocessing.from_config(tmp_path / "preprocessor_config.json")(image)
    levels = np.abs(pixels - _hugging_face(tmp_path, image)) * 255 * 0.27
    assert levels.max() < 2.5
    assert levels.mean() < 0.2


def test_extreme_strip_costs_no_memory(tmp_path: Path) -> None:
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(CLIP))
    preprocessing = Preprocessing.from_config(tmp_path / "preprocessor_config.json")
    # Resized whole, this would be 224 x 14,560,000 pixels.
    assert preprocessing(Image.new("RGB", (1, 65_000))).shape == (3, 224, 224)
    assert preprocessing(Image.new("RGB", (65_000, 1))).shape == (3, 224, 224)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"do_resize": False}, "do_resize is false"),
        ({"do_normalize": False}, "do_normalize is false"),
        ({"do_center_crop": False}, "shortest_edge"),
        ({"do_pad": True}, "do_pad"),
        ({"crop_size": 300}, "would need padding"),
        ({"size": {"longest_edge": 100}}, "longest_edge"),
        ({"image_mean": [0.5]}, "3 numbers"),
        ({"image_processor_type": "Siglip2ImageProcessor"}, "Siglip2ImageProcessor"),
        ({"resample": 99}, "99"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_step_that_is_not_implemented_is_refused(
    change: dict[str, object], message: str, tmp_path: Path
) -> None:
    path = tmp_path / "preprocessor_config.json"
    path.write_text(json.dumps({**CLIP, **change}))
    with pytest.raises(ValueError, match=message) as caught:
        Preprocessing.from_config(path)
    assert str(path) in str(caught.value)


def _encoded(image: Image.Image, format_: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF"])
def test_formats_of_the_web_are_decoded(format_: str) -> None:
    image = _random_image(40, 30).resize((80, 60), Image.Resampling.BICUBIC)
    decoded = decode_image(_encoded(image, format_))
    assert decoded.size == (80, 60)
    expected, got = (np.asarray(each.convert("RGB"), np.int16) for each in (image, decoded))
    assert np.abs(expected - got).mean() < 40


@pytest.mark.parametrize("options", [{}, {"progressive": True}], ids=["baseline", "progressive"])
def test_cut_jpeg_is_never_half_grey(options: dict[str, bool]) -> None:
    data = _encoded(_random_image(120, 90), "JPEG", quality=80, **options)
    whole = np.asarray(decode_image(data))
    refused = 0
    for length in range(1, len(data), 61):
        try:
            image = decode_image(data[:length])
        except UndecodableImage as error:
            refused += 1
            if length > 700:  # past the headers
                assert error.reason is Undecodable.TRUNCATED
        else:
            np.testing.assert_array_equal(np.asarray(image), whole)
    assert refused >= len(range(1, len(data), 61)) - 1


@pytest.mark.parametrize("format_", ["PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF"])
def test_half_a_picture_is_refused(format_: str) -> None:
    data = _encoded(_random_image(120, 90), format_)
    with pytest.raises(UndecodableImage):
        decode_image(data[: len(data) // 2])


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Undecodable.EMPTY),
        (b"\0", Undecodable.NOT_AN_IMAGE),
        (b"<html><body>429 Too Many Requests</body></html>", Undecodable.NOT_AN_IMAGE),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n", Undecodable.NOT_AN_IMAGE),
    ],
    ids=["empty", "one byte", "html", "postscript"],
)
def test_what_is_not_a_picture_is_refused(data: bytes, reason: Undecodable) -> None:
    with pytest.raises(UndecodableImage) as caught:
        decode_image(data)
    assert caught.value.reason is reason
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (copy.reason, str(copy)) == (reason, str(caught.value))


def _png_that_claims(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" * 1000)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.mark.parametrize("edge", [9_000, 12_000, 60_000, 2**31 - 1])
def test_decompression_bomb_is_refused(edge: int) -> None:
    with pytest.raises(UndecodableImage) as caught:
        decode_image(_png_that_claims(edge, edge))
    assert caught.value.reason is Undecodable.TOO_MANY_PIXELS


def test_pixel_limit_is_exact() -> None:
    data = _encoded(_random_image(20, 10), "PNG")
    assert decode_image(data, max_pixels=200).size == (20, 10)
    with pytest.raises(UndecodableImage, match="20 x 10 pixels"):
        decode_image(data, max_pixels=199)


def test_picture_without_pixels_is_refused() -> None:
    with pytest.raises(UndecodableImage):
        decode_image(_png_that_claims(0, 10))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_phone_photo_is_turned_upright_as_hugging_face_does(orientation: int, tmp_path: Path) -> None:
    from transformers.image_utils import load_image

    exif = Image.Exif()
    exif[0x0112] = orientation
    data = _encoded(_random_image(50, 30), "JPEG", exif=exif)
    path = tmp_path / "photo.jpg"
    path.write_bytes(data)
    np.testing.assert_array_equal(np.asarray(decode_image(data)), np.asarray(load_image(str(path))))


def test_broken_exif_does_not_lose_the_picture() -> None:
    data = _encoded(_random_image(50, 30), "JPEG", exif=b"Exif\0\0" + b"MM\0\x2a" + b"\xff" * 40)
    assert decode_image(data).size == (50, 30)


def test_16_bit_grey_keeps_its_shades() -> None:
    ramp = np.linspace(0, 65535, 256).astype(np.uint16)[np.newaxis].repeat(4, axis=0)
    image = decode_image(_encoded(Image.fromarray(ramp), "PNG"))
    np.testing.assert_array_equal(np.asarray(image.convert("L"))[0], np.arange(256))


def test_first_frame_of_an_animation() -> None:
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    data = _encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert decode_image(data).convert("RGB").getpixel((0, 0)) == (255, 0, 0)


_SEEDS = [
    _encoded(_random_image(12, 9), format_) for format_ in ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF")
]


@settings(max_examples=300, deadline=None)
@given(
    seed=st.sampled_from(_SEEDS),
    damage=st.lists(st.tuples(st.integers(0, 10_000), st.binary(min_size=1, max_size=6)), max_size=4),
    length=st.integers(0, 10_000),
)
def test_damaged_bytes_give_a_picture_or_a_reason(
    seed: bytes, damage: list[tuple[int, bytes]], length: int
) -> None:
    data = bytearray(seed)
    for position, patch in damage:
        start = position % len(data)
        data[start : start + len(patch)] = patch
    try:
        image = decode_image(bytes(data[:length]), max_pixels=1_000_000)
    except UndecodableImage:
        return
    assert image.width >= 1
    assert image.convert("RGB").getpixel((0, 0)) is not None
