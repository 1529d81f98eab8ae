"""Files of a release: from a folder, over http, and from S3, with errors that say what to do."""

from __future__ import annotations

import functools
import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pyarrow as pa
import pytest

from booksearch_assets.compute.download import DownloadError
from booksearch_assets.compute.fetch import FetchPolicy, fetch_missing, fetched_images
from booksearch_assets.compute.release_files import ReleaseError, release_file
from booksearch_assets.tables.products import PHOTOS

NAME = "listings/metadata/listings_0.json.gz"
CONTENT = b"some listings" * 1_000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "a release" / NAME
    path.parent.mkdir(parents=True)
    path.write_bytes(CONTENT)
    return tmp_path / "a release"


@pytest.fixture
def address(folder: Path) -> Iterator[str]:
    handler = functools.partial(SimpleHTTPRequestHandler, directory=folder)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_folder_is_read_where_it_lies(folder: Path, tmp_path: Path) -> None:
    file = release_file(str(folder), NAME, tmp_path / "downloads")
    assert file.path == folder / NAME
    assert file.sha256 == hashlib.sha256(CONTENT).hexdigest()
    assert not (tmp_path / "downloads").exists()


def test_an_address_is_downloaded_and_two_releases_are_kept_apart(
    address: str, folder: Path, tmp_path: Path
) -> None:
    one, other = (release_file(root, NAME, tmp_path / "downloads") for root in (address, f"{address}/."))
    assert one.path.read_bytes() == other.path.read_bytes() == CONTENT
    assert one.path != other.path
    assert one.address == f"{address}/{NAME}"
    assert one.sha256 == hashlib.sha256(CONTENT).hexdigest()


def test_a_version_that_was_downloaded_is_not_downloaded_again(tmp_path: Path) -> None:
    contents = {"now": b"one"}
    asked: list[str] = []

    class Versioned(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            asked.append(self.command)
            self.send_response(200)
            self.send_header("Content-Length", str(len(contents["now"])))
            self.send_header("ETag", f'"{hashlib.sha256(contents["now"]).hexdigest()}"')
            self.end_headers()

        def do_GET(self) -> None:
            self.do_HEAD()
            self.wfile.write(contents["now"])

        def log_message(self, *_: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Versioned) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        root = f"http://127.0.0.1:{server.server_port}"
        first, second = (release_file(root, NAME, tmp_path) for _ in range(2))
        assert first == second and asked == ["HEAD", "GET", "HEAD"]
        contents["now"] = b"another"
        assert release_file(root, NAME, tmp_path).path.read_bytes() == b"another"
        server.shutdown()


def test_a_file_that_is_not_there_is_told(address: str, folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match=r"cannot read .*listings_9.*BOOKSEARCH_PRODUCTS"):
        release_file(str(folder), "listings/metadata/listings_9.json.gz", tmp_path)
    with pytest.raises(DownloadError, match="listings_9"):
        release_file(address, "listings/metadata/listings_9.json.gz", tmp_path)


def test_photos_of_a_folder_become_rows_like_any_other(tmp_path: Path) -> None:
    from PIL import Image

    Image.new("RGB", (40, 30), "red").save(tmp_path / "a photo.png")
    (tmp_path / "broken.jpg").write_bytes(b"no picture")
    wanted = pa.table(
        {"image_id": ["ok", "gone", "broken"], "url": [f"{tmp_path}/{n}" for n in ("a photo.png", "gone.jpg", "broken.jpg")]}
    )  # fmt: skip
    cache = PHOTOS.bytes_cache(str(tmp_path / "lake"), "test")
    # Nobody is asked, so nobody needs to know who asks.
    report = fetch_missing(wanted, cache, FetchPolicy(contact="", allowed_hosts=()))
    assert report.by_status == {"ok": 1, "missing": 1, "undecodable": 1}
    rows = {row["image_id"]: row for row in fetched_images(cache, PHOTOS.images).to_pylist()}
    assert (rows["ok"]["width"], rows["ok"]["height"]) == (40, 30)
    assert rows["gone"]["status"] == "missing"
