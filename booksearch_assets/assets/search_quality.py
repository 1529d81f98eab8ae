"""The search-quality asset of a catalogue: how well what is live finds what is asked, beside baselines and the version
that it replaced, with plots and a report page.

Belongs here: which versions are measured, and how that is shown. Does not: the measures (`search.quality`).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from booksearch_assets.assets.catalogue import Catalogue
from booksearch_assets.assets.pictures import picture
from booksearch_assets.assets.progress import log_progress
from booksearch_assets.assets.reporting import inputs_of, markdown_table
from booksearch_assets.automation.conditions import follow_changes
from booksearch_assets.resources.lake import LakeResource
from booksearch_assets.resources.model import ModelResource
from booksearch_assets.resources.pictures import PictureServicesResource
from booksearch_assets.resources.vector_store import VectorStoreResource
from booksearch_assets.search.publications import published_table
from booksearch_assets.search.versions import quality_table

if TYPE_CHECKING:
    from booksearch_assets.search.quality.report import QualityReport


class QualityConfig(dg.Config):
    """How much is measured."""

    queries: int = Field(
        default=300,
        ge=10,
        description="At most this many queries of each kind. The intervals narrow with its square root.",
    )
    pictures: int = Field(
        default=30,
        ge=1,
        description="Covers that are cropped, blurred, rotated, shrunk and compressed, and searched for. Each is encoded six "
        "times.",
    )
    prototype_covers: int = Field(
        default=120,
        ge=1,
        description="Covers that are embedded again the prototype's way, as a baseline. Raise it to see smaller "
        "differences; each is encoded once.",
    )


def build_search_quality(catalogue: Catalogue) -> dg.AssetsDefinition:
    @dg.asset(
        key=catalogue.key("search_quality"),
        deps=[catalogue.key("search")],
        group_name=catalogue.name,
        kinds={"numpy"},
        automation_condition=follow_changes(),
        description="How well the live collection finds what is asked, beside baselines and the version that it replaced.",
    )
    def search_quality(
        context: dg.AssetExecutionContext,
        config: QualityConfig,
        lake: LakeResource,
        vector_store: VectorStoreResource,
        model: ModelResource,
        pictures: PictureServicesResource,
    ) -> dg.MaterializeResult:
        from booksearch_assets.search.quality.evaluation import Effort, evaluate
        from booksearch_assets.search.quality.opening import open_other, open_version, store_report
        from booksearch_assets.search.quality.plots import plots
        from booksearch_assets.search.shell import image_contents

        store, service = lake.open(), pictures.of(catalogue.name)
        live = store.resolve(published_table(catalogue.name))
        with vector_store.open() as vectors:
            index, encoder = open_version(vectors, live.facts["collection"], model.encoder_of)
            context.log.info("measuring %s", index.spec.name)
            report = evaluate(
                index,
                encoder,
                read_images=lambda images: image_contents(
                    catalogue.pictures, store.root, service.source, images
                ),
                known_items=service.known_items,
                other=open_other(vectors, store, catalogue.name, live.facts["replaced"], model.encoder_of),
                effort=Effort(config.queries, config.pictures, config.prototype_covers),
                on_progress=log_progress(context),
            )
        drawn = plots(report)
        pending = store.begin(quality_table(catalogue.name))
        page = store_report(store, pending, report, drawn)
        pending.commit(
            rows=report.queries,
            inputs=inputs_of(live),
            facts={"collection": report.collection, **report.figures()},
        )
        return dg.MaterializeResult(
            metadata={
                "collection": report.collection,
                "report": dg.MetadataValue.url(f"file://{page}" if store.is_local else page),
                "queries": report.queries,
                "seconds": report.seconds,
                "inputs": dg.MetadataValue.json(inputs_of(live)),
                **report.figures(),
                **_shown(report, drawn),
            }
        )

    return search_quality


def _shown(report: "QualityReport", plots: Mapping[str, bytes]) -> dict[str, Any]:
    """The plots and tables of the report page, as Markdown."""
    from booksearch_assets.search.quality.page import describe, tables

    shown = {title: dg.MetadataValue.md(picture(png)) for title, png in plots.items()}
    parts = [
        f"### {table.title}\n\n{markdown_table(list(table.header), [list(row) for row in table.rows])}"
        for table in tables(report)
    ]
    return shown | {
        "compared": describe(report.comparison),
        "tables": dg.MetadataValue.md("\n\n".join(parts)),
    }
