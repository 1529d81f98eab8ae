from __future__ import annotations

import asyncio
import hashlib
import io
import itertools
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pytest
from PIL import Image
from yarl import URL

from booksearch_assets.compute.fetch import (
    RETRYABLE,
    FetchPolicy,
    FetchProgress,
    FetchReport,
    FetchStatus,
    FetchStopped,
    fetch_missing,
    fetched_images,
    wanted_images,
)
from booksearch_assets.compute.fetch_client import FetchClient
from booksearch_assets.compute.rate_limit import HostLimiter
from booksearch_assets.tables.books import COVER_IMAGES, COVERS
from booksearch_assets.tables.lake import LakeError
from booksearch_assets.tables.shards import ShardStore
from booksearch_assets_tests.compute.loopback import Asked, Reply, loopback


def picture(width: int = 40, height: int = 60, kind: str = "JPEG", seed: int = 1) -> bytes:
    noise = random.Random(seed).randbytes(width * height * 3)
    out = io.BytesIO()
    Image.frombytes("RGB", (width, height), noise).save(out, kind)
    return out.getvalue()


COVER = picture()
BLANK = picture(1, 1, "GIF")
JPEG = {"Content-Type": "image/jpeg", "ETag": '"c"'}
FAST = FetchPolicy(requests_per_minute=1e6, backoff_base=0.001, timeout=5)

Answers = Callable[[Asked], Reply]


def cover(asked: Asked) -> Reply:
    return Reply(200, COVER, JPEG)


def answering(reply: Reply) -> Answers:
    return lambda asked: reply


def wanted(url: str, ids: range | list[int]) -> pa.Table:
    return pa.table(
        {"cover_id": pa.array(ids, pa.int64()), "url": [f"{url}/b/id/{n}-L.jpg?default=false" for n in ids]}
    )


@pytest.fixture
def cache(tmp_path: Path) -> ShardStore:
    return ShardStore(str(tmp_path), "covers", COVERS.bytes)


def rows(cache: ShardStore) -> dict[int, dict[str, object]]:
    index = cache.index(["status"])
    return {row["cover_id"]: row for part in cache.read_keys(index) for row in part.to_pylist()}


def settle_one(
    cache: ShardStore, answers: Answers, policy: FetchPolicy = FAST
) -> tuple[dict[str, object], FetchReport]:
    with loopback(answers) as server:
        report = fetch_missing(wanted(server.url, [7]), cache, policy, rng=random.Random(3))
    return rows(cache)[7], report


def test_a_cover_is_kept_as_it_came(cache: ShardStore) -> None:
    at = datetime(2026, 11, 5, 12, tzinfo=UTC)
    with loopback(cover) as server:
        report = fetch_missing(wanted(server.url, [7]), cache, FAST, now=lambda: at)
    row = rows(cache)[7]
    attempts = row.pop("attempts")
    assert row == {
        "cover_id": 7,
        "url": f"{server.url}/b/id/7-L.jpg?default=false",
        "status": "ok",
        "http_status": 200,
        "content_type": "image/jpeg",
        "etag": '"c"',
        "sha256": hashlib.sha256(COVER).hexdigest(),
        "size": len(COVER),
        "width": 40,
        "height": 60,
        "fetched_at": at,
        "content": COVER,
    }
    assert isinstance(attempts, list)
    assert [(a["at"], a["status"], a["http_status"], a["error"]) for a in attempts] == [(at, "ok", 200, None)]
    assert (report.requests, report.fetched, report.bytes, report.by_status, report.reused) == (
        1,
        1,
        len(COVER),
        {"ok": 1},
        0,
    )
    assert server.paths() == ["/b/id/7-L.jpg?default=false"]


@pytest.mark.parametrize(
    ("reply", "status", "error"),
    [
        (Reply(404, b"{}"), FetchStatus.MISSING, "HTTP 404"),
        (Reply(200, BLANK), FetchStatus.MISSING, "a blank picture"),
        (Reply(401), FetchStatus.REFUSED, "HTTP 401"),
        (Reply(200, COVER, {"X-Robots-Tag": "noai"}), FetchStatus.REFUSED, "X-Robots-Tag: noai"),
        (Reply(200, COVER[:-300]), FetchStatus.UNDECODABLE, "truncated"),
        (Reply(200, b""), FetchStatus.UNDECODABLE, "0 bytes"),
        (
            Reply(200, b"<html>sorry</html>", {"Content-Type": "text/html"}),
            FetchStatus.UNDECODABLE,
            "text/html",
        ),
        (Reply(200, b"x" * 30_000), FetchStatus.TOO_LARGE, "more than 20,000 bytes"),
        (Reply(200, picture(200, 200, "PNG")[:19_000]), FetchStatus.TOO_LARGE, "200 x 200 px"),
        (
            Reply(302, headers={"Location": "https://elsewhere.example/cover.jpg"}),
            FetchStatus.REFUSED,
            "allowed host",
        ),
        (Reply(302, headers={"Location": "file:///etc/passwd"}), FetchStatus.REFUSED, "allowed host"),
        (Reply(302, headers={"Location": "http://[broken"}), FetchStatus.REFUSED, "not an address"),
    ],
)
def test_what_another_attempt_cannot_mend_is_asked_once(
    cache: ShardStore, reply: Reply, status: FetchStatus, error: str
) -> None:
    policy = FetchPolicy(requests_per_minute=1e6, max_bytes=20_000, max_pixels=30_000)
    row, report = settle_one(cache, answering(reply), policy)
    assert row["status"] == status.value
    assert error in row["attempts"][-1]["error"]  # type: ignore[index]
    assert (row["content"], row["sha256"], row["size"]) == (None, None, None)
    assert report.requests == 1


@pytest.mark.parametrize(
    ("reply", "status", "error"),
    [
        (Reply(429), FetchStatus.THROTTLED, "HTTP 429"),
        (Reply(403), FetchStatus.THROTTLED, "HTTP 403"),
        (Reply(500), FetchStatus.SERVER_ERROR, "HTTP 500"),
        (Reply(302, headers={"Location": "/again"}), FetchStatus.SERVER_ERROR, "more than 5 redirects"),
        (Reply(200, COVER, cut_at=100), FetchStatus.NETWORK_ERROR, "ClientPayloadError"),
        (Reply(200, COVER, seconds=30), FetchStatus.NETWORK_ERROR, "no whole answer in 0.3 s"),
    ],
)
def test_what_may_pass_is_tried_again_up_to_the_limit(
    cache: ShardStore, reply: Reply, status: FetchStatus, error: str
) -> None:
    policy = FetchPolicy(requests_per_minute=1e6, backoff_base=0.001, max_attempts=3, timeout=0.3)
    row, report = settle_one(cache, answering(reply), policy)
    assert row["status"] == status.value
    assert status in RETRYABLE
    assert [attempt["status"] for attempt in row["attempts"]] == [status.value] * 3  # type: ignore[attr-defined]
    assert error in row["attempts"][-1]["error"]  # type: ignore[index]
    assert report.requests == (18 if reply.status == 302 else 3)


def test_a_body_of_any_length_is_cut_off_at_the_limit(cache: ShardStore) -> None:
    said = Reply(200, b"x" * 500_000, {"Content-Length": str(10**12)})
    unsaid = Reply(
        200, b"FFFFFF\r\n" + b"x" * 5_000_000, {"Transfer-Encoding": "chunked", "Content-Length": ""}
    )
    policy = FetchPolicy(requests_per_minute=1e6, max_bytes=100_000)
    for name, reply in (("said", said), ("unsaid", unsaid)):
        row, report = settle_one(ShardStore(cache.root, name, COVERS.bytes), answering(reply), policy)
        assert row["status"] == "too_large"
        assert report.bytes < 1_000_000


def test_one_failure_then_success_keeps_both_attempts(cache: ShardStore) -> None:
    faults = iter([Reply(500), Reply(200, COVER, cut_at=10)])
    row, report = settle_one(cache, lambda asked: next(faults, Reply(200, COVER)))
    assert row["status"] == "ok"
    assert [a["status"] for a in row["attempts"]] == ["server_error", "network_error", "ok"]  # type: ignore[attr-defined]
    assert report.by_status == {"ok": 1}


def test_retry_after_pauses_the_whole_host(cache: ShardStore) -> None:
    first = threading.Event()

    def answer(asked: Asked) -> Reply:
        if not first.is_set():
            first.set()
            return Reply(429, b'{"error": "slow down"}', {"Retry-After": "1"})
        return cover(asked)

    policy = FetchPolicy(requests_per_minute=1200, burst=1, concurrency=4)
    with loopback(answer) as server:
        report = fetch_missing(wanted(server.url, range(1, 9)), cache, policy)
    assert report.by_status == {"ok": 8}
    times = [asked.at for asked in server.asked]
    # The request that was refused, perhaps those already on their way, and nobody else for a second.
    pause = max(later - earlier for earlier, later in itertools.pairwise(times))
    assert pause >= 0.5


def test_a_pause_too_long_to_wait_for_stops_the_fetch(cache: ShardStore) -> None:
    answers = iter([cover, cover])

    def answer(asked: Asked) -> Reply:
        known = next(answers, None)
        return known(asked) if known else Reply(429, headers={"Retry-After": "7200"})

    policy = FetchPolicy(requests_per_minute=1e6, concurrency=1)
    with loopback(answer) as server, pytest.raises(FetchStopped, match=r"7200 s.*saved.*run again"):
        fetch_missing(wanted(server.url, range(1, 9)), cache, policy)
    assert {row["status"] for row in rows(cache).values()} == {"ok"}
    assert len(rows(cache)) == 2


def test_redirects_are_followed_to_the_byte_and_counted(cache: ShardStore) -> None:
    def archive(asked: Asked) -> Reply:
        if "view_archive" in asked.path:
            return cover(asked)
        return Reply(302, headers={"Location": "/view_archive.php?file=l%2F1.jpg"})

    with loopback(archive) as server:
        # The other name of this machine is another host, as the archive is to the covers service.
        there = server.url.replace("127.0.0.1", "localhost")
        row, report = settle_one(
            cache, answering(Reply(301, headers={"Location": f"{there}/download/1.jpg"}))
        )
    assert (row["status"], report.requests) == ("ok", 3)
    assert server.paths() == ["/download/1.jpg", "/view_archive.php?file=l%2F1.jpg"]


@pytest.mark.parametrize(
    ("wanted_at", "target", "allowed"),
    [
        ("covers.openlibrary.org", "https://archive.org/download/1.zip", True),
        ("covers.openlibrary.org", "https://ia800501.us.archive.org/view_archive.php", True),
        ("covers.openlibrary.org", "https://archive.org.evil.example/1.jpg", False),
        ("covers.openlibrary.org", "https://evilarchive.org/1.jpg", False),
        ("covers.openlibrary.org", "http://127.0.0.1:9200/_search", False),
        ("covers.openlibrary.org", "http://169.254.169.254/latest/meta-data", False),
        ("covers.openlibrary.org", "ftp://archive.org/1.jpg", False),
        ("127.0.0.1", "http://localhost:8321/1.jpg", True),
        ("images.example", "http://images.example/1.jpg", True),
    ],
)
def test_which_hosts_may_be_asked(wanted_at: str, target: str, allowed: bool) -> None:
    with ThreadPoolExecutor(1) as decoders:
        client = FetchClient(FetchPolicy(), frozenset({wanted_at}), HostLimiter(300), decoders)
        assert client.may_ask(URL(target)) is allowed


def test_says_who_asks_and_refuses_to_ask_a_real_service_without_a_contact(cache: ShardStore) -> None:
    policy = FetchPolicy(contact="https://example.org/books")
    with loopback(cover) as server:
        fetch_missing(wanted(server.url, [1]), cache, policy)
    assert server.asked[0].headers["User-Agent"] == "booksearch_assets (+https://example.org/books)"
    for contact in ("", "me"):
        with pytest.raises(ValueError, match=r"expected a contact.*covers.example.org.*BOOKSEARCH_CONTACT"):
            fetch_missing(wanted("https://covers.example.org", [2]), cache, FetchPolicy(contact=contact))


def mixed(asked: Asked) -> Reply:
    """Covers by id: every 7th is missing, every 11th out of order."""
    number = int(asked.path.split("/")[3].split("-")[0])
    if number % 7 == 0:
        return Reply(404)
    return Reply(500) if number % 11 == 0 else cover(asked)


def test_second_run_asks_only_for_what_may_have_passed(cache: ShardStore) -> None:
    policy = FetchPolicy(requests_per_minute=1e6, backoff_base=0.001, max_attempts=2)
    with loopback(mixed) as server:
        first = fetch_missing(wanted(server.url, range(1, 101)), cache, policy, shard_rows=16)
        assert first.by_status == {"ok": 78, "missing": 14, "server_error": 8}
        assert len(cache.shards()) == pytest.approx(100 / 16, abs=2)
        server.asked.clear()
        again = fetch_missing(wanted(server.url, range(1, 101)), cache, policy)
        assert (again.fetched, again.reused, again.by_status) == (8, 92, {"server_error": 8})
        assert {int(path.split("/")[3].split("-")[0]) % 11 for path in server.paths()} == {0}
    with loopback(cover) as server:
        mended = fetch_missing(wanted(server.url, range(1, 101)), cache, policy)
        assert (mended.requests, mended.by_status) == (8, {"ok": 8})
        assert fetch_missing(wanted(server.url, range(1, 101)), cache, policy) == FetchReport(
            0, 0, 0, {}, 0.0, 100
        )
        assert len(server.asked) == 8


def test_an_id_wanted_twice_is_asked_once(cache: ShardStore) -> None:
    with loopback(cover) as server:
        report = fetch_missing(wanted(server.url, [5, 6, 5]), cache, FAST)
    assert (report.fetched, len(server.asked)) == (2, 2)


def test_cover_images_joins_the_cache(cache: ShardStore) -> None:
    with loopback(mixed) as server:
        fetch_missing(wanted(server.url, range(1, 31)), cache, FAST, shard_rows=8)
    images = wanted_images(
        wanted("http://x", [30, 7, 2, 999]), fetched_images(cache, COVERS.images), "cover_id"
    )
    assert (
        COVER_IMAGES.violations(
            images.schema, {name: images[name].null_count for name in images.column_names}
        )
        == []
    )
    assert images["cover_id"].to_pylist() == [2, 7, 30]
    assert images["status"].to_pylist() == ["ok", "missing", "ok"]
    for row in images.to_pylist():
        assert cache.read(row["shard"], pa.array([row["cover_id"]]))["sha256"].to_pylist() == [row["sha256"]]
    assert (
        wanted_images(wanted("http://x", []), fetched_images(cache, COVERS.images), "cover_id").num_rows == 0
    )


def test_an_outage_stops_the_fetch_and_condemns_nobody(cache: ShardStore) -> None:
    policy = FetchPolicy(requests_per_minute=1e6, backoff_base=0.001, give_up_after=20, concurrency=4)
    count = itertools.count()
    outage = pytest.raises(FetchStopped, match=r"20 times in a row.*network_error.*saved")
    cut = Reply(200, COVER, cut_at=0)
    with loopback(lambda asked: cover(asked) if next(count) < 50 else cut) as server, outage:
        fetch_missing(wanted(server.url, range(1, 1001)), cache, policy)
    found = Counter(row["status"] for row in rows(cache).values())
    assert found["ok"] == 50
    assert found["network_error"] <= 20 // policy.max_attempts
    with pytest.raises(FetchStopped, match="20 times in a row"):
        fetch_missing(wanted(server.url, range(100, 1001)), cache, policy)


def test_progress_comes_in_the_callers_thread_and_may_stop_the_fetch(cache: ShardStore) -> None:
    seen: list[tuple[FetchProgress, int]] = []
    policy = FetchPolicy(requests_per_minute=3000, burst=1)
    with loopback(cover) as server:
        fetch_missing(
            wanted(server.url, range(70)),
            cache,
            policy,
            on_progress=lambda p: seen.append((p, threading.get_ident())),
        )
        assert {thread for _, thread in seen} == {threading.get_ident()}
        last = seen[-1][0]
        assert len(seen) >= 2
        assert (last.settled, last.total, last.requests, last.by_status) == (70, 70, 70, {"ok": 70})

        def stop(progress: FetchProgress) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            fetch_missing(wanted(server.url, range(1000, 2000)), cache, policy, on_progress=stop)
    saved = len(rows(cache)) - 70
    assert 0 < saved < 1000
    assert saved >= len(server.asked) - 70 - policy.concurrency


def test_runs_in_a_thread_and_beside_a_running_loop(cache: ShardStore) -> None:
    async def main() -> FetchReport:
        return fetch_missing(wanted(server.url, [1, 2]), cache, FAST)

    with loopback(cover) as server:
        assert asyncio.run(main()).fetched == 2
        thread = threading.Thread(target=fetch_missing, args=(wanted(server.url, [3]), cache, FAST))
        thread.start()
        thread.join()
    assert len(rows(cache)) == 3


def test_rows_are_saved_as_time_passes(cache: ShardStore) -> None:
    shards: list[int] = []
    policy = FetchPolicy(requests_per_minute=600, burst=1)
    with loopback(cover) as server:
        fetch_missing(
            wanted(server.url, range(25)),
            cache,
            policy,
            flush_seconds=0.2,
            on_progress=lambda _: shards.append(len(cache.shards())),
        )
    assert shards[-1] >= 2


FETCH = """
import signal
# A process that is started in the background may have been told to ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)
import sys
import pyarrow as pa
from booksearch_assets.compute.fetch import FetchPolicy, fetch_missing
from booksearch_assets.tables.books import COVERS
from booksearch_assets.tables.lake import LakeError
from booksearch_assets.tables.shards import ShardStore
url, root = sys.argv[1:]
ids = list(range(1, 401))
table = pa.table({"cover_id": pa.array(ids, pa.int64()), "url": [f"{url}/b/id/{n}-L.jpg" for n in ids]})
fetch_missing(table, ShardStore(root, "covers", COVERS.bytes), FetchPolicy(requests_per_minute=4500), shard_rows=20)
"""


@pytest.mark.parametrize(("sent", "lost"), [(signal.SIGKILL, 20 + 16), (signal.SIGINT, 16)])
def test_a_killed_fetch_repeats_at_most_one_shard(cache: ShardStore, sent: signal.Signals, lost: int) -> None:
    """`lost`: finished rows that may be gone (one shard at most), and the requests under way (16 at most)."""
    with loopback(cover) as server:
        process = subprocess.Popen(
            [sys.executable, "-c", FETCH, server.url, cache.root], stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 60
        while len(server.asked) < 110 and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(sent)
        process.wait(timeout=30)
        asked = len(server.asked)
        saved = len(rows(cache))
        assert asked - lost <= saved < 400
        report = fetch_missing(wanted(server.url, range(1, 401)), cache, FAST)
        assert (report.reused, report.fetched) == (saved, 400 - saved)
        repeated = sum(times > 1 for times in Counter(path.split("?")[0] for path in server.paths()).values())
        assert repeated <= lost
    assert Counter(row["status"] for row in rows(cache).values()) == {"ok": 400}


def test_a_cache_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "_cache").write_text("not a folder")
    with loopback(cover) as server, pytest.raises(LakeError, match="_cache"):
        fetch_missing(wanted(server.url, [1]), ShardStore(str(tmp_path), "covers", COVERS.bytes), FAST)


@pytest.mark.parametrize(
    "setting", [{"requests_per_minute": 0}, {"concurrency": 0}, {"burst": -1}, {"timeout": 0}]
)
def test_policy_refuses_what_makes_no_sense(setting: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(setting))} must be above 0"):
        FetchPolicy(**setting)  # type: ignore[arg-type]
