"""The same graph with OpenSearch in Milvus's place: no asset knows the difference."""

from __future__ import annotations

from booksearch_assets.search.publications import Reason
from booksearch_assets.search.query import Query, SearchMode
from booksearch_assets.search.shell import open_search
from booksearch_assets.search.versions import State, Versions
from booksearch_assets.vectorstores.connect import open_store
from booksearch_assets.vectorstores.opensearch_client import SCHEME
from booksearch_assets_tests.graph.deployment import Deployment, failures
from booksearch_assets_tests.vectorstores.knn_shim import KnnShim, serving
from booksearch_assets_tests.vectorstores.opensearch import osmem_url


def test_a_deployment_moves_to_opensearch(changeable: Deployment) -> None:
    with serving(KnnShim(osmem_url())) as shim:
        moved = changeable.with_settings(opensearch_uri=SCHEME + shim.url)
        # Nothing upstream has changed, and the new store holds nothing yet: the collection is made there, and checked.
        result = moved.run("books/collection", "books/search")
        assert result.success, failures(result)
        with (
            open_store(moved.settings.store_uri) as store,
            open_store(changeable.settings.store_uri) as milvus,
        ):
            versions = Versions(moved.lake, store, "books")
            live, before = store.published("books"), milvus.published("books")
            assert live and before and live != before
            assert store.count(live) == milvus.count(before) > 50
            ours = [version for version in versions.all() if version.state is State.READY]
            assert [(version.collection, version.live) for version in ours] == [(live, True)]
            assert not versions.publish(live, Reason.COMMAND).moved
        query = Query("a lighthouse", k=5, mode=SearchMode.SEMANTIC)
        here, there = (open_search(deployment.settings).search(query) for deployment in (moved, changeable))
        assert (here.collection, there.collection) == (live, before)
        assert [r.edition_key for r in here.results] == [r.edition_key for r in there.results]

        again = moved.run("books/collection", "books/search")
        assert again.success, failures(again)
        with open_store(moved.settings.store_uri) as store:
            assert store.published("books") == live
