"""Make the pictures of the documentation from a finished demo: `python docs/make_pictures.py`.

Needs Chromium on PATH. The search picture is the demo's own contact sheet; the others are pages of the Dagster UI,
which this starts on the demo's instance and stops again.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

from booksearch_assets.settings import Settings

IMAGES = Path(__file__).parent / "images"
PORT = 3210
PAGES = {
    "graph": "/asset-groups/",
    "embeddings": "/assets/books/cover_embeddings?view=partitions",
    "checks": "/assets/books/collection?view=checks",
}


def main() -> int:
    settings = Settings.from_environment()
    shutil.copyfile(settings.home / "search-1.png", IMAGES / "search.png")
    ui = subprocess.Popen([sys.executable, "-m", "booksearch_assets.cli", "ui", "--port", str(PORT)])
    try:
        _wait(f"http://127.0.0.1:{PORT}/server_info")
        for name, page in PAGES.items():
            _photograph(f"http://127.0.0.1:{PORT}{page}", IMAGES / f"{name}.png")
    finally:
        ui.terminate()
        ui.wait(60)
    return 0


def _wait(url: str, seconds: float = 180) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            with urlopen(url, timeout=5):
                return
        except (URLError, OSError):
            time.sleep(1)
    raise TimeoutError(f"the Dagster UI did not answer at {url} within {seconds:.0f} s")


def _photograph(url: str, file: Path) -> None:
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


if __name__ == "__main__":
    sys.exit(main())
