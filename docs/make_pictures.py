"""Make the pictures of the documentation from a finished demo: `python docs/make_pictures.py`.

Needs Chromium on PATH and the test packages. The search picture is the demo's own contact sheet, and those of the search
page are made by `make_page_pictures`; the plots of quality are those of the last measurement; the others are pages of the
Dagster UI, which this starts on a copy of the demo and stops again. In the copy, the covers service fails before the last
years, so that the partitions show what a partial failure looks like.
"""

from __future__ import annotations

import asyncio
import base64
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import aiohttp
import dagster as dg
import make_page_pictures
import pyarrow as pa
import pyarrow.compute as pc

from booksearch_assets.compute.fetch_policy import FetchPolicy
from booksearch_assets.definitions import build_defs
from booksearch_assets.instance import use_instance
from booksearch_assets.materialize import run_config, run_job
from booksearch_assets.resources.open_library import OpenLibraryResource
from booksearch_assets.search.quality.opening import stored_report
from booksearch_assets.search.quality.plots import plots
from booksearch_assets.settings import Settings
from booksearch_assets.tables.books import COVERS
from booksearch_assets.tables.lake import Lake

IMAGES = Path(__file__).parent / "images"
PORT = 3210
PAGES = {
    "graph": "/asset-groups/",
    "embeddings": "/assets/books/cover_embeddings?view=partitions",
    "checks": "/assets/books/collection?view=checks",
}
QUALITY_PLOTS = {
    "Known items: is the right picture found?": "recall",
    "Subjects: nDCG@10 beside the baselines": "subjects",
    "Spoilt pictures: does the same item come first?": "robustness",
    "Latency of one query": "latency",
}
PAGES_AFTER_A_FAILURE = {"partial_failure": "/assets/books/cover_images?view=partitions"}
PLOT_PAGE, PLOT = "/assets/books/cover_urls?view=events", "heights_histogram"
SHOW_PLOT = f"""(() => {{
  const rows = [...document.querySelectorAll("tr")];
  const row = rows.find(row => row.cells[0]?.innerText.trim() === "{PLOT}");
  const link = row && [...row.querySelectorAll("*")].find(e => !e.children.length && e.innerText.includes("Show Markdown"));
  link?.click();
  return Boolean(link);
}})()"""
PLOT_IS_SHOWN = "Boolean(document.querySelector('img[src^=\"data:image\"]'))"
DEBUGGING_PORT = 9333


def main() -> int:
    demo = Settings.from_environment()
    shutil.copyfile(demo.home / "books-1.png", IMAGES / "search.png")
    save_quality_plots(Lake(demo.lake))
    make_page_pictures.main()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder) / "home"
        shutil.copytree(demo.home, home)
        os.environ["BOOKSEARCH_HOME"] = str(home)
        with _ui():
            _photograph(PAGES)
            asyncio.run(_photograph_plot(IMAGES / "plot.png"))
        # While the UI runs, so does the sample world's covers service.
        fail_before_the_last_years(Settings.from_environment())
        with _ui():
            _photograph(PAGES_AFTER_A_FAILURE)
    return 0


def save_quality_plots(lake: Lake) -> None:
    """The plots of the last measurement of search quality, as `docs/quality.md` names them."""
    report = stored_report(lake, "books", lake.resolve("books/search_quality").facts["collection"])
    if report is None:
        raise SystemExit(
            "the lake holds no report of search quality; run: booksearch materialize books/search_quality"
        )
    drawn = plots(report)
    for title, name in QUALITY_PLOTS.items():
        (IMAGES / f"quality_{name}.png").write_bytes(drawn[title])


class OutOfService(OpenLibraryResource):
    """Covers services that do not answer: nothing listens on the port of the sample world."""

    def fetch_policy(self) -> FetchPolicy:
        return replace(super().fetch_policy(), give_up_after=5, backoff_base=0.01)


def fail_before_the_last_years(settings: Settings, years: int = 2) -> None:
    """Fetch all covers again while the service is down, where those of the last `years` are not in the cache."""
    use_instance(settings)
    lake, cache = Lake(settings.lake), COVERS.bytes_cache(settings.lake, settings.source)
    images = [lake.resolve("books/cover_images", year) for year in lake.partitions("books/cover_images")]
    gone = pc.unique(lake.dataset(images[-years:]).to_table(columns=["cover_id"])["cover_id"])
    rows = pa.concat_tables([cache.read(shard) for shard in cache.shards()])
    shutil.rmtree(lake.location("_cache", cache.name))
    cache.append(rows.filter(pc.invert(pc.is_in(rows["cover_id"], gone))))
    service = OutOfService(source=settings.source, downloads=str(settings.downloads))
    asset = dg.AssetKey(["books", "cover_images"])
    result = run_job(
        build_defs(settings, {"open_library": service}),
        "books",
        assets=[asset],
        run_config=run_config([asset], again=True),
    )
    if result.success:
        raise RuntimeError("the covers service was to fail, and did not")


@contextmanager
def _ui() -> Iterator[None]:
    """The Dagster UI for the time of the block."""
    ui = subprocess.Popen([sys.executable, "-m", "booksearch_assets.cli", "ui", "--port", str(PORT)])
    try:
        _wait(f"http://127.0.0.1:{PORT}/server_info")
        yield
    finally:
        ui.terminate()
        ui.wait(60)


def _wait(url: str, seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with urlopen(url, timeout=5):
                return
        except (URLError, OSError):
            time.sleep(1)
    raise TimeoutError(f"the Dagster UI did not answer at {url} within {seconds:.0f} s")


def _photograph(pages: Mapping[str, str]) -> None:
    for name, page in pages.items():
        _save_page(f"http://127.0.0.1:{PORT}{page}", IMAGES / f"{name}.png")


def _save_page(url: str, file: Path) -> None:
    """A page after its data has come: virtual time passes only while nothing is being loaded."""
    quiet = [
        "--disable-gpu",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--no-first-run",
    ]
    command = [
        "chromium",
        "--headless=new",
        "--no-sandbox",
        *quiet,
        "--hide-scrollbars",
        "--window-size=2000,640",
    ]
    command += ["--virtual-time-budget=30000", f"--screenshot={file}", url]
    subprocess.run(command, check=True, capture_output=True, timeout=300)


async def _photograph_plot(file: Path) -> None:
    """The plot of one year's metadata, which the UI shows in a dialog: a person clicks, and so does this."""
    browser = subprocess.Popen(
        [
            "chromium",
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            "--window-size=1400,700",
            f"--remote-debugging-port={DEBUGGING_PORT}",
            f"http://127.0.0.1:{PORT}{PLOT_PAGE}",
        ],
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait(f"http://127.0.0.1:{DEBUGGING_PORT}/json/list")
        async with aiohttp.ClientSession() as http:
            async with http.get(f"http://127.0.0.1:{DEBUGGING_PORT}/json/list") as answer:
                tabs = await answer.json()
            address = next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")
            async with http.ws_connect(address, max_msg_size=0) as tab:
                await _until(tab, SHOW_PLOT)
                await _until(tab, PLOT_IS_SHOWN)
                await asyncio.sleep(1)
                picture = await _ask(tab, "Page.captureScreenshot", format="png")
        file.write_bytes(base64.b64decode(picture["data"]))
    finally:
        browser.terminate()
        browser.wait(60)


async def _until(tab: aiohttp.ClientWebSocketResponse, script: str, seconds: float = 90) -> None:
    """Run a script in the page until it answers true."""
    deadline = time.monotonic() + seconds
    while not (await _ask(tab, "Runtime.evaluate", expression=script))["result"].get("value"):
        if time.monotonic() > deadline:
            raise TimeoutError(f"the page did not come so far within {seconds:.0f} s: {script}")
        await asyncio.sleep(0.5)


async def _ask(tab: aiohttp.ClientWebSocketResponse, method: str, **params: Any) -> dict[str, Any]:
    """One call of the Chrome DevTools protocol (https://chromedevtools.github.io/devtools-protocol/)."""
    await tab.send_json({"id": 1, "method": method, "params": params})
    while True:
        message = await tab.receive_json()
        if message.get("id") == 1:
            return dict(message["result"])


if __name__ == "__main__":
    sys.exit(main())
