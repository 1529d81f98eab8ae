"""Landing whole dumps from a sample server: what a killed run leaves for the next one, and what it must not leave."""

from __future__ import annotations

import gzip
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from booksearch_assets.compute.landing import BadDump, Landed
from booksearch_assets.compute.raw_dump import LandedFile, land_dump
from booksearch_assets.compute.unfinished_landings import ORIGIN
from booksearch_assets.openlibrary.dump_site import DumpSite
from booksearch_assets.sample.server import SampleServer
from booksearch_assets.sample.world import World
from booksearch_assets.tables.lake import PENDING_GRACE, Lake

KINDS = ("editions", "works", "authors", "covers_metadata")
CHUNK_BYTES = 4_000
WORLD = World(seed=0, editions=100)

KILLED = f"""
import os, signal, sys
from pathlib import Path
from booksearch_assets.compute.raw_dump import land_dump
from booksearch_assets.openlibrary.dump_site import DumpSite
from booksearch_assets.tables.lake import Lake
url, home, what, times = sys.argv[1], Path(sys.argv[2]), sys.argv[3], int(sys.argv[4])
seen = []
def progress(counted, done, total):
    seen.append(counted)
    if seen.count(what) == times:
        os.kill(os.getpid(), signal.SIGKILL)
site = DumpSite(url, listing_url=url)
list(land_dump(site, Lake(str(home / "lake")), {KINDS}, "latest", False, home / "downloads", progress, {CHUNK_BYTES}))
"""


@pytest.fixture(scope="module")
def dumps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dumps")
    with SampleServer(WORLD, folder):
        pass
    return folder


@pytest.fixture
def served(dumps: Path, tmp_path: Path) -> Path:
    """A copy of the dumps that a test may damage."""
    return Path(shutil.copytree(dumps, tmp_path / "served"))


@pytest.fixture
def url(served: Path) -> Iterator[str]:
    with SampleServer(WORLD, served) as server:
        yield server.url


class Home:
    """The lake and the downloads of one deployment, and what its last run counted."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.lake, self.counted = folder, Lake(str(folder / "lake")), Counter[str]()

    def land(self, url: str, chunk_bytes: int = CHUNK_BYTES) -> dict[str, LandedFile]:
        self.counted = Counter()
        found = land_dump(
            DumpSite(url, listing_url=url),
            self.lake,
            KINDS,
            "latest",
            False,
            self.folder / "downloads",
            lambda what, done, total: self.counted.update([what]),
            chunk_bytes,
        )
        return {file.kind: file for file in found}

    def killed_at(self, url: str, what: str, times: int) -> None:
        """A run that kills itself when it reports `what` for that many times."""
        command = [sys.executable, "-c", KILLED, url, str(self.folder), what, str(times)]
        assert subprocess.run(command).returncode == -signal.SIGKILL
        assert not any(self.lake.current(f"books/raw_dump/{kind}") for kind in KINDS)

    def versions(self, kind: str) -> list[Path]:
        return sorted((self.folder / "lake" / "books" / "raw_dump" / kind / "versions").glob("*"))

    def downloaded(self) -> list[str]:
        return sorted(path.name.split("_2")[0] for path in (self.folder / "downloads").glob("*.gz"))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


def text_of(files: dict[str, LandedFile]) -> dict[str, bytes]:
    return {
        kind: b"".join(
            gzip.decompress((Path(file.commit.path) / chunk["name"]).read_bytes())
            for chunk in file.commit.facts["chunks"]
        )
        for kind, file in files.items()
    }


def dump(served: Path, kind: str) -> Path:
    return next(served.glob(f"ol_dump_*/ol_dump_{kind}_*.txt.gz"))


def test_a_killed_run_is_continued_and_its_dump_is_the_same(url: str, home: Home, tmp_path: Path) -> None:
    home.killed_at(url, "authors: bytes landed", 2)
    landed = home.land(url)
    assert home.counted["editions: bytes downloaded"] == home.counted["authors: bytes downloaded"] == 0
    assert home.counted["covers_metadata: bytes downloaded"] > 0
    kept = {kind: file.kept_chunks for kind, file in landed.items()}
    cut = {kind: file.cut_chunks for kind, file in landed.items()}
    chunks = {kind: len(file.commit.facts["chunks"]) for kind, file in landed.items()}
    assert kept == {
        "editions": chunks["editions"],
        "works": chunks["works"],
        "authors": 2,
        "covers_metadata": 0,
    }
    assert all(cut[kind] == chunks[kind] - kept[kind] for kind in KINDS)
    assert chunks["authors"] > 2 and not any(file.reused for file in landed.values())
    assert all(len(home.versions(kind)) == 1 for kind in KINDS)

    undisturbed = Home(tmp_path / "undisturbed").land(url)
    assert text_of(landed) == text_of(undisturbed)
    facts = [
        {kind: file.commit.facts | {"rows": file.commit.rows} for kind, file in files.items()}
        for files in (landed, undisturbed)
    ]
    assert facts[0] == facts[1]
    assert home.downloaded() == [] and not list((home.folder / "downloads").iterdir())


def test_a_run_killed_between_download_and_landing_does_not_download_again(url: str, home: Home) -> None:
    home.killed_at(url, "editions: bytes landed", 1)
    assert home.downloaded() == ["ol_dump_editions"]
    landed = home.land(url)
    assert home.counted["editions: bytes downloaded"] == 0
    assert landed["editions"].kept_chunks == 1


def test_what_was_landed_and_damaged_since_is_landed_again(url: str, home: Home) -> None:
    home.killed_at(url, "authors: bytes landed", 1)
    [version] = home.versions("works")
    chunk = version / "part-00001.txt.gz"
    chunk.write_bytes(chunk.read_bytes()[:-1] + b"?")
    landed = home.land(url)
    assert landed["editions"].cut_chunks == 0
    assert home.counted["works: bytes downloaded"] > 0
    assert landed["works"].kept_chunks == 0
    assert text_of(landed)["works"].count(b"\n") == landed["works"].commit.rows


def test_another_dump_or_another_cut_is_no_continuation(url: str, served: Path, home: Home) -> None:
    home.killed_at(url, "authors: bytes landed", 1)
    works = dump(served, "works")
    works.write_bytes(gzip.compress(gzip.decompress(works.read_bytes())))
    landed = home.land(url, chunk_bytes=2 * CHUNK_BYTES)
    assert home.counted["works: bytes downloaded"] > 0
    assert {file.kept_chunks for file in landed.values()} == {0}


def test_a_dump_damaged_half_way_leaves_nothing_committed_and_nothing_to_continue(
    url: str, served: Path, home: Home
) -> None:
    works = dump(served, "works")
    packed = bytearray(works.read_bytes())
    packed[len(packed) // 2] ^= 0xFF
    sound = works.read_bytes()
    works.write_bytes(packed)
    for _ in range(2):
        with pytest.raises(BadDump, match="no older one"):
            home.land(url)
        assert not any(home.lake.current(f"books/raw_dump/{kind}") for kind in KINDS)
        assert home.versions("works") == [] and home.downloaded() == []
        assert len(home.versions("editions")) == 1
    assert home.counted["editions: bytes landed"] == 0
    assert home.counted["works: bytes downloaded"] > 0
    works.write_bytes(sound)
    assert text_of(home.land(url))["works"] == gzip.decompress(sound)


def test_a_landing_that_nobody_continued_is_dropped_and_a_committed_one_is_not(
    url: str, served: Path, home: Home
) -> None:
    first = home.land(url)["works"].commit
    abandoned = home.lake.begin("books/raw_dump/works")
    for version in (first.version, abandoned.version):
        origin = home.versions("works")[0].parent / version / ORIGIN
        origin.write_text('{"date": "2000-01-01", "etag": null, "sha256": "", "chunk_bytes": 1}')
        old = origin.stat().st_mtime - PENDING_GRACE.total_seconds() - 60
        os.utime(origin, (old, old))
    works = dump(served, "works")
    works.write_bytes(gzip.compress(gzip.decompress(works.read_bytes())))
    second = home.land(url)["works"].commit
    assert [path.name for path in home.versions("works")] == [first.version, second.version]
    assert len(Landed.read(first.path).chunks) == len(first.facts["chunks"])
