"""Pictures embedded by Batch Transform: an asset, its launcher, and jobs that a real container works through."""

import hashlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from booksearch_assets.assets.books import books_catalogue
from booksearch_assets.assets.catalogue import Catalogue
from booksearch_assets.assets.embeddings import build_embeddings
from booksearch_assets.assets.products import products_catalogue
from booksearch_assets.clip.bundle import Bundle
from booksearch_assets.clip.encoder import Encoder
from booksearch_assets.clip.preprocess import decode_image
from booksearch_assets.compute.image_embeddings import ImageEmbeddingsParams, run_here
from booksearch_assets.compute.plan import Work
from booksearch_assets.definitions import default_resources
from booksearch_assets.resources.batch_transform import BatchTransformLauncher
from booksearch_assets.resources.lake import LakeResource
from booksearch_assets.resources.model import ModelResource
from booksearch_assets.resources.spark import LocalSparkLauncher, SparkTuning
from booksearch_assets.settings import Settings
from booksearch_assets.tables.counts import Counts
from booksearch_assets.tables.images import PictureTables
from booksearch_assets.tables.lake import Lake
from booksearch_assets.tables.pictures import picture_tables
from booksearch_assets_tests.sagemaker.conftest import MODEL as BUNDLE
from booksearch_assets_tests.sagemaker.container import Container
from booksearch_assets_tests.sagemaker.transform_service import (
    MODEL,
    REGION,
    STAGING,
    Faults,
    TransformService,
    running_transforms,
)
from booksearch_assets_tests.search.painted import picture

SOURCE = "test"
CLOSE = 1e-5
READABLE = 9
BROKEN = {20: b"", 21: b"GIF89a and no more"}
PRICE_OF_TEN_MINUTES = 0.204 / 6


@pytest.fixture(scope="module")
def running(container: Container) -> Iterator[TransformService]:
    with running_transforms(container) as service:
        yield service


@pytest.fixture
def service(running: TransformService, monkeypatch: pytest.MonkeyPatch) -> TransformService:
    """The service, in the environment of one test and without faults."""
    for name, value in running.environment.items():
        monkeypatch.setenv(name, value)
    running.faults, running.asked = Faults(), {}
    return running


@pytest.fixture(scope="module")
def contents() -> dict[int, bytes]:
    return {number: picture(number) for number in range(1, READABLE + 1)} | BROKEN


@pytest.fixture(params=["books", "products"])
def catalogue(request: pytest.FixtureRequest) -> str:
    return str(request.param)


MakeParams = Callable[..., ImageEmbeddingsParams]


@pytest.fixture
def make_params(tmp_path: Path, contents: dict[int, bytes]) -> MakeParams:
    """Makes the work of a catalogue: every picture, in two shards of its cache."""

    def make(catalogue: str = "books") -> ImageEmbeddingsParams:
        tables, lake = picture_tables(catalogue), str(tmp_path / "a lake")
        cache, work = tables.bytes_cache(lake, SOURCE), []
        for start in range(2):
            rows = [_bytes_row(tables, number, contents[number]) for number in list(contents)[start::2]]
            shard = cache.append(pa.Table.from_pylist(rows, tables.bytes.schema))
            work += [{tables.key.name: row[tables.key.name], "shard": shard} for row in rows]
        (tmp_path / "a lake" / "work").mkdir()
        pq.write_table(pa.Table.from_pylist(work, tables.work), f"{lake}/work/work.parquet")
        return ImageEmbeddingsParams(
            lake=lake,
            catalogue=catalogue,
            source=SOURCE,
            work=f"{lake}/work/work.parquet",
            rows=len(work),
            rejections=f"{lake}/rejections",
            bundle=str(BUNDLE),
            rows_per_task=4,
        )

    return make


def _key(tables: PictureTables, number: int) -> Any:
    """A photo's id may hold anything, and none of them sorts as its number does."""
    if tables.key.type == pa.int64():
        return number
    return f'{hashlib.sha256(str(number).encode()).hexdigest()[:9]} "{number}"'


def _bytes_row(tables: PictureTables, number: int, content: bytes) -> dict[str, Any]:
    row = dict.fromkeys(tables.bytes.column_names)
    filled = {
        tables.key.name: _key(tables, number),
        "url": "http://127.0.0.1/x",
        "status": "ok",
        "attempts": [],
    }
    return row | filled | {"fetched_at": datetime.now(UTC), "content": content}


def launcher(**settings: Any) -> BatchTransformLauncher:
    told = {"model_name": MODEL, "staging": STAGING, "region": REGION, "poll_seconds": 0.02}
    return BatchTransformLauncher(**told | settings)


def embed(
    params: ImageEmbeddingsParams,
    instance: dg.DagsterInstance | None = None,
    budget_usd: float = 0.0,
    **settings: Any,
) -> dg.ExecuteInProcessResult:
    """One run of an asset that has the pictures embedded; nothing is raised when it fails."""

    @dg.asset
    def vectors(context: dg.AssetExecutionContext) -> dg.MaterializeResult[None]:
        tuning, work = SparkTuning(budget_usd=budget_usd), Work(params.rows, 1, kind="some-model")
        transform = launcher(**settings)
        report = transform.run("image_embeddings", params, tuning, work, context, Lake(params.lake))
        return dg.MaterializeResult(metadata={"report": report.to_json()})

    return dg.materialize([vectors], instance=instance, raise_on_error=False)


def report_of(result: dg.ExecuteInProcessResult) -> dict[str, Any]:
    assert result.success, failure_of(result)
    (event,) = result.get_asset_materialization_events()
    return dict(event.materialization.metadata["report"].value)


def failure_of(result: dg.ExecuteInProcessResult) -> str:
    (event,) = [e for e in result.all_events if e.is_step_failure]
    data = event.step_failure_data
    return str(data.user_failure_data.description if data.user_failure_data else data.error_display_string)


def vectors_of(params: ImageEmbeddingsParams) -> dict[Any, np.ndarray]:
    bundle = Bundle.open(BUNDLE)
    cache = params.tables.vectors_cache(params.lake, SOURCE, bundle.bundle_id, bundle.dimension)
    rows = [row for part in cache.read_keys(cache.index([])) for row in part.to_pylist()]
    assert {row["bundle_id"] for row in rows} <= {bundle.bundle_id}
    return {row[params.tables.key.name]: np.array(row["vector"], np.float32) for row in rows}


def expect_all(params: ImageEmbeddingsParams, contents: dict[int, bytes], encoder: Encoder) -> None:
    """Every readable picture has its own vector, no other has one, and what is rejected is what is rejected here."""
    found, tables = vectors_of(params), params.tables
    assert found.keys() == {_key(tables, number) for number in range(1, READABLE + 1)}
    for number in range(1, READABLE + 1):
        [here] = encoder.encode_images([decode_image(contents[number])])
        assert np.abs(found[_key(tables, number)] - here).max() < CLOSE
    there = _rejections(params)
    run_here(replace(params, lake=params.lake, rejections=f"{params.lake}/here"), encoder)
    assert there == _rejections(replace(params, rejections=f"{params.lake}/here"))
    assert there.keys() == {_key(tables, number) for number in BROKEN}


def _rejections(params: ImageEmbeddingsParams) -> dict[Any, str]:
    rows = Lake(params.lake).read_aside(params.rejections, params.tables.rejections).to_pylist()
    assert len(rows) == len({row[params.tables.key.name] for row in rows})
    return {row[params.tables.key.name]: row["reason"] for row in rows}


def test_a_job_gives_each_picture_its_own_vector_whatever_the_order_of_its_lines(
    make_params: MakeParams,
    service: TransformService,
    contents: dict[int, bytes],
    encoder: Encoder,
) -> None:
    params = make_params("products")
    # The service is out of breath, and carries a request out whose answer is lost.
    service.faults.throttled, service.faults.lost_replies = 2, 1
    service.requests.clear()
    report = report_of(embed(params, instances=2, budget_usd=1.0))
    expect_all(params, contents, encoder)
    assert report["counts"][""] == {
        "rows_in": 11,
        "rows_out": READABLE,
        "rejected": {"empty": 1, "not an image": 1},
    }
    # Several lines in a request, several requests for an object, three objects of four rows at most.
    assert max(service.requests) > 1 and len(service.requests) > 3
    [(name, sent)] = service.asked.items()
    assert len(sent) == len(set(sent)) == 11
    figures = report["figures"]
    assert figures["transform_job"] == name and figures["machines"] == "2 x ml.c5.xlarge"
    assert (figures["billed_seconds"], figures["billed_instance_hours"]) == (600.0, 0.3333)
    assert figures["estimated_cost_usd"] == pytest.approx(2 * PRICE_OF_TEN_MINUTES, abs=1e-4)
    assert figures["images_per_dollar"] == round(READABLE / (2 * PRICE_OF_TEN_MINUTES))
    assert 0 < figures["predicted_usd"] < 1
    # Nothing stays in S3; the next run knows what this one took.
    assert service.objects() == []
    rate = orjson.loads(
        Path(f"{params.lake}/_rates/sagemaker/image_embeddings/some-model/ml.c5.xlarge.json").read_bytes()
    )
    assert rate["units"] == READABLE
    # All is done: another attempt asks for nothing.
    assert report_of(embed(params))["counts"] == report["counts"]
    assert len(service.asked) == 1


def test_what_a_failed_job_had_finished_is_kept_and_the_next_attempt_asks_for_the_rest(
    make_params: MakeParams, service: TransformService, contents: dict[int, bytes], encoder: Encoder
) -> None:
    params = make_params()
    service.faults.failing = frozenset({"5"})
    result = embed(params)
    error = failure_of(result)
    assert "TransformFailed: job booksearch-image-embeddings-" in error and "AlgorithmError" in error
    assert "no answer for" in error and "/aws/sagemaker/TransformJobs" in error
    kept = vectors_of(params)
    assert kept and 5 not in kept
    # What it was to read stays, to look at.
    assert any("/input/" in key for key in service.objects())
    service.faults.failing = frozenset()
    report_of(embed(params))
    first, second = service.asked
    assert (first.rsplit("-", 1)[0], second) == (second.rsplit("-", 1)[0], f"{first.removesuffix('0')}1")
    assert not kept.keys() & {int(key) for key in service.asked[second]}
    expect_all(params, contents, encoder)


def test_a_picture_without_a_line_is_missed_and_asked_for_again(
    make_params: MakeParams, service: TransformService, contents: dict[int, bytes], encoder: Encoder
) -> None:
    params = make_params()
    service.faults.dropped = frozenset({"3", "21"})
    error = failure_of(embed(params))
    assert "UnexpectedOutput" in error and "left 2 of 11 pictures without a line, such as 21, 3" in error
    service.faults.dropped = frozenset()
    report_of(embed(params))
    assert sorted(list(service.asked.values())[1]) == ["21", "3"]
    expect_all(params, contents, encoder)


def test_vectors_of_another_model_are_refused(make_params: MakeParams, service: TransformService) -> None:
    params = make_params()
    bundle = Bundle.open(BUNDLE).bundle_id.encode()
    service.faults.rewrite = lambda output: output.replace(bundle, b"another-model-0123456789ab")
    error = failure_of(embed(params))
    assert "the vector is of the model bundle 'another-model-0123456789ab', expected" in error
    assert vectors_of(params) == {}


def test_a_killed_orchestrator_leaves_its_job_and_the_next_attempt_finds_it(
    make_params: MakeParams, service: TransformService, contents: dict[int, bytes], encoder: Encoder
) -> None:
    params, gate = make_params(), threading.Event()
    service.faults.gate = gate
    interrupt_at_second_look(service)
    assert not embed(params).success
    [name] = service.asked
    assert service.status(name) == "InProgress"
    service.faults.seen = None
    gate.set()
    report = report_of(embed(params))
    assert list(service.asked) == [name] and report["figures"]["transform_job"] == name
    expect_all(params, contents, encoder)


def test_a_cancelled_run_stops_its_job(make_params: MakeParams, service: TransformService) -> None:
    params, instance = make_params(), dg.DagsterInstance.ephemeral()
    service.faults.gate = threading.Event()
    interrupt_at_second_look(service, instance)
    assert not embed(params, instance).success
    [name] = service.asked
    for thread in service.threads:
        thread.join(30)
    assert service.status(name) == "Stopped"
    # Whoever runs it again wants the vectors.
    service.faults = Faults()
    report_of(embed(params))
    assert list(service.asked) == [name, f"{name.removesuffix('0')}1"]


def interrupt_at_second_look(service: TransformService, cancelling: dg.DagsterInstance | None = None) -> None:
    """Send this process what a supervisor sends, once the job is there; the run is cancelled first where it is said."""
    looks = 0

    def seen() -> None:
        nonlocal looks
        looks += 1
        if looks == 2:
            for run in cancelling.get_runs() if cancelling else []:
                assert cancelling
                cancelling.report_run_canceling(run)
            os.kill(os.getpid(), signal.SIGINT)

    service.faults.seen = seen


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"budget_usd": 0.001}, "predicted to cost $0.01, and its budget is $0.00; nothing was started"),
        ({"budget_usd": 1.0, "region": "ap-south-2"}, "prices.json has no price of ml.c5.xlarge"),
        ({"model_name": "gone"}, "RequestRefused: AWS refused create_transform_job"),
    ],
)
def test_what_cannot_or_must_not_be_started_is_told(
    make_params: MakeParams, service: TransformService, settings: dict[str, Any], says: str
) -> None:
    assert says in failure_of(embed(make_params(), **settings))
    assert service.asked == {}


def test_the_embeddings_of_both_catalogues_are_made_by_batch_transform_where_it_is_set_up(
    catalogue: str, make_params: MakeParams, service: TransformService, tmp_path: Path
) -> None:
    params, settings = make_params(catalogue), Settings.from_environment({"BOOKSEARCH_HOME": str(tmp_path)})
    assert not default_resources(settings)["batch_transform"].is_set_up
    graph = {
        "books": books_catalogue(settings.first_year),
        "products": products_catalogue(settings.product_files, settings.product_languages),
    }[catalogue]
    [partition, *_] = graph.partitions.get_partition_keys()
    commit_images(params, graph, partition)
    result = dg.materialize(
        [build_embeddings(graph)],
        partition_key=partition,
        resources={
            "lake": LakeResource(root=params.lake),
            "spark": LocalSparkLauncher(master="there is none"),
            "batch_transform": launcher(),
            "model": ModelResource(folder=str(BUNDLE)),
        },
        run_config={"ops": {build_embeddings(graph).op.name: {"config": {"spark_from": 0}}}},
        raise_on_error=False,
    )
    assert result.success, failure_of(result)
    (event,) = result.get_asset_materialization_events()
    shown = event.materialization.metadata
    assert shown["transform_job"].value == next(iter(service.asked))
    table = graph.embeddings(Bundle.open(BUNDLE).dimension)
    rows = Lake(params.lake).read(table, partition, [params.tables.key.name])
    assert len(rows) == READABLE


def commit_images(params: ImageEmbeddingsParams, graph: Catalogue, partition: str) -> None:
    """The pictures of the work list as those of one partition, which its images asset would have made."""
    tables, lake = params.tables, Lake(params.lake)
    index = tables.bytes_cache(params.lake, SOURCE).index(tables.bytes.column_names)
    table = index.select(tables.images.column_names).cast(tables.images.schema)
    pending = lake.begin(tables.images.name, partitioned_by=graph.partitioned_by)
    pending.write(table.to_batches(), table.schema, partition)
    pending.commit(
        partition, counts=Counts(len(table), len(table)), facts={"source": SOURCE}, contract=tables.images
    )


def test_the_model_of_the_settings_sets_the_launcher_up() -> None:
    told = {
        "BOOKSEARCH_TRANSFORM_MODEL": "Model-1",
        "BOOKSEARCH_TRANSFORM_STAGING": STAGING,
        "AWS_REGION": REGION,
    }
    found = default_resources(Settings.from_environment(told))["batch_transform"]
    assert found.is_set_up and (found.model_name, found.staging, found.region) == ("Model-1", STAGING, REGION)
