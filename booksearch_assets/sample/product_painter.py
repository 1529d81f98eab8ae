"""Photos of the sample products: a thing, large, on a plain ground with soft light and a shadow below it.

Belongs here: ground, shadow, place and surface of what is photographed. Does not: how things look (`motifs`), their
colours and outlines (`painter`), which photo shows what (`products`).
"""

from __future__ import annotations

import io
import random
from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from booksearch_assets.sample.backdrops import RGB, mix
from booksearch_assets.sample.painter import COLOUR_VALUES, Finish, Place, palette_of, place_motif, varied
from booksearch_assets.sample.product_words import MATERIALS, Surface
from booksearch_assets.sample.products import ProductWorld, SampleProduct
from booksearch_assets.sample.scenes import stable_rng

SMALL_SIDE = 256
"""The longer side of a small photo at most, px: what the release says of `images/small`."""

_JPEG_QUALITY = 90
_NEAR_WHITE: tuple[RGB, ...] = ((247, 247, 245), (242, 241, 238), (246, 243, 236))
_SOFT: tuple[RGB, ...] = ((208, 222, 234), (214, 222, 226), (202, 216, 228))
_SOFT_SHARE = 0.5
_SHADOW: RGB = (96, 96, 104)

Field = NDArray[np.float64]


def paint_photo(world: ProductWorld, photo: int, size: tuple[int, int]) -> Image.Image:
    """A photo of the world as RGB, `size` (width, height) px. The same photo at another size is the same picture."""
    return paint_product(world.product_shown(photo), stable_rng("photo", world.seed, photo), size)


def photo_jpeg(world: ProductWorld, photo: int, longest_side: int | None = None) -> bytes:
    """A photo as the bytes of a JPEG file: of its own size, or made smaller until no side is above `longest_side` px."""
    width, height = world.photo_size(photo)
    scale = min(1.0, longest_side / max(width, height)) if longest_side else 1.0
    file = io.BytesIO()
    size = max(1, round(width * scale)), max(1, round(height * scale))
    paint_photo(world, photo, size).save(file, "JPEG", quality=_JPEG_QUALITY)
    return file.getvalue()


def paint_product(product: SampleProduct, rng: random.Random, size: tuple[int, int]) -> Image.Image:
    """A product as RGB, `size` (width, height) px. `rng` chooses ground, place and turn."""
    width, height = size
    # On a near-white ground a white thing is all outline.
    soft = product.colour == "white" or rng.random() < _SOFT_SHARE
    picture = _ground(size, rng.choice(_SOFT if soft else _NEAR_WHITE))
    # As large as the sample model knows a cover's motif to be: a larger one is found less often by its caption.
    side = min(width, height) * rng.uniform(0.6, 0.72)
    place = Place(
        x=width / 2 + rng.uniform(-0.03, 0.03) * width,
        y=height / 2 + rng.uniform(-0.03, 0.03) * height,
        side=side,
        turn=rng.uniform(-7, 7),
        mirror=rng.random() < 0.5,
    )
    _cast_shadow(picture, place)
    palette = palette_of(product.colour, varied(COLOUR_VALUES[product.colour], rng))
    place_motif(
        picture, product.kind, place, palette, finish=_FINISHES.get(MATERIALS[product.material].surface)
    )
    return picture


def _ground(size: tuple[int, int], colour: RGB) -> Image.Image:
    """A sweep of paper, lit from above."""
    column = Image.new("RGB", (1, 2))
    column.putdata([mix(colour, (255, 255, 255), 0.35), mix(colour, (0, 0, 0), 0.05)])
    return column.resize((1, size[1]), Image.Resampling.BILINEAR).resize(size)


def _cast_shadow(picture: Image.Image, place: Place) -> None:
    shadow = Image.new("L", picture.size, 0)
    middle, half = place.y + 0.5 * place.side, 0.4 * place.side
    box = (place.x - half, middle - 0.05 * place.side, place.x + half, middle + 0.05 * place.side)
    ImageDraw.Draw(shadow).ellipse(box, fill=90)
    picture.paste(_SHADOW, (0, 0), shadow.filter(ImageFilter.GaussianBlur(0.03 * place.side)))


def _textured(light_of: Callable[[Field, Field], Field]) -> Finish:
    """A finish that makes colours lighter and darker by `light_of`: -1 to 1 at each point of the unit square."""

    def finish(patch: Image.Image) -> Image.Image:
        steps = np.linspace(0, 1, patch.width)
        light = light_of(steps[None, :], steps[:, None])[..., None]
        pixels = np.asarray(patch, dtype=np.float64)
        colours = pixels[..., :3]
        colours = np.where(light > 0, colours + light * (255 - colours), colours * (1 + light))
        return Image.fromarray(np.concatenate([colours, pixels[..., 3:]], axis=-1).round().astype(np.uint8))

    return finish


def _highlight(x: Field, y: Field) -> Field:
    return 0.45 * np.exp(-((x - 0.36) ** 2 + (y - 0.34) ** 2) / 0.006)


def _bands_of_light(x: Field, y: Field) -> Field:
    return 0.16 * np.sin(22 * x + 14 * y)


def _year_rings(x: Field, y: Field) -> Field:
    return 0.14 * np.sin(70 * (y + 0.05 * np.sin(9 * x)))


def _warp_and_weft(x: Field, y: Field) -> Field:
    return 0.12 * np.sin(150 * x) * np.sin(150 * y)


_FINISHES: Mapping[Surface, Finish] = {
    Surface.GLAZED: _textured(_highlight),
    Surface.BRUSHED: _textured(_bands_of_light),
    Surface.GRAINED: _textured(_year_rings),
    Surface.WOVEN: _textured(_warp_and_weft),
}
