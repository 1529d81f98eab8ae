"""The `books/` catalogue: its tables, its partitions, its assets.

Belongs here: the list of what makes the catalogue. A third catalogue is one more module like this one.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import dagster as dg

from booksearch_assets.assets.catalogue import Catalogue
from booksearch_assets.assets.collection import build_collection
from booksearch_assets.assets.cover_urls import build_cover_urls
from booksearch_assets.assets.editions import build_editions
from booksearch_assets.assets.embeddings import build_embeddings
from booksearch_assets.assets.filtered_fiction import build_filtered_fiction
from booksearch_assets.assets.images import build_images
from booksearch_assets.assets.raw_dump import raw_dump
from booksearch_assets.assets.search import build_search
from booksearch_assets.assets.search_quality import build_search_quality
from booksearch_assets.automation.partitions import POOL_OPEN_LIBRARY, publish_years
from booksearch_assets.search.books_collection import book_rows, books_collection
from booksearch_assets.tables import books


def books_catalogue(first_year: int) -> Catalogue:
    return Catalogue(
        name="books",
        partitions=publish_years(first_year),
        partitioned_by="year",
        items=books.FILTERED_FICTION,
        urls=books.COVER_URLS,
        pictures=books.COVERS,
        fetch_pool=POOL_OPEN_LIBRARY,
        collection_spec=books_collection,
        collection_rows=book_rows,
    )


def books_assets(catalogue: Catalogue, first_year: int) -> Sequence[dg.AssetsDefinition]:
    """The whole `books/` graph, in the order in which it runs."""
    with warnings.catch_warnings():
        # `backfill_policy` has been beta since 2023; every command would print the warning once for each asset.
        warnings.simplefilter("ignore", dg.BetaWarning)
        return [
            raw_dump,
            build_editions(first_year),
            build_filtered_fiction(catalogue.partitions),
            build_cover_urls(catalogue.partitions),
            build_images(catalogue),
            build_embeddings(catalogue),
            build_collection(catalogue),
            build_search(catalogue),
            build_search_quality(catalogue),
        ]
