"""A catalogue: what the assets after the URLs need to know of a source, so that one factory builds them for all.

Belongs here: names, tables and partitions of a catalogue. Does not: the assets (`assets.images` and after).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import dagster as dg
import pyarrow as pa

from booksearch_assets.tables.contract import Table
from booksearch_assets.vectorstores.contract import CollectionSpec


@dataclass(frozen=True)
class Catalogue:
    """The shared tail of a catalogue runs from `urls` to the published search.

    `embeddings` gives the contract of its vectors for a dimension, `items` the table of what is searched for;
    `collection_rows` joins items, urls and vectors of one partition into rows of `collection_spec`, and is told which
    pictures of any partition another one stands for (`near_duplicates`).
    """

    name: str
    partitions: dg.PartitionsDefinition
    items: Table
    urls: Table
    images: Table
    embeddings: Callable[[int], Table]
    collection_spec: Callable[[str, int, Mapping[str, str]], CollectionSpec]
    collection_rows: Callable[[pa.Table, pa.Table, pa.Table, Mapping[int, int]], pa.Table]

    def key(self, asset: str) -> dg.AssetKey:
        return dg.AssetKey([self.name, asset])

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
