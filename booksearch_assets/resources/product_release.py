"""The release of product listings and photos as a resource: where it lies, and how it is read.

Belongs here: addresses and politeness, and the sample world's release standing in for the real one. Does not: reading
files (`compute.release_files`, `compute.fetch`), formats (`abo`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import dagster as dg
from pydantic import Field

from booksearch_assets.settings import Settings

if TYPE_CHECKING:
    from booksearch_assets.compute.download import DownloadProgress
    from booksearch_assets.compute.fetch_policy import FetchPolicy
    from booksearch_assets.compute.release_files import ReleaseFile

_PACE = 60_000


class ProductReleaseResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """A release as Amazon Berkeley Objects publishes it: a folder, an s3:// prefix or an https:// address."""

    root: str = Field(description="The folder or address above `listings` and `images`.")
    source: str = Field(description="Whose photo ids these are: caches of two sources are kept apart.")
    contact: str = Field(
        default="", description="E-mail or page that the service can reach you at; part of the User-Agent."
    )
    requests_per_minute: float = Field(
        default=_PACE, gt=0, description="Photos asked in a minute, where the release is at an address."
    )
    concurrency: int = Field(default=16, ge=1, description="Photos asked at the same time.")
    downloads: str = Field(description="Folder in which files of the release are kept while they are read.")
    known_items: str = Field(
        default="", description="Parquet file of queries with known answers; empty measures with names."
    )

    @contextmanager
    def reachable(self) -> Iterator[None]:
        """The release can be read for the time of the block."""
        yield

    def file(self, name: str, on_progress: Callable[[DownloadProgress], None] | None = None) -> ReleaseFile:
        """A file of the release, on this machine. Raises what `compute.release_files.release_file` does."""
        from booksearch_assets.compute.release_files import release_file

        return release_file(self.root, name, Path(self.downloads), on_progress)

    def fetch_policy(self) -> FetchPolicy:
        from booksearch_assets.compute.fetch_policy import FetchPolicy

        host = urlsplit(self.root).hostname if self.root.startswith("http") else None
        return FetchPolicy(
            requests_per_minute=self.requests_per_minute,
            concurrency=self.concurrency,
            contact=self.contact,
            allowed_hosts=(host,) if host else (),
        )


class SampleProductReleaseResource(ProductReleaseResource):
    """The sample world's release on loopback: the same files, no network."""

    folder: str = Field(description="Folder of the sample world.")
    port: int = Field(
        description="Loopback port of the sample service. Change it with BOOKSEARCH_SAMPLE_PORT."
    )
    listings: int = Field(description="Listings of the sample world.")
    seed: int = Field(
        default=0, description="Seed of the sample world: the same seed gives the same products."
    )

    @contextmanager
    def reachable(self) -> Iterator[None]:
        """Starts the sample service for the time of the block, unless one answers on its port already."""
        from booksearch_assets.sample.service import running_products

        with running_products(Path(self.folder), self.port, seed=self.seed, listings=self.listings):
            yield


def local_product_release(settings: Settings) -> ProductReleaseResource:
    """The release that the settings name, by default the published one."""
    return ProductReleaseResource(
        root=settings.products,
        source=settings.products_source,
        contact=settings.contact,
        downloads=str(settings.downloads),
    )


def sample_product_release(settings: Settings) -> SampleProductReleaseResource:
    """The sample world's release at its loopback address."""
    folder = settings.sample_products_folder
    return SampleProductReleaseResource(
        root=settings.products,
        source=settings.products_source,
        downloads=str(settings.downloads),
        known_items=str(folder / "known_items.parquet"),
        folder=str(folder),
        port=settings.sample_port,
        listings=settings.sample_products,
        seed=settings.sample_seed,
    )
