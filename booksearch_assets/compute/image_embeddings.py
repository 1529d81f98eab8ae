"""Embed pictures on Spark: bytes from a catalogue's cache to vectors in the vectors cache.

Each task takes one slice of the work list, encodes it, and appends one shard of vectors, which is visible at once:
a killed run loses the slices in hand and no more. The model is loaded once for each worker process, from local files.

Belongs here: the distributed work. Does not: the model (`clip`), which pictures need a vector (the caller).
"""

from __future__ import annotations

import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from booksearch_assets.clip.bundle import WEIGHTS, Bundle
from booksearch_assets.clip.engines import REFERENCE, EngineChoice
from booksearch_assets.clip.preprocess import UndecodableImage
from booksearch_assets.compute.plan import PLANNED_TASKS, TaskPlan, plan_tasks
from booksearch_assets.tables.counts import Counts, StageReport
from booksearch_assets.tables.images import PictureTables
from booksearch_assets.tables.lake import Lake
from booksearch_assets.tables.pictures import picture_tables

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from booksearch_assets.clip.encoder import Encoder


Key = int | str
"""What names a picture in its catalogue."""

_CLOCK_DIFFERENCE = timedelta(minutes=10)
_DRAWN_FROM = 8
_LIBRARIES_BYTES = 350 * 2**20
_SPARK_TYPES = {pa.int64(): "long", pa.string(): "string"}


@dataclass(frozen=True)
class ImageEmbeddingsParams:
    """`source` is where the pictures of the `catalogue` come from: a key names a picture there only.

    `work` is the URI of one Parquet file of `PictureTables.work`, sorted by shard: the `rows` pictures without a vector yet.

    `rejections` is the folder to write `PictureTables.rejections` to.

    `engine` is the `EngineChoice` that every worker takes, decided once for all of them; `engine_folder`, on a disk that
    they share, has its converted models, and may be empty for an engine of torch.
    """

    lake: str
    catalogue: str
    source: str
    work: str
    rows: int
    rejections: str
    bundle: str
    rows_per_task: int = 512
    batch_size: int = 16
    engine: str = str(REFERENCE)
    engine_folder: str = ""

    @property
    def tables(self) -> PictureTables:
        return picture_tables(self.catalogue)


def run(spark: SparkSession, params: ImageEmbeddingsParams) -> StageReport:
    """Embed every picture of the work list. Counts: pictures in, vectors out, undecodable ones by reason."""
    started = time.monotonic()
    asked, params = params, without_done(params)
    plan = _task_plan(spark, params)
    rejected: dict[str, int] = {}
    if plan.tasks:
        # One row a task: Spark may neither merge small slices nor split by bytes, which say nothing of the work.
        tasks = spark.range(0, plan.tasks, 1, numPartitions=plan.tasks)
        tasks.mapInArrow(_embed_slices(params, plan), _rejection_ddl(params.tables)).write.mode(
            "overwrite"
        ).parquet(params.rejections)
        rejected = {
            r["reason"]: r["count"]
            for r in spark.read.parquet(params.rejections).groupBy("reason").count().collect()
        }
    seconds = time.monotonic() - started
    counts = Counts(asked.rows, asked.rows - sum(rejected.values()), rejected)
    figures = {
        "tasks": plan.tasks,
        "engine": params.engine,
        "images_per_second": round(params.rows / seconds, 1),
    }
    return StageReport({"": counts}, seconds, figures)


def without_done(params: ImageEmbeddingsParams) -> ImageEmbeddingsParams:
    """The parameters for what is left of the work list, where an earlier attempt at it was cut off."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    lake, bundle, tables = Lake(params.lake), Bundle.open(params.bundle), params.tables
    place = params.work.removeprefix("s3://")
    listed_at = lake.filesystem.get_file_info(place).mtime
    vectors = tables.vectors_cache(params.lake, params.source, bundle.bundle_id, bundle.dimension)
    done = vectors.keys_since(listed_at.astimezone(UTC) - _CLOCK_DIFFERENCE)
    work = pq.read_table(place, filesystem=lake.filesystem)
    left = work.filter(pc.invert(pc.is_in(work[tables.key.name], done)))
    if len(left) == len(work):
        return params
    path = f"{params.work.removesuffix('.parquet')}-{secrets.token_hex(4)}.parquet"
    pq.write_table(left, path.removeprefix("s3://"), filesystem=lake.filesystem)
    return replace(params, work=path, rows=len(left))


def draw_pictures(params: ImageEmbeddingsParams, count: int) -> list[bytes]:
    """Up to `count` pictures of the work list as they were fetched, from all over it, to measure engines with."""
    import pyarrow.parquet as pq

    tables = params.tables
    place = params.work.removeprefix("s3://")
    work = pq.read_table(place, filesystem=Lake(params.lake).filesystem)
    # Few runs of neighbours, since each run is a shard to open.
    step = -(-len(work) // _DRAWN_FROM)
    size = min(step, -(-count // _DRAWN_FROM))
    drawn = pa.concat_tables([work.slice(start, size) for start in range(0, len(work), step)]).slice(0, count)
    read = tables.bytes_cache(params.lake, params.source).read_keys(drawn, ["content"])
    return [content for rows in read for content in rows["content"].to_pylist() if content]


def worker_bytes(bundle: Bundle) -> int:
    """What a worker holds besides its pictures: the libraries, and the weights, which are float32 once loaded.

    Measured for ViT-B/32 (605 MB of weights): 780 MB, and as much as the weights again while they are loaded.
    """
    return _LIBRARIES_BYTES + 2 * (bundle.folder / WEIGHTS).stat().st_size


def _task_plan(spark: SparkSession, params: ImageEmbeddingsParams) -> TaskPlan:
    """The tasks of the run's plan, or, where the stage is run without one, tasks for the cores of the session."""
    planned = int(spark.conf.get(PLANNED_TASKS, "0") or 0)
    if planned:
        return TaskPlan(params.rows, min(planned, params.rows))
    return plan_tasks(params.rows, spark.sparkContext.defaultParallelism, params.rows_per_task)


def run_here(params: ImageEmbeddingsParams, encoder: Encoder) -> StageReport:
    """As `run`, in this process: for a few pictures, starting workers that load the model takes longer than the work."""
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
        "images_per_second": round(params.rows / seconds, 1),
    }
    return StageReport({"": counts}, seconds, figures)


def _embed_slices(
    params: ImageEmbeddingsParams, plan: TaskPlan
) -> Callable[[Iterable[pa.RecordBatch]], Iterable[pa.RecordBatch]]:
    def embed(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for batch in batches:
            for task in batch.column(0).to_pylist():
                yield from embed_slice(params, *plan.slice_of(task)).to_batches()

    return embed


def embed_slice(
    params: ImageEmbeddingsParams, offset: int, length: int, encoder: Encoder | None = None
) -> pa.Table:
    """Embed one slice of the work list and append its vectors as one shard. Returns the rejected pictures.

    Runs on a worker, whose own encoder it takes by default, and as well in any plain process.
    """
    import pyarrow.dataset as ds

    encoder = encoder or _encoder(params.bundle, params.engine, params.engine_folder)
    work = ds.dataset(params.work, format="parquet").to_table().slice(offset, length)
    tables = params.tables
    key = tables.key.name
    done: list[tuple[Key, np.ndarray]] = []
    rejected: list[dict[str, Any]] = []
    for rows in tables.bytes_cache(params.lake, params.source).read_keys(work, [key, "content"]):
        # A decoded picture takes twenty times its JPEG, so only one batch is decoded at a time.
        for batch in rows.to_batches(max_chunksize=params.batch_size):
            keys, pictures = [], []
            for name, content in zip(batch[key].to_pylist(), batch["content"].to_pylist(), strict=True):
                try:
                    pictures.append(encoder.decode(content or b""))
                except UndecodableImage as error:
                    rejected.append({key: name, "reason": str(error.reason)})
                else:
                    keys.append(name)
            done.extend(zip(keys, encoder.encode_images(pictures, batch_size=params.batch_size), strict=True))
    if done:
        vectors = tables.vectors_cache(params.lake, params.source, encoder.bundle_id, encoder.dimension)
        vectors.append(vector_rows(tables, done, encoder.bundle))
    return pa.Table.from_pylist(rejected, tables.rejections.schema)


def vector_rows(tables: PictureTables, done: Sequence[tuple[Key, np.ndarray]], bundle: Bundle) -> pa.Table:
    """The rows of some vectors, (dimension,) each, by the contract of the vectors cache."""
    schema = tables.vectors(bundle.dimension).schema
    vectors = np.stack([vector for _, vector in done]).astype(np.float32)
    provenance = (
        bundle.manifest.model_id,
        bundle.manifest.revision,
        bundle.manifest.preprocessing_version,
        bundle.bundle_id,
    )
    columns = [
        pa.array([key for key, _ in done], tables.key.type),
        pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), bundle.dimension),
        *(pa.array([value] * len(done), pa.string()) for value in provenance),
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def _rejection_ddl(tables: PictureTables) -> str:
    return f"{tables.key.name} {_SPARK_TYPES[tables.key.type]}, reason string"


@lru_cache(maxsize=1)
def _encoder(bundle: str, engine: str, engine_folder: str) -> Encoder:
    """One model for each worker process, one thread each: the workers are the parallelism."""
    from booksearch_assets.clip.encoder import Encoder

    choice = EngineChoice.parse(engine)
    return Encoder.load_for_images(Bundle.open(bundle), choice, threads=1, folder=engine_folder or None)
