"""The dump site: which dated file `latest` means today, and whether it can be trusted.

Belongs here: dump kinds, resolving, listing, falling back. Does not: downloading (`compute.download`) and reading
dumps (`compute.landing`).

The addresses and their weak sides are Open Library's own (`plugins/upstream/data.py`, `data/dump.py`): `latest`
redirects to an archive.org item that may still be uploading (a 404), be empty (20 bytes) or be cut short.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from email.message import Message
from enum import Enum
from http.client import HTTPException, HTTPMessage
from typing import IO, Any
from urllib.error import HTTPError
from urllib.parse import urljoin
from urllib.request import HTTPRedirectHandler, Request, build_opener

OPEN_LIBRARY = "https://openlibrary.org"
ARCHIVE = "https://archive.org"
LATEST = "latest"
USER_AGENT = "booksearch_assets (Open Library dump reader)"

_LISTING = "/advancedsearch.php?q=ol_dump+AND+collection:ol_exports&fl[]=identifier&output=json&rows=1000"
_ITEM = re.compile(r"ol_dump_(\d{4}-\d{2}-\d{2})")
_DATED_FILE = re.compile(r"/ol_dump_[a-z_]+_(\d{4}-\d{2}-\d{2})\.txt\.gz$")
_EMPTY_GZIP = 20
_MAX_REDIRECTS = 5
_MAX_FALLBACKS = 6


class DumpSiteError(Exception):
    """The dump site did not answer as it should; the message says what was asked and what to do."""


class NoSoundDump(DumpSiteError):
    """The site answered, and has no usable dump of that kind and date: asking again at once does not help."""


class DumpKind(Enum):
    """The dump files that this project reads."""

    EDITIONS = "editions"
    WORKS = "works"
    AUTHORS = "authors"
    COVERS_METADATA = "covers_metadata"

    def problem(self, line: bytes) -> str | None:
        """What is wrong with a line of this kind of dump, in words; None where nothing is.

        Records are type, key, revision, last_modified and JSON; covers are id, width, height and date, by tabs.
        """
        fields = line.rstrip(b"\r\n").split(b"\t", 4)
        if self is DumpKind.COVERS_METADATA:
            sound = len(fields) == 4 and fields[0].isdigit()
            expected = "4 tab-separated fields that begin with a cover id"
        else:
            record_type = f"/type/{self.value.removesuffix('s')}"
            sound = len(fields) == 5 and fields[0] == record_type.encode()
            expected = f"5 tab-separated fields that begin with {record_type}"
        if sound:
            return None
        return f"expected {expected}, as {self.value} dumps have; found {len(fields)} in {line[:80]!r}"


@dataclass(frozen=True)
class DumpFile:
    """One dated dump file; `size` is in bytes. `warnings` says why it is not the latest, or could not be compared."""

    kind: DumpKind
    date: str
    url: str
    size: int | None
    etag: str | None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Answer:
    """The last answer of a chain of redirects, and every address on the way."""

    status: int
    headers: Message
    body: bytes
    hops: tuple[str, ...]


@dataclass(frozen=True)
class _Candidate:
    """A dump file that the site pointed at, and why it is unusable, if it is."""

    file: DumpFile | None
    date: str | None
    problem: str | None


class DumpSite:
    """Finds dump files at `base_url`, and older dumps in the listing of `listing_url` (archive.org, or `base_url`).

    A dump smaller than `smallest_share` of the one before it is taken for cut short.
    """

    def __init__(
        self,
        base_url: str = OPEN_LIBRARY,
        listing_url: str | None = None,
        smallest_share: float = 0.8,
        timeout: float = 30.0,
        attempts: int = 3,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.listing_url = (
            listing_url or (ARCHIVE if self.base_url == OPEN_LIBRARY else self.base_url)
        ).rstrip("/")
        self.smallest_share, self.timeout, self.attempts = smallest_share, timeout, attempts
        self._opener = build_opener(_KeepRedirects)

    def dated(self) -> list[str]:
        """Dates of every dump that the archive lists, newest first."""
        url = self.listing_url + _LISTING
        answer = self._ask(url, "GET")
        try:
            found = json.loads(answer.body)["response"]["docs"]
            names = [_ITEM.fullmatch(document["identifier"]) for document in found]
        except (ValueError, KeyError, TypeError) as error:
            raise DumpSiteError(
                f"expected a JSON list of dumps from {url}, got HTTP {answer.status} and {answer.body[:80]!r} ({error!r}); "
                "try again later, or name a date instead of latest"
            ) from error
        return sorted({name[1] for name in names if name}, reverse=True)

    def resolve(self, kind: DumpKind | str, when: str = LATEST, excluding: Iterable[str] = ()) -> DumpFile:
        """The dump file of one kind: of a date ("YYYY-MM-DD"), or the newest that is sound and not excluded.

        `excluding` names dates that proved to be damaged when read. Raises `NoSoundDump` where there is none, and
        `DumpSiteError` where the site cannot be asked.
        """
        kind, excluded = DumpKind(kind), frozenset(excluding)
        if when != LATEST:
            candidate = self._candidate(kind, when)
            if candidate.problem or candidate.file is None:
                raise NoSoundDump(
                    f"the {kind.value} dump of {when}: {candidate.problem}; name another date, or latest"
                )
            return candidate.file
        warnings: list[str] = []
        listed, unlisted = self._listed()
        for candidate in self._newest_first(kind, listed):
            problem = "left out, since it proved damaged" if candidate.date in excluded else candidate.problem
            if not problem and candidate.file:
                problem = self._shrunk(candidate.file, listed)
            if not problem and candidate.file:
                unchecked = (f"not compared with the dump before it: {unlisted}",) if unlisted else ()
                return replace(candidate.file, warnings=(*warnings, *unchecked))
            warnings.append(
                f"{kind.value} dump of {candidate.date or LATEST}: {problem}; took the one before it"
            )
        told = "; ".join(warnings + ([unlisted] if unlisted else []))
        raise NoSoundDump(
            f"no sound {kind.value} dump at {self.base_url}: {told}. Try again later, or name a date."
        )

    def resolve_together(
        self, kinds: Iterable[DumpKind | str] = DumpKind, when: str = LATEST, excluding: Iterable[str] = ()
    ) -> dict[DumpKind, DumpFile]:
        """The dump files of several kinds, of one date wherever one date has them all.

        Joining kinds of different months loses the works that one of them does not have yet.
        """
        excluded = frozenset(excluding)
        files = {DumpKind(kind): self.resolve(kind, when, excluded) for kind in kinds}
        dates = {file.date for file in files.values()}
        if len(dates) <= 1:
            return files
        oldest = min(dates)
        same = {
            kind: file if file.date == oldest else self._candidate(kind, oldest).file
            for kind, file in files.items()
        }
        if all(same.values()):
            note = f"took the dump of {oldest}, the newest date that has every kind"
            return {
                kind: replace(same[kind] or file, warnings=_noted(file, oldest, note))
                for kind, file in files.items()
            }
        note = f"the kinds are of different dates ({', '.join(sorted(dates))}): joins may miss the newest records"
        return {kind: replace(file, warnings=(*file.warnings, note)) for kind, file in files.items()}

    def _newest_first(self, kind: DumpKind, listed: list[str]) -> Iterator[_Candidate]:
        newest = self._candidate(kind, LATEST)
        yield newest
        older = [date for date in listed if newest.date is None or date < newest.date]
        for date in older[:_MAX_FALLBACKS]:
            yield self._candidate(kind, date)

    def _candidate(self, kind: DumpKind, when: str) -> _Candidate:
        answer = self._ask(f"{self.base_url}/data/ol_dump_{kind.value}_{when}.txt.gz", "HEAD")
        # The first dated address is archive.org's lasting one; later hops name a machine that holds it today.
        dated = next(((hop, found[1]) for hop in answer.hops if (found := _DATED_FILE.search(hop))), None)
        date = dated[1] if dated else None
        if answer.status != 200:
            return _Candidate(None, date, f"{answer.hops[-1]} answered HTTP {answer.status}")
        if dated is None:
            return _Candidate(
                None, None, f"expected a redirect to a dated file, but {answer.hops[-1]} carries no date"
            )
        length = answer.headers["Content-Length"]
        size = int(length) if length and length.isdigit() else None
        if size is not None and size <= _EMPTY_GZIP:
            return _Candidate(None, date, f"{dated[0]} has {size} bytes, an empty gzip file")
        return _Candidate(DumpFile(kind, dated[1], dated[0], size, answer.headers["ETag"]), date, None)

    def _shrunk(self, file: DumpFile, listed: list[str]) -> str | None:
        """Why `file` is taken for cut short: it is much smaller than the dump before it."""
        older = [date for date in listed if date < file.date][:_MAX_FALLBACKS]
        # The dump just before may lack this kind: the next one that has it is as good a measure.
        candidates = (self._candidate(file.kind, date).file for date in older)
        previous = next((candidate for candidate in candidates if candidate and candidate.size), None)
        if (
            previous is None
            or previous.size is None
            or file.size is None
            or file.size >= self.smallest_share * previous.size
        ):
            return None
        return (
            f"{file.url} has {file.size:,} bytes, less than {self.smallest_share:.0%} of the {previous.size:,} bytes "
            f"of {previous.date}"
        )

    def _listed(self) -> tuple[list[str], str | None]:
        try:
            return self.dated(), None
        except DumpSiteError as error:
            return [], str(error)

    def _ask(self, url: str, method: str) -> _Answer:
        failure: Exception | None = None
        for attempt in range(self.attempts):
            if attempt:
                time.sleep(min(2.0**attempt, 10.0))
            try:
                answer = self._follow(url, method)
            except (OSError, HTTPException) as error:
                failure = error
                continue
            if answer.status < 500 and answer.status != 429:
                return answer
            failure = DumpSiteError(f"HTTP {answer.status} from {answer.hops[-1]}")
        raise DumpSiteError(
            f"no answer from {url} in {self.attempts} attempts ({failure}); check the network and the site, then try again"
        ) from failure

    def _follow(self, url: str, method: str) -> _Answer:
        hops = [url]
        while True:
            request = Request(hops[-1], headers={"User-Agent": USER_AGENT}, method=method)
            try:
                with self._opener.open(request, timeout=self.timeout) as response:
                    return _Answer(response.status, response.headers, response.read(), tuple(hops))
            except HTTPError as error:
                location = error.headers.get("Location")
                error.close()
                if not (300 <= error.code < 400 and location) or len(hops) > _MAX_REDIRECTS:
                    return _Answer(error.code, error.headers, b"", tuple(hops))
                hops.append(urljoin(hops[-1], location))


class _KeepRedirects(HTTPRedirectHandler):
    """Hands redirects back: the date of `latest` is in an address on the way, and following turns HEAD into GET."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> Any:
        return None


def _noted(file: DumpFile, date: str, note: str) -> tuple[str, ...]:
    return file.warnings if file.date == date else (*file.warnings, note)
