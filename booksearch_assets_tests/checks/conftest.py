"""The tiny model of the tests of ``booksearch_assets.clip``, for the rules that compare vectors with the model."""

from __future__ import annotations

from booksearch_assets_tests.clip.conftest import _pristine_clip, clip_bundle

__all__ = ["_pristine_clip", "clip_bundle"]
