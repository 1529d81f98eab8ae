"""The dumps site of the sample world: the dated dumps in a folder, and how a download of one can fail.

Belongs here: the addresses of openlibrary.org and archive.org for dumps, ranges, broken downloads, and the folder
they come from. Does not: what a dump holds (`dumps`), sockets (`server`).

Modelled on openlibrary/plugins/upstream/data.py: the latest dump is the last identifier that a search at archive.org
gives, even where its files are not all there yet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from email.utils import formatdate
from pathlib import Path

from aiohttp import web

from booksearch_assets.sample.cover_service import other_host
from booksearch_assets.sample.dumps import DumpFile, Progress, claim, write_dump
from booksearch_assets.sample.world import World

# Raise it when the dumps of a world come out otherwise than before: folders of older ones are then refused.
GENERATION = 1
_IDENTITY = "world.json"
_BLOCK = 1 << 16


@dataclass(frozen=True)
class DumpOptions:
    """Which dump is called the latest, and how downloads break."""

    latest: str | None = None  # a date, which need not exist; None: the last one in the folder
    cut_after: int | None = None  # bytes of a body, after which the connection is dropped ...
    cuts: int = 1  # ... this often for each file
    excess_length: int = 0  # how much more than it sends an answer announces in Content-Length


def prepare_dumps(
    world: World,
    folder: Path,
    releases: Iterable[int] = (0,),
    progress: Progress | None = None,
    workers: int = 1,
) -> Mapping[int, str]:
    """Write the dumps of `releases` that `folder` does not hold yet, one sub-folder each; their dates by release.

    Raises:
        ValueError: where the folder holds the dumps of another world.
    """
    identity = {"generation": GENERATION, **replace(world, release=0).parameters}
    claim(folder / _IDENTITY, identity)
    worlds = [replace(world, release=release) for release in releases]
    for at_release in worlds:
        item = folder / f"ol_dump_{at_release.date}"
        if not all((item / file.name_of(at_release.date)).exists() for file in DumpFile):
            write_dump(at_release, item, progress=progress, workers=workers)
    return {at_release.release: at_release.date for at_release in worlds}


class DumpSite:
    """Serves the dumps under `folder`: each `ol_dump_DATE` in it is an item of the archive."""

    def __init__(self, folder: Path, options: DumpOptions) -> None:
        self._folder = folder
        self._options = options
        self._cuts: Counter[str] = Counter()

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get(r"/data/ol_dump_{file:\w+}_{date:latest|\d\d\d\d-\d\d-\d\d}.txt.gz", self._locate, name="dump-link"),
            web.get("/advancedsearch.php", self._search, name="dump-list"),
            web.get(r"/download/{item:ol_dump_\d\d\d\d-\d\d-\d\d}/{name:[\w.-]+}", self._download, name="dump"),
        ]  # fmt: skip

    def identifiers(self) -> list[str]:
        """The items that the archive lists, oldest first."""
        items = {path.name for path in self._folder.glob("ol_dump_*")}
        return sorted(items | ({f"ol_dump_{self._options.latest}"} if self._options.latest else set()))

    async def _locate(self, request: web.Request) -> web.StreamResponse:
        date = request.match_info["date"]
        listed = self.identifiers()
        if date == "latest" and listed:
            date = self._options.latest or listed[-1].removeprefix("ol_dump_")
        if f"ol_dump_{date}" not in listed:
            raise web.HTTPNotFound()
        path = f"/download/ol_dump_{date}/ol_dump_{request.match_info['file']}_{date}.txt.gz"
        return web.Response(status=302, headers={"Location": other_host(request) + path})

    async def _search(self, request: web.Request) -> web.StreamResponse:
        documents = [{"identifier": identifier} for identifier in self.identifiers()]
        found = {"numFound": len(documents), "start": 0, "docs": documents}
        return web.json_response({"responseHeader": {"status": 0}, "response": found})

    async def _download(self, request: web.Request) -> web.StreamResponse:
        path = self._folder / request.match_info["item"] / request.match_info["name"]
        if not path.is_file():
            raise web.HTTPNotFound()
        facts = path.stat()
        size, etag = facts.st_size, f'"{facts.st_mtime_ns:x}-{facts.st_size:x}"'
        modified = formatdate(facts.st_mtime, usegmt=True)
        headers = {"ETag": etag, "Last-Modified": modified, "Accept-Ranges": "bytes"}
        if request.headers.get("If-None-Match") == etag:
            return web.Response(status=304, headers=headers)
        # A client that resumes a file which has changed gets all of it (RFC 9110, 13.1.5).
        ranged = "Range" in request.headers and request.headers.get("If-Range", etag) in (etag, modified)
        start, stop, _ = request.http_range.indices(size) if ranged else (0, size, 1)
        if ranged and start >= stop:
            raise web.HTTPRequestRangeNotSatisfiable(headers={"Content-Range": f"bytes */{size}"})
        if ranged:
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        response = web.StreamResponse(status=206 if ranged else 200, headers=headers)
        response.content_type = "application/gzip"
        response.content_length = stop - start + self._options.excess_length
        await response.prepare(request)
        if request.method == "GET":
            await self._send(request, response, path, range(start, stop))
        return response

    async def _send(
        self, request: web.Request, response: web.StreamResponse, path: Path, wanted: range
    ) -> None:
        """Send the wanted bytes of a file, or hang up early where the options say so."""
        cut_after = self._options.cut_after if self._cuts[path.name] < self._options.cuts else None
        end = wanted.stop if cut_after is None else min(wanted.stop, wanted.start + cut_after)
        with path.open("rb") as file:
            file.seek(wanted.start)
            while block := file.read(min(_BLOCK, end - file.tell())):
                await response.write(block)
        if end < wanted.stop:
            self._cuts[path.name] += 1
        if request.transport and (end < wanted.stop or self._options.excess_length):
            request.transport.close()
