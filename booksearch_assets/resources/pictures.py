"""Where the pictures of each catalogue are had, as one resource, so that assets of any catalogue ask for the same.

Belongs here: which service is whose. Does not: the services (`resources.open_library`, `resources.product_release`).
"""

from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

import dagster as dg

from booksearch_assets.resources.open_library import OpenLibraryResource
from booksearch_assets.resources.product_release import ProductReleaseResource

if TYPE_CHECKING:
    from booksearch_assets.compute.fetch_policy import FetchPolicy


class PictureService(Protocol):
    """What the assets of any catalogue need of the place that its pictures come from.

    `source` tells keys of different places apart; `known_items` is a Parquet file of queries with known answers, or "".
    """

    @property
    def source(self) -> str: ...

    @property
    def known_items(self) -> str: ...

    def fetch_policy(self) -> "FetchPolicy": ...

    def reachable(self) -> AbstractContextManager[None]: ...


class PictureServicesResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The services of all catalogues."""

    books: dg.ResourceDependency[OpenLibraryResource]
    products: dg.ResourceDependency[ProductReleaseResource]

    def of(self, catalogue: str) -> PictureService:
        """Raises ValueError for a catalogue that there is not."""
        services: dict[str, PictureService] = {"books": self.books, "products": self.products}
        if catalogue not in services:
            raise ValueError(f"no catalogue is called {catalogue!r}; there are: {', '.join(services)}")
        return services[catalogue]
