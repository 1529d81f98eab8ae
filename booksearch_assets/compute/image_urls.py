"""The photos that stand for products, and where each lies.

Belongs here: from listings and the list of photos to the tables IMAGE_URLS and IMAGE_URL_REJECTIONS. Does not: formats
and places (`abo.images`).
"""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from enum import StrEnum
from pathlib import Path

import pyarrow as pa
from isal import igzip

from booksearch_assets.abo.images import (
    ImagesCsvError,
    ImageSize,
    ListedImage,
    UnreadableRow,
    image_address,
    read_images,
)
from booksearch_assets.tables.counts import Counts
from booksearch_assets.tables.products import IMAGE_URL_REJECTIONS, IMAGE_URLS, IMAGES_QUARANTINE


class RejectReason(StrEnum):
    """Why a product has no photo to search by."""

    NO_MAIN_IMAGE = "no_main_image"
    NOT_LISTED = "image_not_listed"


def listed_images(path: Path, wanted: Collection[str]) -> tuple[dict[str, ListedImage], list[UnreadableRow]]:
    """The wanted photos that images.csv.gz lists, by id, and all its rows that name none. Raises `ImagesCsvError`."""
    found: dict[str, ListedImage] = {}
    unreadable: list[UnreadableRow] = []
    try:
        with igzip.open(path, "rt", encoding="utf-8", errors="replace", newline="") as lines:
            for row in read_images(lines):
                if isinstance(row, UnreadableRow):
                    unreadable.append(row)
                elif row.image_id in wanted:
                    found.setdefault(row.image_id, row)
    except (OSError, EOFError, csv.Error) as error:
        raise ImagesCsvError(
            f"{path} cannot be read ({error}); expected images/metadata/images.csv.gz as published"
        ) from error
    return found, unreadable


def image_urls(
    listings: pa.Table, listed: Mapping[str, ListedImage], root: str, size: ImageSize
) -> tuple[pa.Table, pa.Table, Counts]:
    """One row for each photo that stands for a product, the products without one, and the counts of products.

    `listings` has the columns `product_key` and `main_image_id`; `root` is the folder or address of the release.
    """
    shown_by: dict[str, list[str]] = defaultdict(list)
    rejected: list[dict[str, str]] = []
    keys, ids = listings["product_key"].to_pylist(), listings["main_image_id"].to_pylist()
    for key, image_id in zip(keys, ids, strict=True):
        if image_id in listed:
            shown_by[image_id].append(key)
        else:
            reason = RejectReason.NOT_LISTED if image_id else RejectReason.NO_MAIN_IMAGE
            rejected.append({"product_key": key, "reason": str(reason)})
    rows = [
        {
            "image_id": image_id,
            "url": image_address(root, size, listed[image_id].path),
            "width": listed[image_id].width,
            "height": listed[image_id].height,
            "product_keys": sorted(products),
        }
        for image_id, products in sorted(shown_by.items())
    ]
    reasons = Counter(row["reason"] for row in rejected)
    return (
        pa.Table.from_pylist(rows, IMAGE_URLS.schema),
        pa.Table.from_pylist(rejected, IMAGE_URL_REJECTIONS.schema),
        Counts(len(listings), len(listings) - len(rejected), dict(reasons)),
    )


def unreadable_rows(rows: list[UnreadableRow]) -> pa.Table:
    """By the contract IMAGES_QUARANTINE."""
    return pa.Table.from_pylist([row._asdict() for row in rows], IMAGES_QUARANTINE.schema)
