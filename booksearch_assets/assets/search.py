"""The search asset of a catalogue: the published alias, moved only to a version that passed every blocking check.

Belongs here: the decision to publish. Does not: building (`assets.collection`), querying (`search`).
"""

import dagster as dg

from booksearch_assets.assets.catalogue import REQUIRED_TO_PUBLISH, Catalogue
from booksearch_assets.assets.reporting import inputs_of
from booksearch_assets.automation.partitions import POOL_VECTOR_STORE
from booksearch_assets.resources.lake import LakeResource
from booksearch_assets.resources.vector_store import VectorStoreResource
from booksearch_assets.tables.verdicts import objections


def published_table(catalogue: str) -> str:
    """Name of the lake table that records what was published when."""
    return f"{catalogue}/search"


def build_search(catalogue: Catalogue) -> dg.AssetsDefinition:
    @dg.asset(
        key=catalogue.key("search"),
        deps=[catalogue.key("collection")],
        group_name=catalogue.name,
        kinds={"milvus"},
        pool=POOL_VECTOR_STORE,
        description="The published alias: what searches read. Moves to the newest collection once its checks hold.",
    )
    def search(
        context: dg.AssetExecutionContext, lake: LakeResource, vector_store: VectorStoreResource
    ) -> dg.MaterializeResult:
        store = lake.open()
        candidate = store.resolve(catalogue.collection)
        against = objections(store, candidate, REQUIRED_TO_PUBLISH)
        if against:
            raise dg.Failure(
                f"{candidate.facts['collection']} is not published: {'; '.join(against)}. Readers keep the version they have. "
                "Run the checks of the collection (`booksearch checks`), mend what they say, and materialise it again.",
                allow_retries=False,
            )
        with vector_store.open() as vectors:
            before = vectors.published(catalogue.alias)
            vectors.publish(catalogue.alias, candidate.facts["collection"])
        pending = store.begin(published_table(catalogue.name))
        pending.commit(
            rows=candidate.rows, inputs=inputs_of(candidate), facts={**candidate.facts, "replaced": before}
        )
        return dg.MaterializeResult(
            metadata={
                "alias": catalogue.alias,
                "collection": candidate.facts["collection"],
                "replaced": before or "nothing",
                "dagster/row_count": candidate.rows,
                "dump_date": candidate.facts["dump_date"],
                "bundle_id": candidate.facts["bundle_id"],
                "inputs": dg.MetadataValue.json(inputs_of(candidate)),
            }
        )

    return search
