from __future__ import annotations

import pytest

from booksearch_assets.openlibrary.covers import COVERS, cover_url, is_blank, opts_out


def test_cover_url_asks_for_404_instead_of_a_blank() -> None:
    assert cover_url(COVERS, 12) == "https://covers.openlibrary.org/b/id/12-L.jpg?default=false"
    assert cover_url("http://127.0.0.1:8321/", 12, "M") == "http://127.0.0.1:8321/b/id/12-M.jpg?default=false"


@pytest.mark.parametrize(("cover_id", "size"), [(0, "L"), (-1, "L"), (5, "XL"), (5, "")])
def test_cover_url_refuses_what_the_service_has_not(cover_id: int, size: str) -> None:
    with pytest.raises(ValueError, match="expected a cover id"):
        cover_url(COVERS, cover_id, size)


def test_one_pixel_is_blank() -> None:
    assert is_blank(1, 1)
    assert not is_blank(1, 2)


@pytest.mark.parametrize(
    ("tags", "out"),
    [
        ([], False),
        (["all"], False),
        (["noai"], True),
        (["nofollow, NoImageAI"], True),
        (["nofollow", "noindex"], True),
        (["noimageindex, nofollow"], True),
        (["googlebot: noindex"], False),
        (["googlebot: noindex", "noai"], True),
        (["booksearch_assets: noindex"], True),
        (["max-image-preview: none, noai"], True),
        (["noarchive, unavailable_after: 25 Jun 2030 15:00:00 GMT"], False),
        (["noindexing"], False),
    ],
)
def test_opt_out_headers(tags: list[str], out: bool) -> None:
    assert opts_out(tags) is out
