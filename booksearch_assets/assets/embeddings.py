"""The embeddings asset of a catalogue (`books/cover_embeddings`, `products/image_embeddings`): a vector for each picture.

Belongs here: which pictures lack a vector of this model, and composing each partition from the vectors cache.
Does not: encoding (`clip`), the jobs (`compute.image_embeddings`, `sagemaker.batch_transform`).
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc
from pydantic import Field

from booksearch_assets.assets import pictures
from booksearch_assets.assets.attempts import begin_attempt
from booksearch_assets.assets.catalogue import Catalogue
from booksearch_assets.assets.rebuild import Rebuild, RebuildConfig, partitions_of
from booksearch_assets.assets.reporting import (
    commit_metadata,
    definition_metadata,
    figures_metadata,
    inputs_of,
)
from booksearch_assets.automation.conditions import follow_changes
from booksearch_assets.automation.partitions import IN_ONE_RUN, POOL_SPARK
from booksearch_assets.clip.engines import REFERENCE
from booksearch_assets.compute.plan import Work
from booksearch_assets.compute.rates import Measure
from booksearch_assets.resources.batch_transform import BatchTransformLauncher
from booksearch_assets.resources.lake import LakeResource
from booksearch_assets.resources.model import ModelResource
from booksearch_assets.resources.spark import SparkLauncher, SparkTuning
from booksearch_assets.tables.commit import Commit
from booksearch_assets.tables.counts import Counts, StageReport
from booksearch_assets.tables.fingerprint import recipe
from booksearch_assets.tables.images import SHARD, PictureTables
from booksearch_assets.tables.lake import Lake

CODE_VERSION = "1"
"""Raised when the same pictures and bundle give other rows."""

_DRAWN_VECTORS = 500


class EmbeddingsConfig(RebuildConfig):
    """How pictures are embedded."""

    rows_per_task: int = Field(
        default=512,
        ge=1,
        description="Pictures in one task and one shard of vectors: what a killed run may lose.",
    )
    batch_size: int = Field(
        default=16, ge=1, description="Pictures in one forward pass. On a processor 8 to 32 are equally fast."
    )
    spark_from: int = Field(
        default=500,
        ge=0,
        description="Fewer pictures than this are embedded in this process: workers of Spark, and machines of Batch "
        "Transform, take longer to start and load the model than the work takes. Lower it for a large model.",
    )
    tuning: SparkTuning = SparkTuning()


def build_embeddings(catalogue: Catalogue) -> dg.AssetsDefinition:
    tables = catalogue.pictures
    key = tables.key.name

    @dg.asset(
        key=catalogue.key_of(catalogue.embeddings(1)),
        deps=[catalogue.key_of(catalogue.images)],
        partitions_def=catalogue.partitions,
        backfill_policy=IN_ONE_RUN,
        code_version=CODE_VERSION,
        automation_condition=follow_changes(),
        group_name=catalogue.name,
        kinds={"spark", "huggingface", "parquet"},
        pool=POOL_SPARK,
        metadata=definition_metadata(catalogue.embeddings(1)),
        description=catalogue.embeddings(1).description,
    )
    def embeddings(
        context: dg.AssetExecutionContext,
        config: EmbeddingsConfig,
        lake: LakeResource,
        spark: dg.ResourceParam[SparkLauncher],
        batch_transform: BatchTransformLauncher,
        model: ModelResource,
    ) -> dg.MaterializeResult:
        from booksearch_assets.clip.flops import bundle_gflop
        from booksearch_assets.compute.image_embeddings import (
            ImageEmbeddingsParams,
            draw_pictures,
            run_here,
            worker_bytes,
        )

        store, bundle = lake.open(), model.bundle()
        table = catalogue.embeddings(bundle.dimension)
        images = {p: store.resolve(catalogue.images.name, p) for p in partitions_of(context)}
        recipes = {
            p: recipe([commit], {"bundle_id": bundle.bundle_id, "code": CODE_VERSION})
            for p, commit in images.items()
        }
        rebuild = Rebuild(context, store, table, recipes, recipes if config.again else ())
        if not rebuild.partitions:
            return rebuild.finished()
        listed = {p: store.read(catalogue.images, p, [key, "status", SHARD]) for p in rebuild.partitions}
        source = _one_source(images)
        cache = tables.vectors_cache(store.root, source, bundle.bundle_id, bundle.dimension)
        wanted = _without_vector(pa.concat_tables(listed.values()), cache.index([]), key).cast(tables.work)
        context.log.info("%d %s have no vector of %s yet", len(wanted), tables.noun, bundle.bundle_id)
        # Rows never go there: an attempt that was killed may have left some.
        attempt = begin_attempt(context, store, table.name, rebuild.recipes)
        pending = store.begin(table.name, partitioned_by=catalogue.partitioned_by)
        work_list, listed_rows = attempt.write_aside("work", wanted)
        params = ImageEmbeddingsParams(
            lake=store.root,
            catalogue=catalogue.name,
            source=source,
            work=work_list,
            rows=listed_rows,
            rejections=f"{attempt.path}/_rejections",
            bundle=str(bundle.folder),
            rows_per_task=config.rows_per_task,
            batch_size=config.batch_size,
        )
        facts = {
            "bundle_id": bundle.bundle_id,
            "model_id": bundle.manifest.model_id,
            "dimension": bundle.dimension,
            "source": source,
            "engine": str(REFERENCE),
        }

        def commit_partitions(report: StageReport, whole: bool) -> None:
            rejected = _reasons(store, params.rejections, tables) if report.total.rejected else {}
            index = cache.index([])
            for partition in rebuild.partitions:
                found = index.filter(pc.is_in(index[key], listed[partition][key]))
                counts = _account(listed[partition], found, rejected, key)
                if counts.unaccounted and not whole:
                    continue
                pending.write(
                    (batch for rows in cache.read_keys(found) for batch in rows.to_batches()),
                    table.schema,
                    partition,
                )
                commit = pending.commit(
                    partition,
                    counts=counts,
                    inputs=inputs_of(images[partition]),
                    facts=facts,
                    recipe=recipes[partition],
                    contract=table,
                )
                similar = _similarities(store.read(table, partition, ["vector"]))
                drawn = {
                    "neighbour_similarity": pictures.histogram(
                        similar, "cosine to the most similar other picture"
                    )
                }
                shown = commit_metadata(store, table, commit, report.seconds, drawn)
                rebuild.record(commit, shown | facts | figures_metadata(report))

        report, whole = StageReport({}, 0.0), False
        try:
            if params.rows >= max(config.spark_from, 1):
                work = Work(
                    rows=params.rows,
                    input_bytes=wanted.nbytes,
                    measure=Measure.ROW,
                    rows_per_task=config.rows_per_task,
                    worker_bytes=worker_bytes(bundle),
                    kind=bundle.bundle_id,
                    gflop=bundle_gflop(bundle),
                )
                launcher = batch_transform if batch_transform.is_set_up else spark
                if launcher is spark:
                    chosen, folder = model.choose_engine(
                        params.rows, partial(draw_pictures, params), context.log.info
                    )
                    context.log.info("%s embeds: %s", chosen.choice, chosen.why)
                    facts |= {"engine": str(chosen.choice), "engine_because": chosen.why}
                    params = replace(
                        params,
                        engine=str(chosen.choice),
                        engine_folder=str(folder) if chosen.choice.engine.is_openvino else "",
                    )
                report = launcher.run("image_embeddings", params, config.tuning, work, context, store)
            elif params.rows:
                report = run_here(params, model.encoder())
            whole = True
        finally:
            # Finished tasks have left their vectors in the cache: years that have all of theirs stay finished.
            commit_partitions(report, whole)
        return rebuild.finished()

    return embeddings


def _one_source(images: Mapping[str, Commit]) -> str:
    """Where the pictures come from. Ids of two places mean different pictures, so they are never mixed."""
    sources = sorted({commit.facts["source"] for commit in images.values()})
    if len(sources) != 1:
        raise dg.Failure(
            f"the images come from {len(sources)} sources ({', '.join(sources)}), whose ids mean different pictures. "
            "Materialise the images of all partitions from one source.",
            allow_retries=False,
        )
    return sources[0]


def _without_vector(pictures: pa.Table, index: pa.Table, key: str) -> pa.Table:
    """The readable pictures that the vectors cache lacks, once each, sorted by the shard that holds their bytes.

    They are fetched partition by partition, so partitions are embedded in about their order too.
    """
    ready = pictures.filter(pc.equal(pictures["status"], "ok")).select([key, SHARD])
    missing = ready.filter(pc.invert(pc.is_in(ready[key], index[key])))
    once = missing.group_by(key).aggregate([(SHARD, "max")]).rename_columns([key, SHARD])
    return once.sort_by([(SHARD, "ascending"), (key, "ascending")])


def _reasons(lake: Lake, folder: str, tables: PictureTables) -> dict[Any, str]:
    rejections = lake.read_aside(folder, tables.rejections)
    return dict(zip(rejections[tables.key.name].to_pylist(), rejections["reason"].to_pylist(), strict=True))


def _account(listed: pa.Table, embedded: pa.Table, rejected: dict[Any, str], key: str) -> Counts:
    """Every listed picture has a vector, or the reason why not: its fetch status or what decoding said."""
    done = set(embedded[key].to_pylist())
    reasons: Counter[str] = Counter()
    for picture, status in zip(listed[key].to_pylist(), listed["status"].to_pylist(), strict=True):
        if picture in done:
            continue
        if status != "ok":
            reasons[status] += 1
        elif picture in rejected:
            reasons[rejected[picture]] += 1
    return Counts(rows_in=len(listed), rows_out=len(done), rejected=dict(reasons))


def _similarities(rows: pa.Table) -> list[float]:
    import numpy as np

    if len(rows) < 2:
        return []
    flat = rows["vector"].slice(0, _DRAWN_VECTORS).combine_chunks()
    vectors = np.stack(flat.to_numpy(zero_copy_only=False))
    cosine = vectors @ vectors.T
    np.fill_diagonal(cosine, -1)
    return [float(value) for value in cosine.max(axis=1)]
