"""Embed covers on Spark: bytes from the covers cache to vectors in the vectors cache.

Each task takes one slice of the work list, encodes it, and appends one shard of vectors, which is visible at once:
a killed run loses the slices in hand and no more. The model is loaded once for each worker process, from local files.

Belongs here: the distributed work. Does not: the model (`clip`), which covers need a vector (the caller).
"""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from booksearch_assets.clip.bundle import WEIGHTS, Bundle
from booksearch_assets.clip.preprocess import UndecodableImage, decode_image
from booksearch_assets.compute.plan import PLANNED_TASKS, TaskPlan, plan_tasks
from booksearch_assets.tables.books import COVER_BYTES, EMBEDDING_REJECTIONS, cover_vectors
from booksearch_assets.tables.counts import Counts, StageReport
from booksearch_assets.tables.lake import Lake
from booksearch_assets.tables.shards import ShardStore

if TYPE_CHECKING:
    from PIL import Image
    from pyspark.sql import SparkSession

    from booksearch_assets.clip.encoder import Encoder


def covers_cache(lake_root: str, source: str) -> ShardStore:
    """The covers cache of a lake: original bytes by cover id, whose numbers mean something at one `source` only."""
    return ShardStore(lake_root, f"covers/{source}", COVER_BYTES)


def vectors_cache(lake_root: str, source: str, bundle_id: str, dimension: int) -> ShardStore:
    """The vectors cache of one source and one bundle: vectors of two bundles never share a cache."""
    return ShardStore(lake_root, f"vectors/{source}/{bundle_id}", cover_vectors(dimension))


WORK_SCHEMA = pa.schema([("cover_id", pa.int64()), ("shard", pa.string())])
_CLOCK_DIFFERENCE = timedelta(minutes=10)
_LIBRARIES_BYTES = 350 * 2**20
_REJECTION_DDL = "cover_id long, reason string"


@dataclass(frozen=True)
class CoverEmbeddingsParams:
    """`source` is the service whose cover ids these are (see `covers_cache`).

    `work` is the URI of one Parquet file of WORK_SCHEMA, sorted by shard: the `rows` covers without a vector yet.

    `rejections` is the folder to write EMBEDDING_REJECTIONS to.
    """

    lake: str
    source: str
    work: str
    rows: int
    rejections: str
    bundle: str
    rows_per_task: int = 512
    batch_size: int = 16


def run(spark: SparkSession, params: CoverEmbeddingsParams) -> StageReport:
    """Embed every cover of the work list. Counts: covers in, vectors out, undecodable ones by reason."""
    started = time.monotonic()
    asked, params = params, without_done(params)
    plan = _task_plan(spark, params)
    rejected: dict[str, int] = {}
    if plan.tasks:
        # One row a task: Spark may neither merge small slices nor split by bytes, which say nothing of the work.
        tasks = spark.range(0, plan.tasks, 1, numPartitions=plan.tasks)
        tasks.mapInArrow(_embed_slices(params, plan), _REJECTION_DDL).write.mode("overwrite").parquet(
            params.rejections
        )
        rejected = {
            r["reason"]: r["count"]
            for r in spark.read.parquet(params.rejections).groupBy("reason").count().collect()
        }
    seconds = time.monotonic() - started
    counts = Counts(asked.rows, asked.rows - sum(rejected.values()), rejected)
    figures = {
        "tasks": plan.tasks,
        "covers_per_second": round(params.rows / seconds, 1),
    }
    return StageReport({"": counts}, seconds, figures)


def without_done(params: CoverEmbeddingsParams) -> CoverEmbeddingsParams:
    """The parameters for what is left of the work list, where an earlier attempt at it was cut off."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    lake, bundle = Lake(params.lake), Bundle.open(params.bundle)
    place = params.work.removeprefix("s3://")
    listed_at = lake.filesystem.get_file_info(place).mtime
    vectors = vectors_cache(params.lake, params.source, bundle.bundle_id, bundle.dimension)
    done = vectors.keys_since(listed_at.astimezone(UTC) - _CLOCK_DIFFERENCE)
    work = pq.read_table(place, filesystem=lake.filesystem)
    left = work.filter(pc.invert(pc.is_in(work["cover_id"], done)))
    if len(left) == len(work):
        return params
    path = f"{params.work.removesuffix('.parquet')}-{secrets.token_hex(4)}.parquet"
    pq.write_table(left, path.removeprefix("s3://"), filesystem=lake.filesystem)
    return replace(params, work=path, rows=len(left))


def worker_bytes(bundle: Bundle) -> int:
    """What a worker holds besides its covers: the libraries, and the weights, which are float32 once loaded.

    Measured for ViT-B/32 (605 MB of weights): 780 MB, and as much as the weights again while they are loaded.
    """
    return _LIBRARIES_BYTES + 2 * (bundle.folder / WEIGHTS).stat().st_size


def _task_plan(spark: SparkSession, params: CoverEmbeddingsParams) -> TaskPlan:
    """The tasks of the run's plan, or, where the stage is run without one, tasks for the cores of the session."""
    planned = int(spark.conf.get(PLANNED_TASKS, "0") or 0)
    if planned:
        return TaskPlan(params.rows, min(planned, params.rows))
    return plan_tasks(params.rows, spark.sparkContext.defaultParallelism, params.rows_per_task)


def run_here(params: CoverEmbeddingsParams, encoder: Encoder) -> StageReport:
    """As `run`, in this process: for a few covers, starting workers that load the model takes longer than the work."""
    import pyarrow.parquet as pq

    started = time.monotonic()
    rejections = embed_slice(params, 0, params.rows, encoder)
    lake = Lake(params.lake)
    folder = params.rejections.removeprefix("s3://")
    lake.filesystem.create_dir(folder, recursive=True)
    pq.write_table(rejections, f"{folder}/rejections.parquet", filesystem=lake.filesystem)
    seconds = time.monotonic() - started
    rejected = dict(Counter(rejections["reason"].to_pylist()))
    counts = Counts(params.rows, params.rows - len(rejections), rejected)
    figures = {
        "tasks": 1,
        "plan": f"{params.rows} rows in the process of the asset",
        "covers_per_second": round(params.rows / seconds, 1),
    }
    return StageReport({"": counts}, seconds, figures)


def _embed_slices(
    params: CoverEmbeddingsParams, plan: TaskPlan
) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    def embed(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for task in batch.column(0).to_pylist():
                yield from embed_slice(params, *plan.slice_of(task)).to_batches()

    return embed


def embed_slice(
    params: CoverEmbeddingsParams, offset: int, length: int, encoder: Encoder | None = None
) -> pa.Table:
    """Embed one slice of the work list and append its vectors as one shard. Returns the rejected covers.

    Runs on a worker, whose own encoder it takes by default, and as well in any plain process.
    """
    import pyarrow.dataset as ds

    encoder = encoder or _encoder(params.bundle)
    work = ds.dataset(params.work, format="parquet").to_table().slice(offset, length)
    covers = covers_cache(params.lake, params.source)
    done: list[tuple[int, np.ndarray]] = []
    rejected: list[tuple[int, str]] = []
    for rows in covers.read_keys(work, ["cover_id", "content"]):
        # A decoded cover takes twenty times its JPEG, so only one batch is decoded at a time.
        for batch in rows.to_batches(max_chunksize=params.batch_size):
            ids, pictures = _decode(batch, rejected)
            done.extend(zip(ids, encoder.encode_images(pictures, batch_size=params.batch_size), strict=True))
    if done:
        vectors = vectors_cache(params.lake, params.source, encoder.bundle_id, encoder.dimension)
        vectors.append(_vector_rows(done, encoder.bundle))
    columns = [[cover_id for cover_id, _ in rejected], [reason for _, reason in rejected]]
    return pa.Table.from_arrays(
        [pa.array(c, f.type) for c, f in zip(columns, EMBEDDING_REJECTIONS.schema, strict=True)],
        schema=EMBEDDING_REJECTIONS.schema,
    )


def _decode(batch: pa.RecordBatch, rejected: list[tuple[int, str]]) -> tuple[list[int], list[Image.Image]]:
    """The covers of a batch that can be read; the others are added to `rejected` with their reason."""
    ids, pictures = [], []
    for cover_id, content in zip(batch["cover_id"].to_pylist(), batch["content"].to_pylist(), strict=True):
        try:
            pictures.append(decode_image(content or b""))
        except UndecodableImage as error:
            rejected.append((cover_id, str(error.reason)))
        else:
            ids.append(cover_id)
    return ids, pictures


def _vector_rows(done: list[tuple[int, np.ndarray]], bundle: Bundle) -> pa.Table:
    schema = cover_vectors(bundle.dimension).schema
    vectors = np.stack([vector for _, vector in done]).astype(np.float32)
    provenance = (
        bundle.manifest.model_id,
        bundle.manifest.revision,
        bundle.manifest.preprocessing_version,
        bundle.bundle_id,
    )
    columns = [
        pa.array([cover_id for cover_id, _ in done], pa.int64()),
        pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), bundle.dimension),
        *(pa.array([value] * len(done), pa.string()) for value in provenance),
    ]
    return pa.Table.from_arrays(columns, schema=schema)


@lru_cache(maxsize=1)
def _encoder(bundle: str) -> Encoder:
    """One model for each worker process, one thread each: the workers are the parallelism."""
    from booksearch_assets.clip.encoder import Encoder

    return Encoder.load(Bundle.open(bundle), threads=1)
