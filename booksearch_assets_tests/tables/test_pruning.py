"""Pruning: what is current, what was promised and what others point into stays; the rest goes."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from booksearch_assets.tables.commit import Commit
from booksearch_assets.tables.lake import PENDING_GRACE, Lake, LakeError
from booksearch_assets.tables.pruning import prune
from booksearch_assets_tests.tables.people import PEOPLE, commit_people, committed_ids, people

REJECTED = "test/rejected"


def _versions(lake: Lake) -> list[str]:
    return sorted(path.name for path in Path(lake.uri(PEOPLE.name, "versions")).iterdir())


def _abandon(lake: Lake, age: timedelta) -> str:
    """A version folder as a killed writer left it `age` ago: filled and not committed."""
    version = f"{datetime.now(UTC) - age:%Y%m%dT%H%M%S%f}-dead00"
    folder = Path(lake.uri(PEOPLE.name, "versions", version))
    folder.mkdir(parents=True)
    (folder / "part-0.parquet").write_bytes(b"PAR1 half a fi")
    return version


def _commit_with_rejects(lake: Lake, *years: str) -> dict[str, tuple[Commit, Commit]]:
    """Kept and rejected rows of each year, in one version folder, as Spark's `partitionBy` writes them."""
    kept, rejected = lake.begin(PEOPLE.name), lake.begin(REJECTED)
    commits = {}
    for year in years:
        paths = {outcome: kept.partition_path(year, outcome=outcome) for outcome in ("kept", "rejected")}
        for path in paths.values():
            Path(path).mkdir(parents=True)
            pq.write_table(people(1), f"{path}/part-0.parquet")
        commits[year] = (kept.commit(year, path=paths["kept"]), rejected.commit(year, path=paths["rejected"]))
    return commits


def _rows(lake: Lake, commit: Commit) -> int:
    return lake.dataset([commit], PEOPLE.schema).count_rows()


def test_the_last_commits_of_every_partition_stay(lake: Lake) -> None:
    old_year = commit_people(lake, 1, partition="2015")
    commits = [commit_people(lake, i, partition="2016") for i in range(4)]
    assert prune(lake, PEOPLE.name, keep=2) == [commits[0].path, commits[1].path]
    assert _versions(lake) == sorted([old_year.version, commits[2].version, commits[3].version])
    assert committed_ids(lake, "2015") == [1]
    assert [c.version for c in lake.history(PEOPLE.name, "2016")] == [commits[3].version, commits[2].version]
    assert prune(lake, PEOPLE.name, keep=2) == []


def test_a_year_goes_while_another_year_of_its_version_stays(lake: Lake) -> None:
    pending = lake.begin(PEOPLE.name)
    for year, number in (("2015", 1), ("2016", 2)):
        pending.write(people(number), PEOPLE.schema, year)
    first = [pending.commit("2015"), pending.commit("2016")]
    commit_people(lake, 3, partition="2015")
    assert prune(lake, PEOPLE.name, keep=1) == [first[0].path]
    assert committed_ids(lake, "2015") == [3]
    assert committed_ids(lake, "2016") == [2]
    assert not Path(first[0].path).exists()


def test_the_current_version_stays_however_old(lake: Lake) -> None:
    slow = lake.begin(PEOPLE.name)
    slow.write(people(1), PEOPLE.schema)
    quick = [commit_people(lake, i) for i in (2, 3)]
    slow.commit()
    assert prune(lake, PEOPLE.name, keep=1) == [quick[0].path]
    assert committed_ids(lake) == [1]


@pytest.mark.parametrize("begun", ["before", "after"])
def test_a_pending_version_is_left_alone(lake: Lake, begun: str) -> None:
    pending = lake.begin(PEOPLE.name) if begun == "before" else None
    for i in range(3):
        commit_people(lake, i)
    pending = pending or lake.begin(PEOPLE.name)
    pending.write(people(9), PEOPLE.schema)
    assert pending.path not in prune(lake, PEOPLE.name, keep=1)
    pending.commit()
    assert committed_ids(lake) == [9]


def test_a_version_whose_other_years_are_still_being_filled_is_left_alone(lake: Lake) -> None:
    slow = lake.begin(PEOPLE.name)
    slow.write(people(1), PEOPLE.schema, "2015")
    first = slow.commit("2015")
    slow.write(people(2), PEOPLE.schema, "2016")
    for i in (3, 4):
        commit_people(lake, i, partition="2015")
    assert prune(lake, PEOPLE.name, keep=1)[0] == first.path
    slow.commit("2016")
    assert committed_ids(lake, "2016") == [2]


def test_what_a_killed_writer_left_goes_once_no_writer_can_be_at_it(lake: Lake) -> None:
    current = commit_people(lake, 1)
    dead = _abandon(lake, PENDING_GRACE + timedelta(minutes=1))
    alive = _abandon(lake, PENDING_GRACE - timedelta(minutes=1))
    assert prune(lake, PEOPLE.name) == [lake.uri(PEOPLE.name, "versions", dead)]
    assert _versions(lake) == sorted([alive, current.version])


def test_a_table_that_was_never_written_loses_nothing(lake: Lake) -> None:
    assert prune(lake, PEOPLE.name) == []


def test_nothing_is_dropped_where_a_record_cannot_be_read(lake: Lake) -> None:
    for i in range(3):
        commit_people(lake, i, partition="2015")
        commit_people(lake, i, partition="2016")
    Path(lake.uri(PEOPLE.name, "current", "2016.json")).write_text("{")
    versions = _versions(lake)
    with pytest.raises(LakeError):
        prune(lake, PEOPLE.name, keep=1)
    assert _versions(lake) == versions
    assert len(lake.history(PEOPLE.name, "2015")) == 3


def test_a_folder_that_a_commit_of_another_table_lies_in_stays(lake: Lake) -> None:
    old, new = (_commit_with_rejects(lake, "2015", "2016") for _ in range(2))
    # Only the kept rows are pruned: those that were rejected keep their places in the same version.
    assert prune(lake, PEOPLE.name, keep=1) == sorted(old[year][0].path for year in old)
    assert all(_rows(lake, rejected) == 1 for _, rejected in (*old.values(), *new.values()))
    # Both: nothing of the old version is left.
    assert prune(lake, PEOPLE.name, REJECTED, keep=1) == sorted(old[year][1].path for year in old)
    assert _versions(lake) == [new["2015"][0].version]
    assert all(_rows(lake, commit) == 1 for pair in new.values() for commit in pair)


def test_the_table_that_holds_no_files_of_its_own_can_be_pruned_alone(lake: Lake) -> None:
    old, new = (_commit_with_rejects(lake, "2015") for _ in range(2))
    assert prune(lake, REJECTED, keep=1) == [old["2015"][1].path]
    assert _rows(lake, old["2015"][0]) == _rows(lake, new["2015"][1]) == 1


def test_what_a_pinned_version_was_made_from_stays(lake: Lake) -> None:
    sources = [commit_people(lake, i, partition="2015") for i in range(4)]
    middles, made = [], []
    for source in sources:
        middles.append(
            lake.begin("test/middle").commit("2015", rows=0, inputs={f"{PEOPLE.name}/2015": source.version})
        )
        made.append(lake.begin("test/made").commit(rows=0, inputs={"test/middle/2015": middles[-1].version}))
    dropped = prune(lake, PEOPLE.name, "test/middle", "test/made", keep=1, pinned=[made[1].version])
    assert dropped == sorted(commits[i].path for i in (0, 2) for commits in (sources, middles, made))
    assert [c.version for c in lake.history("test/made")] == [made[3].version, made[1].version]
    assert _rows(lake, sources[1]) == _rows(lake, sources[3]) == 1


def test_caches_are_not_looked_at(lake: Lake) -> None:
    commit_people(lake, 1)
    Path(lake.uri("_cache", "covers", "commits")).mkdir(parents=True)
    assert lake.tables() == [PEOPLE.name]


def test_prunes_at_once_leave_what_each_of_them_promised(lake: Lake) -> None:
    commits = [commit_people(lake, i, partition="2015") for i in range(30)]
    errors: list[Exception] = []

    def run() -> None:
        try:
            prune(lake, PEOPLE.name, keep=2)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert _versions(lake) == [commits[-2].version, commits[-1].version]


def test_a_prune_that_is_killed_is_finished_by_the_next(lake: Lake) -> None:
    commits = [commit_people(lake, i, partition="2015") for i in range(4)]
    code = f"""
import os, signal
from booksearch_assets.tables.lake import Lake
from booksearch_assets.tables.pruning import prune
Lake.forget = lambda lake, commit: os.kill(os.getpid(), signal.SIGKILL)
prune(Lake({lake.root!r}), {PEOPLE.name!r}, keep=1)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == -signal.SIGKILL
    assert committed_ids(lake, "2015") == [3]
    prune(lake, PEOPLE.name, keep=1)
    assert lake.history(PEOPLE.name, "2015") == [commits[-1]]
    assert _versions(lake) == [commits[-1].version]
