"""What only Milvus Lite has: locks between processes, files that can be damaged, processes that are killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from booksearch_assets.vectorstores.connect import open_published, open_store
from booksearch_assets.vectorstores.errors import (
    CollectionNotFound,
    CollectionNotSealed,
    StoreDamaged,
    StoreLocked,
    StoreUnavailable,
)
from booksearch_assets.vectorstores.exact import ExactIndex
from booksearch_assets.vectorstores.milvus_lite import MilvusLiteStore
from booksearch_assets_tests.vectorstores import worlds

HOLDER = """
import sys
from pathlib import Path
from booksearch_assets.vectorstores.milvus_lite import MilvusLiteStore
store = MilvusLiteStore(Path(sys.argv[1]))
print(store.count("books"), flush=True)
sys.stdin.readline()
"""

LOADER = """
import sys
from pathlib import Path
from booksearch_assets.vectorstores.milvus_lite import MilvusLiteStore
from booksearch_assets_tests.vectorstores import worlds
store = MilvusLiteStore(Path(sys.argv[1]))
store.create(worlds.spec("books"))
def endless():
    rows = worlds.rows(2000)
    yield rows
    while True:
        yield rows.slice(0, 0)
store.load("books", endless(), lambda rows: print(rows, flush=True))
"""


@pytest.fixture
def sealed(tmp_path: Path) -> Path:
    """A store that holds the sealed and published collection "books", and that nobody has open."""
    with MilvusLiteStore(tmp_path / "vectors") as store:
        store.create(worlds.spec("books", bundle_id="tiny"))
        store.load("books", [worlds.rows(50)])
        store.seal("books")
        store.publish("live", "books")
    return tmp_path / "vectors"


def _start(program: str, root: Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", program, str(root)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_a_second_process_waits_then_gives_up(sealed: Path) -> None:
    holder = _start(HOLDER, sealed)
    assert holder.stdout and holder.stdin
    try:
        assert holder.stdout.readline() == "50\n"
        with pytest.raises(StoreLocked, match=r"books\.db is locked by another process.*0\.3 s.*snapshot"):
            MilvusLiteStore(sealed, lock_timeout=0.3).count("books")
        # The snapshot and the pointers need no lock.
        index = open_published(str(sealed), "live")
        assert isinstance(index, ExactIndex)
        assert index.count() == 50
        reader = MilvusLiteStore(sealed, lock_timeout=0.0)
        assert reader.search("books", worlds.random_vectors(50)[7:8], 1)[0][0].key == "OL7M"
        reader.publish("live", "books")

        patient = MilvusLiteStore(sealed, lock_timeout=60.0)
        counts: list[int] = []
        waiting = threading.Thread(target=lambda: counts.append(patient.count("books")))
        waiting.start()
        holder.stdin.write("\n")
        holder.stdin.flush()
        waiting.join()
        assert counts == [50]
        patient.close()
    finally:
        holder.kill()
        holder.communicate()


def test_closing_hands_the_lock_over(sealed: Path) -> None:
    with MilvusLiteStore(sealed) as store:
        assert store.count("books") == 50
    holder = _start(HOLDER, sealed)
    assert holder.communicate("\n")[0] == "50\n"
    assert holder.returncode == 0


def test_two_stores_in_one_process_share_the_database(sealed: Path) -> None:
    first, second = MilvusLiteStore(sealed), MilvusLiteStore(sealed)
    assert first.count("books") == second.count("books") == 50
    first.close()
    assert second.count("books") == 50
    second.close()


def test_a_store_that_was_closed_opens_again(sealed: Path) -> None:
    store = MilvusLiteStore(sealed)
    assert store.count("books") == 50
    store.close()
    store.close()
    assert store.count("books") == 50
    store.close()


def test_a_killed_load_can_be_continued_or_rebuilt(tmp_path: Path) -> None:
    loader = _start(LOADER, tmp_path)
    assert loader.stdout
    assert loader.stdout.readline() == "1000\n"
    loader.send_signal(signal.SIGKILL)
    loader.communicate()
    with MilvusLiteStore(tmp_path) as store:
        assert store.collections() == ["books"]
        with pytest.raises(CollectionNotSealed, match="did not finish"):
            store.count("books")
        store.load("books", [worlds.rows(1500)])
        assert store.seal("books") in (1500, 2000)
        store.drop("books")
        store.create(worlds.spec("books"))
        store.load("books", [worlds.rows(10)])
        assert store.seal("books") == 10


def test_a_create_that_was_killed_leaves_nothing_in_the_way(tmp_path: Path) -> None:
    with MilvusLiteStore(tmp_path) as store:
        store.create(worlds.spec("books"))
        store.load("books", [worlds.rows(5)])
    (tmp_path / "books.json").unlink()
    with MilvusLiteStore(tmp_path) as store:
        assert store.collections() == []
        store.create(worlds.spec("books"))
        assert store.seal("books") == 0


def test_hnsw_parameters_reach_the_engine(tmp_path: Path) -> None:
    from booksearch_assets.vectorstores.contract import IndexKind, IndexSpec

    with MilvusLiteStore(tmp_path) as store:
        store.create(worlds.spec("books", IndexSpec(IndexKind.HNSW, m=48, ef_construction=77)))
        store.load("books", [worlds.rows(50)])
        store.seal("books")
    manifest = next((tmp_path / "books.db").rglob("manifest.json")).read_text()
    assert '"efConstruction": 77' in manifest
    assert '"M": 48' in manifest


@pytest.mark.parametrize("file", ["schema.json", "manifest.json"])
def test_a_damaged_database_says_so_and_can_be_dropped(sealed: Path, file: str) -> None:
    for path in (sealed / "books.db").rglob(f"{file}*"):
        path.write_text("{")
    store = MilvusLiteStore(sealed)
    with pytest.raises(StoreDamaged, match=r"books\.db.*materialise it again"):
        store.count("books")
    store.publish("live", "books")
    (sealed / "aliases" / "live.json").unlink()
    store.drop("books")
    assert store.collections() == []
    assert not list(sealed.glob("books*"))


def test_a_damaged_index_says_so(sealed: Path) -> None:
    for path in (sealed / "books.db").rglob("*.parquet"):
        path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(StoreDamaged, match="materialise it again"):
        MilvusLiteStore(sealed).count("books")


def test_counting_asks_the_database_and_not_its_copy(sealed: Path) -> None:
    rows = pq.read_table(sealed / "books.parquet")
    pq.write_table(rows.slice(0, 20), sealed / "books.parquet")
    with MilvusLiteStore(sealed) as store:
        assert store.index("books").count() == 20
        assert store.count("books") == 50


def _snapshot(root: Path) -> list[tuple[str, int]]:
    rows = pq.read_table(root / "books.parquet", columns=["edition_key", "year"]).to_pylist()
    return [(row["edition_key"], row["year"]) for row in rows]


def test_of_a_key_that_was_loaded_again_the_last_row_is_kept(tmp_path: Path) -> None:
    with MilvusLiteStore(tmp_path) as store:
        store.create(worlds.spec("books"))
        store.load("books", [worlds.rows(12)])
        store.load("books", [worlds.rows(3, seed=2, year=[1, 2, 3])])
        assert store.seal("books") == 12
        assert _snapshot(tmp_path)[:3] == [("OL0M", 1), ("OL10M", 2010), ("OL11M", 2011)]
        in_database = list(store.database("books").scan(["edition_key", "year", "vector"]))
        in_snapshot = list(store.scan("books", ["edition_key", "year", "vector"]))
    assert in_database == in_snapshot
    assert not (tmp_path / "books.loaded").exists()


def test_after_a_load_that_failed_the_snapshot_is_what_the_database_holds(tmp_path: Path) -> None:
    def batches() -> Iterator[pa.Table]:
        yield worlds.rows(1_000, seed=2, year=[1] * 1_000)
        raise OSError("the disk is gone")

    with MilvusLiteStore(tmp_path) as store:
        store.create(worlds.spec("books"))
        store.load("books", [worlds.rows(1_000)])
        with pytest.raises(OSError, match="the disk is gone"):
            store.load("books", batches())
        assert store.seal("books") == 1_000
    # As many rows as the first load had, and none of them its rows.
    assert {year for _, year in _snapshot(tmp_path)} == {1}


def test_a_database_that_does_not_hold_what_it_was_given_is_not_sealed(tmp_path: Path) -> None:
    with MilvusLiteStore(tmp_path) as store:
        store.create(worlds.spec("books"))
        store.load("books", [worlds.rows(10)])
        [loaded] = (tmp_path / "books.loaded").iterdir()
        pq.write_table(worlds.rows(10, seed=2).select(worlds.spec("books").schema.names), loaded)
        with pytest.raises(StoreDamaged, match="does not hold the vectors"):
            store.seal("books")
        assert not store.is_sealed("books")


def test_other_damaged_files_say_so(sealed: Path) -> None:
    store = MilvusLiteStore(sealed)
    (sealed / "books.parquet").write_bytes(b"PAR1 no more")
    with pytest.raises(StoreDamaged, match=r"books\.parquet.*materialise it again"):
        store.index("books")
    (sealed / "books.json").write_text('{"name": "books"}')
    with pytest.raises(StoreDamaged, match=r"books\.json"):
        store.describe("books")
    (sealed / "aliases" / "live.json").write_text("books")
    with pytest.raises(StoreDamaged, match=r"live\.json.*publish the alias again"):
        store.published("live")


def test_a_missing_database_says_so(sealed: Path) -> None:
    (sealed / "books.db").rename(sealed.parent / "elsewhere")
    with pytest.raises(StoreDamaged, match="is missing"):
        MilvusLiteStore(sealed).count("books")


@pytest.mark.parametrize("root", ["file/vectors", "/proc/booksearch"])
def test_a_folder_that_cannot_be_written(tmp_path: Path, root: str) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreUnavailable, match="cannot use .*mend it, or choose another"):
        MilvusLiteStore(tmp_path / root).create(worlds.spec("books"))


def test_nothing_published(tmp_path: Path) -> None:
    with pytest.raises(CollectionNotFound, match="nothing is published as 'live'"):
        open_published(str(tmp_path), "live")


def test_addresses(tmp_path: Path) -> None:
    assert isinstance(open_store(str(tmp_path)), MilvusLiteStore)
    assert isinstance(open_store(f"file://{tmp_path}"), MilvusLiteStore)
    with pytest.raises(StoreUnavailable, match="s3://"):
        open_store("s3://bucket/vectors")


def test_a_server_that_does_not_answer_says_so() -> None:
    with pytest.raises(StoreUnavailable, match=r"http://127\.0\.0\.1:1.*Check that the server is up"):
        open_store("http://127.0.0.1:1")
