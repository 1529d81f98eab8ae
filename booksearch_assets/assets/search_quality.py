"""The search-quality asset of a catalogue: recall, MRR and nDCG of what is live, with plots.

Belongs here: which collection is measured, and how it is shown. Does not: the measures (`search.quality`).
"""

import time

import dagster as dg
from pydantic import Field

from booksearch_assets.assets.catalogue import Catalogue
from booksearch_assets.assets.pictures import bars
from booksearch_assets.assets.reporting import inputs_of, markdown_table
from booksearch_assets.automation.conditions import follow_changes
from booksearch_assets.resources.lake import LakeResource
from booksearch_assets.resources.model import ModelResource
from booksearch_assets.resources.open_library import OpenLibraryResource
from booksearch_assets.resources.vector_store import VectorStoreResource
from booksearch_assets.search.publications import published_table


class QualityConfig(dg.Config):
    """How much is measured."""

    queries: int = Field(
        default=1000,
        ge=10,
        description="At most this many queries of each kind. The intervals narrow with its square root.",
    )


def build_search_quality(catalogue: Catalogue) -> dg.AssetsDefinition:
    @dg.asset(
        key=catalogue.key("search_quality"),
        deps=[catalogue.key("search")],
        group_name=catalogue.name,
        kinds={"numpy"},
        automation_condition=follow_changes(),
        description="How well the live collection finds books whose right answer is known.",
    )
    def search_quality(
        context: dg.AssetExecutionContext,
        config: QualityConfig,
        lake: LakeResource,
        vector_store: VectorStoreResource,
        model: ModelResource,
        open_library: OpenLibraryResource,
    ) -> dg.MaterializeResult:
        from booksearch_assets.search.known_items import known_items
        from booksearch_assets.search.quality import measure_known_items

        started = time.monotonic()
        store = lake.open()
        live = store.resolve(published_table(catalogue.name))
        with vector_store.open() as vectors:
            index = vectors.index(live.facts["collection"])
            queries = known_items(index, open_library.known_items, config.queries)
            context.log.info("measuring %s with %d queries", live.facts["collection"], len(queries))
            report = measure_known_items(index, model.encoder(), queries)
        figures = report.figures()
        pending = store.begin(f"{catalogue.name}/search_quality")
        pending.commit(
            rows=len(queries),
            inputs=inputs_of(live),
            facts={"collection": live.facts["collection"], **figures},
        )
        measures = {
            f"{kind} {name}": interval
            for kind, quality in report.kinds.items()
            for name, interval in quality.measures().items()
        }
        values = {name: interval.value for name, interval in measures.items()}
        bounds = {name: (interval.low, interval.high) for name, interval in measures.items()}
        return dg.MaterializeResult(
            metadata=figures
            | {
                "collection": live.facts["collection"],
                "queries": len(queries),
                "seconds": round(time.monotonic() - started, 2),
                "inputs": dg.MetadataValue.json(inputs_of(live)),
                "measures": dg.MetadataValue.md(
                    bars(values, "measure, with 95 % interval", bounds, ceiling=1.0)
                ),
                "table": dg.MetadataValue.md(
                    markdown_table(
                        ["measure", "value", "95 % interval"],
                        [[n, f"{i.value:.3f}", f"{i.low:.3f} to {i.high:.3f}"] for n, i in measures.items()],
                    )
                ),
            }
        )

    return search_quality
