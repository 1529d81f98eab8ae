"""The list of pictures, and where they lie."""

from __future__ import annotations

import pytest

from booksearch_assets.abo.images import (
    ImagesCsvError,
    ImageSize,
    ListedImage,
    UnreadableRow,
    image_address,
    read_images,
)

HEADER = "image_id,height,width,path\n"


def test_rows_as_published() -> None:
    rows = [HEADER, "010-mllS7JL,106,106,14/14fe8812.jpg\n", "01dkn0Gyx0L,122,,da/daab0cad.jpg\n"]
    assert list(read_images(rows)) == [
        ListedImage("010-mllS7JL", 106, 106, "14/14fe8812.jpg"),
        ListedImage("01dkn0Gyx0L", 122, None, "da/daab0cad.jpg"),
    ]


@pytest.mark.parametrize(
    "row",
    [
        "x,1,1",
        ",1,1,14/a.jpg",
        "x,1,1,",
        "x,1,1,../../etc/passwd",
        "x,1,1,/etc/passwd",
        "x,1,1,https://elsewhere/a.jpg",
    ],
)
def test_a_row_that_names_no_picture_is_kept_as_it_came(row: str) -> None:
    assert list(read_images([HEADER, row + "\n"])) == [UnreadableRow(1, row)]


@pytest.mark.parametrize("first", ["", "<html>\n", "id,height,width,path\n"])
def test_another_file_is_refused(first: str) -> None:
    with pytest.raises(ImagesCsvError, match="image_id,height,width,path"):
        list(read_images([first] if first else []))


@pytest.mark.parametrize("root", ["/data/abo", "s3://bucket/abo/", "https://host"])
def test_a_picture_lies_under_the_root(root: str) -> None:
    assert image_address(root, ImageSize.SMALL, "14/a.jpg") == f"{root.rstrip('/')}/images/small/14/a.jpg"
