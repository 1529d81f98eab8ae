"""The embedding model as a resource: a verified bundle in a folder."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

if TYPE_CHECKING:
    from booksearch_assets.clip.bundle import Bundle
    from booksearch_assets.clip.encoder import Encoder


class ModelResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """A model bundle: weights, tokenizer, preprocessing and manifest, made by `booksearch model fetch`."""

    folder: str = Field(description="Folder of the model bundle. Change it with BOOKSEARCH_MODEL.")
    shelves: list[str] = Field(
        default_factory=list,
        description="Folders in which the bundles of other versions are looked for, besides the one that `folder` is in.",
    )

    def bundle(self) -> Bundle:
        """The bundle, its files checked against its manifest. Raises `clip.bundle.BundleError`."""
        from booksearch_assets.clip.bundle import Bundle

        return Bundle.open(self.folder)

    def encoder(self) -> Encoder:
        """The loaded model: once for each process, since several steps of a run need it."""
        return _encoder(self.folder, self.bundle().bundle_id)

    def encoder_of(self, bundle_id: str) -> Encoder | None:
        """The loaded model of this bundle, whichever is configured, or None where it is not at hand."""
        from booksearch_assets.clip.bundle import find_bundle

        found = find_bundle(bundle_id, [self.folder, Path(self.folder).parent, *self.shelves])
        return _encoder(str(found.folder), found.bundle_id) if found else None


@lru_cache(maxsize=2)
def _encoder(folder: str, bundle_id: str) -> Encoder:
    """`bundle_id` is part of the key, since another model may have come into the same folder."""
    from booksearch_assets.clip.bundle import Bundle
    from booksearch_assets.clip.encoder import Encoder

    return Encoder.load(Bundle.open(folder))
