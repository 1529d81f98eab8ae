"""The append-only caches: the newest row wins, a killed writer leaves nothing, and no shard breaks the contract."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from booksearch_assets.tables.books import COVERS
from booksearch_assets.tables.lake import LakeError, entries
from booksearch_assets.tables.shards import ShardStore
from booksearch_assets_tests.tables.people import PEOPLE, people


@pytest.fixture
def store(tmp_path: Path) -> ShardStore:
    return ShardStore(str(tmp_path / "a b" / "lake"), "people/of one source", PEOPLE)


def _named(names: dict[int, str]) -> pa.Table:
    return pa.table({"id": list(names), "name": list(names.values())}, schema=PEOPLE.schema)


def _newest(store: ShardStore) -> dict[int, str]:
    """Every key and its newest name, read as a stage reads them."""
    rows = [row for part in store.read_keys(store.index([]), ["id", "name"]) for row in part.to_pylist()]
    found = {row["id"]: row["name"] for row in rows}
    assert len(found) == len(rows)
    return found


def test_an_empty_store_has_an_index_of_no_rows(store: ShardStore) -> None:
    assert store.shards() == []
    index = store.index(["name"])
    assert index.num_rows == 0
    assert index.column_names == ["id", "name", "shard"]
    assert list(store.read_keys(index)) == []


def test_rows_come_back_as_they_were_appended(store: ShardStore) -> None:
    shard = store.append(people(1, 2))
    assert store.shards() == [shard]
    assert store.read(shard).equals(people(1, 2))
    assert store.read(shard, pa.array([2]))["name"].to_pylist() == ["person 2"]
    assert store.read(shard, pa.array([], pa.int64())).num_rows == 0


def test_the_index_holds_the_columns_asked_for_and_the_shard(store: ShardStore) -> None:
    first, second = store.append(people(1)), store.append(people(2))
    assert sorted(store.index([]).to_pylist(), key=lambda row: row["id"]) == [
        {"id": 1, "shard": first},
        {"id": 2, "shard": second},
    ]
    assert store.index(["name", "id"]).column_names == ["id", "name", "shard"]


def test_the_newest_row_of_a_key_wins(store: ShardStore) -> None:
    store.append(_named({1: "old", 2: "kept"}))
    newest = store.append(_named({1: "new", 3: "more"}))
    assert _newest(store) == {1: "new", 2: "kept", 3: "more"}
    shards = {row["id"]: row["shard"] for row in store.index([]).to_pylist()}
    assert shards[1] == shards[3] == newest


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(appends=st.lists(st.dictionaries(st.integers(0, 9), st.text(max_size=3), min_size=1), max_size=8))
def test_a_store_is_a_dictionary(
    tmp_path_factory: pytest.TempPathFactory, appends: list[dict[int, str]]
) -> None:
    store = ShardStore(str(tmp_path_factory.mktemp("lake")), "people", PEOPLE)
    expected: dict[int, str] = {}
    for names in appends:
        store.append(_named(names))
        expected |= names
    assert _newest(store) == expected


def test_many_shards(store: ShardStore) -> None:
    for start in range(0, 600, 3):
        store.append(people(*range(start, start + 5)))
    index = store.index([])
    assert len(store.shards()) == 200
    assert sorted(index["id"].to_pylist()) == list(range(602))
    wanted = index.filter(pc.is_in(index["id"], pa.array([0, 300, 601])))
    assert sorted(row["id"] for part in store.read_keys(wanted) for row in part.to_pylist()) == [0, 300, 601]


def test_vectors_keep_their_width_and_their_bits(tmp_path: Path) -> None:
    table = COVERS.vectors(3)
    vectors = np.array([[0.6, 0.8, 0.0], [1e-38, -0.0, 1.0]], np.float32)
    rows = pa.table(
        {
            "cover_id": pa.array([1, 2], pa.int64()),
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), 3),
            **{name: ["x", "x"] for name in table.column_names[2:]},
        }
    )
    store = ShardStore(str(tmp_path), "vectors", table)
    back = store.read(store.append(rows))
    assert back.schema.field("vector").type == pa.list_(pa.float32(), 3)
    assert np.stack(back["vector"].to_pylist()).astype(np.float32).tobytes() == vectors.tobytes()


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        pytest.param(people(), "it is empty", id="empty"),
        pytest.param(people(1, 2, 1), "it holds the same id twice", id="key twice"),
        pytest.param(
            people(1).drop_columns("name"), "column name: expected string, it is missing", id="missing"
        ),
        pytest.param(
            people(1).append_column("age", pa.array([3])),
            "column age: not in the contract of test/people",
            id="extra",
        ),
        pytest.param(
            pa.table({"id": ["1"], "name": ["x"]}),
            "column id: expected int64, found string",
            id="castable type",
        ),
        pytest.param(
            pa.table({"id": pa.array([1], pa.int32()), "name": ["x"]}),
            "column id: expected int64, found int32",
            id="narrow",
        ),
        pytest.param(
            pa.table({"id": pa.array([1, None], pa.int64()), "name": ["x", "y"]}),
            "column id: 1 nulls",
            id="null",
        ),
    ],
)
def test_rows_that_break_the_contract_are_refused(store: ShardStore, rows: pa.Table, problem: str) -> None:
    store.append(people(7))
    with pytest.raises(ValueError, match="no shard for people/of one source") as raised:
        store.append(rows)
    assert problem in str(raised.value)
    assert _newest(store) == {7: "person 7"}


def test_vectors_of_another_width_are_refused(tmp_path: Path) -> None:
    store = ShardStore(str(tmp_path), "vectors", COVERS.vectors(4))
    rows = COVERS.vectors(3).schema.empty_table()
    with pytest.raises(
        ValueError, match=r"expected fixed_size_list<.*>\[4\], found fixed_size_list<.*>\[3\]"
    ):
        store.append(rows)


def test_columns_in_another_order_are_put_in_order(store: ShardStore) -> None:
    shard = store.append(people(1).select(["name", "id"]))
    assert store.read(shard).column_names == ["id", "name"]


def test_a_lake_that_cannot_be_written_says_so(tmp_path: Path) -> None:
    (tmp_path / "lake").write_text("not a folder")
    with pytest.raises(LakeError, match="cannot write to the lake"):
        ShardStore(str(tmp_path / "lake"), "people", PEOPLE).append(people(1))


def test_a_folder_that_comes_while_it_is_listed_is_listed(tmp_path: Path) -> None:
    class Raced:
        """What Arrow does where a folder is made between its two looks."""

        looks = 0

        def get_file_info(self, selector: pafs.FileSelector) -> list[pafs.FileInfo]:
            self.looks += 1
            if self.looks == 1:
                raise FileNotFoundError(selector.base_dir)
            return pafs.LocalFileSystem().get_file_info(selector)

    (tmp_path / "one").touch()
    assert [info.base_name for info in entries(Raced(), str(tmp_path))] == ["one"]


def _process(store: ShardStore, code: str) -> subprocess.Popen[bytes]:
    prelude = (
        "import os, signal, sys\nimport pyarrow.parquet as pq\n"
        "from booksearch_assets.tables.shards import ShardStore\n"
        "from booksearch_assets_tests.tables.people import PEOPLE, people\n"
        "store = ShardStore(sys.argv[1], sys.argv[2], PEOPLE)\n"
    )
    return subprocess.Popen([sys.executable, "-c", prelude + code, store.root, store.name])


def test_a_writer_killed_before_the_rename_leaves_nothing_visible(store: ShardStore) -> None:
    store.append(people(1))
    code = (
        "real = pq.write_table\n"
        "def write(rows, *args, **kwargs):\n"
        "    real(rows, *args, **kwargs)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "pq.write_table = write\n"
        "store.append(people(1, 2))\n"
    )
    process = _process(store, code)
    assert process.wait(120) == -signal.SIGKILL
    folder = Path(store.root, "_cache", store.name)
    assert len(list(folder.iterdir())) == 2, (
        "the killed writer left no half-written file, so this proves nothing"
    )
    assert _newest(store) == {1: "person 1"}
    store.append(people(2))
    assert _newest(store) == {1: "person 1", 2: "person 2"}


def test_a_writer_killed_at_any_moment_leaves_whole_shards(store: ShardStore) -> None:
    process = _process(
        store, "i = 0\nwhile True:\n    store.append(people(*range(i, i + 500)))\n    i += 500\n"
    )
    while len(store.shards()) < 5:
        assert process.poll() is None
    os.kill(process.pid, signal.SIGKILL)
    process.wait(120)
    ids = sorted(_newest(store))
    assert len(ids) >= 2500
    assert ids == list(range(len(ids)))
    assert len(ids) % 500 == 0


def test_two_appenders_lose_nothing(store: ShardStore) -> None:
    code = "for i in range(50): store.append(people({first} + i, 1000))"
    processes = [_process(store, code.format(first=first)) for first in (0, 50)]
    assert [process.wait(120) for process in processes] == [0, 0]
    assert len(store.shards()) == 100
    assert sorted(_newest(store)) == [*range(100), 1000]
