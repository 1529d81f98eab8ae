from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from booksearch_assets.openlibrary.dump_site import DumpKind, DumpSite, DumpSiteError, NoSoundDump
from booksearch_assets_tests.compute.loopback import Asked, Loopback, Reply, loopback

SEPTEMBER, AUGUST, JULY = "2026-09-30", "2026-08-31", "2026-07-31"


class Site:
    """Open Library and archive.org as one loopback site: files by date and kind, with their sizes or statuses."""

    def __init__(self) -> None:
        self.files = {(kind.value, date): 10_000 for kind in DumpKind for date in (SEPTEMBER, AUGUST, JULY)}
        self.latest = {kind.value: SEPTEMBER for kind in DumpKind}
        self.listing: Reply | None = None

    def answer(self, asked: Asked) -> Reply:
        path = asked.path.split("?")[0]
        if path == "/advancedsearch.php":
            return self.listing or Reply(body=json.dumps(self.listed()).encode())
        name = path.rsplit("/", 1)[-1].removeprefix("ol_dump_").removesuffix(".txt.gz")
        kind, when = name.rsplit("_", 1)
        if path.startswith("/data/"):
            date = self.latest.get(kind) if when == "latest" else when
            if not date:
                return Reply(404)
            return Reply(302, headers={"Location": f"/download/ol_dump_{date}/ol_dump_{kind}_{date}.txt.gz"})
        if path.startswith("/download/"):
            return Reply(
                302, headers={"Location": f"/machine/items/ol_dump_{when}/ol_dump_{kind}_{when}.txt.gz"}
            )
        size = self.files.get((kind, when))
        return Reply(200, b"x" * size, {"ETag": f'"{kind}-{when}"'}) if size is not None else Reply(404)

    def listed(self) -> dict[str, object]:
        dates = sorted({date for _, date in self.files})
        names = [*(f"ol_dump_{date}" for date in dates), "ol_cdump_2026-08-31", "ol_dump_of_something_else"]
        return {"response": {"docs": [{"identifier": name} for name in names]}}


@contextmanager
def serving(site: Site) -> Iterator[tuple[DumpSite, Loopback]]:
    with loopback(site.answer) as server:
        yield DumpSite(server.url, attempts=1), server


def test_latest_is_the_dated_file_at_its_lasting_address() -> None:
    with serving(Site()) as (dumps, server):
        found = dumps.resolve(DumpKind.COVERS_METADATA)
    assert (found.kind, found.date, found.size, found.etag) == (
        DumpKind.COVERS_METADATA,
        SEPTEMBER,
        10_000,
        '"covers_metadata-2026-09-30"',
    )
    assert (
        found.url == f"{server.url}/download/ol_dump_{SEPTEMBER}/ol_dump_covers_metadata_{SEPTEMBER}.txt.gz"
    )
    assert found.warnings == ()
    assert {asked.method for asked in server.asked if "advancedsearch" not in asked.path} == {"HEAD"}
    assert "booksearch" in server.asked[0].headers["User-Agent"]


def test_dated_lists_dumps_newest_first() -> None:
    with serving(Site()) as (dumps, _):
        assert dumps.dated() == [SEPTEMBER, AUGUST, JULY]


def test_a_named_date_is_taken_or_refused_but_never_replaced() -> None:
    site = Site()
    site.files["works", JULY] = 20
    with serving(site) as (dumps, _):
        assert dumps.resolve("works", AUGUST).date == AUGUST
        with pytest.raises(NoSoundDump, match=r"2026-01-31.*HTTP 404.*name another date"):
            dumps.resolve("works", "2026-01-31")
        with pytest.raises(NoSoundDump, match="20 bytes"):
            dumps.resolve("works", JULY)


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (None, "HTTP 404"),
        (20, "20 bytes, an empty gzip file"),
        (7_000, "7,000 bytes, less than 80% of the 10,000 bytes of 2026-08-31"),
    ],
)
def test_a_bad_latest_falls_back_and_says_so(size: int | None, words: str) -> None:
    site = Site()
    del site.files["editions", SEPTEMBER]
    if size is not None:
        site.files["editions", SEPTEMBER] = size
    with serving(site) as (dumps, _):
        found = dumps.resolve("editions")
    assert found.date == AUGUST
    assert len(found.warnings) == 1
    assert words in found.warnings[0]
    assert SEPTEMBER in found.warnings[0]


def test_a_shrunken_dump_is_measured_by_the_last_one_that_has_its_kind() -> None:
    site = Site()
    site.files["editions", SEPTEMBER] = 7_000
    del site.files["editions", AUGUST]
    with serving(site) as (dumps, _):
        found = dumps.resolve("editions")
    assert found.date == JULY
    assert "less than 80% of the 10,000 bytes of 2026-07-31" in found.warnings[0]


def test_latest_that_leads_nowhere_falls_back_to_the_newest_listed() -> None:
    site = Site()
    del site.latest["authors"]
    with serving(site) as (dumps, _):
        found = dumps.resolve("authors")
    assert found.date == SEPTEMBER
    assert "authors dump of latest" in found.warnings[0]


def test_a_dump_that_proved_damaged_is_left_out() -> None:
    with serving(Site()) as (dumps, _):
        found = dumps.resolve("editions", excluding=[SEPTEMBER, AUGUST])
    assert found.date == JULY
    assert len(found.warnings) == 2


def test_without_a_listing_latest_is_taken_unless_it_is_bad() -> None:
    site = Site()
    site.listing = Reply(200, b"<html>maintenance</html>")
    with serving(site) as (dumps, _):
        found = dumps.resolve("editions")
        assert found.date == SEPTEMBER
        assert "not compared" in found.warnings[0]
        del site.files["editions", SEPTEMBER]
        with pytest.raises(NoSoundDump, match=r"HTTP 404.*maintenance"):
            dumps.resolve("editions")


def test_nothing_sound_at_all() -> None:
    site = Site()
    site.files = dict.fromkeys(site.files, 20)
    with serving(site) as (dumps, _), pytest.raises(NoSoundDump, match="no sound editions dump"):
        dumps.resolve("editions")


def test_kinds_are_taken_from_one_date() -> None:
    with serving(Site()) as (dumps, _):
        files = dumps.resolve_together()
    assert set(files) == set(DumpKind)
    assert {file.date for file in files.values()} == {SEPTEMBER}
    assert not any(file.warnings for file in files.values())


def test_one_bad_kind_takes_all_kinds_to_its_date() -> None:
    site = Site()
    del site.files["works", SEPTEMBER]
    with serving(site) as (dumps, _):
        files = dumps.resolve_together()
    assert {file.date for file in files.values()} == {AUGUST}
    assert files[DumpKind.EDITIONS].url.endswith(f"ol_dump_editions_{AUGUST}.txt.gz")
    assert "the newest date that has every kind" in files[DumpKind.EDITIONS].warnings[0]
    assert "HTTP 404" in files[DumpKind.WORKS].warnings[0]


def test_kinds_of_different_dates_are_said_where_no_date_has_all() -> None:
    site = Site()
    del site.files["works", SEPTEMBER], site.files["editions", AUGUST], site.files["editions", JULY]
    with serving(site) as (dumps, _):
        files = dumps.resolve_together(["editions", "works"])
    assert (files[DumpKind.EDITIONS].date, files[DumpKind.WORKS].date) == (SEPTEMBER, AUGUST)
    assert all("different dates" in file.warnings[-1] for file in files.values())


def test_a_site_that_does_not_answer_or_redirects_for_ever() -> None:
    with loopback(lambda asked: Reply(503)) as server, pytest.raises(DumpSiteError, match="HTTP 503"):
        DumpSite(server.url, attempts=1).resolve("editions")
    with pytest.raises(DumpSiteError, match=r"no answer from .*refused"):
        DumpSite(server.url, attempts=1).resolve("editions", SEPTEMBER)
    endless = pytest.raises(NoSoundDump, match="HTTP 302")
    with loopback(lambda asked: Reply(302, headers={"Location": asked.path})) as server, endless:
        DumpSite(server.url, attempts=1).resolve("editions", SEPTEMBER)


def test_a_passing_failure_is_asked_again() -> None:
    site = Site()
    failed: list[str] = []

    def answer(asked: Asked) -> Reply:
        if not failed:
            failed.append(asked.path)
            return Reply(502)
        return site.answer(asked)

    with loopback(answer) as server:
        assert DumpSite(server.url, attempts=2).resolve("works", JULY).date == JULY


@pytest.mark.parametrize("kind", DumpKind)
def test_every_kind_knows_its_own_lines_only(kind: DumpKind) -> None:
    lines = {
        DumpKind.EDITIONS: b"/type/edition\t/books/OL1M\t1\t2020-01-01T00:00:00\t{}",
        DumpKind.WORKS: b"/type/work\t/works/OL1W\t1\t2020-01-01T00:00:00\t{}",
        DumpKind.AUTHORS: b"/type/author\t/authors/OL1A\t1\t2020-01-01T00:00:00\t{}",
        DumpKind.COVERS_METADATA: b"12\t300\t500\t2020-01-01",
    }
    assert kind.problem(lines[kind]) is None
    for other in set(DumpKind) - {kind}:
        assert f"as {kind.value} dumps have" in str(kind.problem(lines[other]))
    assert kind.problem(b"") is not None


def test_listing_is_archive_org_for_the_real_site_alone() -> None:
    assert DumpSite().listing_url == "https://archive.org"
    assert DumpSite("http://127.0.0.1:9/").listing_url == "http://127.0.0.1:9"
    assert DumpSite("http://127.0.0.1:9", "http://127.0.0.1:10").listing_url == "http://127.0.0.1:10"
