"""The lake in one process: what is visible when, what pruning keeps, and what it says when something is broken."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pytest

from booksearch_assets.tables.counts import Counts
from booksearch_assets.tables.lake import Lake, LakeError, NotCommitted
from booksearch_assets_tests.tables.people import PEOPLE, commit_people, committed_ids, people


def _pointer(lake: Lake, partition: str = "_whole") -> Path:
    return Path(lake.uri(PEOPLE.name, "current", f"{partition}.json"))


def test_nothing_is_visible_before_the_commit(lake: Lake) -> None:
    pending = lake.begin(PEOPLE.name)
    pending.write(people(1, 2), PEOPLE.schema)

    assert lake.current(PEOPLE.name) is None
    assert lake.partitions(PEOPLE.name) == []
    assert lake.history(PEOPLE.name) == []
    with pytest.raises(NotCommitted, match="test/people has not been materialised"):
        lake.read(PEOPLE)

    commit = pending.commit()

    assert lake.resolve(PEOPLE.name) == commit
    assert commit.rows == 2
    assert commit.size == sum(Path(path).stat().st_size for path in lake.files(commit))
    assert committed_ids(lake) == [1, 2]


def test_the_old_version_is_read_until_the_new_one_is_committed(lake: Lake) -> None:
    old = commit_people(lake, 1)
    pending = lake.begin(PEOPLE.name)
    pending.write(people(2), PEOPLE.schema)
    assert lake.resolve(PEOPLE.name) == old
    pending.commit()
    assert committed_ids(lake) == [2]
    # Whoever resolved the old version before still reads it whole.
    assert lake.dataset([old], PEOPLE.schema).to_table()["id"].to_pylist() == [1]


def test_a_record_holds_all_that_it_was_given(lake: Lake) -> None:
    pending = lake.begin(PEOPLE.name)
    pending.write(people(1), PEOPLE.schema, "2015")
    given = pending.commit(
        "2015",
        counts=Counts(3, 1, {"too short": 2}),
        data_version="2026-06-30",
        inputs={"test/other/2015": "v1"},
        facts={"dimension": 512, "statuses": {"ok": 1}},
    )
    assert lake.resolve(PEOPLE.name, "2015") == given
    assert given.counts == Counts(3, 1, {"too short": 2})
    assert given.data_version == "2026-06-30"
    assert lake.partitions(PEOPLE.name) == ["2015"]


def test_the_version_is_the_data_version_where_none_is_given(lake: Lake) -> None:
    commit = commit_people(lake, 1)
    assert commit.data_version == commit.version


def test_partitions_change_one_by_one(lake: Lake) -> None:
    commit_people(lake, 1, partition="2015")
    commit_people(lake, 2, partition="2016")
    commit_people(lake, 3, partition="2015")
    assert lake.partitions(PEOPLE.name) == ["2015", "2016"]
    assert committed_ids(lake, "2015") == [3]
    assert committed_ids(lake, "2016") == [2]
    both = [lake.resolve(PEOPLE.name, year) for year in ("2015", "2016")]
    assert sorted(lake.dataset(both, PEOPLE.schema).to_table()["id"].to_pylist()) == [2, 3]


def test_an_empty_table_is_committed_with_its_columns(lake: Lake) -> None:
    commit = commit_people(lake)
    assert commit.rows == 0
    assert lake.read(PEOPLE).schema.equals(PEOPLE.schema)
    assert len(lake.files(commit)) == 1


def test_a_version_without_files_reads_as_an_empty_table(lake: Lake) -> None:
    commit = lake.begin(PEOPLE.name).commit()
    assert commit.rows == commit.size == 0
    assert lake.read(PEOPLE).num_rows == 0
    assert lake.dataset([commit]).to_table().num_rows == 0
    assert lake.dataset([]).to_table().num_rows == 0


def test_batches_are_written_as_they_come(lake: Lake) -> None:
    pending = lake.begin(PEOPLE.name)
    rows = pending.write((people(i).to_batches()[0] for i in range(5)), PEOPLE.schema)
    assert rows == 5
    assert pending.commit().rows == 5
    assert committed_ids(lake) == [0, 1, 2, 3, 4]


def test_rows_that_are_not_parquet_are_counted_by_the_writer(lake: Lake) -> None:
    pending = lake.begin(PEOPLE.name)
    (Path(pending.path) / "part-0.txt.gz").write_bytes(b"12345")
    commit = pending.commit(rows=7)
    assert (commit.rows, commit.size) == (7, 5)


def test_what_is_written_aside_is_no_data_of_an_unpartitioned_table(lake: Lake) -> None:
    pending = lake.begin(PEOPLE.name)
    pending.write(people(1), PEOPLE.schema)
    aside, rows = pending.write_aside("work", people(7, 8))
    assert rows == 2
    assert lake.read_aside(aside.rpartition("/")[0], PEOPLE)["id"].to_pylist() == [7, 8]
    assert lake.read_aside(f"{pending.path}/_nothing", PEOPLE).schema.equals(PEOPLE.schema)
    commit = pending.commit()
    assert commit.rows == 1
    assert commit.size == Path(lake.files(commit)[0]).stat().st_size
    assert committed_ids(lake) == [1]


def test_columns_are_chosen(lake: Lake) -> None:
    commit_people(lake, 1)
    assert lake.read(PEOPLE, columns=["name"]).column_names == ["name"]


def test_folder_names_add_no_columns(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path / "stage=prod" / "lake"))
    commit = commit_people(lake, 1, partition="2015")
    assert commit.path.endswith("/year=2015")
    assert lake.dataset([commit]).to_table().column_names == ["id", "name"]


def test_history_is_in_the_order_in_which_versions_were_begun(lake: Lake) -> None:
    first = lake.begin(PEOPLE.name)
    second = lake.begin(PEOPLE.name)
    second.commit()
    first.commit()
    third = commit_people(lake, 3)
    assert [c.version for c in lake.history(PEOPLE.name)] == [third.version, second.version, first.version]


def test_the_last_commit_is_current_whichever_was_begun_first(lake: Lake) -> None:
    first, second = lake.begin(PEOPLE.name), lake.begin(PEOPLE.name)
    first.write(people(1), PEOPLE.schema)
    second.write(people(2), PEOPLE.schema)
    second.commit()
    first.commit()
    assert committed_ids(lake) == [1]


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b'{"table": "x"}', b"\xff\xfe", b'{"counts": 5}']
)
def test_a_corrupt_pointer_says_how_to_restore_it(lake: Lake, content: bytes) -> None:
    commit = commit_people(lake, 1)
    _pointer(lake).write_bytes(content)
    with pytest.raises(LakeError, match="is not a commit record") as raised:
        lake.resolve(PEOPLE.name)
    records = Path(lake.uri(PEOPLE.name, "commits", "_whole"))
    assert f"copy the newest sound record of {records} over it" in str(raised.value)
    # What the message says to do is done, and helps.
    shutil.copyfile(max(records.iterdir()), _pointer(lake))
    assert lake.resolve(PEOPLE.name) == commit


def test_files_that_are_gone_are_an_error_and_not_an_empty_table(lake: Lake) -> None:
    commit = commit_people(lake, 1)
    shutil.rmtree(commit.path)
    with pytest.raises(LakeError, match="holds no files any more; materialise it again"):
        lake.read(PEOPLE)


@pytest.mark.parametrize(
    "partition", ["../2015", "a/b", "/etc", "_whole", ".hidden", "2015 ", "ü", "a=b", "%2e"]
)
def test_a_partition_that_could_mean_another_place_is_refused(lake: Lake, partition: str) -> None:
    pending = lake.begin(PEOPLE.name)
    with pytest.raises(LakeError, match="cannot be a partition"):
        pending.write(people(1), PEOPLE.schema, partition)
    with pytest.raises(LakeError, match="cannot be a partition"):
        pending.commit(partition, path=pending.path)
    with pytest.raises(LakeError, match="cannot be a partition"):
        lake.current(PEOPLE.name, partition)


@pytest.mark.parametrize("partition", ["2015", "other", "listings_0.json.gz", "A-1"])
def test_names_of_years_and_files_are_partitions(lake: Lake, partition: str) -> None:
    commit_people(lake, 1, partition=partition)
    assert lake.partitions(PEOPLE.name) == [partition]
    assert committed_ids(lake, partition) == [1]


@pytest.mark.parametrize("folder", ["a b/ü", "100%/x%20y", "a#b?c", "it's"])
def test_a_root_of_any_name_means_the_same_to_arrow_and_to_the_lake(tmp_path: Path, folder: str) -> None:
    lake = Lake(str(tmp_path / folder))
    commit = commit_people(lake, 1, 2)
    assert Path(commit.path).parent.parent.parent.parent == tmp_path / folder
    assert committed_ids(Lake(str(tmp_path / folder))) == [1, 2]
    assert ds.dataset(commit.path, format="parquet").count_rows() == 2
    assert pa.fs.FileSystem.from_uri(commit.path)[1] == commit.path


def test_a_file_uri_is_the_folder_that_it_names(tmp_path: Path) -> None:
    commit_people(Lake(str(tmp_path / "a b")), 1)
    lake = Lake((tmp_path / "a b").as_uri() + "/")
    assert committed_ids(lake) == [1]
    assert lake.root == str(tmp_path / "a b")


def test_a_relative_root_is_read_from_any_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    lake = Lake("data/lake/")
    commit_people(lake, 1)
    monkeypatch.chdir("/")
    assert lake.root == str(tmp_path / "data" / "lake")
    assert committed_ids(lake) == [1]


def test_a_lake_may_be_moved(tmp_path: Path) -> None:
    before = commit_people(Lake(str(tmp_path / "here")), 1)
    (tmp_path / "here").rename(tmp_path / "there")
    lake = Lake(str(tmp_path / "there"))
    assert committed_ids(lake) == [1]
    assert lake.resolve(PEOPLE.name).path == before.path.replace("/here/", "/there/")
    assert not Path(json.loads(_pointer(lake).read_text())["path"]).is_absolute()


@pytest.mark.parametrize(
    "root", ["", "gs://bucket/lake", "mock://lake", "http://host/lake", "file://relative/lake", "s3://"]
)
def test_a_root_that_is_no_lake_is_refused(root: str) -> None:
    with pytest.raises(LakeError, match="neither a folder nor a file:// or s3:// URI.*set BOOKSEARCH_LAKE"):
        Lake(root)


def test_a_root_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    # A file in place of a folder stops root too, whom permissions do not stop.
    (tmp_path / "lake").write_text("not a folder")
    lake = Lake(str(tmp_path / "lake"))
    for write in (lambda: lake.begin(PEOPLE.name), lambda: lake.write_bytes("x/y", b"")):
        with pytest.raises(LakeError, match=r"cannot write to the lake at .*/lake: .*set BOOKSEARCH_LAKE"):
            write()
    with pytest.raises(LakeError, match=r"cannot read .*/lake/test/people/current/_whole.json"):
        lake.current(PEOPLE.name)


def test_a_pointer_that_cannot_be_written_leaves_the_old_version_current(lake: Lake) -> None:
    old = commit_people(lake, 1)
    pending = lake.begin(PEOPLE.name)
    pending.write(people(2), PEOPLE.schema)
    current = _pointer(lake).parent
    current.rename(current.with_name("kept"))
    current.write_text("not a folder")
    with pytest.raises(LakeError, match="cannot write to the lake"):
        pending.commit()
    current.unlink()
    current.with_name("kept").rename(current)
    assert lake.resolve(PEOPLE.name) == old


def test_small_objects_are_bytes_whatever_they_are_called(lake: Lake) -> None:
    assert lake.read_bytes("a/b.json.gz") is None
    lake.write_bytes("a/b.json.gz", b"plain")
    assert Path(lake.uri("a/b.json.gz")).read_bytes() == b"plain"
    assert lake.read_bytes("a/b.json.gz") == b"plain"
    assert [path.name for path in Path(lake.uri("a")).iterdir()] == ["b.json.gz"]
