"""What only OpenSearch has: on a real node where OPENSEARCH_URL names one, else on osmem-server behind the k-NN shim."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pytest
from opensearchpy import OpenSearch
from opensearchpy.exceptions import AuthorizationException

from booksearch_assets.vectorstores.contract import Hit, IndexKind, IndexSpec
from booksearch_assets.vectorstores.errors import (
    CollectionExists,
    CollectionNotFound,
    InvalidCollection,
    InvalidSearch,
    VectorStoreError,
)
from booksearch_assets.vectorstores.filters import Between
from booksearch_assets.vectorstores.lexical import LexicalIndex
from booksearch_assets.vectorstores.opensearch_bulk import BulkWriter
from booksearch_assets.vectorstores.opensearch_client import Engine
from booksearch_assets.vectorstores.opensearch_schema import (
    Collection,
    collection_name,
    cosine,
    index_name,
    space,
)
from booksearch_assets.vectorstores.opensearch_store import OpenSearchStore
from booksearch_assets_tests.vectorstores import worlds
from booksearch_assets_tests.vectorstores.opensearch import open_opensearch

QUERY = worlds.random_vectors(1, seed=5)
WEIGHTS = {"title": 8.0, "subjects": 1.0}


@pytest.fixture
def store() -> Iterator[OpenSearchStore]:
    opened = open_opensearch()
    assert isinstance(opened, OpenSearchStore)
    yield opened
    opened.close()


def client_of(store: OpenSearchStore) -> OpenSearch:
    """What other programs would have."""
    return store._client


def sealed(store: OpenSearchStore, name: str, rows: pa.Table) -> None:
    store.create(worlds.spec(name))
    store.load(name, [rows])
    store.seal(name)


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("books", "books"),
        ("books_20261122T101112_ab12", "books_20261122-t101112_ab12"),
        ("Books", "0-books"),
        ("_x", "0_x"),
        ("A" * 120, "0" + "-a" * 120),
    ],
)
def test_names_are_written_as_opensearch_allows(name: str, index: str) -> None:
    assert index_name(name) == index
    assert collection_name(index) == name
    assert len(index.encode()) <= 255


@pytest.mark.parametrize(
    "index", [".kibana_1", "logs-2026", "my.index", "0books", "-x", "a--b", "ab-", "Ab", "0"]
)
def test_indexes_of_others_are_no_collections(index: str) -> None:
    assert collection_name(index) is None


@pytest.mark.parametrize("engine", list(Engine))
@pytest.mark.parametrize("value", [-1.0, -0.25, 0.0, 0.5, 1.0])
def test_scores_are_read_back_as_cosines(engine: Engine, value: float) -> None:
    documented = {
        "cosinesimil": (1 + value) / 2,
        "innerproduct": value + 1 if value >= 0 else 1 / (1 - value),
    }
    assert cosine(documented[space(engine)], space(engine)) == pytest.approx(value)


def test_an_index_that_others_made_is_left_alone(store: OpenSearchStore, name: str) -> None:
    client_of(store).indices.create(index=name)
    assert name in store.collections()
    with pytest.raises(InvalidCollection, match="was not made by booksearch"):
        store.load(name, [worlds.rows(1)])
    with pytest.raises(CollectionExists):
        store.create(worlds.spec(name))
    client_of(store).indices.put_alias(index=name, name=f"{name}_live")
    client_of(store).indices.create(index=f"{name}_b")
    client_of(store).indices.put_alias(index=f"{name}_b", name=f"{name}_live")
    with pytest.raises(VectorStoreError, match=f"'{name}_live' points at {name}, {name}_b, where"):
        store.published(f"{name}_live")
    assert store.published(f"{name}_ours") is None
    client_of(store).indices.delete(index=f"{name},{name}_b")


def test_a_collection_that_another_process_dropped(store: OpenSearchStore, name: str) -> None:
    sealed(store, name, worlds.rows(3))
    index = store.index(name)
    with open_opensearch() as other:
        other.drop(name)
    for call in (
        lambda: index.search(QUERY, 1),
        lambda: index.count(),
        lambda: index.fetch(["OL1M"], ["title"]),
        lambda: list(index.scan(["title"])),
    ):
        with pytest.raises(CollectionNotFound, match="dropped meanwhile"):
            call()


def test_two_processes_that_create_the_same_collection(store: OpenSearchStore, name: str) -> None:
    store.create(worlds.spec(name))
    with pytest.raises(CollectionExists, match=name):
        store._create(worlds.spec(name))


def test_a_sealed_collection_takes_no_writes_from_anybody(store: OpenSearchStore, name: str) -> None:
    sealed(store, name, worlds.rows(3))
    with pytest.raises(AuthorizationException, match="cluster_block"):
        client_of(store).index(index=name, id="OL1M", body={"title": "another"})
    settings = client_of(store).indices.get_settings(index=name)[name]["settings"]["index"]
    assert settings["auto_expand_replicas"] == "0-1"
    assert "refresh_interval" not in settings


def test_a_load_goes_on_where_sealing_was_killed(store: OpenSearchStore, name: str) -> None:
    store.create(worlds.spec(name))
    store.load(name, [worlds.rows(3)])
    store._finish(store._collection(name))
    assert not store.is_sealed(name)
    assert store.load(name, [worlds.rows(5)]) == 5
    assert store.seal(name) == 5


def test_a_row_that_opensearch_never_takes_is_named(store: OpenSearchStore, name: str) -> None:
    store.create(worlds.spec(name))
    narrow = worlds.rows(3, vector=worlds.vector_column(worlds.random_vectors(3, dimension=8)))
    spec = Collection(worlds.spec(name), Engine.LUCENE).spec
    writer = BulkWriter(
        client_of(store), name, type(spec)(name, 8, spec.key, spec.fields), "here", named=True
    )
    with pytest.raises(VectorStoreError, match=r"key 'OL0M': OpenSearch answered 400 .*dimension"):
        writer.write(narrow)
    store.drop(name)


def test_publishing_under_searches_is_seen_by_none(store: OpenSearchStore, name: str) -> None:
    versions = {f"{name}_a": 3, f"{name}_b": 5}
    for version, count in versions.items():
        sealed(store, version, worlds.rows(count))
    alias = f"{name}_live"
    store.publish(alias, f"{name}_a")
    stop, found = threading.Event(), []

    def read() -> None:
        while not stop.is_set():
            found.append(client_of(store).search(index=alias, body={"size": 10})["hits"]["total"]["value"])

    readers = [threading.Thread(target=read) for _ in range(3)]
    errors: list[BaseException] = []
    threading.excepthook, before = lambda args: errors.append(args.exc_value), threading.excepthook  # type: ignore[assignment,arg-type,return-value]
    try:
        for reader in readers:
            reader.start()
        for turn in range(30):
            store.publish(alias, f"{name}_{'ba'[turn % 2]}")
    finally:
        stop.set()
        for reader in readers:
            reader.join()
        threading.excepthook = before
    assert not errors
    # Never both versions, never none.
    assert set(found) <= set(versions.values()) and len(found) > 10


def test_publishing_ends_what_two_publishers_left(store: OpenSearchStore, name: str) -> None:
    for version in (f"{name}_a", f"{name}_b"):
        sealed(store, version, worlds.rows(2))
        client_of(store).indices.put_alias(index=version, name=f"{name}_live")
    store.publish(f"{name}_live", f"{name}_a")
    assert store.published(f"{name}_live") == f"{name}_a"


def test_words_are_found_by_the_store_itself(store: OpenSearchStore, name: str) -> None:
    titles = ["The Old Lighthouse", "Lighthouse of the North", "Éclair à la Zoë", "Plain", "The Sea"]
    subjects = [
        ["Sea stories"],
        ["Norway", "Lighthouse keepers"],
        ["Baking"],
        ["Lighthouse keepers"],
        ["Old"],
    ]
    rows = worlds.rows(5, title=titles, subjects=pa.array(subjects, pa.list_(pa.string())))
    sealed(store, name, rows)
    index = store.index(name)
    assert isinstance(index, LexicalIndex)

    def keys(text: str, **more: object) -> list[str]:
        return [hit.key for hit in index.search_words(text, 10, WEIGHTS, **more)]  # type: ignore[arg-type]

    assert set(keys("lighthouse")) == {"OL0M", "OL1M", "OL3M"}
    # A word in the title counts more than one among the subjects.
    assert keys("LIGHTHOUSE")[-1] == "OL3M"
    # Every word, in any of the fields; the commonest words of English do not count.
    assert keys("lighthouse keepers") and set(keys("lighthouse keepers")) == {"OL1M", "OL3M"}
    assert keys("the old sea") and set(keys("the old sea")) == {"OL0M", "OL4M"}
    assert keys("eclair zoe") == ["OL2M"]
    assert keys("lighthouse", without="lighthouse keepers") == ["OL0M"]
    assert keys("lighthouse", filter=Between("year", 2001, 2001)) == ["OL1M"]
    assert keys("lighthouse", offset=1) == keys("lighthouse")[1:]
    assert keys("the") == [] and keys("?! ...") == [] and keys("AND title:(") == []
    [hit] = index.search_words("eclair", 1, WEIGHTS, fields=("title", "vector"))
    assert isinstance(hit, Hit) and hit.fields["title"] == titles[2] and hit.score > 0
    np.testing.assert_allclose(hit.fields["vector"], worlds.random_vectors(5)[2], atol=1e-6)
    with pytest.raises(InvalidSearch, match="words can be looked for in title, subjects, not in year"):
        index.search_words("x", 1, {"year": 1.0})
    with pytest.raises(InvalidSearch, match="10000"):
        index.search_words("x", 10_001, WEIGHTS)


def test_the_graph_is_built_as_the_spec_says(store: OpenSearchStore, name: str) -> None:
    with open_opensearch("faiss") as faiss:
        for opened, wanted in ((store, ("lucene", "cosinesimil")), (faiss, ("faiss", "innerproduct"))):
            version = f"{name}_{wanted[0]}"
            opened.create(worlds.spec(version, IndexSpec(IndexKind.HNSW, m=24, ef_construction=80)))
            mapping = client_of(store).indices.get_mapping(index=version)[version]["mappings"]
            method = mapping["properties"]["vector"]["method"]
            assert (method["engine"], method["space_type"]) == wanted
            assert method["parameters"] == {"m": 24, "ef_construction": 80}
            opened.seal(version)
            # Whoever reads it need not know which engine it was made for.
            assert store.search(version, QUERY, 1) == [[]]
            opened.drop(version)
