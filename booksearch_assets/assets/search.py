"""The search asset of a catalogue: the published alias, moved only to a version that passed every blocking check.

Belongs here: which version is published when the graph runs, and what is shown of it. Does not: whether it may be, and
what is kept (`search.versions`), building (`assets.collection`), querying (`search`).
"""

import dagster as dg
from pydantic import Field

from booksearch_assets.assets.catalogue import Catalogue
from booksearch_assets.assets.reporting import markdown_table
from booksearch_assets.automation.conditions import follow_changes
from booksearch_assets.automation.partitions import POOL_VECTOR_STORE
from booksearch_assets.resources.lake import LakeResource
from booksearch_assets.resources.vector_store import VectorStoreResource
from booksearch_assets.search.publications import Reason
from booksearch_assets.search.versions import PublishingError, Retained, Versions


class SearchConfig(dg.Config):
    """How many versions stay."""

    keep: int = Field(
        default=3,
        ge=1,
        description="Newest versions of the collection, and commits of each table, that are kept for comparing and "
        "rolling back. The live version and the one before it always stay. Raise it where a fault may go unseen for "
        "longer than that many rebuilds; lower it where disk is short: each version is a whole collection and dump.",
    )


def build_search(catalogue: Catalogue) -> dg.AssetsDefinition:
    @dg.asset(
        key=catalogue.key("search"),
        deps=[catalogue.key("collection")],
        group_name=catalogue.name,
        kinds={"milvus"},
        pool=POOL_VECTOR_STORE,
        automation_condition=follow_changes(),
        description="The published alias: what searches read. Moves to the newest collection once its checks hold.",
    )
    def search(
        context: dg.AssetExecutionContext,
        config: SearchConfig,
        lake: LakeResource,
        vector_store: VectorStoreResource,
    ) -> dg.MaterializeResult:
        store = lake.open()
        candidate = store.resolve(catalogue.collection).facts["collection"]
        with vector_store.open() as vectors:
            versions = Versions(store, vectors, catalogue.name)
            live = versions.live()
            if live and versions.was_rolled_back(candidate):
                said = (
                    f"{live} stays live: {candidate} was rolled back from, and nothing newer has been made. To publish it "
                    f"all the same: booksearch publish {candidate}"
                )
                context.log.warning(said)
            else:
                said = _publish(versions, candidate)
                context.log.info(said)
            shown = versions.find(versions.live() or candidate)
            retained = versions.retain(config.keep)
        return dg.MaterializeResult(
            data_version=dg.DataVersion(shown.collection),
            metadata={
                "alias": catalogue.alias,
                "collection": shown.collection,
                "published": said,
                "replaced": live or "nothing",
                "dagster/row_count": shown.rows or 0,
                "dump_date": shown.dump_date,
                "bundle_id": shown.bundle_id,
                "inputs": dg.MetadataValue.json({catalogue.collection: shown.version}),
                "kept": ", ".join(retained.kept),
                "dropped": _dropped(retained),
                "pruned_folders": dg.MetadataValue.json(list(retained.pruned)),
            },
        )

    return search


def _publish(versions: Versions, collection: str) -> str:
    try:
        published = versions.publish(collection, Reason.ASSET)
    except PublishingError as error:
        raise dg.Failure(str(error), allow_retries=False) from error
    if not published.moved:
        return f"{collection} was live already"
    return f"{collection} is live, and replaced {published.replaced or 'nothing'}"


def _dropped(retained: Retained) -> dg.MarkdownMetadataValue:
    """The collections that retention dropped, and those that it has to leave for the next time."""
    rows = [[name, "dropped"] for name in retained.dropped]
    rows += [[name, f"next time: {reason}"] for name, reason in retained.left.items()]
    return dg.MetadataValue.md(markdown_table(["collection", "retention"], rows) if rows else "nothing")
