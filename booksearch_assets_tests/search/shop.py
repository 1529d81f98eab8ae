"""A shop of products and their photos, small enough to know every right answer by heart."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import pyarrow as pa
from PIL import Image

from booksearch_assets.search.products_collection import product_rows, products_collection
from booksearch_assets.tables.products import IMAGE_URLS, PHOTOS, RAW_LISTINGS
from booksearch_assets.vectorstores.exact import ExactIndex
from booksearch_assets_tests.search.library import DIMENSION, WordEncoder

COLLECTION = "products_20260131T120000000000_5eed02"
COLOURS = {"red": "red", "blue": "blue", "black": "black"}
PRODUCTS = [
    # key, photo, what it shows, name, brand, type, colour, material
    ("B01@amazon.com", "71+a", "red chair leather", "Red chair", "Stone & Beam", "CHAIR", "Red", "Leather"),
    ("B01@amazon.co.uk", "71+a", "red chair leather", "Red chair", "Stone & Beam", "CHAIR", "Red", "Leather"),
    ("B02@amazon.com", "71+A", "red lamp", "Reading lamp", "Rivet", "LAMP", "Red", "Métal"),
    ("B03@amazon.com", "81-b", "blue chair wood", "Blue chair", "Rivet", "CHAIR", "Navy Blue", "Solid wood"),
    ("B04@amazon.com", "81-c", "black phone case", "", "AmazonBasics", "CELLULAR_PHONE_CASE", "Black", "TPU"),
    (
        "B05@amazon.com",
        "81-d",
        "blue phone case",
        "Chair",
        "AmazonBasics",
        "CELLULAR_PHONE_CASE",
        "Blue",
        "TPU",
    ),
]


def listing(key: str, photo: str | None, **attributes: object) -> dict[str, object]:
    """A RAW_LISTINGS row; every column that is not given is empty."""
    item, _, domain = key.partition("@")
    columns: dict[str, object] = {
        field.name: [] if pa.types.is_list(field.type) else None for field in RAW_LISTINGS.schema
    }
    told = {"product_key": key, "item_id": item, "domain_name": domain, "main_image_id": photo}
    return columns | told | {"attributes": "{}", "line": 1} | attributes


def texts(*values: str, tag: str = "en_US") -> list[dict[str, str]]:
    return [{"language_tag": tag, "value": value} for value in values if value]


def listings(rows: Sequence[dict[str, object]]) -> pa.Table:
    return pa.Table.from_pylist(list(rows), RAW_LISTINGS.schema)


def urls(shown: Mapping[str, Sequence[str]]) -> pa.Table:
    """IMAGE_URLS rows, from the products of each photo."""
    rows = [
        {"image_id": photo, "url": f"http://photos/{photo}.jpg", "product_keys": list(keys)}
        for photo, keys in shown.items()
    ]
    return pa.Table.from_pylist(rows, IMAGE_URLS.schema)


def vectors(pictures: Mapping[str, str]) -> pa.Table:
    """Vectors of photos, from the words that each shows."""
    encoded = WordEncoder().encode_texts(list(pictures.values()))
    made = {"model_id": "words", "revision": "1", "preprocessing_version": "1", "bundle_id": "words@1"}
    rows = [
        {"image_id": photo, "vector": vector.tolist(), **made}
        for photo, vector in zip(pictures, encoded, strict=True)
    ]
    return pa.Table.from_pylist(rows, PHOTOS.vectors(DIMENSION).schema)


def shop(twins: Mapping[str, str] | None = None) -> ExactIndex:
    """An index of `PRODUCTS`."""
    rows = [
        listing(
            key,
            photo,
            names=texts(name),
            brands=texts(brand),
            product_types=[kind],
            colours=texts(colour),
            materials=texts(material),
            keywords=texts("furniture" if kind == "CHAIR" else "accessory"),
        )
        for key, photo, _, name, brand, kind, colour, material in PRODUCTS
    ]
    shown: dict[str, list[str]] = {}
    for key, photo, *_ in PRODUCTS:
        shown.setdefault(photo, []).append(key)
    pictures = {photo: picture for _, photo, picture, *_ in PRODUCTS}
    table = product_rows(listings(rows), urls(shown), vectors(pictures), twins)
    spec = products_collection(COLLECTION, DIMENSION, {"bundle_id": "words@1", "model_id": "words"})
    return ExactIndex(spec, table.select(spec.schema.names).cast(spec.schema).sort_by("product_key"))


def photo(picture: str) -> bytes:
    """A square of the picture's colour."""
    file = io.BytesIO()
    Image.new("RGB", (240, 240), COLOURS[picture.split()[0]]).save(file, "JPEG")
    return file.getvalue()


def photo_rows() -> pa.Table:
    """PHOTOS.bytes rows of every photo."""
    contents = {name: photo(picture) for _, name, picture, *_ in PRODUCTS}
    rows = [
        {
            "image_id": name,
            "url": f"http://photos/{name}.jpg",
            "status": "ok",
            "sha256": hashlib.sha256(content).hexdigest(),
            "size": len(content),
            "attempts": [],
            "fetched_at": datetime(2026, 1, 31, tzinfo=UTC),
            "content": content,
        }
        for name, content in contents.items()
    ]
    return pa.Table.from_pylist(rows, PHOTOS.bytes.schema)
