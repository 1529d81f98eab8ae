"""Opening what is measured: a version and the model that made it, another to compare with, and stored reports.

Belongs here: finding them in the store and the lake. Does not: measuring (`evaluation`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from booksearch_assets.clip.encoder import Encoder
from booksearch_assets.search.engine import ModelMismatch
from booksearch_assets.search.quality.evaluation import Other
from booksearch_assets.search.quality.page import html
from booksearch_assets.search.quality.report import InvalidReport, QualityReport
from booksearch_assets.search.quality.systems import VectorSystem
from booksearch_assets.search.versions import quality_table
from booksearch_assets.tables.commit import Commit
from booksearch_assets.tables.lake import Lake, PendingVersion
from booksearch_assets.vectorstores.contract import VectorIndex, VectorStore
from booksearch_assets.vectorstores.errors import CollectionNotFound, CollectionNotSealed

EncoderOf = Callable[[str], Encoder | None]
"""The encoder of a bundle id, or None where the bundle is not at hand."""

REPORT_PAGE, REPORT_FIGURES = "report.html", "report.json"


def open_version(store: VectorStore, collection: str, encoder_of: EncoderOf) -> tuple[VectorIndex, Encoder]:
    """A version and the model that made its vectors. Raises `ModelMismatch` where that is not at hand, and what the store raises."""
    index = store.index(collection)
    bundle_id = index.spec.properties.get("bundle_id", "")
    encoder = encoder_of(bundle_id)
    if encoder is None:
        raise ModelMismatch(
            f"collection {collection!r} is of the model bundle {bundle_id!r}, which is not at hand: set BOOKSEARCH_MODEL "
            "to its folder, or fetch it with `booksearch model fetch`"
        )
    return index, encoder


def open_other(
    store: VectorStore, lake: Lake, catalogue: str, collection: str | None, encoder_of: EncoderOf
) -> Other:
    """Another version to compare with: to ask if its model is at hand, else its stored report; else why there is none."""
    if collection is None:
        return Other(why="no other version was live")
    try:
        return Other(version=VectorSystem(*open_version(store, collection, encoder_of)))
    except (CollectionNotFound, CollectionNotSealed):
        why = f"{collection} is gone"
    except ModelMismatch:
        why = f"the model bundle of {collection} is not at hand"
    stored = stored_report(lake, catalogue, collection)
    return Other(stored=stored, why=why if stored else f"{why}, and no figures of it are stored")


def stored_report(lake: Lake, catalogue: str, collection: str) -> QualityReport | None:
    """What was last measured of a version while it was live; None where nothing was, or an older release did it."""
    for commit in lake.history(quality_table(catalogue)):
        if commit.facts.get("collection") == collection:
            content = lake.read_bytes(_place(commit, REPORT_FIGURES))
            try:
                return None if content is None else QualityReport.from_json(content)
            except InvalidReport:
                return None
    return None


def store_report(
    lake: Lake, pending: PendingVersion, report: QualityReport, plots: Mapping[str, bytes]
) -> str:
    """Write the figures, and the page with its plots, into a version of the quality table. Returns the place of the page."""
    lake.write_bytes(_place(pending, REPORT_FIGURES), report.to_json())
    lake.write_bytes(_place(pending, REPORT_PAGE), html(report, plots).encode())
    return lake.uri(_place(pending, REPORT_PAGE))


def _place(version: Commit | PendingVersion, name: str) -> str:
    return f"{version.table}/versions/{version.version}/{name}"
