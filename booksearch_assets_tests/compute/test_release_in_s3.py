"""A release of products in S3: its files and its photos are read as those of a folder are."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import boto3
import pyarrow as pa
import pytest
from moto.server import ThreadedMotoServer
from PIL import Image

from booksearch_assets.compute.fetch import FetchPolicy, fetch_missing, fetched_images
from booksearch_assets.compute.release_files import ReleaseError, release_file
from booksearch_assets.tables.products import PHOTOS

BUCKET = "a-release-of-products"
LISTINGS = "listings/metadata/listings_0.json.gz"


@pytest.fixture
def release(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a release with one listing file and one photo."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://{host}:{port}",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    photo = io.BytesIO()
    Image.new("RGB", (40, 30), "blue").save(photo, "JPEG")
    client = boto3.client("s3")
    client.create_bucket(Bucket=BUCKET)
    for key, content in {LISTINGS: b"some listings", "images/small/aa/1.jpg": photo.getvalue()}.items():
        client.put_object(Bucket=BUCKET, Key=f"abo/{key}", Body=content)
    yield f"s3://{BUCKET}/abo"
    server.stop()


def test_files_are_copied_and_photos_become_rows(release: str, tmp_path: Path) -> None:
    file = release_file(release, LISTINGS, tmp_path / "downloads")
    assert file.path.read_bytes() == b"some listings"
    assert file.address == f"{release}/{LISTINGS}"
    with pytest.raises(ReleaseError, match=r"listings_9.*BOOKSEARCH_PRODUCTS"):
        release_file(release, "listings/metadata/listings_9.json.gz", tmp_path)
    wanted = pa.table(
        {"image_id": ["blue", "gone"], "url": [f"{release}/images/small/aa/{n}.jpg" for n in (1, 2)]}
    )
    cache = PHOTOS.bytes_cache(str(tmp_path / "lake"), "test")
    report = fetch_missing(wanted, cache, FetchPolicy(contact="", allowed_hosts=()))
    assert report.by_status == {"ok": 1, "missing": 1}
    rows = {row["image_id"]: row for row in fetched_images(cache, PHOTOS.images).to_pylist()}
    assert (rows["blue"]["width"], rows["blue"]["height"]) == (40, 30)
