"""Make the pictures of the search page from a finished demo: `python docs/make_page_pictures.py`.

Needs Chromium on PATH and the test packages. `make_pictures.py` calls this too.
"""

from __future__ import annotations

import io
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

IMAGES = Path(__file__).parent / "images"
PORT = 3211
ADDRESS = f"http://127.0.0.1:{PORT}/"
DESK, PHONE = (1280, 800), (390, 780)
QUIET = "--no-sandbox --disable-gpu --no-first-run --disable-background-networking --disable-component-update --disable-sync"
COVERS_IN_SIGHT = """() => [...document.querySelectorAll(".card:not(.waiting) img")]
  .filter(image => image.getBoundingClientRect().top < innerHeight)
  .every(image => image.complete && image.naturalWidth)"""


def main() -> int:
    with _service(), sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=QUIET.split())
        _save(_opened(chromium, "", DESK), "page")
        _save(_opened(chromium, "?q=a+lighthouse&year_from=2018", DESK, "dark"), "page_dark")
        _save(_opened(chromium, "?q=an+owl+at+night", PHONE, "dark", scale=2), "page_phone")
        page = _opened(chromium, "?q=a+blue+whale", DESK)
        _search_with_the_first_cover(page, "in the snow")
        _save(page, "page_picture")
        chromium.close()
    return 0


@contextmanager
def _service() -> Iterator[None]:
    """`booksearch serve` on the demo for the time of the block."""
    service = subprocess.Popen(
        [sys.executable, "-m", "booksearch_assets.cli", "serve", "--port", str(PORT)],
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 120
        while not _answers():
            if service.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(
                    f"no service at {ADDRESS}; is there a demo to serve, and is the port free?"
                )
            time.sleep(0.5)
        yield
    finally:
        service.terminate()
        service.wait(60)


def _answers() -> bool:
    try:
        with urlopen(f"{ADDRESS}readyz", timeout=5):
            return True
    except (URLError, OSError):
        return False


def _opened(
    chromium: Browser, address: str, size: tuple[int, int], scheme: str = "light", scale: int = 1
) -> Page:
    viewport = {"width": size[0], "height": size[1]}
    page = chromium.new_page(viewport=viewport, color_scheme=scheme, device_scale_factor=scale)
    page.goto(ADDRESS + address)
    return page


def _search_with_the_first_cover(page: Page, text: str) -> None:
    """Give the page a cover as a picture, as a reader who photographed it would, and words beside it."""
    cover = page.locator(".card:not(.waiting) .jacket img").first
    with urlopen(ADDRESS + cover.get_attribute("src").split("?")[0]) as answer:
        picture = {"name": "photo.jpg", "mimeType": "image/jpeg", "buffer": answer.read()}
    page.locator("#file").set_input_files(picture)
    page.locator("#thumb canvas").wait_for()
    page.fill("#q", text)
    page.press("#q", "Enter")
    page.locator("#mix").wait_for()
    page.evaluate("document.activeElement.blur()")


def _save(page: Page, name: str) -> None:
    """The page once every cover in sight is there, in so few colours that it is quick to load."""
    page.locator(".card:not(.waiting)").first.wait_for()
    page.wait_for_load_state("networkidle")
    page.wait_for_function(COVERS_IN_SIGHT)
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    colours = picture.quantize(256, kmeans=2)
    picture.quantize(palette=colours).save(IMAGES / f"{name}.png", optimize=True)
    page.close()


if __name__ == "__main__":
    sys.exit(main())
