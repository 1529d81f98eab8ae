"""The whole `books/` graph with its lake in S3 and its stages as jobs, beside the run of it on one machine.

One run tells everything, since each job starts a cluster: its orchestrator is killed while the first job runs, the next
attempt stays with that job and goes on, and an executor of the last one is killed. `emr.cluster` says how far the jobs
are those of EMR Serverless; the third-party packages in their archive are this machine's.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import numpy as np
import pytest

from booksearch_assets.tables import books
from booksearch_assets.tables.contract import Table
from booksearch_assets.tables.fingerprint import rows_fingerprint
from booksearch_assets.tables.lake import Lake
from booksearch_assets_tests.emr.books import BooksOnEmr
from booksearch_assets_tests.emr.cluster import executors_of, workers_of
from booksearch_assets_tests.emr.serverless import LocalServerless, running_serverless, wait_for
from booksearch_assets_tests.graph.deployment import Deployment, failures

pytestmark = [pytest.mark.graph, pytest.mark.spark, pytest.mark.slow, pytest.mark.system]
STAGES = {
    "editions": "editions",
    "filtered_fiction": "filtered_fiction",
    "cover_urls": "cover_urls",
    "cover_embeddings": "image_embeddings",
}
"""The assets whose work is a job, in the order of their jobs, and the stage that each job is named after."""
YEARLY = ("filtered_fiction", "cover_urls", "cover_images", "cover_embeddings")
SECONDS = 600


@dataclass(frozen=True)
class Emr:
    """What was run: the books, where, and how the run ended that went on after the first one was killed."""

    books: BooksOnEmr
    service: LocalServerless
    instance: dg.DagsterInstance
    result: dg.ExecuteInProcessResult
    lost_executor: bool

    def jobs(self) -> list[dict[str, Any]]:
        return jobs_of(self.service, self.books)

    def materializations(self, asset: str) -> dict[str | None, dg.AssetMaterialization]:
        records = self.instance.fetch_materializations(dg.AssetKey(["books", asset]), limit=100).records
        return {r.partition_key: r.asset_materialization for r in records if r.asset_materialization}


def jobs_of(service: LocalServerless, books: BooksOnEmr) -> list[dict[str, Any]]:
    """The jobs of an application, oldest first."""
    client = service.client("emr-serverless")
    return list(client.list_job_runs(applicationId=books.application_id)["jobRuns"])


@pytest.fixture(scope="module")
def emr(
    materialised: tuple[Deployment, dg.ExecuteInProcessResult], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Emr]:
    folder = tmp_path_factory.mktemp("emr")
    with running_serverless(folder) as service, pytest.MonkeyPatch.context() as patch:
        for name, value in service.environment.items():
            patch.setenv(name, value)
        on_emr = BooksOnEmr.like(materialised[0].settings, service, folder / "home")
        run_id = _killed_orchestrator(on_emr, service, folder)
        lost = threading.Event()
        threading.Thread(target=_kill_an_executor, args=(on_emr, service, lost), daemon=True).start()
        with on_emr.instance() as instance:
            again = {"dagster/parent_run_id": run_id, "dagster/root_run_id": run_id}
            result = on_emr.run(instance, again)
            yield Emr(on_emr, service, instance, result, lost.is_set())


def _killed_orchestrator(on_emr: BooksOnEmr, service: LocalServerless, folder: Path) -> str:
    """A run whose process is killed while its first job runs. Returns its id."""
    command = [sys.executable, "-m", "booksearch_assets_tests.emr.books", on_emr.to_json()]
    with (folder / "orchestrator.log").open("wb") as log:
        orchestrator = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        begun = wait_for(
            lambda: "RUNNING" in [job["state"] for job in jobs_of(service, on_emr)], SECONDS, every=0.5
        )
        assert begun, (folder / "orchestrator.log").read_text()[-5000:]
    finally:
        orchestrator.kill()
        orchestrator.wait()
    with on_emr.instance() as instance:
        (run,) = instance.get_runs()
        assert run.status is dg.DagsterRunStatus.STARTED
        return run.run_id


def _kill_an_executor(on_emr: BooksOnEmr, service: LocalServerless, lost: threading.Event) -> None:
    """Kill one executor of the last job as soon as its workers are at work."""
    drivers: list[int] = []

    def embeds() -> bool:
        running = [
            j for j in jobs_of(service, on_emr) if "image_embeddings" in j["name"] and j["state"] == "RUNNING"
        ]
        drivers[:] = [service.driver_of(job["id"]) for job in running]
        return bool(drivers and workers_of(drivers[0]))

    if wait_for(embeds, SECONDS, every=0.5):
        os.kill(executors_of(drivers[0])[0], signal.SIGKILL)
        lost.set()


def test_a_killed_orchestrator_is_followed_by_one_that_finishes_with_its_job(emr: Emr) -> None:
    assert emr.result.success, failures(emr.result)
    assert [job["name"].split("-")[1] for job in emr.jobs()] == list(STAGES.values())
    assert {job["state"] for job in emr.jobs()} == {"SUCCESS"}
    said = [record.user_message for record in emr.instance.all_logs(emr.result.run_id)]
    assert [line for line in said if "of an earlier process: staying with it" in line] == [
        f"found job {emr.jobs()[0]['id']} of an earlier process: staying with it"
    ]


def test_a_lost_executor_loses_nothing(emr: Emr) -> None:
    job = emr.jobs()[-1]
    assert emr.lost_executor
    log = (emr.service.jobs / job["id"] / "stderr").read_text()
    assert "Lost executor" in log
    for made in emr.materializations("cover_embeddings").values():
        counts = {name: made.metadata[f"rows_{name}"].value for name in ("in", "out", "rejected")}
        assert counts["in"] == counts["out"] + counts["rejected"]


def test_every_table_has_the_rows_of_the_run_on_one_machine(
    emr: Emr, materialised: tuple[Deployment, dg.ExecuteInProcessResult]
) -> None:
    there, here = emr.books.lake, materialised[0].lake
    assert there.tables() == here.tables()
    tables = (
        books.EDITIONS,
        books.QUARANTINE,
        books.FILTERED_FICTION,
        books.FILTER_REJECTIONS,
        books.COVER_URLS,
        books.COVER_URL_REJECTIONS,
        books.COVER_IMAGES,
    )
    compared = 0
    for table in tables:
        assert there.partitions(table.name) == here.partitions(table.name)
        for partition in here.partitions(table.name):
            rows = here.resolve(table.name, partition).rows
            assert there.resolve(table.name, partition).rows == rows, (table.name, partition)
            assert fingerprint(there, table, partition) == fingerprint(here, table, partition), (
                table.name,
                partition,
            )
            compared += rows
    assert compared > 500


def fingerprint(lake: Lake, table: Table, partition: str) -> str:
    rows = lake.dataset([lake.resolve(table.name, partition)], table.schema).to_table()
    return rows_fingerprint(rows, table)


def test_vectors_are_those_of_the_run_on_one_machine(
    emr: Emr, materialised: tuple[Deployment, dg.ExecuteInProcessResult]
) -> None:
    there, here = emr.books.lake, materialised[0].lake
    name = "books/cover_embeddings"
    compared = 0
    for year in here.partitions(name):
        table = books.COVERS.vectors(here.resolve(name, year).facts["dimension"])
        rows, same = (
            lake.dataset([lake.resolve(name, year)], table.schema).to_table().sort_by("cover_id")
            for lake in (there, here)
        )
        assert rows.drop_columns("vector").equals(same.drop_columns("vector"))
        if len(rows):
            vectors, others = (
                np.stack(part["vector"].combine_chunks().to_numpy(zero_copy_only=False))
                for part in (rows, same)
            )
            np.testing.assert_allclose(vectors, others, atol=1e-5)
        compared += len(rows)
    assert compared > 50


def test_a_range_is_recorded_year_by_year_and_each_job_with_its_cost(
    emr: Emr, materialised: tuple[Deployment, dg.ExecuteInProcessResult]
) -> None:
    years = set(materialised[0].years)
    jobs = {job["name"].split("-")[1]: job["id"] for job in emr.jobs()}
    for asset in YEARLY:
        assert set(emr.materializations(asset)) == years
    for asset, stage in STAGES.items():
        for made in emr.materializations(asset).values():
            assert made.metadata["emr_job_run_id"].value == jobs[stage]
            assert made.metadata["estimated_cost_usd"].value > 0
            assert made.metadata["actual_to_predicted_usd"].value > 0
            assert "tasks" in str(made.metadata["plan"].value)
            assert str(made.metadata["dagster/uri"].value).startswith("s3://lake/books/")
    for made in emr.materializations("cover_embeddings").values():
        assert made.metadata["images_per_dollar"].value > 0
