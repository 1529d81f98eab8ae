"""The page of the second catalogue: the same files, made of what its service declares."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.sync_api import Browser, expect

from booksearch_assets.search import Client, ProductFilters
from booksearch_assets.search.engine import SearchEngine
from booksearch_assets.search.products_collection import PRODUCTS
from booksearch_assets_tests.search import shop
from booksearch_assets_tests.search.browsing import Visit, cards, grave_findings, keys
from booksearch_assets_tests.search.library import WordEncoder
from booksearch_assets_tests.search.painted import settings_for
from booksearch_assets_tests.search.serving import serving


class Live(SearchEngine):
    """A version that never changes, in the place of a live search."""

    held_up: str | None = None


def test_products_are_searched_filtered_and_likened(chromium: Browser, tmp_path: Path) -> None:
    settings = settings_for(tmp_path)
    PRODUCTS.pictures.bytes_cache(settings.lake, settings.source_of("products")).append(shop.photo_rows())
    with serving(Live(shop.shop(), WordEncoder()), settings, catalogue=PRODUCTS) as address:
        with Client(address, catalogue="products") as products:
            found = products.search("chair", filters=ProductFilters(material="solid wood")).results
            assert [(chair.product_key, chair.colours) for chair in found] == [
                ("B03@amazon.com", ("Navy Blue",))
            ]
            assert products.facets().materials[0].value == "Leather"
            assert products.item("B01@amazon.com").other_listings[0].item_id == "B01"
        visit = Visit(chromium.new_context(), address)
        page = visit.open("?q=chair&mode=semantic")
        expect(page.get_by_role("heading", level=2)).to_have_text("“chair”")
        assert set(keys(page)[:2]) <= {"B01@amazon.co.uk", "B01@amazon.com", "B03@amazon.com"}
        chair = cards(page).filter(has_text="Red chair")
        expect(chair.locator(".byline")).to_have_text("Stone & Beamchair · 1 more listing")
        assert chair.locator("img").evaluate("image => image.decode().then(() => image.naturalWidth)") == 200
        outside = chair.get_by_role("link", name="Red chair at Amazon, in a new tab")
        assert outside.get_attribute("href") == "https://www.amazon.com/dp/B01"
        page.get_by_role("button", name="Filters").click()
        page.get_by_label("Colour", exact=True).fill("navy blue")
        page.get_by_label("Colour", exact=True).press("Enter")
        expect(page.get_by_text("That is all: 1 product.")).to_be_visible()
        expect(page).to_have_url(re.compile("colour=navy"))
        page.get_by_role("link", name="Remove the filter navy blue").click()
        page.locator("#product_types button").filter(has_text="cellular phone case").click()
        expect(page.get_by_text("That is all: 2 products.")).to_be_visible()
        assert grave_findings(page, "light") == []
        cards(page).filter(has_text="Untitled").get_by_role("link", name="More like this").click()
        assert keys(page)[0] == "B05@amazon.com"
        cards(page).first.locator(".item").click()
        dialog = page.get_by_role("dialog")
        expect(dialog).to_contain_text("Blue · TPU")
        expect(dialog.get_by_role("link", name="Amazon")).to_be_visible()
        assert grave_findings(page, "light") == []
        page.goto(address)
        expect(page.get_by_role("heading", name="Take a picture, find the product.")).to_be_visible()
        expect(page.get_by_role("link", name="a blue violin")).to_be_visible()
        assert grave_findings(page, "light") == []
        visit.context.close()
    assert (visit.said, visit.elsewhere) == ([], [])
