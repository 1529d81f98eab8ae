"""The contracts of the `products/` catalogue's tables, from listings to the vectors of product photos.

Belongs here: columns, types, units, keys. Does not: the rules that fill them (`abo`, `compute`), what is the same for the
pictures of any catalogue (`tables.images`).
"""

from __future__ import annotations

import pyarrow as pa

from booksearch_assets.tables.contract import Column, Table, rejections, strings
from booksearch_assets.tables.images import PictureTables, known_items

PRODUCT_KEY = Column(
    "product_key", pa.string(), "Item and shop, such as B07TH2B1LQ@amazon.com: unique in the release."
)
IMAGE_ID = Column("image_id", pa.string(), "Id of the photo in the release. An id never changes its photo.")

LOCAL_TEXTS = pa.list_(pa.struct([pa.field("language_tag", pa.string()), pa.field("value", pa.string())]))
"""Texts with their languages, such as en_US; the tag is empty where the listing names none."""


def _texts(name: str, attribute: str) -> Column:
    return Column(name, LOCAL_TEXTS, f"The attribute {attribute}, in every language that it is given in.")


RAW_LISTINGS = Table(
    name="products/raw_listings",
    description="Every listing of the release once, typed, with its texts in all languages.",
    columns=(
        PRODUCT_KEY,
        Column("item_id", pa.string(), "The item, which several shops may list."),
        Column(
            "domain_name", pa.string(), "The shop, such as amazon.com; empty where the listing names none."
        ),
        Column("marketplace", pa.string(), "Name of the shop.", nullable=True),
        Column("country", pa.string(), "Country of the shop.", nullable=True),
        _texts("names", "item_name"),
        _texts("brands", "brand"),
        _texts("colours", "color"),
        _texts("materials", "material"),
        _texts("styles", "style"),
        _texts("keywords", "item_keywords"),
        _texts("bullet_points", "bullet_point"),
        strings("product_types", "Product types as the shop names them, such as CELLULAR_PHONE_CASE."),
        strings("node_names", "Places in the shop's tree of categories."),
        Column("main_image_id", pa.string(), "The photo that stands for the product.", nullable=True),
        strings("other_image_ids", "Further photos."),
        Column("attributes", pa.string(), "Every other attribute as it came, as JSON."),
        Column("line", pa.int64(), "Number of the line in its file, from 1."),
    ),
    key=("product_key",),
)
LISTINGS_QUARANTINE = Table(
    name="products/listings_quarantine",
    description="Lines of a listing file that are no listing, or repeat one, each with its reason and its raw bytes.",
    columns=(
        Column("line", pa.int64(), "Number of the line in its file, from 1."),
        Column("reason", pa.string(), "Why it is no listing (abo.listings.RejectReason), or repeated."),
        Column("raw", pa.binary(), "The line as it came, without its newline."),
    ),
    key=("line",),
)

IMAGE_URLS = Table(
    name="products/image_urls",
    description="One row for each photo that stands for a product, and where it lies.",
    columns=(
        IMAGE_ID,
        Column("url", pa.string(), "Where the release has it, in the size that is wanted."),
        Column("width", pa.int32(), "Width of the original, as listed.", unit="px", nullable=True),
        Column("height", pa.int32(), "Height of the original, as listed.", unit="px", nullable=True),
        strings("product_keys", "The products of this file that show it, sorted."),
    ),
    key=("image_id",),
)
IMAGE_URL_REJECTIONS = rejections("products/image_url_rejections", "the choice of photos", (PRODUCT_KEY,))

IMAGES_QUARANTINE = Table(
    name="products/images_quarantine",
    description="Rows of the list of photos that name no photo.",
    columns=(
        Column("line", pa.int64(), "Number of the row, from 1 after the header."),
        Column("raw", pa.string(), "The row as it came."),
    ),
    key=("line",),
)

PHOTOS = PictureTables(
    catalogue="products",
    key=IMAGE_ID,
    noun="photos",
    images_name="images",
    embeddings_name="image_embeddings",
    cache="photo",
)
KNOWN_ITEMS = known_items("products", IMAGE_ID)
