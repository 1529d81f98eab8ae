"""A published release of files: a folder, an s3:// prefix or an https:// address, read as local files.

Belongs here: getting one file of it. Does not: what is in the file (`abo`), many small files (`compute.fetch`).
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.request import Request, urlopen

import pyarrow.fs as pafs

from booksearch_assets.compute.download import USER_AGENT, DownloadProgress, download

_BLOCK_BYTES = 1 << 20
_TIMEOUT_SECONDS = 30.0


class ReleaseError(Exception):
    """A file of the release cannot be had; the message says which, where and why."""


@dataclass(frozen=True)
class ReleaseFile:
    """A file of a release, on this machine. `address` is where it came from."""

    address: str
    path: Path
    sha256: str


def release_file(
    root: str,
    name: str,
    downloads: Path,
    on_progress: Callable[[DownloadProgress], None] | None = None,
) -> ReleaseFile:
    """The file `name` of the release at `root`; one that is not on this machine is copied below `downloads`.

    Raises `ReleaseError` where there is no such file, and `compute.download.DownloadError`.
    """
    address = f"{root.rstrip('/')}/{name}"
    if root.startswith(("http://", "https://")):
        place = _place(downloads, root, name)
        # A release rarely changes: what an earlier run downloaded is taken while the server has that version.
        fetched = download(address, place, etag=_etag(address), on_progress=on_progress)
        return ReleaseFile(address, fetched.path, fetched.sha256)
    try:
        if root.startswith("s3://"):
            path = _place(downloads, root, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            filesystem, key = pafs.FileSystem.from_uri(address)
            with filesystem.open_input_stream(key, compression=None) as source, path.open("wb") as target:
                shutil.copyfileobj(source, target, _BLOCK_BYTES)
        else:
            path = Path(address)
        with path.open("rb") as file:
            return ReleaseFile(address, path, hashlib.file_digest(file, "sha256").hexdigest())
    except OSError as error:
        raise ReleaseError(
            f"cannot read {address} ({error}); expected a release as Amazon Berkeley Objects publishes it, with "
            "listings/metadata and images/metadata. Set BOOKSEARCH_PRODUCTS to the folder or address above these"
        ) from error


def _etag(address: str) -> str | None:
    """The version that lies at an address; None where its server does not say so, and downloading will tell why."""
    request = Request(address, method="HEAD", headers={"User-Agent": USER_AGENT})
    try:
        with urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:
            return answer.headers["ETag"]
    except OSError:
        return None


def _place(downloads: Path, root: str, name: str) -> Path:
    # Two releases have files of the same names.
    return downloads / hashlib.sha256(root.encode()).hexdigest()[:8] / Path(name).name
