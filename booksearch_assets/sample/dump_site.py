"""The dumps site of the sample world: the dated dumps in a folder, and how a download of one can fail.

Belongs here: the addresses of openlibrary.org and archive.org for dumps, ranges, broken downloads, and the folder
they come from. Does not: what a dump holds (`dumps`), sockets (`server`).

Modelled on openlibrary/plugins/upstream/data.py: the latest dump is the last identifier that a search at archive.org
gives, even where its files are not all there yet.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from aiohttp import web

from booksearch_assets.sample.cover_service import other_host
from booksearch_assets.sample.dumps import DumpFile, Progress, replacing, write_dump
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
    _claim(folder / _IDENTITY, identity)
    worlds = [replace(world, release=release) for release in releases]
    for at_release in worlds:
        item = folder / f"ol_dump_{at_release.date}"
        if not all((item / file.name_of(at_release.date)).exists() for file in DumpFile):
            write_dump(at_release, item, progress=progress, workers=workers)
    return {at_release.release: at_release.date for at_release in worlds}


def _claim(path: Path, identity: Mapping[str, object]) -> None:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as unfinished:
            unfinished.write_text(json.dumps(identity, indent=1))
    found = json.loads(path.read_text())
    if found != identity:
        raise ValueError(
            f"{path.parent} holds the dumps of another sample world: expected {identity}, found {found}; "
            "choose another folder, or delete this one"
        )


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
        cut_after = self._options.cut_after if self._cuts[path.name] < self._options.cuts else None
        if request.method == "GET" and (cut_after is not None or self._options.excess_length):
            self._cuts[path.name] += 1
            return await self._break_off(request, path, cut_after)
        return web.FileResponse(path, chunk_size=_BLOCK, headers={"Content-Type": "application/gzip"})

    async def _break_off(self, request: web.Request, path: Path, cut_after: int | None) -> web.StreamResponse:
        """Announce the whole of what was asked and more, send `cut_after` bytes of it, and hang up."""
        facts = path.stat()
        size = facts.st_size
        start, stop, _ = request.http_range.indices(size)
        end = stop if cut_after is None else min(stop, start + cut_after)
        # The ETag is the one that `FileResponse` gives, so that a client can go on where it was cut off.
        headers = {"Content-Type": "application/gzip", "ETag": f'"{facts.st_mtime_ns:x}-{size:x}"'}
        if "Range" in request.headers:
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
        response = web.StreamResponse(status=206 if "Range" in request.headers else 200, headers=headers)
        response.content_length = stop - start + self._options.excess_length
        await response.prepare(request)
        with path.open("rb") as file:
            file.seek(start)
            while block := file.read(min(_BLOCK, end - file.tell())):
                await response.write(block)
        await asyncio.sleep(0)  # lets the transport send what it holds before it is closed
        if request.transport:
            request.transport.close()
        return response
