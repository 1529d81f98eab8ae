"""Encoding the texts of concurrent queries together.

Belongs here: who encodes for whom. Does not: encoding (`clip.encoder`).

A batch of sixteen short texts costs a model a fifth of what they cost one by one, so whoever comes while others are
encoded waits for its turn, and the first whose turn it is encodes for all that wait. A single reader waits for nobody.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import numpy as np


class _Asked:
    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = list(texts)
        self.vectors: np.ndarray | None = None


class TextBatches:
    """Calls `encode`, (texts) to (n, dimension), for many threads, one batch at a time."""

    def __init__(self, encode: Callable[[Sequence[str]], np.ndarray]) -> None:
        self._encode = encode
        self._guard, self._turn = threading.Lock(), threading.Lock()
        self._waiting: list[_Asked] = []

    def __call__(self, texts: Sequence[str]) -> np.ndarray:
        """The vectors of `texts`. Raises what `encode` raises for these texts, whatever others asked meanwhile."""
        mine = _Asked(texts)
        with self._guard:
            self._waiting.append(mine)
        with self._turn:
            if mine.vectors is None:
                with self._guard:
                    batch, self._waiting = self._waiting, []
                self._encode_all(batch)
        # A batch that failed is left to each of its readers, so that one's mistake is no other's.
        return self._encode(mine.texts) if mine.vectors is None else mine.vectors

    def _encode_all(self, batch: Sequence[_Asked]) -> None:
        try:
            vectors = self._encode([text for asked in batch for text in asked.texts])
        except Exception:  # each of several readers meets its own error again, above
            if len(batch) == 1:
                raise
            return
        first = 0
        for asked in batch:
            asked.vectors = vectors[first : first + len(asked.texts)]
            first += len(asked.texts)
