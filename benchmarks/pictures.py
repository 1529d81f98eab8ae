"""Pictures for the benchmarks: JPEGs of the size and weight of Open Library's large covers, as many as are asked for.

Belongs here: making their bytes. Does not: who serves, fetches or embeds them.
"""

from __future__ import annotations

from functools import cache
from io import BytesIO

import numpy as np
from PIL import Image

WIDTH, HEIGHT = 333, 500
"""An L cover is bounded by 500 x 500 pixels, and most are half as high again as they are wide."""

DISTINCT = 64
"""Pictures that really differ. Decoding another takes as long, and so many pixels make no cache warm."""

# Start of image and the JFIF segment, by which some know a JPEG.
_HEADER = 20
_COMMENT = b"\xff\xfe"


def picture(number: int) -> bytes:
    """Picture `number`, about 59 kB: its pixels are one of DISTINCT, its bytes are no other's, by a comment in them."""
    base = _base(number % DISTINCT)
    comment = f"picture {number}".encode()
    length = (len(comment) + 2).to_bytes(2, "big")
    return base[:_HEADER] + _COMMENT + length + comment + base[_HEADER:]


@cache
def _base(number: int) -> bytes:
    """Patches of colour with a grain, which compress as a scanned cover does."""
    generator = np.random.default_rng(number)
    patches = generator.integers(0, 256, (9, 6, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(patches).resize((WIDTH, HEIGHT), Image.Resampling.BICUBIC), np.int16)
    grain = generator.integers(-20, 21, (HEIGHT, WIDTH, 1), dtype=np.int16)
    stream = BytesIO()
    Image.fromarray((smooth + grain).clip(0, 255).astype(np.uint8)).save(stream, "JPEG", quality=85)
    return stream.getvalue()
