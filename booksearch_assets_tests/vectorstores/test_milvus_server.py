"""What only a Milvus server has: collections that others made, real aliases, and an index that is built meanwhile."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from booksearch_assets.vectorstores.contract import IndexKind, IndexSpec
from booksearch_assets.vectorstores.errors import CollectionNotFound, InvalidCollection
from booksearch_assets.vectorstores.exact import ExactIndex
from booksearch_assets.vectorstores.filters import Between
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


def test_narrow_filters_keep_their_neighbours(milvus_uri: str, name: str) -> None:
    """A filter that keeps 14 % of the rows costs HNSW a fifth of its recall where nothing is done about it."""
    rows, dimension = 8_000, 64
    generator = np.random.default_rng(5)
    centres = generator.normal(size=(100, dimension))
    vectors = worlds.unit(
        centres[generator.integers(100, size=rows + 50)] + generator.normal(size=(rows + 50, dimension))
    )
    spec = replace(worlds.spec(name, IndexSpec(IndexKind.HNSW, m=8, ef_construction=64)), dimension=dimension)
    table = worlds.rows(
        rows, vector=worlds.vector_column(vectors[:rows]), year=generator.integers(0, 100, rows)
    ).cast(spec.schema)
    exact, queries = ExactIndex(spec, table), vectors[rows:]
    with MilvusServerStore(milvus_uri) as store:
        store.create(spec)
        store.load(name, [table])
        store.seal(name)
        index = store.index(name)
        for share in (3, 14):
            kept = Between("year", 0, share - 1)
            pairs = zip(index.search(queries, 10, kept), exact.search(queries, 10, kept), strict=True)
            recall = np.mean([len({h.key for h in a} & {h.key for h in b}) / 10 for a, b in pairs])
            assert recall >= 0.98, f"recall@10 is {recall:.3f} with a filter that keeps {share} %"
