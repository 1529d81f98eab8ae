"""The embedding model as a resource: a verified bundle in a folder."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

if TYPE_CHECKING:
    from booksearch_assets.clip.bundle import Bundle
    from booksearch_assets.clip.choosing import Chosen, Pictures
    from booksearch_assets.clip.encoder import Encoder
    from booksearch_assets.clip.probe import Say


class ModelResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """A model bundle: weights, tokenizer, preprocessing and manifest, made by `booksearch model fetch`."""

    folder: str = Field(description="Folder of the model bundle. Change it with BOOKSEARCH_MODEL.")
    shelves: list[str] = Field(
        default_factory=list,
        description="Folders in which the bundles of other versions are looked for, besides the one that `folder` is in.",
    )

    engine: str = Field(
        default="torch",
        description="What embeds pictures: `auto` for the fastest that keeps the neighbours, `torch` for the reference, "
        "`openvino`, or an engine by name (see docs/engines.md). Change it with BOOKSEARCH_ENGINE.",
    )
    engines: str = Field(
        default="data/engines", description="Folder of what was measured of engines, and of converted models."
    )

    def bundle(self) -> Bundle:
        """The bundle, its files checked against its manifest. Raises `clip.bundle.BundleError`."""
        from booksearch_assets.clip.bundle import Bundle

        return Bundle.open(self.folder)

    def encoder(self) -> Encoder:
        """The loaded model: once for each process, since several steps of a run need it."""
        return _encoder(self.folder, self.bundle().bundle_id)

    def choose_engine(self, rows: int, draw: Pictures, say: Say) -> tuple[Chosen, Path]:
        """The engine that is to embed `rows` pictures, and the folder of its converted models.

        Raises `clip.engines.EngineUnavailable` where it was asked for by name and does not run here.
        """
        from booksearch_assets.clip.choosing import choose_engine, engine_folder

        bundle = self.bundle()
        folder = engine_folder(self.engines, bundle)
        return choose_engine(self.engine, bundle, folder, rows, draw, say), folder

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
