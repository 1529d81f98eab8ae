"""The `products/` catalogue: its tables, its partitions, its assets.

Belongs here: the list of what makes the catalogue, which shares all after `image_urls` with the others.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import partial

import dagster as dg

from booksearch_assets.assets.catalogue import Catalogue
from booksearch_assets.assets.collection import build_collection
from booksearch_assets.assets.embeddings import build_embeddings
from booksearch_assets.assets.image_urls import build_image_urls
from booksearch_assets.assets.images import build_images
from booksearch_assets.assets.raw_listings import build_raw_listings
from booksearch_assets.assets.search import build_search
from booksearch_assets.assets.search_quality import build_search_quality
from booksearch_assets.automation.partitions import LISTING_FILE, POOL_PRODUCT_RELEASE, listing_files
from booksearch_assets.search.products_collection import product_rows, products_collection
from booksearch_assets.tables import products


def products_catalogue(files: int, languages: Sequence[str]) -> Catalogue:
    """The catalogue of a release of so many listing files, shown in the first of `languages` that a product has."""
    return Catalogue(
        name="products",
        partitions=listing_files(files),
        partitioned_by=LISTING_FILE,
        items=products.RAW_LISTINGS,
        urls=products.IMAGE_URLS,
        pictures=products.PHOTOS,
        fetch_pool=POOL_PRODUCT_RELEASE,
        collection_spec=products_collection,
        collection_rows=partial(product_rows, languages=tuple(languages)),
        choices={"languages": ",".join(languages)},
    )


def products_assets(catalogue: Catalogue) -> Sequence[dg.AssetsDefinition]:
    """The whole `products/` graph, in the order in which it runs."""
    with warnings.catch_warnings():
        # As for books: `backfill_policy` has been beta since 2023.
        warnings.simplefilter("ignore", dg.BetaWarning)
        return [
            build_raw_listings(catalogue.partitions),
            build_image_urls(catalogue.partitions),
            build_images(catalogue),
            build_embeddings(catalogue),
            build_collection(catalogue),
            build_search(catalogue),
            build_search_quality(catalogue),
        ]
