"""The way of the prototype that this project began with, as a baseline: vectors as the model gives them, compared by
their L2 distance, in an IVF_FLAT index.

Not normalised, the length of an image's vector counts as much as its direction, and a text's vector is of another
length than any image's. Its index had 768 lists, of which a search with no parameters visits eight. It ran on a Milvus
server; here faiss does, which both Milvus and Milvus Lite call for this index.

Belongs here: this baseline. Does not: anything that serves a reader.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from PIL import Image

from booksearch_assets.search.quality.systems import DEPTH, distinct
from booksearch_assets.search.query import ImageId

_LISTS, _VISITED = 768, 8
_FEWEST_IN_A_LIST = 39
"""Milvus makes fewer lists than it was told where they would hold less than this (Knowhere's MatchNlist)."""


class RawEncoder(Protocol):
    """What the baseline needs of `clip.encoder.Encoder`. Vectors are (n, dimension) float32, of any length."""

    def raw_texts(self, texts: Sequence[str]) -> np.ndarray: ...

    def raw_images(self, images: Sequence[Image.Image]) -> np.ndarray: ...


class PrototypeSystem:
    """The prototype's index over (n, dimension) vectors of `images`, made with `encoder`."""

    def __init__(self, images: Sequence[ImageId], vectors: np.ndarray, encoder: RawEncoder) -> None:
        import faiss

        self._images, self._encoder = images, encoder
        dimension = vectors.shape[1]
        lists = max(1, min(_LISTS, len(vectors) // _FEWEST_IN_A_LIST))
        self._index = faiss.IndexIVFFlat(faiss.IndexFlatL2(dimension), dimension, lists, faiss.METRIC_L2)
        self._index.nprobe = min(_VISITED, lists)
        self._index.train(vectors)
        self._index.add(vectors)

    def rank(self, texts: Sequence[str]) -> list[list[ImageId]]:
        """See `systems.System`."""
        vectors = self._encoder.raw_texts(texts)
        _, found = self._index.search(vectors, min(DEPTH, len(self._images)))
        # faiss fills up with -1 where the lists that it visits hold too few.
        return [distinct(self._images[row] for row in rows if row >= 0) for rows in found]
