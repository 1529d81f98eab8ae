"""What only a Milvus server has: collections that others made, real aliases, and an index that is built meanwhile."""

from __future__ import annotations

import pytest

from booksearch_assets.vectorstores.errors import CollectionNotFound, InvalidCollection
from booksearch_assets.vectorstores.milvus_server import MilvusServerStore
from booksearch_assets_tests.vectorstores import worlds

pytestmark = pytest.mark.milvus


def test_a_collection_that_others_made_is_left_alone(milvus_uri: str, name: str) -> None:
    from pymilvus import MilvusClient

    MilvusClient(milvus_uri).create_collection(name, dimension=8)
    with MilvusServerStore(milvus_uri) as store:
        assert name in store.collections()
        with pytest.raises(InvalidCollection, match="was not made by booksearch"):
            store.load(name, [worlds.rows(1)])


def test_readers_of_the_alias_see_the_published_version(milvus_uri: str, name: str) -> None:
    from pymilvus import MilvusClient

    reader = MilvusClient(milvus_uri)
    with MilvusServerStore(milvus_uri) as store:
        for version, count in ((f"{name}_a", 3), (f"{name}_b", 5)):
            store.create(worlds.spec(version))
            store.load(version, [worlds.rows(count)])
            store.seal(version)
            store.publish(f"{name}_live", version)
            found = reader.query(f"{name}_live", output_fields=["count(*)"], consistency_level="Strong")
            assert found[0]["count(*)"] == count


def test_a_collection_that_another_process_dropped(milvus_uri: str, name: str) -> None:
    with MilvusServerStore(milvus_uri) as store, MilvusServerStore(milvus_uri) as other:
        store.create(worlds.spec(name))
        store.load(name, [worlds.rows(3)])
        store.seal(name)
        index = store.index(name)
        other.drop(name)
        with pytest.raises(CollectionNotFound, match="dropped meanwhile"):
            index.search(worlds.random_vectors(1), 1)


def test_a_large_index_is_complete_when_sealing_returns(milvus_uri: str, name: str) -> None:
    count = 12_000
    with MilvusServerStore(milvus_uri) as store:
        store.create(worlds.spec(name))
        assert store.load(name, [worlds.rows(count)]) == count
        assert store.seal(name) == count
        vectors = worlds.random_vectors(count)[-50:]
        assert [hits[0].key for hits in store.search(name, vectors, 1)] == [
            f"OL{i}M" for i in range(count - 50, count)
        ]
        assert len(store.search(name, vectors[:1], 10_000)[0]) == 10_000
