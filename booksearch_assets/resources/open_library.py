"""The Open Library services as a resource: where dumps and covers come from, and how politely they are asked.

Belongs here: addresses and politeness, and the sample world's local service standing in for the real one.
Does not: HTTP (`compute.download`, `compute.fetch`), URL rules (`openlibrary`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
from pydantic import Field

from booksearch_assets.settings import Settings

if TYPE_CHECKING:
    from booksearch_assets.compute.fetch import FetchPolicy
    from booksearch_assets.openlibrary.dump_site import DumpSite


_POLITE_PACE = 300
_SAMPLE_PACE = 60_000


class OpenLibraryResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The real services: dumps at openlibrary.org, covers at covers.openlibrary.org."""

    dumps_url: str = Field(
        default="https://openlibrary.org", description="Site that redirects `latest` to a dated dump."
    )
    listing_url: str = Field(default="https://archive.org", description="Site that lists the dated dumps.")
    smallest_share: float = Field(
        default=0.8,
        gt=0,
        le=1,
        description="A dump file smaller than this share of the one before it is taken for cut short. Lower it when a "
        "dump that is known to be whole is refused.",
    )
    covers_url: str = Field(default="https://covers.openlibrary.org", description="The covers service.")
    source: str = Field(
        default="openlibrary", description="Whose cover ids these are: caches of two sources are kept apart."
    )
    contact: str = Field(
        default="", description="E-mail or page that the service can reach you at; part of the User-Agent."
    )
    requests_per_minute: float = Field(
        default=_POLITE_PACE, gt=0, description="Covers asked in a minute. The service answers 429 above 400."
    )
    concurrency: int = Field(default=16, ge=1, description="Covers asked at the same time.")
    downloads: str = Field(
        description="Folder in which a dump is kept while it is downloaded, so that a cut download resumes."
    )
    redirect_hosts: list[str] = Field(
        default_factory=list, description="Hosts, besides archive.org's, that covers may redirect to."
    )
    known_items: str = Field(
        default="", description="Parquet file of queries with known answers; empty measures with titles."
    )

    @contextmanager
    def reachable(self) -> Iterator[None]:
        """The services answer for the time of the block."""
        yield

    def dump_site(self, timeout: float = 30.0, attempts: int = 3) -> DumpSite:
        """The dump site. `timeout` is in seconds, for each of the `attempts` at an answer."""
        from booksearch_assets.openlibrary.dump_site import DumpSite

        return DumpSite(self.dumps_url, self.listing_url, self.smallest_share, timeout, attempts)

    def fetch_policy(self) -> FetchPolicy:
        from booksearch_assets.compute.fetch_policy import FetchPolicy
        from booksearch_assets.openlibrary.covers import COVER_HOSTS

        return FetchPolicy(
            requests_per_minute=self.requests_per_minute,
            concurrency=self.concurrency,
            contact=self.contact,
            allowed_hosts=(*COVER_HOSTS, *self.redirect_hosts),
        )


class SampleOpenLibraryResource(OpenLibraryResource):
    """The sample world on loopback: the same behaviour, no network."""

    folder: str = Field(description="Folder of the sample world's dumps.")
    port: int = Field(
        description="Loopback port of the sample service. Change it with BOOKSEARCH_SAMPLE_PORT."
    )
    editions: int = Field(description="Size of the sample world.")
    seed: int = Field(
        default=0, description="Seed of the sample world: the same seed gives the same books and covers."
    )
    release: int = Field(default=0, description="Which of the world's monthly dumps is the latest.")
    requests_per_minute: float = Field(default=_SAMPLE_PACE, gt=0, description="Covers asked in a minute.")

    @contextmanager
    def reachable(self) -> Iterator[None]:
        """Starts the sample service for the time of the block, unless one answers on its port already."""
        from booksearch_assets.sample.service import running_service

        with running_service(
            Path(self.folder), self.port, seed=self.seed, editions=self.editions, release=self.release
        ):
            yield


def local_open_library(settings: Settings) -> OpenLibraryResource:
    """The real services, from this machine."""
    return OpenLibraryResource(
        source=settings.source,
        contact=settings.contact,
        downloads=str(settings.downloads),
        requests_per_minute=settings.covers_per_minute or _POLITE_PACE,
    )


def sample_open_library(settings: Settings) -> SampleOpenLibraryResource:
    """The sample world's services at their loopback address."""
    url = f"http://127.0.0.1:{settings.sample_port}"
    return SampleOpenLibraryResource(
        dumps_url=url,
        listing_url=url,
        covers_url=url,
        source=settings.source,
        redirect_hosts=["localhost", "127.0.0.1"],
        downloads=str(settings.downloads),
        known_items=str(settings.sample_folder / f"known_items-{settings.sample_release}.parquet"),
        folder=str(settings.sample_folder),
        port=settings.sample_port,
        editions=settings.sample_editions,
        seed=settings.sample_seed,
        release=settings.sample_release,
        requests_per_minute=settings.covers_per_minute or _SAMPLE_PACE,
    )
