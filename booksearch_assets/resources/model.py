"""The embedding model as a resource: a verified bundle in a folder."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

if TYPE_CHECKING:
    from booksearch_assets.clip.bundle import Bundle
    from booksearch_assets.clip.encoder import Encoder


class ModelResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """A model bundle: weights, tokenizer, preprocessing and manifest, made by `booksearch model fetch`."""

    folder: str = Field(description="Folder of the model bundle. Change it with BOOKSEARCH_MODEL.")

    def bundle(self) -> Bundle:
        """The bundle, its files checked against its manifest. Raises `clip.bundle.BundleError`."""
        from booksearch_assets.clip.bundle import Bundle

        return Bundle.open(self.folder)

    def encoder(self) -> Encoder:
        """The loaded model: once for each process, since several steps of a run need it."""
        return _encoder(self.folder, self.bundle().bundle_id)


@lru_cache(maxsize=1)
def _encoder(folder: str, bundle_id: str) -> Encoder:
    """`bundle_id` is part of the key, since another model may have come into the same folder."""
    from booksearch_assets.clip.bundle import Bundle
    from booksearch_assets.clip.encoder import Encoder

    return Encoder.load(Bundle.open(folder))
