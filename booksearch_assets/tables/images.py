"""The contracts of a catalogue's pictures: bytes, what became of each, vectors, rejections; all by one key.

Belongs here: what is the same for covers and for product photos. Does not: the tables of one catalogue (`tables.books`,
`tables.products`), the shards themselves (`tables.shards`).
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from booksearch_assets.tables.contract import Column, Table, rejections
from booksearch_assets.tables.shards import ShardStore

MODEL_ID = Column("model_id", pa.string(), "The model that made the vector, as its publisher names it.")
BUNDLE_ID = Column(
    "bundle_id",
    pa.string(),
    "The exact bundle: weights, tokenizer and preprocessing. Vectors of two bundles never mix.",
)
SHARD = "shard"
"""The column that names the shard of the bytes cache in which a row's bytes lie."""

ATTEMPT = pa.struct(
    [
        pa.field("at", pa.timestamp("ms", tz="UTC")),
        pa.field("status", pa.string()),
        pa.field("http_status", pa.int32()),
        pa.field("error", pa.string()),
        pa.field("seconds", pa.float32()),
    ]
)


@dataclass(frozen=True)
class PictureTables:
    """The tables of a catalogue's pictures, whose `key` names a picture for ever: it never shows another one.

    `noun` is what readers call the pictures, in the plural. `images` and `embeddings` are the names of the assets;
    `cache` is the folder of the bytes cache.
    """

    catalogue: str
    key: Column
    noun: str
    images_name: str
    embeddings_name: str
    cache: str

    @property
    def facts(self) -> tuple[Column, ...]:
        """What is known of each picture that was asked for."""
        return (
            self.key,
            Column("url", pa.string(), "What was asked for."),
            Column(
                "status",
                pa.string(),
                "ok, missing, throttled, server_error, network_error, undecodable, too_large or refused "
                "(compute.fetch.FetchStatus).",
            ),
            Column(
                "http_status", pa.int32(), "Status of the last answer; null where none came.", nullable=True
            ),
            Column("content_type", pa.string(), "As answered.", nullable=True),
            Column("etag", pa.string(), "As answered.", nullable=True),
            Column(
                "sha256", pa.string(), "Of the original bytes, hexadecimal; null unless ok.", nullable=True
            ),
            Column(
                "size",
                pa.int64(),
                "Length of the original bytes; null unless ok.",
                unit="bytes",
                nullable=True,
            ),
            Column("width", pa.int32(), "Of the picture received.", unit="px", nullable=True),
            Column("height", pa.int32(), "Of the picture received.", unit="px", nullable=True),
            Column(
                "attempts",
                pa.list_(ATTEMPT),
                "Every request made for this picture in the run that settled it.",
            ),
            Column("fetched_at", pa.timestamp("ms", tz="UTC"), "When the last answer came."),
        )

    @property
    def bytes(self) -> Table:
        """The contract of the bytes cache."""
        return Table(
            name=f"{self.catalogue}/{self.cache}_bytes",
            description="The original bytes once for each picture, kept across releases, filters and models.",
            columns=(
                *self.facts,
                Column("content", pa.binary(), "The original bytes; null unless ok.", nullable=True),
            ),
            key=(self.key.name,),
        )

    @property
    def images(self) -> Table:
        return Table(
            name=f"{self.catalogue}/{self.images_name}",
            description="What became of each wanted picture, and the cache shard that holds its bytes.",
            columns=(
                *self.facts,
                Column(SHARD, pa.string(), "Shard of the bytes cache that holds this row's bytes."),
            ),
            key=(self.key.name,),
            # When and how often a picture was asked for changes nothing of what it shows.
            content=(self.key.name, "status", "sha256"),
        )

    def vectors(self, dimension: int) -> Table:
        """The contract of vectors `dimension` wide, in the vectors cache and in the embeddings asset alike."""
        return Table(
            name=f"{self.catalogue}/{self.embeddings_name}",
            description="One L2-normalised vector for each picture that could be read.",
            columns=(
                self.key,
                Column("vector", pa.list_(pa.float32(), dimension), "L2-normalised image embedding."),
                MODEL_ID,
                Column("revision", pa.string(), "Revision of the model, as its publisher names it."),
                Column(
                    "preprocessing_version",
                    pa.string(),
                    "Version of the preprocessing code that made the pixels.",
                ),
                BUNDLE_ID,
            ),
            key=(self.key.name,),
        )

    @property
    def rejections(self) -> Table:
        """The contract of the pictures that could not be embedded."""
        return rejections(f"{self.catalogue}/embedding_rejections", "embedding", (self.key,))

    @property
    def work(self) -> pa.Schema:
        """The schema of a list of pictures to embed: each with the shard of its bytes."""
        return pa.schema([(self.key.name, self.key.type), (SHARD, pa.string())])

    def bytes_cache(self, lake_root: str, source: str) -> ShardStore:
        """The original bytes by key, which names a picture at one `source` only."""
        return ShardStore(lake_root, f"{self.cache}s/{source}", self.bytes)

    def vectors_cache(self, lake_root: str, source: str, bundle_id: str, dimension: int) -> ShardStore:
        """The vectors of one source and one bundle: vectors of two bundles never share a cache."""
        return ShardStore(lake_root, f"vectors/{source}/{bundle_id}", self.vectors(dimension))


def known_items(catalogue: str, key: Column) -> Table:
    """The contract of queries whose right answer is known: what search quality is measured with."""
    return Table(
        name=f"{catalogue}/known_items",
        description="Queries whose right answer is known: what search quality is measured with.",
        columns=(
            key,
            Column("query", pa.string(), "What is asked."),
            Column(
                "kind",
                pa.string(),
                "caption (a true description of the picture) or title (of an item that shows it).",
            ),
        ),
        key=(key.name, "kind"),
    )
