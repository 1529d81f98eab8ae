"""The picture tables of every catalogue, by its name: how a stage on a worker finds its contracts.

Belongs here: the list. Does not: any table.
"""

from __future__ import annotations

from booksearch_assets.tables.books import COVERS
from booksearch_assets.tables.images import PictureTables
from booksearch_assets.tables.products import PHOTOS


def picture_tables(catalogue: str) -> PictureTables:
    """Raises ValueError for a catalogue that there is not."""
    known = {tables.catalogue: tables for tables in (COVERS, PHOTOS)}
    if catalogue not in known:
        raise ValueError(f"no catalogue is called {catalogue!r}; there are: {', '.join(known)}")
    return known[catalogue]
