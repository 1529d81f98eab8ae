"""The page in a real browser, before a real service over painted covers that the sample model has embedded."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, Page, expect

from booksearch_assets.sample.scenes import scene_of
from booksearch_assets.search.api.limits import ApiSettings
from booksearch_assets.search.live import LiveSearch
from booksearch_assets.search.shell import open_live_search
from booksearch_assets.settings import Settings
from booksearch_assets_tests.search.browsing import Visit, cards, grave_findings, keys
from booksearch_assets_tests.search.painted import (
    COLLECTION,
    edition_key,
    picture,
    publish_painted_books,
    reprint_key,
    settings_for,
)
from booksearch_assets_tests.search.serving import serving

BOOKS = 90
PAGE = 36
WANTED = 7
PHONE = {"width": 360, "height": 740}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    settings = settings_for(tmp_path_factory.mktemp("page"))
    publish_painted_books(settings, BOOKS)
    return settings


@pytest.fixture(scope="module")
def live(settings: Settings) -> LiveSearch:
    return open_live_search(settings)


@pytest.fixture(scope="module")
def service(live: LiveSearch, settings: Settings) -> Iterator[str]:
    with serving(live, settings) as address:
        yield address


@pytest.fixture
def visit(chromium: Browser, service: str) -> Iterator[Visit]:
    """A visit after which the console is empty and nobody but the service was asked."""
    visit = Visit(chromium.new_context(), service)
    yield visit
    visit.context.close()
    assert visit.said == []
    assert visit.elsewhere == []


def search(page: Page, text: str) -> None:
    page.get_by_label("What the cover shows").fill(text)
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=2)).to_contain_text(text)
    expect(page.locator("#grid")).to_have_attribute("aria-busy", "false")


def drop_picture(page: Page, content: bytes) -> None:
    transfer = page.evaluate_handle(
        """async text => {
          const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
          const transfer = new DataTransfer();
          transfer.items.add(new File([bytes], "cover.jpg", {type: "image/jpeg"}));
          return transfer;
        }""",
        base64.b64encode(content).decode(),
    )
    page.dispatch_event("body", "drop", {"dataTransfer": transfer})
    expect(page).to_have_url(re.compile("image=here"))


def test_words_find_the_cover_that_shows_them(visit: Visit) -> None:
    page = visit.open()
    expect(page.get_by_label("What the cover shows")).to_be_focused()
    expect(page.get_by_role("heading", name="For example, a lighthouse in a storm")).to_be_visible()
    caption = scene_of(WANTED).caption
    search(page, caption)
    assert edition_key(WANTED) in keys(page)[:3]
    expect(page.get_by_role("status")).to_have_text(f"{PAGE} books for “{caption}”, and more below")
    expect(page.locator("#source")).to_contain_text(f"booksearch/sample-clip · {COLLECTION}")
    cover = cards(page).first.locator("img")
    assert cover.evaluate("image => image.decode().then(() => image.naturalWidth)") >= 200
    first = keys(page)
    page.reload()
    assert keys(page) == first
    page.get_by_role("link", name="Booksearch").click()
    page.get_by_role("link", name="an owl at night").click()
    expect(page).to_have_url(re.compile(r"\?q=an\+owl\+at\+night$"))
    search(page, scene_of(20).caption)
    assert {edition_key(20), reprint_key(20)} & set(keys(page)[:3])
    expect(cards(page).filter(has_text="1 more edition").first).to_be_visible()
    outside = cards(page).first.get_by_role("link", name="at Open Library, in a new tab")
    assert outside.get_attribute("href") == f"https://openlibrary.org/books/{keys(page)[0]}"


def test_a_picture_finds_its_cover_and_survives_a_reload(visit: Visit, chromium: Browser) -> None:
    page = visit.open("?subject=Fiction")
    drop_picture(page, picture(WANTED))
    assert keys(page)[0] == edition_key(WANTED)
    expect(page.get_by_label("your picture", exact=True)).to_be_visible()
    page.reload()
    assert keys(page)[0] == edition_key(WANTED)
    # With words beside it, the slider decides.
    search(page, scene_of(41).caption)
    slider = page.get_by_label("Weight of the picture")
    slider.fill("5")
    expect(page).to_have_url(re.compile("weight=5"))
    assert keys(page)[0] == edition_key(41)
    slider.fill("95")
    expect(page).to_have_url(re.compile("weight=95"))
    assert keys(page)[0] == edition_key(WANTED)
    # Another browser has the address, and not the picture.
    other = Visit(chromium.new_context(), visit.address)
    elsewhere = other.open(page.url.removeprefix(visit.address))
    expect(elsewhere.get_by_role("heading", name="This picture is not here")).to_be_visible()
    elsewhere.get_by_role("link", name="Search by the words alone").click()
    assert keys(elsewhere)[0] == edition_key(41)
    assert other.said == []
    other.context.close()
    page.get_by_role("button", name="Remove the picture").click()
    expect(slider).to_be_hidden()
    assert keys(page)[0] == edition_key(41)


def test_a_picture_is_pasted_or_chosen(visit: Visit) -> None:
    page = visit.open()
    page.get_by_role("button", name="Search by picture").click()
    page.locator("#file").set_input_files(
        {"name": "x.jpg", "mimeType": "image/jpeg", "buffer": picture(WANTED)}
    )
    expect(page).to_have_url(re.compile("image=here"))
    assert keys(page)[0] == edition_key(WANTED)
    page.keyboard.press("Escape")
    expect(page).not_to_have_url(re.compile("image="))
    page.evaluate(
        """text => {
          const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
          const clipboardData = new DataTransfer();
          clipboardData.items.add(new File([bytes], "cover.jpg", {type: "image/jpeg"}));
          document.body.dispatchEvent(new ClipboardEvent("paste", {clipboardData, bubbles: true, cancelable: true}));
        }""",
        base64.b64encode(picture(12)).decode(),
    )
    expect(page).to_have_url(re.compile("image=here"))
    assert keys(page)[0] == edition_key(12)
    page.locator("#file").set_input_files(
        {"name": "x.jpg", "mimeType": "image/jpeg", "buffer": b"no picture"}
    )
    expect(page.get_by_role("alert")).to_contain_text("not a picture")
    page.get_by_role("button", name="Search by picture").click()
    page.get_by_label("or give its address").fill("file:///etc/passwd")
    page.get_by_role("button", name="Use it").click()
    expect(page.get_by_role("alert")).to_contain_text("beginning with https:// or http://")


def test_filters_narrow_what_is_found(visit: Visit) -> None:
    page = visit.open("?q=a+ship")
    page.get_by_role("button", name="Filters").click()
    page.get_by_label("From year").fill("2018")
    page.get_by_label("To year").fill("2019")
    page.get_by_label("To year").press("Enter")
    expect(page).to_have_url(re.compile("year_from=2018&year_to=2019"))
    keys(page)
    years = {line.split("\n")[-1] for line in cards(page).locator(".byline").all_inner_texts()}
    assert years == {"2018", "2019"}
    # What is counted beside a subject is what choosing it shows.
    expect(page.locator("#subjects button").first).to_have_text(f"Fiction{BOOKS // 5}")
    subject = page.locator("#subjects button").nth(3)
    count = int(subject.locator(".count").inner_text())
    subject.click()
    expect(subject).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_text(f"That is all: {count} book")).to_be_visible()
    assert len(keys(page)) == count > 0
    expect(page.get_by_role("button", name="Filters (2)")).to_be_visible()
    page.get_by_role("link", name="Remove the filter published 2018–2019").click()
    expect(page.get_by_role("button", name="Filters (1)")).to_be_visible()
    assert len(keys(page)) > count
    page.get_by_label("Author", exact=True).fill("Nobody at all")
    page.get_by_label("Author", exact=True).press("Enter")
    expect(page.get_by_role("heading", name="No covers here")).to_be_visible()
    page.get_by_role("link", name="Search without filters").click()
    assert len(keys(page)) == PAGE
    page.get_by_label("Not", exact=True).fill("the sea")
    page.get_by_label("Not", exact=True).press("Enter")
    expect(page.get_by_role("link", name="Remove the filter not “the sea”")).to_be_visible()


def test_more_like_this_and_back(visit: Visit) -> None:
    page = visit.open("?q=a+castle")
    before = keys(page)
    cards(page).nth(30).scroll_into_view_if_needed()
    scrolled = page.evaluate("scrollY")
    assert scrolled > 300
    chosen = cards(page).nth(30)
    title = chosen.locator(".title").inner_text()
    chosen.get_by_role("link", name="More like").click()
    expect(page.get_by_role("heading", level=2)).to_have_text(f"More like “{title}”")
    expect(page.get_by_role("heading", level=2)).to_be_focused()
    assert before[30] not in keys(page)
    assert page.evaluate("scrollY") == 0
    page.go_back()
    expect(page.get_by_role("heading", level=2)).to_have_text("“a castle”")
    assert keys(page)[: len(before)] == before
    page.wait_for_function(f"Math.abs(scrollY - {scrolled}) < 50")
    page.go_forward()
    expect(page.get_by_role("heading", level=2)).to_have_text(f"More like “{title}”")


def test_scrolling_shows_every_book_once(visit: Visit) -> None:
    page = visit.open("?q=a+house&mode=semantic")
    page.get_by_label("What the cover shows").blur()
    end = page.get_by_text(f"That is all: {BOOKS} books.")
    while not end.is_visible():
        page.mouse.wheel(0, 1500)
        page.wait_for_timeout(30)
    shown = keys(page)
    assert len(shown) == len(set(shown)) == BOOKS
    expect(page.get_by_role("button", name="Load more")).to_be_hidden()


def test_the_button_loads_more_where_nothing_scrolls(visit: Visit) -> None:
    page = visit.open()
    # Some assistive software reads a page without ever scrolling it.
    page.add_init_script("window.IntersectionObserver = class { observe() {} unobserve() {} }")
    page.goto(f"{visit.address}?q=a+house")
    assert len(keys(page)) == PAGE
    page.get_by_role("button", name="Load more").press("Enter")
    expect(cards(page)).to_have_count(2 * PAGE)
    expect(cards(page).nth(PAGE).locator(".item")).to_be_focused()
    expect(page.get_by_role("status")).to_have_text(f"{PAGE} more books, {2 * PAGE} in all, and more below")


def test_everything_by_keyboard(visit: Visit) -> None:
    page = visit.open("?q=a+castle")
    shown = keys(page)
    page.keyboard.press("/")
    field = page.get_by_label("What the cover shows")
    expect(field).to_be_focused()
    page.keyboard.press("ArrowDown")
    for key in ("ArrowRight", "ArrowRight", "ArrowDown", "ArrowUp", "ArrowLeft"):
        page.keyboard.press(key)
    second = page.locator(f".item[data-key={shown[1]}]")
    expect(second).to_be_focused()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_role("heading")).to_have_text(second.locator(".title").inner_text())
    expect(dialog).to_contain_text("pages · English")
    expect(page).to_have_url(re.compile(f"#{shown[1]}$"))
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(second).to_be_focused()
    expect(page).not_to_have_url(re.compile("#"))
    page.keyboard.press("Escape")
    expect(page).to_have_url(visit.address)
    expect(field).to_be_focused()
    expect(field).to_have_value("")
    # The first stop of all leads past the frame.
    page.goto(f"{visit.address}?q=a+castle")
    keys(page)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the results")).to_be_focused()
    # An address may lead to a book.
    page.goto(f"{visit.address}?q=a+castle#{shown[1]}")
    expect(dialog).to_be_visible()
    dialog.get_by_role("button", name="Close").click()
    expect(page).not_to_have_url(re.compile("#"))


def test_a_phone_is_wide_enough(visit: Visit) -> None:
    page = visit.open(**PHONE)

    def overhang() -> int:
        return page.evaluate("document.documentElement.scrollWidth - innerWidth")

    keys(page)
    assert overhang() <= 0
    search(page, "a lighthouse in a storm")
    page.get_by_role("button", name="Search by picture").click()
    page.get_by_role("button", name="Filters").click()
    expect(page.locator("#subjects button").first).to_be_visible()
    assert overhang() <= 0
    columns = {round(box["x"]) for card in cards(page).all()[:6] if (box := card.bounding_box())}
    assert len(columns) == 2
    cards(page).first.locator(".item").click()
    box = page.get_by_role("dialog").bounding_box()
    assert box and box["x"] >= 0 and box["x"] + box["width"] <= PHONE["width"]
    assert overhang() <= 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_grave(visit: Visit, scheme: str) -> None:
    page = visit.open()
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
    keys(page)
    dark = page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(23, 21, 19)"
    assert dark == (scheme == "dark")
    assert grave_findings(page, scheme) == []
    drop_picture(page, picture(WANTED))
    search(page, "at night")
    page.get_by_role("button", name="Search by picture").click()
    page.get_by_role("button", name="Filters").click()
    page.locator("#subjects button").first.click()
    expect(page.get_by_role("button", name="Filters (1)")).to_be_visible()
    keys(page)
    assert grave_findings(page, scheme) == []
    cards(page).first.locator(".item").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    assert grave_findings(page, scheme) == []
    page.goto(f"{visit.address}?q=ship&author=nobody")
    expect(page.get_by_role("heading", name="No covers here")).to_be_visible()
    assert grave_findings(page, scheme) == []


def test_a_chosen_theme_is_kept(visit: Visit) -> None:
    page = visit.open()
    button = page.get_by_role("button", name="Dark mode")
    expect(button).to_have_attribute("aria-pressed", "false")
    button.click()
    page.reload()
    expect(button).to_have_attribute("aria-pressed", "true")
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(23, 21, 19)"


def test_problems_are_said_in_words(visit: Visit) -> None:
    page = visit.open("?q=a+ship&year_from=2020&year_to=2010")
    expect(page.get_by_role("heading", name="The query cannot be answered")).to_be_visible()
    expect(page.locator("#notice")).to_contain_text("write 2010..2020")
    page.goto(f"{visit.address}?like=OL404M")
    expect(page.get_by_role("heading", name="No such item")).to_be_visible()
    page.goto(f"{visit.address}?image=http://127.0.0.1/cover.jpg")
    expect(page.locator("#notice")).to_contain_text("not on the public internet")
    # The browser itself writes a line for each answer that is none.
    assert all(re.match(r"Failed to load resource: .* 4(04|22)", line) for line in visit.said)
    visit.said.clear()


def test_a_lost_connection_is_waited_for(visit: Visit) -> None:
    page = visit.open("?q=a+ship")
    keys(page)
    visit.context.set_offline(True)
    page.get_by_label("What the cover shows").fill("a castle")
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="You are offline")).to_be_visible()
    visit.context.set_offline(False)
    expect(cards(page)).to_have_count(PAGE)
    expect(page.locator("#notice")).to_be_empty()
    assert all("ERR_INTERNET_DISCONNECTED" in line for line in visit.said)
    visit.said.clear()


def test_a_token_is_asked_for_and_haste_is_slowed(
    chromium: Browser, live: LiveSearch, settings: Settings
) -> None:
    api = ApiSettings(tokens=("the-only-token-there-is",), requests_per_minute=30)
    with serving(live, settings, api) as address:
        visit = Visit(chromium.new_context(), address)
        page = visit.open("?q=a+ship")
        page.get_by_label("Token").fill("the-only-token-there-is")
        page.keyboard.press("Enter")
        assert len(keys(page)) == PAGE
        page.get_by_label("What the cover shows").fill("a castle")
        # A request to spend comes back every two seconds, and the notice goes as soon: on a busy machine a search may find
        # one, and who looks from outside may come too late. So all are spent until the page has said it, and it is kept.
        said = page.evaluate(
            """async () => {
              const headers = {Authorization: "Bearer the-only-token-there-is"};
              const notice = document.querySelector("#notice");
              let said = "";
              new MutationObserver(() => {
                if (notice.innerText.includes("Too many requests")) said ||= notice.innerText;
              }).observe(notice, {childList: true, subtree: true, characterData: true});
              while (!said) {
                while ((await fetch("v1/facets", {headers})).status !== 429);
                document.querySelector("input[type=search]").form.requestSubmit();
                await new Promise(resolve => setTimeout(resolve, 300));
              }
              return said;
            }"""
        )
        assert re.search(r"Trying again in [12] s", said)
        # And it does.
        expect(cards(page)).to_have_count(PAGE)
        visit.context.close()
