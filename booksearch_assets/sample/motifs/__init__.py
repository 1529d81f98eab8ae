"""The fifty motifs, each as a drawing in its own square, looked up by the word that the captions use."""

from __future__ import annotations

from functools import cache

from booksearch_assets.sample.motifs import creatures, places, things, vehicles
from booksearch_assets.sample.motifs.sketch import Drawing, Sketch, Tone

__all__ = ["Drawing", "Tone", "drawing_of"]

_MODULES = (creatures, places, things, vehicles)


@cache
def drawing_of(motif: str) -> Drawing:
    """The drawing of a motif of `scenes.MOTIFS`; sketched once per process. Raises KeyError for any other word."""
    for module in _MODULES:
        if motif in vars(module):
            sketch = Sketch()
            vars(module)[motif](sketch)
            return sketch.drawing()
    raise KeyError(f"no motif is called {motif!r}: expected a word of scenes.MOTIFS with a function in {__name__}")
