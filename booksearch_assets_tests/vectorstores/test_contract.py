"""One contract for every backend: the same calls give the same results and the same errors."""

from __future__ import annotations

import multiprocessing
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from booksearch_assets.vectorstores.connect import open_store
from booksearch_assets.vectorstores.contract import (
    CollectionSpec,
    FieldKind,
    IndexKind,
    IndexSpec,
    ScalarField,
    VectorIndex,
    VectorStore,
)
from booksearch_assets.vectorstores.errors import (
    CollectionExists,
    CollectionNotFound,
    CollectionNotSealed,
    CollectionPublished,
    CollectionSealed,
    InvalidCollection,
    InvalidRows,
    InvalidSearch,
    InvalidVectors,
)
from booksearch_assets.vectorstores.filters import All, Between, Contains, Filter, OneOf
from booksearch_assets.vectorstores.milvus_lite import MilvusLiteStore
from booksearch_assets.vectorstores.opensearch_store import OpenSearchStore
from booksearch_assets_tests.vectorstores import worlds
from booksearch_assets_tests.vectorstores.conftest import BACKENDS
from booksearch_assets_tests.vectorstores.opensearch import PASSWORD, open_opensearch

COUNT = 300
ROWS = worlds.rows(COUNT)
PLAIN = ROWS.drop_columns("vector").to_pylist()
VECTORS = worlds.random_vectors(COUNT)
QUERIES = worlds.random_vectors(7, seed=2)


WAYS = [
    *BACKENDS,
    "lite-database",
    pytest.param("server-flat", marks=pytest.mark.milvus),
    "opensearch-faiss",
    "opensearch-flat",
]


@pytest.fixture(scope="module", params=WAYS)
def index(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[VectorIndex]:
    """The same sealed collection, read through each backend."""
    backend, _, way = request.param.partition("-")
    name = f"Reads_{way}_{secrets.token_hex(4)}"
    spec = worlds.spec(name, IndexSpec(IndexKind.FLAT) if way == "flat" else None)
    if backend == "opensearch":
        store = open_opensearch("faiss" if way == "faiss" else "lucene")
    else:
        folder = tmp_path_factory.mktemp(backend)
        store = open_store(request.getfixturevalue("milvus_uri") if backend == "server" else str(folder))
    store.create(spec)
    store.load(spec.name, ROWS.to_batches(max_chunksize=70))
    store.seal(spec.name)
    if way == "database":
        assert isinstance(store, MilvusLiteStore)
        yield store.database(spec.name)
    else:
        yield store.index(spec.name)
    store.close()


FILTERS: list[tuple[Filter, Callable[[dict[str, Any]], bool]]] = [
    (Between("year", 2010, 2012), lambda row: 2010 <= row["year"] <= 2012),
    (Between("year", -5, 1999), lambda row: False),
    (OneOf("year", (2003, 2024)), lambda row: row["year"] in (2003, 2024)),
    (OneOf("year", ()), lambda row: False),
    (Contains("subjects", "Lighthouses"), lambda row: "Lighthouses" in row["subjects"]),
    (Contains("subjects", '"quoted"'), lambda row: '"quoted"' in row["subjects"]),
    (Contains("subjects", "a\\b"), lambda row: "a\\b" in row["subjects"]),
    (Contains("subjects", "書"), lambda row: "書" in row["subjects"]),
    (All(()), lambda row: True),
    (
        All(
            (Between("year", 2005, 2020), Contains("subjects", "Fiction"), OneOf("title", ("Plain", "it's")))
        ),
        lambda row: (
            2005 <= row["year"] <= 2020 and "Fiction" in row["subjects"] and row["title"] in ("Plain", "it's")
        ),
    ),
    *((OneOf("title", (title,)), lambda row, title=title: row["title"] == title) for title in worlds.TITLES),
]


@pytest.mark.parametrize(("filter", "passes"), FILTERS, ids=[str(f) for f, _ in FILTERS])
def test_filters_agree_with_plain_python(
    index: VectorIndex, filter: Filter, passes: Callable[[dict[str, Any]], bool]
) -> None:
    expected = {row["edition_key"] for row in PLAIN if passes(row)}
    assert index.count(filter) == len(expected)
    [hits] = index.search(QUERIES[:1], COUNT, filter, fields=("title", "year", "subjects"))
    assert {hit.key for hit in hits} == expected
    by_key = {row["edition_key"]: row for row in PLAIN}
    for hit in hits:
        assert hit.fields == {name: by_key[hit.key][name] for name in ("title", "year", "subjects")}


def test_search_agrees_with_numpy(index: VectorIndex) -> None:
    scores = QUERIES @ VECTORS.T
    order = np.argsort(-scores, axis=1)
    for query, hits in enumerate(index.search(QUERIES, 10)):
        assert [hit.key for hit in hits] == [f"OL{i}M" for i in order[query, :10]]
        np.testing.assert_allclose([hit.score for hit in hits], scores[query, order[query, :10]], atol=1e-4)
        assert all(hit.fields == {} for hit in hits)


def test_many_queries_come_back_in_order(index: VectorIndex) -> None:
    answers = index.search(VECTORS, 1)
    assert [hits[0].key for hits in answers] == [f"OL{i}M" for i in range(COUNT)]
    np.testing.assert_allclose([hits[0].score for hits in answers], 1.0, atol=1e-4)


def test_no_queries_give_no_answers(index: VectorIndex) -> None:
    assert index.search(np.empty((0, worlds.DIMENSION), np.float32), 5) == []


def test_pages_join_into_the_whole_list(index: VectorIndex) -> None:
    [whole] = index.search(QUERIES[:1], 30)
    pages = [index.search(QUERIES[:1], 10, offset=start)[0] for start in (0, 10, 20)]
    assert [hit.key for page in pages for hit in page] == [hit.key for hit in whole]


def test_a_window_past_the_end_gives_what_there_is(index: VectorIndex) -> None:
    assert len(index.search(QUERIES[:1], 10_000)[0]) == COUNT
    assert index.search(QUERIES[:1], 10, offset=COUNT + 5)[0] == []


def test_the_vector_is_a_field_like_others(index: VectorIndex) -> None:
    [[hit]] = index.search(VECTORS[:1], 1, fields=("vector", "edition_key"))
    assert hit.fields["edition_key"] == "OL0M"
    np.testing.assert_allclose(hit.fields["vector"], VECTORS[0], atol=1e-6)


def test_fetch_by_key(index: VectorIndex) -> None:
    found = index.fetch(["OL5M", "nope", "OL3M", "OL5M"], ["title", "vector"])
    assert set(found) == {"OL5M", "OL3M"}
    assert found["OL5M"]["title"] == worlds.TITLES[5]
    np.testing.assert_allclose(found["OL3M"]["vector"], VECTORS[3], atol=1e-6)
    assert index.fetch([], ["title"]) == {}


def test_scan_gives_every_row_ordered_by_key(index: VectorIndex) -> None:
    schema = index.spec.schema
    scanned = pa.Table.from_batches(index.scan(schema.names), schema=schema)
    expected = ROWS.select(schema.names).cast(schema).sort_by("edition_key")
    assert scanned.drop_columns("vector").to_pylist() == expected.drop_columns("vector").to_pylist()
    np.testing.assert_allclose(_matrix(scanned), _matrix(expected), atol=1e-6)
    assert pa.Table.from_batches(index.scan(["year"])).column_names == ["year"]


def test_count_of_everything(index: VectorIndex) -> None:
    assert index.count() == COUNT


@pytest.mark.parametrize(
    ("k", "offset"), [(0, 0), (-1, 0), (10_001, 0), (10_000, 1), (5, -1)], ids=lambda value: str(value)
)
def test_windows_that_some_server_refuses(index: VectorIndex, k: int, offset: int) -> None:
    with pytest.raises(InvalidSearch, match="10000"):
        index.search(QUERIES[:1], k, offset=offset)


@pytest.mark.parametrize(
    "filter",
    [
        Between("pages", 1, 2),
        Between("title", 1, 2),
        Between("year", 2, 1),
        Between("year", 0, 2**63),
        Contains("title", "x"),
        OneOf("subjects", ("x",)),
        OneOf("year", ("2001",)),
        OneOf("title", (1,)),
        All((Between("year", 1, 2), Contains("nope", "x"))),
    ],
    ids=str,
)
def test_filters_that_cannot_be_answered(index: VectorIndex, filter: Filter) -> None:
    with pytest.raises(InvalidSearch):
        index.search(QUERIES[:1], 5, filter)
    with pytest.raises(InvalidSearch):
        index.count(filter)


def test_unknown_fields(index: VectorIndex) -> None:
    for call in (
        lambda: index.search(QUERIES[:1], 5, fields=("isbn",)),
        lambda: index.fetch(["OL1M"], ["isbn"]),
        lambda: list(index.scan(["isbn"])),
    ):
        with pytest.raises(InvalidSearch, match="'isbn'.*edition_key"):
            call()


@pytest.mark.parametrize(
    "queries",
    [
        worlds.random_vectors(1, dimension=8),
        worlds.random_vectors(1)[0],
        np.zeros((1, worlds.DIMENSION)),
        np.full((1, worlds.DIMENSION), np.nan),
        np.full((1, worlds.DIMENSION), np.inf),
        2 * worlds.random_vectors(1),
    ],
    ids=["width", "one-dimensional", "zero", "nan", "inf", "length 2"],
)
def test_queries_that_are_no_unit_vectors(index: VectorIndex, queries: np.ndarray) -> None:
    with pytest.raises(InvalidVectors):
        index.search(queries, 5)


def test_life_of_a_collection(store: VectorStore, reopen: Callable[[], VectorStore], name: str) -> None:
    spec = worlds.spec(name, bundle_id="tiny@1", note='quotes " and 書')
    alias, second = f"live_{name}", f"{name}_v2"
    store.create(spec)
    assert name in store.collections()
    assert store.describe(name) == spec
    with pytest.raises(CollectionExists, match=name):
        store.create(spec)
    with pytest.raises(CollectionNotSealed, match="not sealed"):
        store.search(name, QUERIES, 5)
    with pytest.raises(CollectionNotSealed):
        store.publish(alias, name)

    progress: list[int] = []
    assert store.load(name, [worlds.rows(40)], progress.append) == 40
    assert progress[-1] == 40
    assert store.load(name, worlds.rows(40).to_batches(max_chunksize=7)) == 40
    assert store.seal(name) == 40
    assert store.seal(name) == 40
    assert store.count(name) == 40
    with pytest.raises(CollectionSealed, match="new version"):
        store.load(name, [worlds.rows(1)])

    assert store.published(alias) is None
    store.publish(alias, name)
    assert store.published(alias) == name
    assert alias not in store.collections()
    with pytest.raises(CollectionNotFound, match=f"alias of '{name}'"):
        store.count(alias)
    with pytest.raises(CollectionExists, match="alias"):
        store.create(worlds.spec(alias))
    with pytest.raises(InvalidCollection, match="name of a collection"):
        store.publish(name, name)
    with pytest.raises(CollectionPublished, match=alias):
        store.drop(name)

    store.create(worlds.spec(second))
    assert store.seal(second) == 0
    assert store.count(second) == 0
    assert store.search(second, QUERIES[:2], 3) == [[], []]
    assert list(store.scan(second, ["title"])) == []
    store.publish(alias, second)
    store.publish(alias, second)
    assert store.published(alias) == second
    store.drop(name)
    assert name not in store.collections()
    with pytest.raises(CollectionNotFound, match=name):
        store.count(name)
    with pytest.raises(CollectionNotFound):
        store.drop(name)
    with pytest.raises(CollectionPublished):
        store.drop(second)

    store.create(spec)
    assert store.load(name, [worlds.rows(3)]) == 3
    assert store.seal(name) == 3
    store.publish(alias, name)
    store.drop(second)
    store.close()
    with reopen() as again:
        assert again.published(alias) == name
        assert again.describe(name).properties == {"bundle_id": "tiny@1", "note": 'quotes " and 書'}
        assert [hit.key for hit in again.search(name, worlds.random_vectors(3)[1:2], 1)[0]] == ["OL1M"]


BAD_ROWS: list[tuple[str, pa.Table, type[Exception], str]] = [
    ("nan", worlds.rows(2, vector=worlds.vector_column(np.full((2, 16), np.nan))), InvalidVectors, "'OL0M'"),
    (
        "inf",
        worlds.rows(2, vector=worlds.vector_column(np.full((2, 16), np.inf))),
        InvalidVectors,
        "not finite",
    ),
    ("length", worlds.rows(2, vector=worlds.vector_column(np.ones((2, 16)))), InvalidVectors, "length 4"),
    (
        "width",
        worlds.rows(2, vector=worlds.vector_column(worlds.random_vectors(2, dimension=8))),
        InvalidVectors,
        "16, not 8",
    ),
    ("ragged", worlds.rows(2, vector=pa.array([[1.0], [1.0] + [0.0] * 15])), InvalidVectors, "16, not 1"),
    ("no vector", worlds.rows(2, vector=pa.array([None, [1.0] + [0.0] * 15])), InvalidVectors, "nulls"),
    ("null element", worlds.rows(1, vector=pa.array([[None] + [0.0] * 15])), InvalidVectors, "nulls"),
    ("same key", worlds.rows(2, edition_key=["OL1M", "OL1M"]), InvalidRows, "'OL1M' comes twice"),
    ("empty key", worlds.rows(2, edition_key=["OL1M", ""]), InvalidRows, "empty key"),
    ("long key", worlds.rows(1, edition_key=["x" * 33]), InvalidRows, "33 bytes"),
    (
        "long title",
        worlds.rows(2, title=["ok", "é" * 33]),
        InvalidRows,
        "66 bytes of UTF-8 at key 'OL1M', 64",
    ),
    ("null title", worlds.rows(2, title=["ok", None]), InvalidRows, "nulls"),
    ("null subject", worlds.rows(1, subjects=pa.array([["a", None]])), InvalidRows, "nulls"),
    (
        "long subject",
        worlds.rows(2, subjects=pa.array([["a"], ["b", "c" * 65]])),
        InvalidRows,
        "65 bytes.*'OL1M'",
    ),
    ("many subjects", worlds.rows(1, subjects=pa.array([["a"] * 9])), InvalidRows, "9 elements"),
    ("year", worlds.rows(1, year=["soon"]), InvalidRows, "soon"),
    ("missing column", worlds.rows(1).drop_columns("title"), InvalidRows, "missing: title"),
    ("extra column", worlds.rows(1, isbn=["x"]), InvalidRows, "not expected: isbn"),
]


@pytest.fixture(scope="module")
def unsealed(reopen: Callable[[], VectorStore]) -> Iterator[tuple[VectorStore, str]]:
    opened, name = reopen(), f"refusals_{secrets.token_hex(4)}"
    opened.create(worlds.spec(name))
    yield opened, name
    opened.drop(name)
    opened.close()


@pytest.mark.parametrize(
    ("bad", "error", "says"), [case[1:] for case in BAD_ROWS], ids=[case[0] for case in BAD_ROWS]
)
def test_rows_that_are_refused(
    unsealed: tuple[VectorStore, str], bad: pa.Table, error: type[Exception], says: str
) -> None:
    store, name = unsealed
    with pytest.raises(error, match=says):
        store.load(name, [bad])


def test_a_key_may_not_come_twice_in_two_batches_either(unsealed: tuple[VectorStore, str]) -> None:
    store, name = unsealed
    with pytest.raises(InvalidRows, match="'OL0M' comes twice"):
        store.load(name, [worlds.rows(2), worlds.rows(1)])


@pytest.mark.parametrize("bad", ["", "1books", "my-coll", "my.coll", "книги", "a b", "x" * 121, "a;b", "x\n"])
def test_names_that_are_refused(store: VectorStore, bad: str) -> None:
    for call in (
        lambda: worlds.spec(bad),
        lambda: store.count(bad),
        lambda: store.drop(bad),
        lambda: store.describe(bad),
        lambda: store.published(bad),
        lambda: store.publish(bad, "books"),
    ):
        with pytest.raises(InvalidCollection, match="expected a letter or underscore"):
            call()


def test_a_missing_collection(store: VectorStore) -> None:
    for call in (
        lambda: store.count("missing"),
        lambda: store.search("missing", QUERIES, 3),
        lambda: store.fetch("missing", ["OL1M"], ["title"]),
        lambda: store.scan("missing", ["title"]),
        lambda: store.load("missing", [ROWS]),
        lambda: store.seal("missing"),
        lambda: store.drop("missing"),
        lambda: store.describe("missing"),
        lambda: store.publish("live", "missing"),
    ):
        with pytest.raises(CollectionNotFound, match="'missing'"):
            call()


@pytest.mark.parametrize(
    "change",
    [
        {"dimension": 0},
        {"dimension": 16_001},
        {"key": "year"},
        {"key": "isbn"},
        {"fields": (*worlds.FIELDS, worlds.FIELDS[0])},
        {"fields": (ScalarField("edition_key", FieldKind.TEXT, max_bytes=513),)},
    ],
    ids=str,
)
def test_specs_that_are_refused(change: dict[str, Any]) -> None:
    good: dict[str, Any] = {"name": "c", "dimension": 16, "key": "edition_key", "fields": worlds.FIELDS}
    CollectionSpec(**good)
    with pytest.raises(InvalidCollection):
        CollectionSpec(**(good | change))


@pytest.mark.parametrize("kind", ["SCANN", "DISKANN", "IVF_PQ", "flat", ""])
def test_index_types_that_lite_would_pretend_to_build(kind: str) -> None:
    with pytest.raises(InvalidCollection, match="FLAT, HNSW, IVF_FLAT"):
        IndexSpec(kind)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", list(IndexKind))
def test_every_index_type_finds_the_nearest(store: VectorStore, name: str, kind: IndexKind) -> None:
    spec = worlds.spec(name, IndexSpec(kind, m=8, ef_construction=100, nlist=4))
    if kind is IndexKind.IVF_FLAT and isinstance(store, OpenSearchStore):
        with pytest.raises(InvalidCollection, match="choose HNSW or FLAT"):
            store.create(spec)
        return
    store.create(spec)
    store.load(name, [ROWS])
    assert store.seal(name) == COUNT
    assert [hits[0].key for hits in store.search(name, VECTORS[:20], 1)] == [f"OL{i}M" for i in range(20)]
    store.drop(name)


def test_another_process_reads_what_was_sealed(
    store: VectorStore, reopen: Callable[[], VectorStore], name: str
) -> None:
    store.create(worlds.spec(name))
    store.load(name, [ROWS])
    store.seal(name)
    store.close()
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        keys = pool.apply(_nearest_keys, (store.where, name))  # type: ignore[attr-defined]
    assert keys == ["OL0M", "OL1M", "OL2M"]


def _nearest_keys(where: str, name: str) -> list[str]:
    from booksearch_assets.vectorstores.connect import open_store

    store = open_store(where, PASSWORD if where.startswith("opensearch+") else None)
    keys = [hits[0].key for hits in store.search(name, VECTORS[:3], 1)]
    store.close()
    return keys


def _matrix(rows: pa.Table) -> np.ndarray:
    return np.stack(rows["vector"].to_pylist())
