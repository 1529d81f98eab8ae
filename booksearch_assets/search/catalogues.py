"""The catalogues that are searched, by name and by what their collections hold.

Belongs here: the list. Does not: what each is (`books_collection`, `products_collection`).
"""

from __future__ import annotations

from booksearch_assets.search.books_collection import BOOKS
from booksearch_assets.search.catalogue import SearchedCatalogue
from booksearch_assets.search.products_collection import PRODUCTS
from booksearch_assets.vectorstores.contract import CollectionSpec
from booksearch_assets.vectorstores.errors import InvalidCollection

CATALOGUES = (BOOKS, PRODUCTS)


def searched_catalogue(name: str) -> SearchedCatalogue:
    """Raises ValueError for a catalogue that there is not."""
    for catalogue in CATALOGUES:
        if catalogue.name == name:
            return catalogue
    raise ValueError(f"no catalogue is called {name!r}; there are: {', '.join(c.name for c in CATALOGUES)}")


def catalogue_of(spec: CollectionSpec) -> SearchedCatalogue:
    """Whose items a collection holds, which its key tells. Raises `InvalidCollection` where it lacks a field."""
    catalogue = next((each for each in CATALOGUES if each.key == spec.key), None)
    if catalogue is None:
        raise InvalidCollection(
            f"collection {spec.name!r} is keyed by {spec.key!r}, which is the key of no catalogue here; expected "
            + " or ".join(each.key for each in CATALOGUES)
        )
    lacking = {field.name for field in catalogue.collection_fields} - {field.name for field in spec.fields}
    if lacking:
        raise InvalidCollection(
            f"collection {spec.name!r} lacks {', '.join(sorted(lacking))}: another release of booksearch made it. "
            "Materialise the collection again"
        )
    return catalogue
