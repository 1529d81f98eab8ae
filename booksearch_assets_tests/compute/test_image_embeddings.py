"""Embedding covers: each slice in a plain process, the whole stage on Spark, and what a kill leaves."""

from __future__ import annotations

import io
import json
import multiprocessing
import os
import signal
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from booksearch_assets.clip.bundle import Bundle
from booksearch_assets.clip.encoder import Encoder
from booksearch_assets.compute.image_embeddings import (
    ImageEmbeddingsParams,
    draw_pictures,
    embed_slice,
    run,
    without_done,
)
from booksearch_assets.tables.books import COVERS
from booksearch_assets.tables.counts import Counts

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SOURCE = "test"
BROKEN = {100: b"", 101: b"GIF89a and no more", 102: None}
"""Covers that cannot be read, by their id."""


def _png(image: Image.Image) -> bytes:
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return stream.getvalue()


def _cover(cover_id: int, content: bytes | None) -> dict[str, Any]:
    row = dict.fromkeys(COVERS.bytes.column_names)
    filled = {"cover_id": cover_id, "url": "http://127.0.0.1/x", "status": "ok", "attempts": []}
    return row | filled | {"fetched_at": datetime.now(UTC), "content": content}


@pytest.fixture
def params(tmp_path: Path, clip_bundle: Bundle, pictures: list[Image.Image]) -> ImageEmbeddingsParams:
    """Work for 33 covers that can be read, and three that cannot, in three shards of the covers cache."""
    lake = str(tmp_path / "a lake")
    contents = dict(enumerate(map(_png, pictures))) | BROKEN
    cache = COVERS.bytes_cache(lake, SOURCE)
    work = []
    for start in range(3):
        ids = list(contents)[start::3]
        rows = [_cover(cover_id, contents[cover_id]) for cover_id in ids]
        shard = cache.append(pa.Table.from_pylist(rows, COVERS.bytes.schema))
        work += [{"cover_id": cover_id, "shard": shard} for cover_id in ids]
    (tmp_path / "a lake" / "work").mkdir()
    pq.write_table(pa.Table.from_pylist(work, COVERS.work), tmp_path / "a lake" / "work" / "work.parquet")
    return ImageEmbeddingsParams(
        lake=lake,
        catalogue="books",
        source=SOURCE,
        work=f"{lake}/work/work.parquet",
        rows=len(work),
        rejections=f"{lake}/rejections",
        bundle=str(clip_bundle.folder),
        rows_per_task=5,
        batch_size=4,
    )


def _vectors(params: ImageEmbeddingsParams, bundle: Bundle) -> dict[int, np.ndarray]:
    cache = COVERS.vectors_cache(params.lake, SOURCE, bundle.bundle_id, bundle.dimension)
    rows = [row for part in cache.read_keys(cache.index([])) for row in part.to_pylist()]
    assert all(row["bundle_id"] == bundle.bundle_id for row in rows)
    assert all((row["model_id"], row["revision"]) == ("test/tiny-clip", "0" * 40) for row in rows)
    found = {row["cover_id"]: np.array(row["vector"], np.float32) for row in rows}
    assert len(found) == len(rows)
    return found


def _expect_all(params: ImageEmbeddingsParams, bundle: Bundle, pictures: list[Image.Image]) -> None:
    """Every readable cover has the vector that the encoder gives for its picture, and no other cover has one."""
    found = _vectors(params, bundle)
    assert sorted(found) == list(range(33))
    expected = Encoder.load(bundle).encode_images(pictures)
    np.testing.assert_allclose(np.stack([found[i] for i in range(33)]), expected, atol=1e-5)


def test_a_slice_gives_each_readable_cover_its_own_vector(
    params: ImageEmbeddingsParams, clip_bundle: Bundle, pictures: list[Image.Image]
) -> None:
    rejected = embed_slice(params, 0, params.rows)
    assert rejected.schema.equals(COVERS.rejections.schema)
    assert sorted(rejected["cover_id"].to_pylist()) == sorted(BROKEN)
    assert all(rejected["reason"].to_pylist())
    _expect_all(params, clip_bundle, pictures)


def test_every_worker_takes_the_engine_that_was_chosen_for_all(
    params: ImageEmbeddingsParams, clip_bundle: Bundle, pictures: list[Image.Image]
) -> None:
    embed_slice(replace(params, engine="torch-bfloat16"), 0, params.rows)
    found = _vectors(params, clip_bundle)
    expected = Encoder.load(clip_bundle).encode_images(pictures)
    made = np.stack([found[i] for i in range(33)])
    assert (made * expected).sum(axis=1).min() > 0.99
    assert np.abs(made - expected).max() > 1e-4, "float32 made these"


def test_pictures_to_measure_engines_with_are_drawn_from_all_of_the_work(
    params: ImageEmbeddingsParams, pictures: list[Image.Image]
) -> None:
    drawn = draw_pictures(params, 16)
    assert 12 <= len(set(drawn)) == len(drawn) <= 16
    contents = [_png(picture) for picture in pictures]
    assert {contents.index(content) % 3 for content in drawn if content in contents} == {0, 1, 2}, "one shard"
    assert len(set(draw_pictures(params, 1000))) == 34, "each of them, but for those without a byte"


def test_what_an_earlier_attempt_at_the_work_embedded_is_not_embedded_again(
    params: ImageEmbeddingsParams, clip_bundle: Bundle, pictures: list[Image.Image]
) -> None:
    assert without_done(params) == params
    embed_slice(params, 0, 20)
    left = without_done(params)
    kept = pq.read_table(left.work)["cover_id"].to_pylist()
    assert left.rows == len(kept)
    assert sorted(kept) == sorted(set(range(33)) - _vectors(params, clip_bundle).keys() | BROKEN.keys())
    embed_slice(left, 0, left.rows)
    _expect_all(params, clip_bundle, pictures)


def test_slices_make_what_the_whole_makes(
    params: ImageEmbeddingsParams, clip_bundle: Bundle, pictures: list[Image.Image]
) -> None:
    slices = [embed_slice(params, offset, 7) for offset in range(0, 36, 7)]
    assert sorted(pa.concat_tables(slices)["cover_id"].to_pylist()) == sorted(BROKEN)
    _expect_all(params, clip_bundle, pictures)


def test_a_slice_that_is_done_again_changes_nothing(
    params: ImageEmbeddingsParams, clip_bundle: Bundle
) -> None:
    embed_slice(params, 0, 10)
    once = _vectors(params, clip_bundle)
    embed_slice(params, 0, 10)
    again = _vectors(params, clip_bundle)
    assert once.keys() == again.keys()
    assert all(np.array_equal(once[key], again[key]) for key in once)


def test_a_slice_of_broken_covers_appends_no_shard(
    params: ImageEmbeddingsParams, clip_bundle: Bundle
) -> None:
    work = pq.read_table(params.work)
    broken = work.filter(pa.compute.is_in(work["cover_id"], pa.array(sorted(BROKEN))))
    pq.write_table(broken, params.work)
    assert embed_slice(params, 0, 3).num_rows == 3
    assert _vectors(params, clip_bundle) == {}


def _embed_until_killed(given: dict[str, Any]) -> None:
    params = ImageEmbeddingsParams(**given)
    embed_slice(params, 0, 12)
    import booksearch_assets.compute.image_embeddings as stage

    # The second slice is encoded and about to be appended.
    stage.vector_rows = lambda *_: os.kill(os.getpid(), signal.SIGKILL)  # type: ignore[assignment,return-value]
    embed_slice(params, 12, 12)


@pytest.mark.system
def test_a_killed_worker_loses_the_slice_in_hand_and_no_more(
    params: ImageEmbeddingsParams, clip_bundle: Bundle, pictures: list[Image.Image]
) -> None:
    worker = multiprocessing.get_context("spawn").Process(target=_embed_until_killed, args=(asdict(params),))
    worker.start()
    worker.join(120)
    assert worker.exitcode == -signal.SIGKILL
    saved = _vectors(params, clip_bundle)
    first = pq.read_table(params.work).slice(0, 12)["cover_id"].to_pylist()
    assert sorted(saved) == sorted(set(first) - set(BROKEN))
    for offset in (12, 24):
        embed_slice(params, offset, 12)
    _expect_all(params, clip_bundle, pictures)


def test_a_bundle_that_is_not_what_it_says_embeds_nothing(
    params: ImageEmbeddingsParams, clip_bundle: Bundle, clip_folder: Path
) -> None:
    from booksearch_assets.clip.bundle import BundleError

    config = json.loads((clip_folder / "config.json").read_text())
    (clip_folder / "config.json").write_text(json.dumps(config | {"projection_dim": 99}))
    with pytest.raises(BundleError, match=r"config\.json has changed"):
        embed_slice(replace(params, bundle=str(clip_folder)), 0, 3)
    assert _vectors(params, clip_bundle) == {}


@pytest.mark.spark
def test_the_stage_on_spark_accounts_for_every_cover(
    spark: SparkSession, params: ImageEmbeddingsParams, clip_bundle: Bundle, pictures: list[Image.Image]
) -> None:
    report = run(spark, params)
    reasons = pq.read_table(params.rejections, schema=COVERS.rejections.schema)["reason"].to_pylist()
    assert report.total.rows_in == 36
    assert report.total.rows_out == 33
    assert report.total.rejected == {reason: reasons.count(reason) for reason in set(reasons)}
    assert report.total.unaccounted == 0
    # 36 covers at five a task on two cores: four waves.
    assert report.figures["tasks"] == 8
    assert (
        len(COVERS.vectors_cache(params.lake, SOURCE, clip_bundle.bundle_id, clip_bundle.dimension).shards())
        == 8
    )
    _expect_all(params, clip_bundle, pictures)


@pytest.mark.spark
def test_no_work_starts_no_task(spark: SparkSession, params: ImageEmbeddingsParams) -> None:
    report = run(spark, replace(params, rows=0))
    assert report.total == Counts(0, 0)
    assert report.figures["tasks"] == 0
    assert not Path(params.rejections).exists()
