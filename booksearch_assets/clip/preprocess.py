"""From the bytes of a picture to the pixels that a vision tower takes, with Pillow and NumPy alone.

What belongs here: decoding that trusts nothing, and preprocessing that equals Hugging Face's
``CLIPImageProcessorPil`` and ``SiglipImageProcessorPil`` to the last bit. What does not: models.

transformers' own default processors need torchvision, whose wheel on PyPI replaces a CPU build of torch
by a CUDA build of several gigabytes. That, and twice the speed, is why this is written out here.
"""

from __future__ import annotations

import functools
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

PREPROCESSING_VERSION = "1"
"""Part of a bundle's identity. Raise it with any change here that moves a pixel by any amount."""

MAX_PIXELS = 64_000_000
"""Above any book cover or phone photo; 192 MB as RGB, which a worker of 2 GB can hold."""

_FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF")
# Others are left out on purpose: Pillow hands EPS to Ghostscript, and many rare decoders are little tested.

_ORIENTATION_TAG = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation to the operation that undoes it (Exif 2.32, section 4.6.4)."""

_WHITE = (255, 255, 255, 255)
_MAX_RESIZED_RATIO = 64
"""Up to this long:short ratio the whole picture is resized, as Hugging Face does. Beyond, only the part
that the centre crop keeps: a 1 x 60,000 strip would otherwise grow to 224 x 13,440,000, 9 GB as RGB."""


class Undecodable(StrEnum):
    """Why bytes are not a picture that can be used."""

    EMPTY = "empty"
    NOT_AN_IMAGE = "not an image"
    TOO_MANY_PIXELS = "too many pixels"
    TRUNCATED = "truncated"
    CORRUPT = "corrupt"


class UndecodableImage(Exception):
    """Bytes could not be decoded; ``reason`` is for counting, ``detail`` for reading."""

    def __init__(self, reason: Undecodable, detail: str) -> None:
        self.reason = reason
        self.detail = detail
        super().__init__(f"{reason}: {detail}")

    def __reduce__(self) -> tuple[type[UndecodableImage], tuple[Undecodable, str]]:
        return type(self), (self.reason, self.detail)


def decode_image(data: bytes, max_pixels: int = MAX_PIXELS, reduce_to: int | None = None) -> Image.Image:
    """Decode a whole picture and turn it upright, as Hugging Face's ``load_image`` does for a path.

    Of an animation, the first frame. 16-bit greys are scaled to 8 bits, where Pillow's own conversion
    would clip all but the darkest 256 of 65,536 levels to white. A JPEG is decoded at a half, a quarter or an
    eighth of its size as long as both its edges keep ``reduce_to`` pixels. Raises ``UndecodableImage``, and nothing
    else, for bytes that are empty, of no known format, cut off, corrupt, or of over ``max_pixels`` pixels.
    """
    if not data:
        raise UndecodableImage(Undecodable.EMPTY, "0 bytes")
    try:
        image = Image.open(io.BytesIO(data), formats=_formats())
    except UnidentifiedImageError:
        detail = f"{len(data)} bytes that start with {data[:12]!r}, expected one of {', '.join(_formats())}"
        raise UndecodableImage(Undecodable.NOT_AN_IMAGE, detail) from None
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise UndecodableImage(Undecodable.TOO_MANY_PIXELS, str(error)) from error
    except Exception as error:  # Pillow's parsers raise whatever their struct, zlib or index calls raise.
        raise UndecodableImage(Undecodable.CORRUPT, f"{type(error).__name__}: {error}") from error
    width, height = image.size
    if width < 1 or height < 1:
        raise UndecodableImage(Undecodable.EMPTY, f"{width} x {height} pixels")
    if width * height > max_pixels:
        detail = f"{width} x {height} pixels in {len(data)} bytes, at most {max_pixels} are decoded"
        raise UndecodableImage(Undecodable.TOO_MANY_PIXELS, detail)
    if reduce_to is not None:
        # The inverse transform of fewer frequencies; a no-op for every other format.
        image.draft(None, (reduce_to, reduce_to))
    try:
        image.load()
    except Exception as error:  # as above, and MemoryError, by which decoders refuse absurd headers
        reason = Undecodable.TRUNCATED if "truncated" in str(error).lower() else Undecodable.CORRUPT
        detail = f"{image.format} of {width} x {height} pixels in {len(data)} bytes: {error}"
        raise UndecodableImage(reason, detail) from error
    upright = _turn_upright(image)
    if upright.mode.startswith("I;16"):
        return Image.fromarray((np.asarray(upright) >> 8).astype(np.uint8))
    return upright


@functools.cache
def _formats() -> tuple[str, ...]:
    """Those of ``_FORMATS`` that this build of Pillow reads; to ask for another fails for every picture."""
    Image.init()
    return tuple(name for name in _FORMATS if name in Image.OPEN)


def _turn_upright(image: Image.Image) -> Image.Image:
    try:
        orientation = image.getexif().get(_ORIENTATION_TAG, 1)
    except Exception:  # noqa: BLE001 - an EXIF block that cannot be read does not make a cover unreadable
        return image
    operation = _UPRIGHT.get(orientation)
    return image if operation is None else image.transpose(operation)


@dataclass(frozen=True)
class Preprocessing:
    """The steps of a bundle's ``preprocessor_config.json``, in the order in which they are applied."""

    size: tuple[int, int]
    """(height, width) to resize to; with ``keep_ratio`` both are the length of the shorter edge."""
    keep_ratio: bool
    output_size: tuple[int, int]
    """(height, width) that are cut from the centre of the resized picture: what the model gets."""
    resample: Image.Resampling
    scale: float
    mean: tuple[float, float, float]
    std: tuple[float, float, float]

    @classmethod
    def from_config(cls, path: str | Path) -> Preprocessing:
        """Read ``preprocessor_config.json`` with the defaults of the processor class that it names.

        Raises ``ValueError`` that names the file and the field for a step that is not implemented here.
        """
        path = Path(path)
        try:
            return _parse(json.loads(path.read_bytes()))
        except (ValueError, TypeError, KeyError) as error:
            message = f"{path}: cannot prepare pictures as it says: {type(error).__name__}: {error}"
            raise ValueError(message) from error

    def __call__(self, image: Image.Image, centre_only: bool = False) -> np.ndarray:
        """Pixels (3, height, width) float32 of one picture of any mode and size.

        With ``centre_only`` nothing is made of what the centre crop drops, which is faster, and close to the rest.
        """
        pixels = np.asarray(self._resize(_flatten(image), centre_only))
        return np.stack([levels.take(pixels[:, :, channel]) for channel, levels in enumerate(self._levels)])

    @property
    def enough(self) -> int:
        """Pixels of an edge from which on the original's size hardly matters: twice what the model gets.

        Measured with the sample model on covers of 500 x 750: at twice the size 98.6 % of the ten nearest stayed
        the same, at once the size 95 %.
        """
        return 2 * max(self.size)

    @functools.cached_property
    def _levels(self) -> np.ndarray:
        """(3, 256) float32: what the model gets for each byte of each channel.

        A look-up gives the same bits as computing every pixel, as long as each step rounds where
        transformers rounds: scaling in float64, the rest in float32.
        """
        scaled = (np.arange(256, dtype=np.float64) * self.scale).astype(np.float32)
        mean, std = (np.array(values, np.float32)[:, np.newaxis] for values in (self.mean, self.std))
        return (scaled - mean) / std

    def _resize(self, image: Image.Image, centre_only: bool) -> Image.Image:
        height, width = self.size
        if self.keep_ratio:
            short, long = sorted(image.size)
            new_long = int(height * long / short)
            height, width = (new_long, width) if image.width <= image.height else (height, new_long)
            if centre_only or long > _MAX_RESIZED_RATIO * short:
                return self._resize_centre(image, height, width)
        top, left = _centre(height, width, self.output_size)
        box = (left, top, left + self.output_size[1], top + self.output_size[0])
        return image.resize((width, height), self.resample).crop(box)

    def _resize_centre(self, image: Image.Image, height: int, width: int) -> Image.Image:
        """The centre crop of ``image`` resized to (height, width), without making the rest of it.

        Close, but not bit by bit: Pillow clips between its two passes, and orders them by their cost.
        """
        crop_height, crop_width = self.output_size
        top, left = _centre(height, width, self.output_size)
        x_scale, y_scale = image.width / width, image.height / height
        box = (left * x_scale, top * y_scale, (left + crop_width) * x_scale, (top + crop_height) * y_scale)
        return image.resize((crop_width, crop_height), self.resample, box=box)


def _centre(height: int, width: int, crop: tuple[int, int]) -> tuple[int, int]:
    return (height - crop[0]) // 2, (width - crop[1]) // 2


def _flatten(image: Image.Image) -> Image.Image:
    """RGB, with whatever is transparent laid on white."""
    if "A" in image.getbands() or image.info.get("transparency") is not None:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, _WHITE), image)
    return image.convert("RGB")


_CLIP_DEFAULTS: dict[str, Any] = {
    "size": {"shortest_edge": 224},
    "do_center_crop": True,
    "crop_size": {"height": 224, "width": 224},
    "image_mean": (0.48145466, 0.4578275, 0.40821073),
    "image_std": (0.26862954, 0.26130258, 0.27577711),
}
_SIGLIP_DEFAULTS: dict[str, Any] = {
    "size": {"height": 224, "width": 224},
    "do_center_crop": False,
    "image_mean": (0.5, 0.5, 0.5),
    "image_std": (0.5, 0.5, 0.5),
}
_DEFAULTS = {"CLIP": _CLIP_DEFAULTS, "Siglip": _SIGLIP_DEFAULTS}
"""What transformers assumes for a field that the file leaves out, by the name of the processor class."""

_PROCESSOR_SUFFIXES = ("ImageProcessor", "ImageProcessorFast", "ImageProcessorPil", "FeatureExtractor")


def _parse(config: Mapping[str, Any]) -> Preprocessing:
    defaults = _defaults(config)
    fields = {**defaults, **{key: value for key, value in config.items() if value is not None}}
    for step in ("do_resize", "do_rescale", "do_normalize"):
        if not fields.get(step, True):
            raise ValueError(f"{step} is false, expected true")
    if fields.get("do_pad"):
        raise ValueError("do_pad is true, expected false")
    size, keep_ratio = _size(fields["size"], integer_keeps_ratio=defaults is _CLIP_DEFAULTS)
    if keep_ratio and not fields["do_center_crop"]:
        raise ValueError("size has a shortest_edge, expected do_center_crop too for pixels of one shape")
    output_size = _crop(fields["crop_size"]) if fields["do_center_crop"] else size
    if output_size[0] > size[0] or output_size[1] > size[1]:
        raise ValueError(f"crop_size {output_size} is larger than size {size}, which would need padding")
    mean, std = (tuple(float(value) for value in fields[key]) for key in ("image_mean", "image_std"))
    if len(mean) != 3 or len(std) != 3:
        raise ValueError(f"image_mean {mean} and image_std {std}, expected 3 numbers each")
    return Preprocessing(
        size=size,
        keep_ratio=keep_ratio,
        output_size=output_size,
        resample=Image.Resampling(fields.get("resample", Image.Resampling.BICUBIC)),
        scale=float(fields.get("rescale_factor", 1 / 255)),
        mean=mean,
        std=std,
    )


def _defaults(config: Mapping[str, Any]) -> Mapping[str, Any]:
    # Files written before 2022 (openai/clip-vit-base-patch32's, for one) name the class by the second key.
    name = config.get("image_processor_type") or config.get("feature_extractor_type")
    for prefix, defaults in _DEFAULTS.items():
        if name in {prefix + suffix for suffix in _PROCESSOR_SUFFIXES}:
            return defaults
    raise ValueError(f"image processor {name!r}, expected a CLIP or SigLIP image processor")


def _size(size: Any, integer_keeps_ratio: bool) -> tuple[tuple[int, int], bool]:
    """((height, width), whether to keep the ratio) of a ``size`` field."""
    if isinstance(size, int):
        return (size, size), integer_keeps_ratio
    if set(size) == {"shortest_edge"}:
        return (int(size["shortest_edge"]), int(size["shortest_edge"])), True
    if set(size) == {"height", "width"}:
        return (int(size["height"]), int(size["width"])), False
    raise ValueError(f"size {size}, expected shortest_edge, or height and width")


def _crop(crop_size: Any) -> tuple[int, int]:
    if isinstance(crop_size, int):
        return crop_size, crop_size
    return int(crop_size["height"]), int(crop_size["width"])
