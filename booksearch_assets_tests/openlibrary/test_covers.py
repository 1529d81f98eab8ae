from __future__ import annotations

import pytest

from booksearch_assets.openlibrary.covers import CoverSize, cover_url, is_blank, opts_out


def test_cover_url_asks_for_404_instead_of_a_blank() -> None:
    assert (
        cover_url("https://covers.openlibrary.org", 12)
        == "https://covers.openlibrary.org/b/id/12-L.jpg?default=false"
    )
    assert (
        cover_url("http://127.0.0.1:8321/", 12, CoverSize.MEDIUM)
        == "http://127.0.0.1:8321/b/id/12-M.jpg?default=false"
    )


@pytest.mark.parametrize("cover_id", [0, -1])
def test_cover_url_refuses_the_ids_that_mean_none(cover_id: int) -> None:
    with pytest.raises(ValueError, match="expected a cover id above 0"):
        cover_url("https://covers.openlibrary.org", cover_id)


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
