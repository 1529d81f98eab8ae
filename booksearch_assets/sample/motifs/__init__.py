"""The fifty motifs, each as a drawing in its own square, looked up by the word that the captions use."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

from booksearch_assets.sample.motifs import creatures, places, things, vehicles
from booksearch_assets.sample.motifs.sketch import Drawing, Sketch, Tone

__all__ = ["Drawing", "Tone", "drawing_of"]

_SKETCHERS: dict[str, Callable[[Sketch], None]] = {
    function.__name__: function
    for module in (creatures, places, things, vehicles)
    for function in module.DRAWN
}


@cache
def drawing_of(motif: str) -> Drawing:
    """The drawing of a motif of `scenes.MOTIFS`; sketched once per process. Raises KeyError for any other word."""
    sketch = Sketch()
    _SKETCHERS[motif](sketch)
    return sketch.drawing()
