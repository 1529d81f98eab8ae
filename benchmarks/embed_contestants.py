"""How each contestant embeds pictures: our stage on Spark, the prototype's ways, clip-retrieval, and an engine alone.

A contestant on Spark starts once, and embeds a few and then many pictures in each round: what it takes for each picture is
the difference of both, so that neither loading nor the start of a job counts, which is what runs of any length have in common.

Belongs here: the work of each, as seconds for each picture. Does not: the pictures and the rows (`embed_pictures`).

The prototype's code (github.com/erevear/book_semantic_search_cloud) is written anew from what it does: a Python UDF for
each row, with autograd on, that loads model, processor and tokenizer at every call. Two of its costs are left out, to its
favour: it downloads in the same call, and a filter on the UDF's column makes Spark call it twice for each row.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
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

WHOLE = "whole_run"
"""A figure of each: the seconds for a picture with the start of its job, or of its command."""

AS_CODED, MODEL_KEPT = "as coded", "model kept"
"""Figures of the prototypes: the seconds for a picture."""

_WORKERS = 2


def spark_stage(
    lake: str, bundle: str, engine: str, engines: str, warm_up: str, few: str, many: str
) -> Iterator[Done]:
    """Our stage in the session that our launcher starts. The three lists have no picture in common: none is embedded twice."""
    from booksearch_assets.clip.bundle import Bundle
    from booksearch_assets.compute.image_embeddings import ImageEmbeddingsParams, run
    from booksearch_assets.resources.spark import LocalSparkLauncher, SparkTuning
    from booksearch_assets.tables.books import COVERS

    session = LocalSparkLauncher(master=f"local[{_WORKERS}]").session(SparkTuning())
    opened = Bundle.open(bundle, verify="size")

    def embed(listed: str, fresh: str) -> None:
        params = ImageEmbeddingsParams(
            lake=fresh,
            catalogue=CATALOGUE,
            source=SOURCE,
            work=listed.replace(lake, fresh),
            rows=_rows(listed),
            rejections=f"{fresh}/rejections-{secrets.token_hex(4)}",
            bundle=bundle,
            engine=engine,
            engine_folder=engines,
            batch_size=BATCH,
        )
        run(session, params)

    def vectors(fresh: str) -> list[list[float]]:
        cache = COVERS.vectors_cache(fresh, SOURCE, opened.bundle_id, opened.dimension)
        first = {
            row["cover_id"]: row["vector"]
            for part in cache.read_keys(cache.index([]), ["cover_id", "vector"])
            for row in part.to_pylist()
            if row["cover_id"] < COMPARED
        }
        return [first[number] for number in range(COMPARED)]

    @contextlib.contextmanager
    def fresh_lake() -> Iterator[str]:
        # What is in the vectors cache is not embedded again.
        fresh = f"{lake}-{secrets.token_hex(4)}"
        shutil.copytree(lake, fresh)
        yield fresh
        shutil.rmtree(fresh)

    with fresh_lake() as fresh:
        embed(warm_up, fresh)
    yield Done()
    while True:
        with fresh_lake() as fresh:
            each, whole = _steady(partial(embed, fresh=fresh), warm_up, few, many)
            yield _done(vectors(fresh), each, whole)


def _steady(embed: Callable[[str], object], warm_up: str, few: str, many: str) -> tuple[float, float]:
    """Seconds for each picture: of the further ones alone, and of all of the larger run, its start included.

    Workers that had nothing to do for a minute are gone, so the first run starts them.
    """
    taken = []
    for listed in (warm_up, few, many):
        started = time.perf_counter()
        embed(listed)
        taken.append(time.perf_counter() - started)
    return (taken[2] - taken[1]) / (_rows(many) - _rows(few)), taken[2] / _rows(many)


def _rows(file: str) -> int:
    return int(pq.read_metadata(file).num_rows)


def engine_alone(bundle: str, engine: str, engines: str, pixels: str, batches: int) -> Iterator[Done]:
    """The engine in as many processes as there are workers, one thread each, on pixels that are ready: no more than that."""
    import multiprocessing

    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(_WORKERS)
    with context.Pool(
        _WORKERS, initializer=_join, initargs=(barrier, bundle, engine, engines, pixels)
    ) as pool:
        while True:
            found = pool.map(_loop, [batches] * _WORKERS, chunksize=1)
            each = 1 / sum(batches * BATCH / seconds for seconds, _ in found)
            yield _done(found[0][1], each, each)


_joined: tuple[Any, Any, np.ndarray] | None = None
"""Of a process of the engine alone: the barrier, the engine and its pixels."""


def _join(barrier: Any, bundle: str, engine: str, engines: str, pixels: str) -> None:
    from booksearch_assets.clip.bundle import Bundle
    from booksearch_assets.clip.engines import EngineChoice, load_image_engine

    global _joined
    choice = EngineChoice.parse(engine)
    loaded = load_image_engine(
        Bundle.open(bundle, verify="size"), choice.engine, threads=1, folder=Path(engines)
    )
    _joined = barrier, loaded, np.load(pixels)[:BATCH]


def _loop(batches: int) -> tuple[float, list[list[float]]]:
    assert _joined
    barrier, engine, pixels = _joined
    first = engine.encode_pixels(pixels)
    # Both at once, or one would have the memory's whole bandwidth.
    barrier.wait()
    started = time.perf_counter()
    for _ in range(batches):
        engine.encode_pixels(pixels)
    return time.perf_counter() - started, first[:COMPARED].tolist()


def prototypes(few: str, coded: str, kept: str, bundle: str) -> Iterator[Done]:
    """The prototype as it was coded, with the pictures `coded`, and with a model that each worker keeps, with `kept`.

    Model, processor and tokenizer are loaded inside of every call as coded. One session for both, which loads libraries once.
    """

    def embed_as_coded(content: bytes) -> list[float]:
        return _embedded(content, *_loaded(bundle))

    def embed_with_kept_model(content: bytes) -> list[float]:
        import embed_contestants

        if embed_contestants._kept is None:
            embed_contestants._kept = _loaded(bundle)
        return _embedded(content, *embed_contestants._kept)

    run = _by_udf()
    run(few, embed_with_kept_model)
    yield Done()
    vectors: list[list[list[float]]] = []
    while True:
        as_coded = _steady(lambda table: run(table, embed_as_coded), few, few, coded)
        with_kept = _steady(lambda table: vectors.append(run(table, embed_with_kept_model)), few, few, kept)
        figures = {AS_CODED: as_coded[0], MODEL_KEPT: with_kept[0]}
        yield _done(vectors[-1][:COMPARED], *with_kept, figures)


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


def _by_udf() -> Callable[[str, Callable[[bytes], list[float]]], list[list[float]]]:
    """Embeds a table of pictures by a function for each row, in a session as one who follows a tutorial starts it."""
    from pyspark.sql import SparkSession
    from pyspark.sql.functions import udf

    # Else workers are the `python3` of PATH.
    os.environ["PYSPARK_PYTHON"] = sys.executable
    os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
    session: SparkSession = (
        SparkSession.builder.master(f"local[{_WORKERS}]").config("spark.ui.enabled", "false").getOrCreate()
    )

    def run(path: str, embed: Callable[[bytes], list[float]]) -> list[list[float]]:
        output = f"{path}-vectors"
        vectors = udf(embed, "array<float>")("content").alias("vector")
        table = session.read.parquet(path).repartition(_WORKERS)
        table.select("key", vectors).write.parquet(output, mode="overwrite")
        return [row["vector"] for row in pq.read_table(output).sort_by("key").to_pylist()]

    return run


def clip_retrieval(pictures: str, checkpoint: str) -> Iterator[Done]:
    """`clip-retrieval inference` on a folder of files; timed by its own statistics, which leave loading out."""
    peer = peers.start_peer(["python", str(Path(__file__).parent / "clip_retrieval_command.py")])
    assert peer.stdin and peer.stdout
    while True:
        output = Path(f"{pictures}-{secrets.token_hex(4)}")
        settings = {
            "input_dataset": pictures,
            "output_folder": str(output),
            "batch_size": BATCH,
            "num_prepro_workers": _WORKERS,
            "enable_text": False,
            "use_jit": False,
            "clip_model": f"openai_clip:{checkpoint}",
        }
        started = time.perf_counter()
        print(json.dumps(settings), file=peer.stdin, flush=True)
        if not peer.stdout.readline():
            raise RuntimeError(f"clip-retrieval ended with {peer.wait()}; its output says why")
        taken = time.perf_counter() - started
        stats = [json.loads(path.read_text()) for path in (output / "stats").glob("*.json")]
        # What its log counts: waiting for decoded pictures, the model, and writing.
        seconds = sum(s["read_duration"] + s["inference_duration"] + s["write_duration"] for s in stats)
        count = sum(s["sample_count"] for s in stats)
        paths = pq.read_table(next((output / "metadata").glob("*.parquet")))["image_path"].to_pylist()
        vectors = np.load(next((output / "img_emb").glob("*.npy")))
        by_name = dict(zip((Path(path).stem for path in paths), vectors.tolist(), strict=True))
        yield _done([by_name[f"{n:05d}"] for n in range(COMPARED)], seconds / count, taken / count)


def _done(vectors: Any, seconds: float, whole: float, figures: Mapping[str, float] | None = None) -> Done:
    found = np.asarray(vectors, np.float32)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return Done(
        [[round(float(x), 6) for x in vector] for vector in found], seconds, {WHOLE: whole, **(figures or {})}
    )


def agree(one: list[list[float]], other: list[list[float]]) -> bool:
    """Whether two contestants' vectors are the same but for their precision: centred, since all have a large mean in common."""
    from booksearch_assets.clip.probe import centred_cosines

    return bool(centred_cosines(np.asarray(one), np.asarray(other)).min() > _AGREEING)


_AGREEING = 0.95
