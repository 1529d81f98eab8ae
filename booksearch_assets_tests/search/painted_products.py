"""A small published catalogue of products with real photos: a sample release, read as the graph reads it.

Belongs here: making one without the graph, for tests of what stands before the search. Does not: tests.
"""

from __future__ import annotations

import hashlib
import io
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
from PIL import Image

from booksearch_assets.abo.images import ImageSize
from booksearch_assets.clip.bundle import Bundle
from booksearch_assets.clip.encoder import Encoder
from booksearch_assets.compute.image_urls import image_urls, listed_images
from booksearch_assets.compute.raw_listings import parse_listing_file
from booksearch_assets.sample.product_release import IMAGES_CSV, listing_file, photo_bytes, write_metadata
from booksearch_assets.sample.products import ProductWorld
from booksearch_assets.search.products_collection import PRODUCTS, product_rows, products_collection
from booksearch_assets.settings import Settings
from booksearch_assets.tables.products import PHOTOS
from booksearch_assets.vectorstores.connect import open_store

COLLECTION = "products_20260131T120000000000_5eed03"


def publish_painted_products(settings: Settings, release: Path, listings: int) -> ProductWorld:
    """Write a release, paint and embed its photos, and publish its products. One listing file, so that keys are unique."""
    world = ProductWorld(listings=listings, files=1)
    write_metadata(world, release)
    parsed, _, _ = parse_listing_file(release / listing_file(0))
    listed, _ = listed_images(release / IMAGES_CSV, set(parsed["main_image_id"].to_pylist()))
    urls, _, _ = image_urls(parsed, listed, "http://127.0.0.1:8321/abo", ImageSize.SMALL)
    contents = {
        world.image_id(photo): photo_bytes(world, photo, ImageSize.SMALL) for photo in world.main_photos()
    }
    PHOTOS.bytes_cache(settings.lake, settings.products_source).append(_photo_rows(contents))
    encoder = Encoder.load(Bundle.open(settings.bundle), threads=1)
    vectors = encoder.encode_images([Image.open(io.BytesIO(content)) for content in contents.values()])
    made = {
        "model_id": encoder.bundle.manifest.model_id,
        "revision": encoder.bundle.manifest.revision,
        "preprocessing_version": "1",
        "bundle_id": encoder.bundle_id,
    }
    embedded = [
        {"image_id": image_id, "vector": vector.tolist(), **made}
        for image_id, vector in zip(contents, vectors, strict=True)
    ]
    rows = product_rows(
        parsed, urls, pa.Table.from_pylist(embedded, PHOTOS.vectors(encoder.dimension).schema)
    )
    properties = {
        "bundle_id": encoder.bundle_id,
        "model_id": encoder.bundle.manifest.model_id,
        "source": settings.products_source,
    }
    with open_store(settings.milvus_uri) as store:
        store.create(products_collection(COLLECTION, encoder.dimension, properties))
        store.load(COLLECTION, [rows])
        store.seal(COLLECTION)
        store.publish(PRODUCTS.name, COLLECTION)
    return world


def _photo_rows(contents: dict[str, bytes]) -> pa.Table:
    rows = []
    for image_id, content in contents.items():
        width, height = Image.open(io.BytesIO(content)).size
        rows.append(
            {
                "image_id": image_id,
                "url": f"http://127.0.0.1:8321/abo/{image_id}.jpg",
                "status": "ok",
                "http_status": 200,
                "content_type": "image/jpeg",
                "sha256": hashlib.sha256(content).hexdigest(),
                "size": len(content),
                "width": width,
                "height": height,
                "attempts": [],
                "fetched_at": datetime(2026, 1, 31, tzinfo=UTC),
                "content": content,
            }
        )
    return pa.Table.from_pylist(rows, PHOTOS.bytes.schema)
