"""Downloading one large file to disk: resumable, checked, and never half there under its final name.

The bytes go to `<destination>.part`, beside a `.json` that says which version of the file they belong to. A cut
connection or a killed process continues from there, as long as the server still has that version. A whole file keeps
its `.json`, with its checksum, so that whoever was killed while working on it need not download it again.

Belongs here: one big file from one URL. Does not: finding the URL (`openlibrary.dump_site`), many small files
(`compute.fetch`).
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from enum import Enum
from http.client import HTTPException, HTTPMessage, HTTPResponse
from pathlib import Path
from typing import BinaryIO, NoReturn
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from booksearch_assets.compute.rate_limit import retry_after_seconds

USER_AGENT = "booksearch_assets (dump download)"

_BLOCK_BYTES = 1 << 18
_LONGEST_WAIT = 120.0
_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-\d+|\*)/(\d+|\*)")


class DownloadProblem(Enum):
    """Why a download failed. `NETWORK` may pass by itself; the rest need somebody to act."""

    NOT_FOUND = "not_found"
    REFUSED = "refused"
    WRONG_SIZE = "wrong_size"
    CHANGED = "changed"
    DISK = "disk"
    NETWORK = "network"


class DownloadError(Exception):
    """The file could not be had; nothing lies under the final name."""

    def __init__(self, problem: DownloadProblem, message: str) -> None:
        super().__init__(message)
        self.problem = problem


@dataclass(frozen=True)
class Downloaded:
    """A whole file: `size` in bytes; `resumed_from` is the byte at which its last connection continued, or `size`
    where an earlier run had brought all of it."""

    path: Path
    size: int
    sha256: str
    resumed_from: int


@dataclass(frozen=True)
class DownloadProgress:
    """Bytes on disk, of `total` where the server said so."""

    received: int
    total: int | None


@dataclass(frozen=True)
class _Version:
    """Which version of the file the bytes on disk belong to, as the server named it; `sha256` once they are whole."""

    url: str
    etag: str | None
    last_modified: str | None
    sha256: str | None = None

    @property
    def validator(self) -> str | None:
        """What If-Range may carry (RFC 9110, 13.1.5): a strong ETag, or else the date."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.last_modified


class _Interrupted(Exception):
    """The connection broke, or the server asked to come back; `wait` is what it asked for, in seconds."""

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


def download(
    url: str,
    destination: Path,
    expected_size: int | None = None,
    etag: str | None = None,
    on_progress: Callable[[DownloadProgress], None] | None = None,
    attempts: int = 5,
    timeout: float = 60.0,
    backoff: float = 1.0,
) -> Downloaded:
    """Download `url` to `destination`, continuing what an earlier run left.

    `expected_size` and `etag` are what the site said when the URL was resolved: other bytes are refused, and a sound
    file of that ETag at `destination` is taken as it is, without a request. `attempts`
    counts connections in a row that brought nothing new; `backoff` seconds double after each. Raises `DownloadError`.
    """
    transfer = _Transfer(url, destination, expected_size, etag, on_progress, timeout)
    if whole := transfer.whole():
        return whole
    fruitless, furthest = 0, transfer.offset
    while True:
        try:
            return transfer.run()
        except (_Interrupted, HTTPException, OSError) as error:
            fruitless = 1 if transfer.offset > furthest else fruitless + 1
            furthest = max(furthest, transfer.offset)
            if fruitless >= attempts:
                raise DownloadError(
                    DownloadProblem.NETWORK,
                    f"{url}: {attempts} connections in a row brought nothing new, the last one: {error}. "
                    f"{transfer.offset:,} bytes are kept in {transfer.part}; run again to continue from there.",
                ) from error
            asked = error.wait if isinstance(error, _Interrupted) else None
            time.sleep(min(asked if asked is not None else backoff * 2 ** (fruitless - 1), _LONGEST_WAIT))


def discard(destination: Path) -> None:
    """Delete a downloaded file, or what there is of it, with what says which version it is."""
    for path in (destination, _part_of(destination), _version_file_of(destination)):
        path.unlink(missing_ok=True)


class _Transfer:
    """The state of one download across its connections."""

    def __init__(
        self,
        url: str,
        destination: Path,
        expected_size: int | None,
        etag: str | None,
        on_progress: Callable[[DownloadProgress], None] | None,
        timeout: float,
    ) -> None:
        self.url, self.destination, self.expected_size, self.etag = url, destination, expected_size, etag
        self.on_progress, self.timeout = on_progress, timeout
        self.part, self._version_file = _part_of(destination), _version_file_of(destination)
        self._version = self._left_version()
        self.resumed_from = 0

    @property
    def offset(self) -> int:
        """Bytes on disk that the next connection continues."""
        return self.part.stat().st_size if self._version and self.part.exists() else 0

    def whole(self) -> Downloaded | None:
        """The file as an earlier run downloaded it, where it is still the version that is asked for, and sound."""
        left = self._recorded()
        if not (left and left.sha256 and left.url == self.url and _same(left.etag, self.etag)):
            return None
        try:
            with self.destination.open("rb") as file:
                size, digest = (
                    os.fstat(file.fileno()).st_size,
                    hashlib.file_digest(file, "sha256").hexdigest(),
                )
        except FileNotFoundError:
            return None
        if digest != left.sha256 or self.expected_size not in (None, size):
            return None
        return Downloaded(self.destination, size, digest, resumed_from=size)

    def run(self) -> Downloaded:
        """One connection, to the end of the file."""
        headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
        if self.offset and self._version and self._version.validator:
            headers |= {"Range": f"bytes={self.offset}-", "If-Range": self._version.validator}
        try:
            with urlopen(Request(self.url, headers=headers), timeout=self.timeout) as response:
                self._receive(response)
        except HTTPError as error:
            with error:
                self._refused(error)
        return self._finish()

    def _receive(self, response: HTTPResponse) -> None:
        start, total = _extent(response)
        if start not in (0, self.offset):
            self._start_again()
            raise _Interrupted(f"asked for bytes from {self.offset:,}, got bytes from {start:,}", wait=0)
        self._check_answer(response.headers, total)
        if not start:
            # A first connection, a server that ignores Range, or another version than the bytes on disk are of.
            self._start_again()
            self._remember(_Version(self.url, response.headers["ETag"], response.headers["Last-Modified"]))
        self._check_room(total, start)
        self.resumed_from = received = start
        with self._opened(start) as file:
            while block := response.read(_BLOCK_BYTES):
                self._write(file, block)
                received += len(block)
                if self.on_progress:
                    self.on_progress(DownloadProgress(received, total))
        if total is not None and received < total:
            raise _Interrupted(f"the connection closed after {received:,} of {total:,} bytes")

    def _refused(self, error: HTTPError) -> None:
        """Raises what an error answer means; returns where it says that the bytes on disk are the whole file."""
        if error.code == 416:
            found = _CONTENT_RANGE.match(error.headers.get("Content-Range", ""))
            if found and found[2] == str(self.offset):
                self.resumed_from = self.offset
                return
            self._start_again()
            raise _Interrupted(f"the server has nothing from byte {self.offset:,} on", wait=0)
        if error.code >= 500 or error.code in (408, 429):
            raise _Interrupted(f"HTTP {error.code}", retry_after_seconds(error.headers.get("Retry-After")))
        missing = error.code in (404, 410)
        raise DownloadError(
            DownloadProblem.NOT_FOUND if missing else DownloadProblem.REFUSED,
            f"expected a file at {self.url}, got HTTP {error.code} {error.reason}; "
            + (
                "resolve the dump again, or name another date"
                if missing
                else "check the address and the rights"
            ),
        ) from error

    def _check_answer(self, headers: HTTPMessage, total: int | None) -> None:
        if self.etag and headers["ETag"] and not _same(headers["ETag"], self.etag):
            self._fail(
                DownloadProblem.CHANGED,
                f"{self.url} has changed since it was resolved: expected ETag {self.etag}, got {headers['ETag']}; "
                "resolve it again",
            )
        if self.expected_size is not None and total is not None and total != self.expected_size:
            self._wrong_size(total)

    def _check_room(self, total: int | None, start: int) -> None:
        needed = (total or self.expected_size or 0) - start
        free = shutil.disk_usage(self.part.parent).free
        if needed > free:
            raise DownloadError(
                DownloadProblem.DISK,
                f"{self.part.parent} has {free:,} bytes free, and {self.url} needs {needed:,} more; make room, or set "
                "another folder",
            )

    def _opened(self, start: int) -> BinaryIO:
        try:
            return self.part.open("ab" if start else "wb", buffering=0)
        except OSError as error:
            self._disk_failed(error)

    def _write(self, file: BinaryIO, block: bytes) -> None:
        try:
            view = memoryview(block)
            while view:
                view = view[file.write(view) :]
        except OSError as error:
            self._disk_failed(error)

    def _finish(self) -> Downloaded:
        size = self.part.stat().st_size
        if self.expected_size is not None and size != self.expected_size:
            self._wrong_size(size)
        try:
            with self.part.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
                os.fsync(file.fileno())
            if self._version:
                self._remember(replace(self._version, sha256=digest))
            os.replace(self.part, self.destination)
        except OSError as error:
            self._disk_failed(error)
        return Downloaded(self.destination, size, digest, self.resumed_from)

    def _left_version(self) -> _Version | None:
        """Which version an earlier run has left; None where it left nothing that can be continued."""
        left = self._recorded()
        # What is recorded with a checksum is the whole file, and no part of another.
        fits = left and left.url == self.url and left.validator and not left.sha256
        return left if fits and self.part.exists() else None

    def _recorded(self) -> _Version | None:
        try:
            return _Version(**json.loads(self._version_file.read_bytes()))
        except (OSError, ValueError, TypeError):
            return None

    def _remember(self, version: _Version) -> None:
        try:
            self._version_file.write_text(json.dumps(asdict(version)))
        except OSError as error:
            self._disk_failed(error)
        self._version = version

    def _start_again(self) -> None:
        self._version = None
        try:
            self.destination.parent.mkdir(parents=True, exist_ok=True)
            self.part.unlink(missing_ok=True)
        except OSError as error:
            self._disk_failed(error)

    def _wrong_size(self, size: int) -> NoReturn:
        self._fail(
            DownloadProblem.WRONG_SIZE,
            f"{self.url}: expected {self.expected_size:,} bytes, the server has {size:,}; resolve it again, or take "
            "another date",
        )

    def _fail(self, problem: DownloadProblem, message: str) -> NoReturn:
        """Fails for good: bytes of a version that nobody wants are not kept."""
        discard(self.destination)
        raise DownloadError(problem, message)

    def _disk_failed(self, error: OSError) -> NoReturn:
        raise DownloadError(
            DownloadProblem.DISK,
            f"cannot write {self.part}: {error}; make room, or set another folder, then run again",
        ) from error


def _extent(response: HTTPResponse) -> tuple[int, int | None]:
    """The first byte that an answer brings, and the size of the whole file where it says so."""
    if response.status == 206:
        found = _CONTENT_RANGE.match(response.headers["Content-Range"] or "")
        if not found or found[1] is None:
            raise _Interrupted(f"HTTP 206 with Content-Range {response.headers['Content-Range']!r}")
        return int(found[1]), int(found[2]) if found[2] != "*" else None
    length = response.headers["Content-Length"]
    return 0, int(length) if length and length.isdigit() else None


def _same(etag: str | None, other: str | None) -> bool:
    """Whether two ETags name one version; none at all names nothing."""
    return etag is not None and other is not None and _strong(etag) == _strong(other)


def _strong(etag: str) -> str:
    return etag.removeprefix("W/")


def _part_of(destination: Path) -> Path:
    return destination.with_name(destination.name + ".part")


def _version_file_of(destination: Path) -> Path:
    return destination.with_name(destination.name + ".json")
