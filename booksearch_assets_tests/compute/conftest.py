"""The tiny model of the tests of ``booksearch_assets.clip``, for the stages that encode with it."""

from __future__ import annotations

from booksearch_assets_tests.clip.conftest import _pristine_clip, clip_bundle, clip_folder, pictures

__all__ = ["_pristine_clip", "clip_bundle", "clip_folder", "pictures"]
