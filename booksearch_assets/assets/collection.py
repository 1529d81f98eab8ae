"""The collection asset of a catalogue: a new version in the vector store whenever anything changed.

Belongs here: reading every partition, loading, reconciling counts, recording the version. Does not: publishing
(`assets.search`), the vector store itself (`vectorstores`).
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc

from booksearch_assets.assets.catalogue import Catalogue
from booksearch_assets.assets.pictures import bars
from booksearch_assets.assets.progress import log_progress
from booksearch_assets.assets.rebuild import RebuildConfig, unchanged_metadata
from booksearch_assets.assets.reporting import counts_metadata, inputs_of, markdown_table
from booksearch_assets.automation.conditions import follow_settled_changes
from booksearch_assets.automation.partitions import POOL_VECTOR_STORE
from booksearch_assets.resources.lake import LakeResource
from booksearch_assets.resources.vector_store import VectorStoreResource
from booksearch_assets.search.near_duplicates import near_duplicates
from booksearch_assets.search.versions import collection_name
from booksearch_assets.tables.commit import Commit
from booksearch_assets.tables.counts import Counts
from booksearch_assets.tables.fingerprint import recipe
from booksearch_assets.tables.lake import Lake
from booksearch_assets.vectorstores.contract import VECTOR, VectorStore
from booksearch_assets.vectorstores.errors import VectorStoreError

CODE_VERSION = "2"
"""Raised when the same tables give other rows or fields of the collection."""


class CollectionConfig(RebuildConfig):
    """Whether a collection is made."""


def build_collection(catalogue: Catalogue) -> dg.AssetsDefinition:
    vectors_name = catalogue.embeddings(1).name

    @dg.asset(
        key=catalogue.key("collection"),
        deps=[
            catalogue.key_of(table) for table in (catalogue.items, catalogue.urls, catalogue.embeddings(1))
        ],
        group_name=catalogue.name,
        kinds={"milvus"},
        pool=POOL_VECTOR_STORE,
        code_version=CODE_VERSION,
        automation_condition=follow_settled_changes(),
        description="A new, sealed version of the vector collection, made from every partition. Not yet what readers see.",
    )
    def collection(
        context: dg.AssetExecutionContext,
        config: CollectionConfig,
        lake: LakeResource,
        vector_store: VectorStoreResource,
    ) -> dg.MaterializeResult:
        started = time.monotonic()
        store = lake.open()
        sources = _sources(store, catalogue, vectors_name)
        read = [commit for source in sources for commit in (source.items, source.urls, source.vectors)]
        made_from = recipe(read, {"code": CODE_VERSION, **catalogue.choices})
        made = _provenance(sources)
        held = store.current(catalogue.collection)
        if held and held.recipe == made_from and not config.again:
            with vector_store.open() as vectors:
                if _holds(vectors, held):
                    context.log.info("%s holds these very rows already", held.facts["collection"])
                    return dg.MaterializeResult(
                        data_version=dg.DataVersion(made_from),
                        metadata=unchanged_metadata(held) | {"collection": held.facts["collection"]},
                    )
        pending = store.begin(catalogue.collection)
        name = collection_name(catalogue.name, pending.version)
        properties = {
            "bundle_id": made.bundle_id,
            "model_id": made.model_id,
            "source": made.source,
            "dump_date": _dump_date(sources),
        }
        counts: dict[str, Counts] = {}
        twins = near_duplicates(lambda: _vectors(store, catalogue, sources, made.dimension))
        context.log.info("%d %s are nearly the picture of another", len(twins), catalogue.pictures.noun)
        spec = catalogue.collection_spec(name, made.dimension, properties)
        loaded: set[str] = set()

        def rows() -> Iterator[pa.Table]:
            for source in sources:
                found = _rows_of(store, catalogue, source, made.dimension, twins)
                part = _first_of_each(found, spec.key, loaded)
                counts[source.partition] = _account(source, found, part)
                if len(part):
                    yield part

        with vector_store.open() as vectors:
            vectors.create(spec)
            progress = log_progress(context)
            vectors.load(name, rows(), on_progress=lambda done: progress("rows loaded", done, None))
            stored = vectors.seal(name)
        total = Counts.total(counts.values())
        by_partition = {partition: part.rows_out for partition, part in counts.items()}
        facts = {
            **properties,
            "collection": name,
            "dimension": made.dimension,
            "rows_by_partition": by_partition,
        }
        inputs = inputs_of(*read)
        commit = pending.commit(
            rows=stored,
            counts=total,
            data_version=made_from,
            inputs=inputs,
            facts=facts,
            recipe=made_from,
        )
        shown = {partition: float(rows) for partition, rows in by_partition.items()}
        return dg.MaterializeResult(
            data_version=dg.DataVersion(made_from),
            metadata=counts_metadata(total)
            | properties
            | {
                "dagster/row_count": stored,
                "collection": name,
                "version": commit.version,
                "near_duplicates": len(twins),
                "seconds": round(time.monotonic() - started, 2),
                "inputs": dg.MetadataValue.json(inputs),
                "rows_by_partition": dg.MetadataValue.md(bars(shown, "rows")),
                "fields": dg.MetadataValue.md(
                    markdown_table(
                        ["field", "type"],
                        [
                            [f.name, f.kind.value]
                            for f in catalogue.collection_spec(name, made.dimension, {}).fields
                        ],
                    )
                ),
            },
        )

    return collection


def _holds(vectors: VectorStore, version: Commit) -> bool:
    """Whether the store still has this version, sealed and whole."""
    try:
        return vectors.count(version.facts["collection"]) == version.rows
    except VectorStoreError:
        return False


@dataclass(frozen=True)
class _Source:
    partition: str
    items: Commit
    urls: Commit
    vectors: Commit


@dataclass(frozen=True)
class _Provenance:
    bundle_id: str
    model_id: str
    dimension: int
    source: str


def _sources(store: Lake, catalogue: Catalogue, vectors_name: str) -> list[_Source]:
    partitions = store.partitions(vectors_name)
    if not partitions:
        raise dg.Failure(
            f"{vectors_name} has no committed partition; materialise it first", allow_retries=False
        )
    return [
        _Source(
            p,
            store.resolve(catalogue.items.name, p),
            store.resolve(catalogue.urls.name, p),
            store.resolve(vectors_name, p),
        )
        for p in partitions
    ]


def _provenance(sources: list[_Source]) -> _Provenance:
    """The model and the source of every vector. Vectors of two models, or ids of two sources, are refused."""
    by_bundle: dict[str, list[str]] = {}
    for source in sources:
        by_bundle.setdefault(
            f"{source.vectors.facts['bundle_id']} of {source.vectors.facts['source']}", []
        ).append(source.partition)
    if len(by_bundle) > 1:
        found = "; ".join(f"{bundle}: {', '.join(partitions)}" for bundle, partitions in by_bundle.items())
        raise dg.Failure(
            f"the partitions hold vectors of {len(by_bundle)} models or sources ({found}), which cannot be compared. "
            "Materialise its embeddings for all partitions with one model and one source.",
            allow_retries=False,
        )
    facts = sources[0].vectors.facts
    return _Provenance(facts["bundle_id"], facts["model_id"], facts["dimension"], facts["source"])


def _dump_date(sources: list[_Source]) -> str:
    return max(str(source.items.facts.get("dump_date", "")) for source in sources)


def _vectors(store: Lake, catalogue: Catalogue, sources: list[_Source], dimension: int) -> Iterator[pa.Table]:
    schema = catalogue.embeddings(dimension).schema
    for source in sources:
        yield store.dataset([source.vectors], schema).to_table(columns=[catalogue.pictures.key.name, VECTOR])


def _rows_of(
    store: Lake, catalogue: Catalogue, source: _Source, dimension: int, twins: Mapping[Any, Any]
) -> pa.Table:
    items = store.dataset([source.items], catalogue.items.schema).to_table()
    urls = store.dataset([source.urls], catalogue.urls.schema).to_table()
    vectors = store.dataset([source.vectors], catalogue.embeddings(dimension).schema).to_table()
    return catalogue.collection_rows(items, urls, vectors, twins)


def _first_of_each(rows: pa.Table, key: str, loaded: set[str]) -> pa.Table:
    """The rows whose key is not among `loaded`, and they are from now on: two partitions may list the same item."""
    keys = rows[key].to_pylist()
    repeated = loaded.intersection(keys)
    loaded.update(keys)
    return rows.filter(pc.invert(pc.is_in(rows[key], pa.array(repeated, pa.string())))) if repeated else rows


def _account(source: _Source, found: pa.Table, loaded: pa.Table) -> Counts:
    """An item is in the collection, or it wants no picture, its picture has no vector, or a partition before had it."""
    wanted = source.urls.counts.rows_out if source.urls.counts else source.items.rows
    reasons = {
        "no_wanted_picture": source.items.rows - wanted,
        "no_vector": wanted - len(found),
        "repeated": len(found) - len(loaded),
    }
    return Counts(source.items.rows, len(loaded), {reason: n for reason, n in reasons.items() if n})
