"""Whether a picture finds its own item: by its stored vector, by its picture, and by the picture as a reader may have it.

Belongs here: the ways in which pictures are spoilt, and the share that still find their item first. Does not: where
the pictures' bytes come from.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageFilter

from booksearch_assets.search.catalogues import catalogue_of
from booksearch_assets.search.engine import QueryEncoder
from booksearch_assets.search.quality.measures import Interval, mean_interval
from booksearch_assets.search.query import ImageId
from booksearch_assets.vectorstores.contract import VECTOR, VectorIndex

Picture = Image.Image

_SAME_VECTOR = 1e-5
_BATCH = 16
_KEPT_SIDE = 0.9**0.5
_BLUR_RADIUS = 2
_STEEPEST, _FLATTEST = 10.0, 5.0
_JPEG_QUALITY = 40


@dataclass(frozen=True)
class SelfMatch:
    """How many stored vectors were searched for, and the share that found their own picture first."""

    sampled: int
    share: float


def self_match(index: VectorIndex, sample: int, seed: int) -> SelfMatch:
    """Search for stored vectors, at most `sample` of them, each of which should find its own picture first.

    Images of the same picture have equal vectors, and either of them may come first. An empty collection has a share
    of 0, since it shows nothing.
    """
    keys = [key for batch in index.scan([index.spec.key]) for key in batch[0].to_pylist()]
    if not keys:
        return SelfMatch(0, 0.0)
    image = catalogue_of(index.spec).image
    chosen = np.random.default_rng(seed).choice(len(keys), size=min(sample, len(keys)), replace=False)
    stored = list(index.fetch([keys[row] for row in chosen], (image, VECTOR)).values())
    matches = _own_first(
        index,
        np.stack([row[VECTOR] for row in stored]),
        [row[image] for row in stored],
        np.stack([row[VECTOR] for row in stored]),
    )
    return SelfMatch(len(stored), float(np.mean(matches)))


def as_it_is(picture: Picture, number: int) -> Picture:
    return picture


def cropped(picture: Picture, number: int) -> Picture:
    """A tenth of the area lost, evenly on all sides."""
    width, height = picture.size
    left, top = (round(side * (1 - _KEPT_SIDE) / 2) for side in picture.size)
    return picture.crop((left, top, width - left, height - top))


def blurred(picture: Picture, number: int) -> Picture:
    """Out of focus: 2 px, as a photograph by hand."""
    return picture.filter(ImageFilter.GaussianBlur(_BLUR_RADIUS))


def rotated(picture: Picture, number: int) -> Picture:
    """Askew by 5 to 10 degrees, to either side by turns, on a white ground."""
    angle = _FLATTEST + (_STEEPEST - _FLATTEST) * (number % 11) / 10
    return picture.rotate(
        angle if number % 2 else -angle, Image.Resampling.BILINEAR, expand=True, fillcolor="white"
    )


def halved(picture: Picture, number: int) -> Picture:
    """Half as wide and high."""
    return picture.resize((max(1, picture.width // 2), max(1, picture.height // 2)), Image.Resampling.BICUBIC)


def recompressed(picture: Picture, number: int) -> Picture:
    """Saved as a JPEG of quality 40."""
    stream = io.BytesIO()
    picture.save(stream, "JPEG", quality=_JPEG_QUALITY)
    return Image.open(stream).convert("RGB")


TRANSFORMS: Mapping[str, Callable[[Picture, int], Picture]] = {
    "as it is": as_it_is,
    "10 % cropped": cropped,
    "blurred by 2 px": blurred,
    "rotated by 5 to 10°": rotated,
    "half the size": halved,
    "JPEG of quality 40": recompressed,
}
"""What becomes of a picture, by the name that is shown. The number, of the picture, stands for chance."""


def robustness(
    index: VectorIndex,
    encoder: QueryEncoder,
    contents: Mapping[ImageId, bytes],
    on_progress: Callable[[int, int], None] | None = None,
) -> dict[str, Interval]:
    """The share of pictures, given by their ids, that find their own item first, by what became of the picture.

    Pictures that cannot be read, or that `index` does not hold, are left out; with none left, there are no shares.
    """
    from booksearch_assets.clip.preprocess import UndecodableImage, decode_image

    stored = vectors_by_image(index, list(contents))
    matches: dict[str, list[np.ndarray]] = {name: [] for name in TRANSFORMS}
    ids = [image for image in contents if image in stored]
    for start in range(0, len(ids), _BATCH):
        pictures, shown = [], []
        for image in ids[start : start + _BATCH]:
            try:
                pictures.append(decode_image(contents[image]))
                shown.append(image)
            except UndecodableImage:
                # One that was embedded can be read: this is a cache that was changed since, and no answer.
                continue
        if shown:
            own = np.stack([stored[image] for image in shown])
            for name, transform in TRANSFORMS.items():
                spoilt = [transform(picture, start + place) for place, picture in enumerate(pictures)]
                matches[name].append(_own_first(index, encoder.encode_images(spoilt), shown, own))
        if on_progress:
            on_progress(min(start + _BATCH, len(ids)), len(ids))
    return {name: mean_interval(np.concatenate(found)) for name, found in matches.items() if found}


def vectors_by_image(index: VectorIndex, images: Sequence[ImageId]) -> dict[ImageId, np.ndarray]:
    """The stored vectors of the images that `index` holds."""
    wanted = set(images)
    keys: dict[ImageId, str] = {}
    for batch in index.scan([index.spec.key, catalogue_of(index.spec).image]):
        for key, image in zip(batch[0].to_pylist(), batch[1].to_pylist(), strict=True):
            if image in wanted:
                keys.setdefault(image, key)
    found = index.fetch(list(keys.values()), (VECTOR,))
    return {image: found[key][VECTOR] for image, key in keys.items()}


def _own_first(
    index: VectorIndex, queries: np.ndarray, images: Sequence[ImageId], own: np.ndarray
) -> np.ndarray:
    """Which of (n, dimension) `queries` find their own image, or one with the same vector, first: (n,) float64."""
    name = catalogue_of(index.spec).image
    found = index.search(queries, 1, fields=(name, VECTOR))
    return np.array(
        [
            bool(hits)
            and (
                hits[0].fields[name] == image
                or np.allclose(hits[0].fields[VECTOR], vector, rtol=0, atol=_SAME_VECTOR)
            )
            for hits, image, vector in zip(found, images, own, strict=True)
        ],
        dtype=float,
    )
