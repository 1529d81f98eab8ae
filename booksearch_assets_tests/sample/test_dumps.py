from __future__ import annotations

import gzip
import hashlib
import json
import re
import subprocess
import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from booksearch_assets.sample.dumps import (
    BROKEN,
    DumpFile,
    DumpFiles,
    LineKind,
    write_dump,
    write_known_items,
)
from booksearch_assets.sample.scenes import scene_of
from booksearch_assets.sample.world import CoverState, WorkState, World
from booksearch_assets.tables.books import KNOWN_ITEMS

WORLD = World(seed=2, editions=3000)
TYPES = {DumpFile.EDITIONS: "/type/edition", DumpFile.WORKS: "/type/work", DumpFile.AUTHORS: "/type/author"}
FIELDS = re.compile(r"(/type/\w+)\t(/\w+/OL\d+[MWA])\t(\d+)\t(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6})\t(.*)")


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def lines_of(dump: DumpFiles, file: DumpFile) -> list[str]:
    return gzip.decompress(dump.path(file).read_bytes()).decode("ascii").splitlines()


def kind_of(line: str, file: DumpFile) -> LineKind | None:
    """What a reader who knows only the format makes of a line; None for a whole record."""
    match = FIELDS.fullmatch(line)
    if line.count("\t") < 4 or not match:
        return LineKind.TOO_FEW_FIELDS
    try:
        record = json.loads(match[5])
    except json.JSONDecodeError:
        return LineKind.CUT_OFF if match[5].startswith('{"') or match[5] == "{" else LineKind.NOT_JSON
    if match[1] == "/type/redirect" and file is DumpFile.WORKS:
        return LineKind.REDIRECT
    if match[1] != TYPES[file]:
        return LineKind.WRONG_TYPE
    assert (
        record["type"]["key"],
        record["key"],
        str(record["revision"]),
        record["last_modified"]["value"],
    ) == match.groups()[:4]
    return None


@pytest.fixture(scope="module")
def dump(tmp_path_factory: pytest.TempPathFactory) -> DumpFiles:
    return write_dump(WORLD, tmp_path_factory.mktemp("dump"))


@pytest.fixture(scope="module")
def records(dump: DumpFiles) -> dict[DumpFile, list[dict[str, Any]]]:
    return {
        file: [
            json.loads(line.split("\t")[4]) for line in lines_of(dump, file) if kind_of(line, file) is None
        ]
        for file in TYPES
    }


def test_bytes_are_the_same_in_another_process_and_with_workers(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib\n"
        "from booksearch_assets.sample.dumps import write_dump\n"
        "from booksearch_assets.sample.world import World\n"
        "if __name__ == '__main__':\n"
        "    write_dump(World(seed=9, editions=1200), pathlib.Path(sys.argv[1]), '2026-03-31', workers=2)\n"
    )
    (tmp_path / "write.py").write_text(program)
    environment = {"PYTHONHASHSEED": "5", "PYTHONPATH": str(Path(__file__).parents[2])}
    subprocess.run([sys.executable, tmp_path / "write.py", tmp_path / "there"], check=True, env=environment)
    here = write_dump(World(seed=9, editions=1200), tmp_path / "here", "2026-03-31")
    for file in DumpFile:
        assert sha256(here.path(file)) == sha256(tmp_path / "there" / file.name_of("2026-03-31"))
    assert sorted(path.name for path in (tmp_path / "here").iterdir()) == sorted(
        f.name_of("2026-03-31") for f in DumpFile
    )


def test_files_are_one_gzip_member_without_name_or_time(dump: DumpFiles) -> None:
    import zlib

    for file in DumpFile:
        packed = dump.path(file).read_bytes()
        assert packed[3] == 0
        assert packed[4:8] == bytes(4)
        member = zlib.decompressobj(wbits=31)
        member.decompress(packed)
        assert member.eof
        assert not member.unused_data


@pytest.mark.parametrize("file", list(TYPES))
def test_counts_agree_with_what_a_reader_finds(dump: DumpFiles, file: DumpFile) -> None:
    counts = dump.counts[file]
    found = Counter(kind_of(line, file) for line in lines_of(dump, file))
    assert found.pop(None) == counts[LineKind.RECORD] + counts.get(LineKind.OLDER_REVISION, 0)
    assert found == {
        kind: n for kind, n in counts.items() if kind not in (LineKind.RECORD, LineKind.OLDER_REVISION)
    }
    assert all(counts[kind] >= 1 for kind in BROKEN)
    assert sum(counts[kind] for kind in BROKEN) <= 0.005 * sum(counts.values())


def test_smallest_world_with_all_mess_is_a_thousand(tmp_path: Path) -> None:
    counts = write_dump(World(seed=11, editions=1000), tmp_path).counts[DumpFile.EDITIONS]
    assert counts[LineKind.RECORD] == 1000
    assert all(counts[kind] for kind in (*BROKEN, LineKind.OLDER_REVISION))


def test_tiny_and_changed_worlds_can_be_written(tmp_path: Path) -> None:
    assert write_dump(World(editions=1), tmp_path).counts[DumpFile.EDITIONS] == {LineKind.RECORD: 1}
    counts = write_dump(World(editions=100, release=3), tmp_path).counts
    assert 100 <= counts[DumpFile.EDITIONS][LineKind.RECORD] <= 103


def test_covers_metadata_lists_covers_and_only_half_of_the_missing(dump: DumpFiles) -> None:
    rows = [line.split("\t") for line in lines_of(dump, DumpFile.COVERS_METADATA)]
    assert len(rows) == dump.counts[DumpFile.COVERS_METADATA][LineKind.RECORD]
    assert all(len(row) == 4 and re.fullmatch(r"\d{4}-\d\d-\d\d", row[3]) for row in rows)
    listed = {int(row[0]): (int(row[1]), int(row[2])) for row in rows}
    assert len(listed) == len(rows)
    assert all(WORLD.cover_size(cover) == size for cover, size in listed.items())
    named = {c for i in range(WORLD.size) for c in WORLD.covers(i) or () if c and c > 0}
    assert {c for c in named if c not in listed} == {
        c for c in named if WORLD.cover_state(c) is CoverState.MISSING
    }


def test_records_agree_with_the_facts(records: dict[DumpFile, list[dict[str, Any]]]) -> None:
    newest: dict[str, dict[str, Any]] = {}
    for record in records[DumpFile.EDITIONS]:
        if record["revision"] > newest.get(record["key"], {"revision": 0})["revision"]:
            newest[record["key"]] = record
    assert len(newest) == WORLD.editions
    works = {record["key"]: record for record in records[DumpFile.WORKS]}
    authors = {record["key"] for record in records[DumpFile.AUTHORS]}
    for index in range(WORLD.size):
        edition = WORLD.edition(index)
        record = newest[edition.key]
        assert record["revision"] == edition.revision
        assert record.get("publish_date") == edition.publish_date
        assert " ".join((record.get("title_prefix", "") + record["title"]).split()) == edition.title
        assert ("works" in record) != edition.orphan
        if edition.wanted:
            work = works.get(edition.work.record_key, {}) if "works" in record else {}
            told = [*work.get("subjects", []), *record.get("subjects", []), *record.get("genres", [])]
            assert any(
                re.search(r"(^|-- ?| )fiction\b\.?$|^fiction,", subject.lower()) for subject in told
            ), told
            assert not any(
                "juvenile" in subject.lower() or "history and crit" in subject.lower() for subject in told
            )
    for work in works.values():
        assert all(entry["author"]["key"] in authors for entry in work["authors"])


def test_every_kind_of_mess_is_there(dump: DumpFiles, records: dict[DumpFile, list[dict[str, Any]]]) -> None:
    editions, works = records[DumpFile.EDITIONS], records[DumpFile.WORKS]
    work_of = {record["key"]: record for record in works}
    places: Counter[tuple[bool, bool]] = Counter()
    for record in editions:
        work = work_of.get(record["works"][0]["key"], {}) if "works" in record else {}
        places[len(work.get("subjects", ())) > 1, "subjects" in record] += 1
    assert all(
        places[place] > 50 for place in ((True, False), (False, True), (True, True), (False, False))
    ), places

    subjects = Counter(subject for record in (*editions, *works) for subject in record.get("subjects", ()))
    for heading in (
        "Nonfiction",
        "Fiction--History and criticism",
        "Children of immigrants",
        "Juvenile fiction",
        "Fiction",
        "Ghosts",
        "Dragons -- Fiction",
        "Sea stories",
        "Fiction, fantasy, general",
    ):
        assert subjects[heading], heading
    assert any(record.get("genres") == ["Fiction."] for record in editions)

    dates = [record.get("publish_date") for record in editions]
    for pattern in (
        r"\d{4}\?",
        r"195X",
        r"Printed 1234, 20\d\d",
        r"\d+ dezembro 20\d\d",
        r"December 31, \d{4}",
        r"c\d{4}",
        r"\[\d{4}\?\]",
        r"\d{8}",
        r"9999",
        r"2049",
    ):
        assert any(date and re.fullmatch(pattern, date) for date in dates), pattern
    assert None in dates

    assert any(isinstance(record.get("number_of_pages"), str) for record in editions)
    assert any(record.get("number_of_pages") == 0 for record in editions)
    assert any(
        "number_of_pages" not in record and re.fullmatch(r"vi, \d+ p\.", record.get("pagination", ""))
        for record in editions
    )

    covers = {
        json.dumps([c if c is None or c <= 0 else "id" for c in record["covers"]])
        for record in editions
        if "covers" in record
    }
    assert {
        '["id"]',
        '["id", "id"]',
        '[-1, "id"]',
        '[null, "id"]',
        '[0, "id"]',
        "[-1]",
        "[null]",
        "[0]",
        "[]",
    } <= covers
    assert any("covers" not in record for record in editions)

    assert any("-" in record.get("isbn_13", [""])[0] for record in editions)
    assert any("\t" in record["title"] for record in editions)
    assert any("\n" in record["title"] for record in editions)
    assert {type(record["description"]) for record in editions if "description" in record} == {str, dict}
    assert any(
        not record["title"].isascii() and not any("LATIN" in name(c) for c in record["title"] if c.isalpha())
        for record in editions
    )
    assert any("languages" not in record for record in editions)
    assert any("authors" not in record for record in editions)
    assert {type(entry["type"]) for record in works for entry in record["authors"]} == {str, dict}

    revisions = defaultdict(set)
    for record in editions:
        revisions[record["key"]].add(record["revision"])
    twice = [found for found in revisions.values() if len(found) == 2]
    assert len(twice) == dump.counts[DumpFile.EDITIONS][LineKind.OLDER_REVISION] > 0


def name(character: str) -> str:
    import unicodedata

    return unicodedata.name(character, "")


def test_works_are_listed_redirected_or_missing(dump: DumpFiles) -> None:
    lines = [
        line.split("\t")
        for line in lines_of(dump, DumpFile.WORKS)
        if kind_of(line, DumpFile.WORKS) in (None, LineKind.REDIRECT)
    ]
    records = {fields[1]: (fields[0], json.loads(fields[4])) for fields in lines}
    states: Counter[WorkState] = Counter()
    for index in range(WORLD.size):
        work = WORLD.work(index)
        states[work.state] += 1
        if work.state is WorkState.REDIRECT:
            kind, record = records[work.key]
            assert kind == "/type/redirect"
            assert records[record["location"]][1]["title"] == work.title
        else:
            assert (work.key in records) == (work.state is WorkState.LISTED)
    assert all(states[state] for state in WorkState)


def test_known_items_are_the_captions_of_wanted_covers(tmp_path: Path) -> None:
    path = tmp_path / "known.parquet"
    written = write_known_items(WORLD, path)
    table = pq.read_table(path)
    assert table.num_rows == written
    assert KNOWN_ITEMS.violations(table.schema) == []
    wanted = {edition.cover_id for edition in map(WORLD.edition, range(WORLD.size)) if edition.wanted}
    shown = {cover for cover in wanted if cover and WORLD.cover_state(cover) is CoverState.OK}
    assert len(table["cover_id"]) == len(shown)
    assert set(table["cover_id"].to_pylist()) == shown
    assert set(table["kind"].to_pylist()) == {"caption"}
    row = table.slice(7, 1).to_pylist()[0]
    assert row["query"] == scene_of(row["cover_id"], WORLD.seed).caption


def test_progress_ends_at_the_whole_of_each_file(tmp_path: Path) -> None:
    seen: dict[DumpFile, tuple[int, int]] = {}
    write_dump(
        World(editions=300), tmp_path, progress=lambda file, done, total: seen.update({file: (done, total)})
    )
    assert {file: seen[file][0] == seen[file][1] > 0 for file in DumpFile} == dict.fromkeys(DumpFile, True)


def test_a_failed_write_leaves_no_file(tmp_path: Path) -> None:
    def fail(file: DumpFile, done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_dump(World(editions=50), tmp_path, progress=fail)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.system
def test_memory_of_a_whole_dump_is_bounded(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib, resource\n"
        "from booksearch_assets.sample.dumps import write_dump\n"
        "from booksearch_assets.sample.world import World\n"
        "write_dump(World(editions=int(sys.argv[1])), pathlib.Path(sys.argv[2]))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    small, large = (
        int(
            subprocess.run(
                [sys.executable, "-c", program, str(n), tmp_path], capture_output=True, text=True, check=True
            ).stdout
        )
        for n in (5_000, 50_000)
    )
    assert large - small < 20_000, f"peak resident memory grew from {small} to {large} kB"
