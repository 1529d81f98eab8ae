from __future__ import annotations

import asyncio
import gzip
import http.client
import io
import json
import os
import signal
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from email.message import Message
from pathlib import Path
from typing import NamedTuple

import aiohttp
import pytest
from PIL import Image

from booksearch_assets.sample.cover_service import (
    BLANK_GIF,
    CoverOptions,
    CoverSize,
    TokenBucket,
    archive_path,
    cover_bytes,
)
from booksearch_assets.sample.dump_site import DumpOptions, prepare_dumps
from booksearch_assets.sample.dumps import DumpFile
from booksearch_assets.sample.server import SampleServer, ServerOptions
from booksearch_assets.sample.world import FIRST_COVER, CoverState, World

WORLD = World(seed=5, editions=150)
PLAIN = CoverOptions(redirect_share=0, failing_share=0, slow_share=0)


class Answer(NamedTuple):
    status: int
    headers: Message
    body: bytes
    url: str


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object, **__: object) -> None:
        return None


def get(url: str, *, method: str = "GET", follow: bool = False, **headers: str) -> Answer:
    opener = urllib.request.build_opener(*([] if follow else [_NoRedirect]))
    request = urllib.request.Request(
        url, method=method, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )
    try:
        with opener.open(request, timeout=20) as answer:
            return Answer(answer.status, answer.headers, answer.read(), answer.url)
    except urllib.error.HTTPError as error:
        return Answer(error.code, error.headers, error.read(), url)


def cover_in(state: CoverState, start: int = FIRST_COVER) -> int:
    return next(cover for cover in range(start, start + 20_000) if WORLD.cover_state(cover) is state)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dumps")
    prepare_dumps(WORLD, folder, (0, 1))
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[SampleServer]:
    with SampleServer(WORLD, folder, options=ServerOptions(covers=PLAIN)) as server:
        yield server


def serving(folder: Path, covers: CoverOptions = PLAIN, dumps: DumpOptions | None = None) -> SampleServer:
    return SampleServer(WORLD, folder, options=ServerOptions(covers, dumps or DumpOptions()))


@pytest.mark.parametrize(("size", "expected"), [("-S", (39, 58)), ("-M", (180, 270)), ("-L", (333, 500))])
def test_covers_fit_the_box_of_their_size(server: SampleServer, size: str, expected: tuple[int, int]) -> None:
    cover = next(
        c
        for c in range(FIRST_COVER, FIRST_COVER + 100)
        if WORLD.cover_size(c)[1] > 510 and WORLD.cover_state(c) is CoverState.OK
    )
    answer = get(f"{server.url}/b/id/{cover}{size}.jpg")
    picture = Image.open(io.BytesIO(answer.body))
    picture.load()
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "image/jpeg"
    assert picture.format == "JPEG"
    assert all(abs(found - wanted) <= 1 for found, wanted in zip(picture.size, expected, strict=True))


def test_original_and_tiny_covers_keep_their_own_size(server: SampleServer) -> None:
    tiny = cover_in(CoverState.TINY)
    assert Image.open(io.BytesIO(get(f"{server.url}/b/id/{tiny}-L.jpg").body)).size == WORLD.cover_size(tiny)
    original = cover_in(CoverState.OK)
    assert Image.open(io.BytesIO(get(f"{server.url}/b/id/{original}.jpg").body)).size == WORLD.cover_size(
        original
    )


@pytest.mark.parametrize("state", [CoverState.MISSING, CoverState.MISSING_LISTED])
def test_missing_cover_is_a_blank_gif_or_a_404(server: SampleServer, state: CoverState) -> None:
    url = f"{server.url}/b/id/{cover_in(state)}-L.jpg"
    blank = get(url)
    assert blank.status == 200
    assert blank.headers["Content-Type"] == "image/gif"
    assert blank.body == BLANK_GIF
    assert Image.open(io.BytesIO(blank.body)).size == (1, 1)
    assert get(f"{url}?default=false").status == 404


def test_damaged_cover_is_whole_for_http_and_not_for_a_decoder(server: SampleServer) -> None:
    answer = get(f"{server.url}/b/id/{cover_in(CoverState.DAMAGED)}-L.jpg")
    assert answer.status == 200
    assert len(answer.body) == int(answer.headers["Content-Length"])
    with pytest.raises(OSError, match="truncated"):
        Image.open(io.BytesIO(answer.body)).load()


def test_cover_is_cacheable_for_ever_and_revalidates(server: SampleServer) -> None:
    url = f"{server.url}/b/id/{cover_in(CoverState.OK)}-M.jpg"
    first, second = get(url), get(url)
    assert first.body == second.body
    assert first.headers["ETag"] == second.headers["ETag"]
    assert "max-age=3153600000" in first.headers["Cache-Control"]
    unchanged = get(url, If_None_Match=first.headers["ETag"])
    assert unchanged.status == 304
    assert unchanged.body == b""
    assert get(url, If_None_Match='"other"').status == 200


def test_covers_are_the_same_whatever_server_paints_them(
    server: SampleServer, folder: Path, tmp_path: Path
) -> None:
    cover = cover_in(CoverState.OK)
    kept = replace(PLAIN, folder=tmp_path)
    with serving(folder, kept) as one:
        painted = get(f"{one.url}/b/id/{cover}-L.jpg").body
    (file,) = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert file.read_bytes() == painted == get(f"{server.url}/b/id/{cover}-L.jpg").body
    assert painted == cover_bytes(WORLD, cover, CoverSize.L)
    file.write_bytes(b"from the disk")
    with serving(folder, kept) as two:
        assert get(f"{two.url}/b/id/{cover}-L.jpg").body == b"from the disk"


def test_archived_covers_are_redirected_to_another_host(folder: Path) -> None:
    with serving(folder, replace(PLAIN, redirect_share=0.5)) as server:
        answers = {
            c: get(f"{server.url}/b/id/{c}-S.jpg?default=false") for c in range(FIRST_COVER, FIRST_COVER + 60)
        }
        moved = {
            cover: answer.headers["Location"] for cover, answer in answers.items() if answer.status == 302
        }
        assert 15 <= len(moved) <= 45
        cover, location = next(iter(moved.items()))
        assert location == server.url.replace("127.0.0.1", "localhost") + archive_path(cover, CoverSize.S)
        followed = get(f"{server.url}/b/id/{cover}-S.jpg", follow=True)
        assert followed.status == 200
        assert followed.url == location
        assert Image.open(io.BytesIO(followed.body)).format == "JPEG"
        missing = [c for c in answers if not WORLD.cover_exists(c)]
        assert all(answers[c].status == 404 for c in missing)


def test_archive_path_is_that_of_the_archive() -> None:
    assert (
        archive_path(14_703_215, CoverSize.L)
        == "/download/l_covers_0014/l_covers_0014_70.zip/0014703215-L.jpg"
    )
    assert (
        archive_path(8_000_001, CoverSize.ORIGINAL)
        == "/download/covers_0008/covers_0008_00.zip/0008000001.jpg"
    )


def test_rate_limit_answers_429_with_retry_after(folder: Path) -> None:
    with serving(folder, replace(PLAIN, requests_per_minute=6, burst=3)) as server:
        url = f"{server.url}/b/id/{cover_in(CoverState.OK)}-S.jpg"
        answers = [get(url) for _ in range(5)]
        assert [answer.status for answer in answers] == [200, 200, 200, 429, 429]
        assert 1 <= int(answers[-1].headers["Retry-After"]) <= 10
        assert get(f"{server.url}/advancedsearch.php").status == 200, "only covers are limited"
        assert server.stats.answers == Counter({("cover", 200): 3, ("cover", 429): 2, ("dump-list", 200): 1})
        assert server.stats.count("cover") == 5
        assert 1 <= server.stats.most_covers_in_a_second <= 5


def test_token_bucket_refills_at_its_rate() -> None:
    bucket = TokenBucket(per_minute=60, burst=2)
    assert [bucket.wait(100.0) for _ in range(3)] == [0.0, 0.0, 1.0]
    assert bucket.wait(100.5) == pytest.approx(0.5)
    assert bucket.wait(101.0) == 0.0
    assert [bucket.wait(500.0) for _ in range(3)] == [0.0, 0.0, 1.0], "no more than the burst is saved up"


def test_the_same_covers_fail_at_their_first_attempt_only(folder: Path) -> None:
    failed = []
    for _ in range(2):
        with serving(folder, replace(PLAIN, failing_share=0.3)) as server:
            covers = range(FIRST_COVER, FIRST_COVER + 40)
            failed.append([c for c in covers if get(f"{server.url}/b/id/{c}-S.jpg").status == 500])
            assert all(get(f"{server.url}/b/id/{c}-S.jpg").status == 200 for c in failed[-1])
    assert failed[0] == failed[1]
    assert 4 <= len(failed[0]) <= 22


def test_slow_bodies_arrive_whole(folder: Path) -> None:
    cover = cover_in(CoverState.OK)
    with serving(folder, replace(PLAIN, slow_share=1, slow_seconds=0.2)) as server:
        assert get(f"{server.url}/b/id/{cover}-S.jpg").body == cover_bytes(WORLD, cover, CoverSize.S)


def test_many_covers_at_once(server: SampleServer) -> None:
    async def fetch_all() -> list[bytes]:
        async with aiohttp.ClientSession() as session:

            async def fetch(cover: int) -> bytes:
                async with session.get(f"{server.url}/b/id/{cover}-S.jpg") as answer:
                    return await answer.read()

            return await asyncio.gather(*map(fetch, list(range(FIRST_COVER, FIRST_COVER + 40)) * 2))

    bodies = asyncio.run(fetch_all())
    assert bodies[:40] == bodies[40:]
    assert len(set(bodies)) > 35


def test_latest_dump_redirects_to_the_newest_dated_file(server: SampleServer, folder: Path) -> None:
    link = get(f"{server.url}/data/ol_dump_works_latest.txt.gz")
    path = "/download/ol_dump_2026-02-28/ol_dump_works_2026-02-28.txt.gz"
    assert link.status == 302
    assert link.headers["Location"] == server.url.replace("127.0.0.1", "localhost") + path
    dump = get(link.headers["Location"])
    assert dump.status == 200
    assert dump.body == (folder / path.removeprefix("/download/")).read_bytes()
    assert dump.headers["Content-Encoding"] is None, (
        "the file is the gzip; no client may unpack it on the way"
    )
    assert int(dump.headers["Content-Length"]) == len(dump.body)
    assert dump.headers["Accept-Ranges"] == "bytes"
    assert dump.headers["Last-Modified"] == "Sat, 28 Feb 2026 00:00:00 GMT"
    head = get(link.headers["Location"], method="HEAD")
    assert head.status == 200
    assert head.body == b""
    assert all(
        head.headers[name] == dump.headers[name] for name in ("Content-Length", "ETag", "Last-Modified")
    )


@pytest.mark.parametrize("file", list(DumpFile))
def test_older_dumps_are_listed_and_served(server: SampleServer, file: DumpFile) -> None:
    found = json.loads(
        get(f"{server.url}/advancedsearch.php?q=collection:ol_exports&fl%5B%5D=identifier&output=json").body
    )
    assert [d["identifier"] for d in found["response"]["docs"]] == [
        "ol_dump_2026-01-31",
        "ol_dump_2026-02-28",
    ]
    older = get(f"{server.url}/data/{file.name_of('2026-01-31')}", follow=True)
    assert older.status == 200
    assert gzip.decompress(older.body)
    assert get(f"{server.url}/data/{file.name_of('2025-01-31')}").status == 404


def test_ranges_put_together_make_the_file(server: SampleServer) -> None:
    url = f"{server.url}/download/ol_dump_2026-01-31/ol_dump_editions_2026-01-31.txt.gz"
    whole = get(url)
    half = len(whole.body) // 2
    first, rest = (
        get(url, Range=f"bytes=0-{half - 1}"),
        get(url, Range=f"bytes={half}-", If_Range=whole.headers["ETag"]),
    )
    assert first.status == rest.status == 206
    assert first.body + rest.body == whole.body
    assert rest.headers["Content-Range"] == f"bytes {half}-{len(whole.body) - 1}/{len(whole.body)}"
    assert get(url, Range=f"bytes={half}-", If_Range='"changed"').status == 200
    assert get(url, Range=f"bytes={len(whole.body)}-").status == 416


def test_latest_may_point_at_a_dump_that_is_not_there(folder: Path) -> None:
    with serving(folder, dumps=DumpOptions(latest="2026-03-31")) as server:
        link = get(f"{server.url}/data/ol_dump_editions_latest.txt.gz")
        assert link.status == 302
        assert "2026-03-31" in link.headers["Location"]
        assert get(link.headers["Location"]).status == 404
        listed = json.loads(get(f"{server.url}/advancedsearch.php").body)["response"]["docs"]
        assert [d["identifier"] for d in listed][-2:] == ["ol_dump_2026-02-28", "ol_dump_2026-03-31"]


def test_a_download_that_is_cut_can_be_resumed(folder: Path) -> None:
    whole = (folder / "ol_dump_2026-01-31" / "ol_dump_editions_2026-01-31.txt.gz").read_bytes()
    with serving(folder, dumps=DumpOptions(cut_after=5000, cuts=2)) as server:
        url = f"{server.url}/download/ol_dump_2026-01-31/ol_dump_editions_2026-01-31.txt.gz"
        with pytest.raises(http.client.IncompleteRead) as cut:
            get(url)
        received = cut.value.partial
        assert received == whole[:5000]
        with pytest.raises(http.client.IncompleteRead) as cut:
            get(url, Range="bytes=5000-")
        received += cut.value.partial
        assert received == whole[:10_000]
        rest = get(url, Range="bytes=10000-")
        assert rest.status == 206
        assert received + rest.body == whole
        assert server.stats.answers["dump", 206] == 2


def test_content_length_may_promise_too_much(folder: Path) -> None:
    with serving(folder, dumps=DumpOptions(excess_length=100)) as server:
        with pytest.raises(http.client.IncompleteRead) as cut:
            get(f"{server.url}/download/ol_dump_2026-01-31/ol_dump_authors_2026-01-31.txt.gz")
        assert cut.value.expected == 100


def test_folders_of_another_world_are_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match=r"holds another sample world.*choose another folder"):
        prepare_dumps(replace(WORLD, seed=6), folder)


def test_dumps_are_written_once(folder: Path) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("nothing is to be written")

    assert prepare_dumps(WORLD, folder, (0, 1), progress=fail) == {0: "2026-01-31", 1: "2026-02-28"}


def test_nothing_outside_the_folder_is_served(server: SampleServer) -> None:
    for path in (
        "/download/ol_dump_2026-01-31/..%2fworld.json",
        "/download/ol_dump_2026-01-31/..",
        "/world.json",
    ):
        assert get(server.url + path).status == 404
    assert server.stats.answers["unknown", 404] >= 1


def test_a_taken_port_says_so(server: SampleServer, folder: Path) -> None:
    port = int(server.url.rsplit(":", 1)[1])
    with pytest.raises(OSError, match="address already in use"), SampleServer(WORLD, folder, port):
        pass


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_command_serves_until_it_is_told_to_stop(folder: Path, number: int) -> None:
    program = (
        "import sys, pathlib\n"
        "from booksearch_assets.sample.server import serve\n"
        "from booksearch_assets.sample.world import World\n"
        "serve(World(seed=5, editions=150), pathlib.Path(sys.argv[1]), announce=lambda url: print(url, flush=True))"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", program, folder], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    guard = threading.Timer(60, process.kill)
    guard.start()
    try:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        assert get(f"{url}/b/id/{cover_in(CoverState.MISSING)}-L.jpg").status in (200, 500)
        os.kill(process.pid, number)
        assert process.wait() == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""
    finally:
        guard.cancel()
        process.kill()
        process.communicate()
