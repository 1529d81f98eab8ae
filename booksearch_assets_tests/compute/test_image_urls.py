"""The photos that stand for products: found in the list, or the reason why not."""

from __future__ import annotations

import gzip
from pathlib import Path

import pyarrow as pa
import pytest

from booksearch_assets.abo.images import ImagesCsvError, ImageSize
from booksearch_assets.compute.image_urls import image_urls, listed_images, unreadable_rows

LIST = "image_id,height,width,path\na,300,200,aa/1.jpg\nb,,x,bb/2.jpg\n,1,1,cc/3.jpg\nd,1,1,../../etc/passwd\ne,9,9,ee/5.jpg\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "images.csv.gz"
    file.write_bytes(gzip.compress(LIST.encode()))
    return file


def test_products_show_the_photo_that_the_list_has(path: Path) -> None:
    listings = pa.table(
        {
            "product_key": ["p3", "p1", "p2", "none", "unlisted", "hostile"],
            "main_image_id": ["a", "a", "b", None, "zz", "d"],
        }
    )
    listed, unreadable = listed_images(path, {"a", "b", "zz", "d", None})
    urls, rejected, counts = image_urls(listings, listed, "https://example.org/", ImageSize.SMALL)
    assert urls.to_pylist() == [
        {
            "image_id": "a",
            "url": "https://example.org/images/small/aa/1.jpg",
            "width": 200,
            "height": 300,
            "product_keys": ["p1", "p3"],
        },
        {
            "image_id": "b",
            "url": "https://example.org/images/small/bb/2.jpg",
            "width": None,
            "height": None,
            "product_keys": ["p2"],
        },
    ]
    assert rejected.to_pylist() == [
        {"product_key": "none", "reason": "no_main_image"},
        {"product_key": "unlisted", "reason": "image_not_listed"},
        {"product_key": "hostile", "reason": "image_not_listed"},
    ]
    assert (counts.rows_in, counts.rows_out, counts.unaccounted) == (6, 3, 0)
    assert unreadable_rows(unreadable)["line"].to_pylist() == [3, 4]


def test_a_list_that_is_none_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "images.csv.gz"
    file.write_bytes(b"image_id,height")
    with pytest.raises(ImagesCsvError, match="cannot be read"):
        listed_images(file, set())
    file.write_bytes(gzip.compress(b"id,path\n"))
    with pytest.raises(ImagesCsvError, match="expected image_id,height,width,path"):
        listed_images(file, set())
