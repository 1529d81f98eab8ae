"""A catalogue: what the assets after the URLs need to know of a source, so that one factory builds them for all.

Belongs here: names, tables and partitions of a catalogue. Does not: the assets (`assets.images` and after).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import dagster as dg
import pyarrow as pa

from booksearch_assets.tables.contract import Table
from booksearch_assets.tables.images import PictureTables
from booksearch_assets.vectorstores.contract import CollectionSpec

CollectionRows = Callable[[pa.Table, pa.Table, pa.Table, Mapping[Any, Any]], pa.Table]


@dataclass(frozen=True)
class Catalogue:
    """The shared tail of a catalogue runs from `urls` to the published search.

    `items` is the table of what is searched for, and `pictures` are the tables of its pictures. `collection_rows` joins
    items, urls and vectors of one partition into rows of `collection_spec`, and is told which pictures of any partition
    another one stands for (`near_duplicates`); `choices` are the settings that it was made with.
    """

    name: str
    partitions: dg.PartitionsDefinition
    partitioned_by: str
    items: Table
    urls: Table
    pictures: PictureTables
    fetch_pool: str
    collection_spec: Callable[[str, int, Mapping[str, str]], CollectionSpec]
    collection_rows: CollectionRows
    choices: Mapping[str, str] = field(default_factory=dict)

    def key(self, asset: str) -> dg.AssetKey:
        return dg.AssetKey([self.name, asset])

    @property
    def images(self) -> Table:
        return self.pictures.images

    @property
    def embeddings(self) -> Callable[[int], Table]:
        """The contract of the vectors, for a dimension."""
        return self.pictures.vectors

    @property
    def collection(self) -> str:
        """Name of the lake table that records the collection's versions."""
        return f"{self.name}/collection"

    @property
    def alias(self) -> str:
        """The published alias in the vector store."""
        return self.name

    def key_of(self, table: Table) -> dg.AssetKey:
        return dg.AssetKey(table.name.split("/"))
