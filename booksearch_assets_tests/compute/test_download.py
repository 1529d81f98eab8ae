from __future__ import annotations

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from email.utils import formatdate
from pathlib import Path

import pytest

from booksearch_assets.compute.download import (
    DownloadError,
    DownloadProblem,
    DownloadProgress,
    discard,
    download,
)
from booksearch_assets_tests.compute.loopback import Asked, Reply, loopback, ranged

BODY = random.Random(7).randbytes(1_500_000)
SHA = hashlib.sha256(BODY).hexdigest()


def left_behind(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_whole_file_with_size_checksum_and_progress(tmp_path: Path) -> None:
    seen: list[DownloadProgress] = []
    with loopback(ranged(BODY)) as server:
        done = download(f"{server.url}/f", tmp_path / "deep" / "f", len(BODY), '"v1"', seen.append)
    assert (done.size, done.sha256, done.resumed_from) == (len(BODY), SHA, 0)
    assert done.path.read_bytes() == BODY
    assert left_behind(done.path.parent) == ["f", "f.json"]
    assert seen[-1] == DownloadProgress(len(BODY), len(BODY))
    assert [p.received for p in seen] == sorted(p.received for p in seen)
    assert "booksearch" in server.asked[0].headers["User-Agent"]


@pytest.mark.parametrize("cut_at", [0, 1, 700_001])
def test_resumes_after_a_cut_at_any_byte(tmp_path: Path, cut_at: int) -> None:
    whole = ranged(BODY)
    with loopback(
        lambda asked: Reply(200, BODY, {"ETag": '"v1"'}, cut_at=cut_at) if first(server) else whole(asked)
    ) as server:
        done = download(f"{server.url}/f", tmp_path / "f", len(BODY), backoff=0)
    assert (done.sha256, done.resumed_from) == (SHA, cut_at)
    assert server.asked[1].headers.get("Range") == (f"bytes={cut_at}-" if cut_at else None)


def first(server: object) -> bool:
    return len(server.asked) == 1  # type: ignore[attr-defined]


def test_resumes_after_kill_9(tmp_path: Path) -> None:
    code = "import sys; from pathlib import Path; from booksearch_assets.compute.download import download; download(sys.argv[1], Path(sys.argv[2]))"
    slow = ranged(BODY, seconds=60)
    with loopback(slow) as server:
        process = subprocess.Popen([sys.executable, "-c", code, f"{server.url}/f", str(tmp_path / "f")])
        part = tmp_path / "f.part"
        deadline = time.monotonic() + 30
        while (not part.exists() or part.stat().st_size == 0) and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        process.wait()
        left = part.stat().st_size
        assert 0 < left < len(BODY)
        assert not (tmp_path / "f").exists()
        done = download(f"{server.url}/f", tmp_path / "f", len(BODY))
    assert (done.sha256, done.resumed_from) == (SHA, left)


def test_killed_after_the_last_byte_finishes_without_a_new_body(tmp_path: Path) -> None:
    with loopback(ranged(BODY)) as server:
        leave(tmp_path, f"{server.url}/f", BODY)
        done = download(f"{server.url}/f", tmp_path / "f", len(BODY))
    assert (done.sha256, done.resumed_from) == (SHA, len(BODY))


def test_a_whole_file_of_the_same_etag_is_not_asked_for_again(tmp_path: Path) -> None:
    with loopback(ranged(BODY)) as server:
        first_time = download(f"{server.url}/f", tmp_path / "f", len(BODY), '"v1"')
        again = download(f"{server.url}/f", tmp_path / "f", len(BODY), '"v1"')
    assert len(server.asked) == 1
    assert (again.path, again.sha256, again.resumed_from) == (first_time.path, SHA, len(BODY))


@pytest.mark.parametrize("what", ["bytes", "etag", "address", "no etag"])
def test_a_whole_file_that_is_not_the_one_asked_for_is_downloaded_again(tmp_path: Path, what: str) -> None:
    new = BODY[::-1]
    with loopback(lambda asked: ranged(new if first(server) else BODY, etag='"v1"')(asked)) as server:
        download(f"{server.url}/g" if what == "address" else f"{server.url}/f", tmp_path / "f", etag='"v1"')
        (tmp_path / "f").write_bytes(new[:-1] + b"?" if what == "bytes" else new)
        if what == "etag":
            record = tmp_path / "f.json"
            record.write_text(record.read_text().replace("v1", "v0"))
        done = download(f"{server.url}/f", tmp_path / "f", etag=None if what == "no etag" else '"v1"')
    assert (done.sha256, done.resumed_from, len(server.asked)) == (SHA, 0, 2)
    assert (tmp_path / "f").read_bytes() == BODY


def test_discard_leaves_nothing(tmp_path: Path) -> None:
    with loopback(ranged(BODY)) as server:
        download(f"{server.url}/f", tmp_path / "f")
        leave(tmp_path, f"{server.url}/f", b"part")
    discard(tmp_path / "f")
    discard(tmp_path / "never")
    assert left_behind(tmp_path) == []


def leave(folder: Path, url: str, content: bytes, etag: str = '"v1"') -> None:
    """What a killed download of an earlier run leaves."""
    (folder / "f.part").write_bytes(content)
    (folder / "f.json").write_text(
        f'{{"url": "{url}", "etag": "{etag.replace(chr(34), chr(92) + chr(34))}", "last_modified": null}}'
    )


def test_changed_file_starts_again(tmp_path: Path) -> None:
    with loopback(ranged(BODY, etag='"v2"')) as server:
        leave(tmp_path, f"{server.url}/f", b"old bytes" * 1000, etag='"v1"')
        done = download(f"{server.url}/f", tmp_path / "f")
    assert server.asked[0].headers["If-Range"] == '"v1"'
    assert (done.sha256, done.resumed_from) == (SHA, 0)


def test_file_that_changes_while_downloading_is_never_mixed(tmp_path: Path) -> None:
    new = ranged(BODY, etag='"v2"')
    with loopback(
        lambda a: Reply(200, b"x" * 900_000, {"ETag": '"v1"'}, cut_at=500_000) if first(server) else new(a)
    ) as server:
        done = download(f"{server.url}/f", tmp_path / "f", backoff=0)
    assert done.sha256 == SHA


def test_left_over_of_another_url_or_without_a_version_is_not_continued(tmp_path: Path) -> None:
    with loopback(ranged(BODY)) as server:
        leave(tmp_path, f"{server.url}/other", b"x" * 10)
        assert download(f"{server.url}/f", tmp_path / "f").sha256 == SHA
        (tmp_path / "f.part").write_bytes(b"x" * 10)
        assert download(f"{server.url}/f", tmp_path / "f").sha256 == SHA


def test_server_that_ignores_range(tmp_path: Path) -> None:
    with loopback(
        lambda a: Reply(200, BODY, {"ETag": '"v1"'}, cut_at=600_000 if first(server) else None)
    ) as server:
        done = download(f"{server.url}/f", tmp_path / "f", len(BODY), backoff=0)
    assert "Range" in server.asked[1].headers
    assert (done.sha256, done.resumed_from) == (SHA, 0)


def test_last_modified_stands_in_for_a_missing_or_weak_etag(tmp_path: Path) -> None:
    date = formatdate(0, usegmt=True)
    whole = ranged(BODY, etag=date)

    def answer(asked: Asked) -> Reply:
        if first(server):
            return Reply(200, BODY, {"ETag": 'W/"weak"', "Last-Modified": date}, cut_at=5000)
        return whole(asked)

    with loopback(answer) as server:
        done = download(f"{server.url}/f", tmp_path / "f", backoff=0)
    assert server.asked[1].headers["If-Range"] == date
    assert (done.sha256, done.resumed_from) == (SHA, 5000)


def test_server_errors_are_tried_again_and_retry_after_is_kept(tmp_path: Path) -> None:
    whole = ranged(BODY)
    faults = {1: Reply(503, headers={"Retry-After": "1"}), 2: Reply(500), 3: Reply(429)}
    with loopback(lambda asked: faults.get(len(server.asked)) or whole(asked)) as server:
        done = download(f"{server.url}/f", tmp_path / "f", backoff=0)
    assert done.sha256 == SHA
    assert server.asked[1].at - server.asked[0].at >= 1


def test_gives_up_after_the_attempts_and_keeps_what_came(tmp_path: Path) -> None:
    faults = iter([Reply(200, BODY, {"ETag": '"v1"'}, cut_at=300_000)])
    with (
        loopback(lambda asked: next(faults, Reply(502))) as server,
        pytest.raises(
            DownloadError, match=r"3 connections in a row.*HTTP 502.*300,000 bytes are kept"
        ) as raised,
    ):
        download(f"{server.url}/f", tmp_path / "f", attempts=3, backoff=0)
    assert raised.value.problem is DownloadProblem.NETWORK
    assert (tmp_path / "f.part").stat().st_size == 300_000
    with pytest.raises(DownloadError, match="refused"):
        download(f"{server.url}/f", tmp_path / "f", attempts=2, backoff=0)


def test_many_cuts_that_each_bring_something_do_not_use_up_the_attempts(tmp_path: Path) -> None:
    def answer(asked: Asked) -> Reply:
        start = int(asked.headers.get("Range", "bytes=0-")[6:-1])
        headers = {"ETag": '"v1"', "Content-Range": f"bytes {start}-{len(BODY) - 1}/{len(BODY)}"}
        return Reply(206 if start else 200, BODY[start:], headers, cut_at=200_000)

    with loopback(answer) as server:
        assert download(f"{server.url}/f", tmp_path / "f", attempts=2, backoff=0).sha256 == SHA
    assert len(server.asked) == 8


@pytest.mark.parametrize(
    ("reply", "problem", "words"),
    [
        (Reply(404), DownloadProblem.NOT_FOUND, "HTTP 404"),
        (Reply(403), DownloadProblem.REFUSED, "HTTP 403"),
        (Reply(200, b"short"), DownloadProblem.WRONG_SIZE, "expected 1,500,000 bytes, the server has 5"),
        (Reply(200, BODY, {"ETag": '"other"'}), DownloadProblem.CHANGED, '"other"'),
        (Reply(200, b"", {"Content-Length": str(10**18)}), DownloadProblem.WRONG_SIZE, "1,500,000"),
    ],
)
def test_answers_that_another_attempt_cannot_mend(
    tmp_path: Path, reply: Reply, problem: DownloadProblem, words: str
) -> None:
    with loopback(lambda asked: reply) as server, pytest.raises(DownloadError, match=words) as raised:
        download(f"{server.url}/f", tmp_path / "f", len(BODY), '"v1"')
    assert raised.value.problem is problem
    assert len(server.asked) == 1
    assert left_behind(tmp_path) == []


def test_no_room_is_said_before_the_first_byte(tmp_path: Path) -> None:
    vast = Reply(200, b"", {"Content-Length": str(10**18)})
    wanting = pytest.raises(DownloadError, match=r"bytes free.*make room")
    with loopback(lambda asked: vast) as server, wanting as raised:
        download(f"{server.url}/f", tmp_path / "f")
    assert raised.value.problem is DownloadProblem.DISK


def test_disk_that_fills_up(tmp_path: Path) -> None:
    """A file size limit of the process stands in for a full disk: the same write fails."""
    code = (
        "import resource, sys; from pathlib import Path\n"
        "from booksearch_assets.compute.download import DownloadError, download\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))\n"
        "try: download(sys.argv[1], Path(sys.argv[2]))\n"
        "except DownloadError as error: print(error.problem.value, error)\n"
    )
    with loopback(ranged(BODY)) as server:
        out = subprocess.run(
            [sys.executable, "-c", code, f"{server.url}/f", str(tmp_path / "f")],
            capture_output=True,
            text=True,
        )
        assert out.stdout.startswith("disk cannot write"), out.stderr
        assert len(server.asked) == 1
        assert download(f"{server.url}/f", tmp_path / "f").resumed_from == 400_000


def test_unwritable_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with loopback(ranged(BODY)) as server, pytest.raises(DownloadError, match="cannot write") as raised:
        download(f"{server.url}/f", tmp_path / "file" / "f")
    assert raised.value.problem is DownloadProblem.DISK


def test_follows_redirects_with_range(tmp_path: Path) -> None:
    whole = ranged(BODY)

    def answer(asked: Asked) -> Reply:
        if asked.path == "/latest":
            return Reply(302, headers={"Location": "/f"})
        return Reply(200, BODY, {"ETag": '"v1"'}, cut_at=1000) if len(server.asked) == 2 else whole(asked)

    with loopback(answer) as server:
        done = download(f"{server.url}/latest", tmp_path / "f", backoff=0)
    assert (done.sha256, done.resumed_from) == (SHA, 1000)
    assert os.path.getsize(done.path) == len(BODY)
