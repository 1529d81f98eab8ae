"""How each contestant embeds pictures: our stage on Spark, the prototype's ways, clip-retrieval, and an engine alone.

Belongs here: the work of each, timed once everything is loaded, as seconds for each picture. Does not: the pictures and
the rows (`embed_pictures`).

The prototype's code (github.com/erevear/book_semantic_search_cloud) is written anew from what it does: a Python UDF for
each row, with autograd on, that loads model, processor and tokenizer at every call. Two of its costs are left out, to its
favour: it downloads in the same call, and a filter on the UDF's column makes Spark call it twice for each row.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import peers
import pyarrow.parquet as pq
from harness import Done

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

CATALOGUE, SOURCE = "books", "benchmark"
BATCH = 16
"""The stage's own."""

COMPARED = 8
"""Pictures whose vectors must agree: every contestant embeds the first of them."""

_WORKERS = 2


def spark_stage(lake: str, bundle: str, engine: str, engines: str, work: str, warm_up: str) -> Done:
    """Our stage in the session that our launcher starts, after it embedded `warm_up` with the same workers."""
    from booksearch_assets.clip.bundle import Bundle
    from booksearch_assets.compute.image_embeddings import ImageEmbeddingsParams, run
    from booksearch_assets.resources.spark import LocalSparkLauncher, SparkTuning
    from booksearch_assets.tables.books import COVERS

    session = LocalSparkLauncher(master=f"local[{_WORKERS}]").session(SparkTuning())
    # A lake for each run: what is in the vectors cache is not embedded again.
    fresh = f"{lake}-{secrets.token_hex(4)}"
    shutil.copytree(lake, fresh)
    work, warm_up = (listed.replace(lake, fresh) for listed in (work, warm_up))

    def embed(listed: str) -> float:
        rows = pq.read_metadata(listed).num_rows
        params = ImageEmbeddingsParams(
            lake=fresh,
            catalogue=CATALOGUE,
            source=SOURCE,
            work=listed,
            rows=rows,
            rejections=f"{fresh}/rejections-{secrets.token_hex(4)}",
            bundle=bundle,
            engine=engine,
            engine_folder=engines,
            batch_size=BATCH,
        )
        started = time.perf_counter()
        run(session, params)
        return (time.perf_counter() - started) / rows

    started = time.perf_counter()
    embed(warm_up)
    ready = time.perf_counter() - started
    seconds = embed(work)
    opened = Bundle.open(bundle, verify="size")
    vectors = COVERS.vectors_cache(fresh, SOURCE, opened.bundle_id, opened.dimension)
    index = vectors.index([])
    first = {
        row["cover_id"]: row["vector"]
        for part in vectors.read_keys(index, ["cover_id", "vector"])
        for row in part.to_pylist()
        if row["cover_id"] < COMPARED
    }
    session.stop()
    shutil.rmtree(fresh)
    return _done([first[n] for n in range(COMPARED)], seconds, ready)


def engine_alone(bundle: str, engine: str, engines: str, pixels: str, batches: int) -> Done:
    """The engine in as many processes as there are workers, one thread each, on pixels that are ready: no more than that."""
    import multiprocessing

    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(_WORKERS)
    with context.Pool(_WORKERS, initializer=_join, initargs=(barrier,)) as pool:
        asked = [(bundle, engine, engines, pixels, batches)] * _WORKERS
        found = pool.starmap(_loop, asked, chunksize=1)
    rate = sum(batches * BATCH / seconds for seconds, _, _ in found)
    return _done(found[0][1], 1 / rate, max(ready for _, _, ready in found))


_barrier: Any = None


def _join(barrier: Any) -> None:
    global _barrier
    _barrier = barrier


def _loop(
    bundle: str, engine: str, engines: str, pixels: str, batches: int
) -> tuple[float, list[list[float]], float]:
    from booksearch_assets.clip.bundle import Bundle
    from booksearch_assets.clip.engines import EngineChoice, load_image_engine

    started = time.perf_counter()
    choice = EngineChoice.parse(engine)
    loaded = load_image_engine(
        Bundle.open(bundle, verify="size"), choice.engine, threads=1, folder=Path(engines)
    )
    prepared = np.load(pixels)
    first = loaded.encode_pixels(prepared[:BATCH])
    ready = time.perf_counter() - started
    _barrier.wait()
    started = time.perf_counter()
    for _ in range(batches):
        loaded.encode_pixels(prepared[:BATCH])
    return time.perf_counter() - started, first[:COMPARED].tolist(), ready


def prototype_as_coded(pictures: str, warm_up: str, bundle: str) -> Done:
    """Model, processor and tokenizer are loaded inside of every call."""

    def embed(content: bytes) -> list[float]:
        return _embedded(content, *_loaded(bundle))

    return _by_udf(pictures, warm_up, embed)


def prototype_cached(pictures: str, warm_up: str, bundle: str) -> Done:
    """The same, but for a model that each worker loads once."""

    def embed(content: bytes) -> list[float]:
        import embed_contestants

        if embed_contestants._kept is None:
            embed_contestants._kept = _loaded(bundle)
        return _embedded(content, *embed_contestants._kept)

    return _by_udf(pictures, warm_up, embed)


_kept: tuple[Any, Any] | None = None


def _loaded(bundle: str) -> tuple[Any, Any]:
    import torch
    from transformers import AutoTokenizer, CLIPModel
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    # float32, as its release of transformers loaded every model; and in evaluation mode, as every release does.
    model = CLIPModel.from_pretrained(bundle, dtype=torch.float32)
    AutoTokenizer.from_pretrained(bundle)
    return model, CLIPImageProcessorPil.from_pretrained(bundle)


def _embedded(content: bytes, model: Any, processor: Any) -> list[float]:
    from io import BytesIO

    from PIL import Image

    image = Image.open(BytesIO(content)).convert("RGB")
    features = model.get_image_features(**processor(images=image, return_tensors="pt"))
    return features.pooler_output[0].tolist()


def _by_udf(pictures: str, warm_up: str, embed: Callable[[bytes], list[float]]) -> Done:
    from pyspark.sql import SparkSession
    from pyspark.sql.functions import udf

    # Else workers are the `python3` of PATH.
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    session: SparkSession = (
        SparkSession.builder.master(f"local[{_WORKERS}]").config("spark.ui.enabled", "false").getOrCreate()
    )
    embedding = udf(embed, "array<float>")
    output = f"{pictures}-{secrets.token_hex(4)}"

    def run(path: str) -> float:
        table = session.read.parquet(path)
        started = time.perf_counter()
        table.repartition(_WORKERS).select("key", embedding("content").alias("vector")).write.parquet(
            output, mode="overwrite"
        )
        return (time.perf_counter() - started) / pq.read_metadata(path).num_rows

    started = time.perf_counter()
    run(warm_up)
    ready = time.perf_counter() - started
    seconds = run(pictures)
    rows = pq.read_table(output).sort_by("key").to_pylist()
    session.stop()
    return _done([row["vector"] for row in rows[:COMPARED]], seconds, ready)


def clip_retrieval(pictures: str, checkpoint: str) -> Done:
    """`clip-retrieval inference` on a folder of files; timed by its own statistics, which leave loading out."""
    output = Path(f"{pictures}-{secrets.token_hex(4)}")
    settings = {
        "input_dataset": pictures,
        "output_folder": output,
        "batch_size": BATCH,
        "num_prepro_workers": _WORKERS,
        "enable_text": False,
        "use_jit": False,
        "clip_model": f"openai_clip:{checkpoint}",
    }
    started = time.perf_counter()
    script = Path(__file__).parent / "clip_retrieval_command.py"
    peers.run_peer(
        ["python", str(script), "inference", *(f"--{name}={value}" for name, value in settings.items())]
    )
    whole = time.perf_counter() - started
    stats = [json.loads(path.read_text()) for path in (output / "stats").glob("*.json")]
    # What its log counts: waiting for decoded pictures, the model, and writing.
    seconds = sum(s["read_duration"] + s["inference_duration"] + s["write_duration"] for s in stats)
    count = sum(s["sample_count"] for s in stats)
    paths = pq.read_table(next((output / "metadata").glob("*.parquet")))["image_path"].to_pylist()
    vectors = np.load(next((output / "img_emb").glob("*.npy")))
    by_name = dict(zip((Path(path).stem for path in paths), vectors.tolist(), strict=True))
    return _done([by_name[f"{n:05d}"] for n in range(COMPARED)], seconds / count, whole - seconds)


def _done(vectors: Any, seconds: float, ready: float) -> Done:
    found = np.asarray(vectors, np.float32)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return Done([[round(float(x), 6) for x in vector] for vector in found], seconds, {"ready_after": ready})


def agree(one: list[list[float]], other: list[list[float]]) -> bool:
    """Whether two contestants' vectors are the same but for their precision: centred, since all have a large mean in common."""
    from booksearch_assets.clip.probe import centred_cosines

    return bool(centred_cosines(np.asarray(one), np.asarray(other)).min() > _AGREEING)


_AGREEING = 0.95
