"""Pictures to show: originals as they were fetched, thumbnails made once, and what is no picture."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from PIL import Image

from booksearch_assets.search.pictures import Pictures, thumbnail
from booksearch_assets.tables.books import COVERS
from booksearch_assets.tables.shards import ShardStore
from booksearch_assets_tests.search.api.service import cover_rows, picture


@pytest.fixture
def cache(tmp_path: Path) -> ShardStore:
    cache = COVERS.bytes_cache(str(tmp_path / "lake"), "test")
    # More than one group of rows.
    cache.append(cover_rows({number: picture("red", (number, 2 * number)) for number in range(1, 100)}))
    return cache


@pytest.fixture
def covers(cache: ShardStore, tmp_path: Path) -> Pictures:
    return Pictures(cache, tmp_path / "thumbnails", look_seconds=0.0)


def _size(content: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(content)).size


@pytest.mark.parametrize("cover_id", [1, 64, 65, 99])
def test_an_original_is_as_it_was_fetched(covers: Pictures, cover_id: int) -> None:
    cover = covers.picture(cover_id)
    assert cover and cover.content == picture("red", (cover_id, 2 * cover_id))
    assert cover.media_type == "image/jpeg"


def test_what_is_not_there_or_no_picture_is_none(cache: ShardStore, covers: Pictures) -> None:
    cache.append(
        cover_rows({201: None, 202: b"<svg onload='alert(1)'/>", 203: b"GIF89a", 204: picture()[:200]})
    )
    assert [covers.picture(number, 100) for number in (200, 201, 202, 203, 204)] == [None] * 5
    assert [covers.picture(number) for number in (200, 201, 202, 203)] == [None] * 4


def test_new_shards_are_found_and_the_newest_bytes_win(cache: ShardStore, covers: Pictures) -> None:
    assert covers.picture(300) is None
    cache.append(cover_rows({300: picture("blue"), 5: picture("blue", form="PNG")}))
    found = covers.picture(300)
    assert found and found.content == picture("blue")
    again = covers.picture(5)
    assert again and again.media_type == "image/png"


def test_a_thumbnail_is_made_once_and_kept(cache: ShardStore, tmp_path: Path) -> None:
    cache.append(cover_rows({400: picture("red", (500, 800))}))
    made = Pictures(cache, tmp_path / "thumbnails").picture(400, 150)
    assert made and _size(made.content) == (200, 320) and made.media_type == "image/jpeg"
    [kept] = (tmp_path / "thumbnails").rglob("*.jpg")
    assert kept.read_bytes() == made.content
    assert not list((tmp_path / "thumbnails").rglob(".*")), "half a thumbnail was left"
    # Another process, and this one once more, take what is there.
    kept.write_bytes(picture("blue", (200, 320)))
    other = Pictures(cache, tmp_path / "thumbnails")
    assert [getattr(other.picture(400, width), "content", None) for width in (101, 200)] == [
        kept.read_bytes()
    ] * 2
    kept.unlink()
    assert other.picture(400, 200) is not None
    assert not kept.exists(), "it was in memory"
    assert other.found == {"folder": 1, "memory": 2}


def test_memory_is_bounded(cache: ShardStore, tmp_path: Path) -> None:
    covers = Pictures(cache, tmp_path / "thumbnails", memory_bytes=5_000)
    sizes = [len(cover.content) for n in range(1, 100) if (cover := covers.picture(n, 100))]
    assert sum(sizes) > 20_000
    assert sum(len(cover.content) for cover in covers._memory._pictures.values()) <= 5_000


@pytest.mark.parametrize(
    ("mode", "size", "expected"),
    [
        ("RGB", (500, 750), (200, 300)),
        ("RGB", (120, 180), (120, 180)),
        ("RGBA", (400, 400), (200, 200)),
        ("P", (400, 400), (200, 200)),
        ("LA", (400, 400), (200, 200)),
        ("CMYK", (400, 600), (200, 300)),
        ("I;16", (400, 600), (200, 300)),
        ("RGB", (400, 8000), (30, 600)),
    ],
)
def test_thumbnails_of_every_kind_of_picture(
    mode: str, size: tuple[int, int], expected: tuple[int, int]
) -> None:
    file = io.BytesIO()
    Image.new(mode, size).save(file, "TIFF" if mode in ("CMYK", "I;16") else "PNG")
    small = thumbnail(file.getvalue(), 200)
    assert small and _size(small) == expected


def test_what_is_transparent_is_paper() -> None:
    file = io.BytesIO()
    Image.new("RGBA", (10, 10), (0, 0, 0, 0)).save(file, "PNG")
    small = thumbnail(file.getvalue(), 100)
    assert small and min(Image.open(io.BytesIO(small)).convert("L").getdata()) > 250
