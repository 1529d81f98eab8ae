"""Backfills as the UI launches them: a real Dagster with its daemon, asked through the API that the UI uses."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import dagster as dg
import pytest

from booksearch_assets.tables.lake import Lake
from booksearch_assets_tests.graph.deployment import Deployment, free_port

pytestmark = [pytest.mark.graph, pytest.mark.spark, pytest.mark.slow, pytest.mark.system]
SECONDS = 420
YEARLY = ("filtered_fiction", "cover_urls", "cover_images", "cover_embeddings")
LAUNCH = """
mutation Launch($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename
    ... on LaunchBackfillSuccess { backfillId }
    ... on PythonError { message }
  }
}
"""


@dataclass(frozen=True)
class Ui:
    """A running `booksearch ui`: its address, its home, and the instance behind it."""

    port: int
    home: Path
    instance: dg.DagsterInstance

    def launch_backfill(self, **params: Any) -> str:
        """Launch a backfill as the UI's dialog does. Returns its id."""
        body = json.dumps({"query": LAUNCH, "variables": {"params": params}}).encode()
        request = Request(f"http://127.0.0.1:{self.port}/graphql", body, {"Content-Type": "application/json"})
        with urlopen(request, timeout=60) as answer:
            launched = json.load(answer)["data"]["launchPartitionBackfill"]
        assert launched["__typename"] == "LaunchBackfillSuccess", launched
        return str(launched["backfillId"])

    def finished(self, backfill_id: str) -> list[dg.DagsterRun]:
        """The runs of a backfill, once Dagster says that it has ended."""
        until(lambda: self._ended(backfill_id), f"the backfill {backfill_id} to end")
        return list(self.instance.get_runs(dg.RunsFilter(tags={"dagster/backfill": backfill_id})))

    def _ended(self, backfill_id: str) -> bool:
        backfill = self.instance.get_backfill(backfill_id)
        return backfill is not None and backfill.status.name not in ("REQUESTED", "CANCELING", "FAILING")


@pytest.fixture(scope="module")
def ui(
    materialised: tuple[Deployment, dg.ExecuteInProcessResult], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Ui]:
    home, port = tmp_path_factory.mktemp("ui") / "home", free_port()
    shutil.copytree(materialised[0].settings.home, home)
    settings = materialised[0].settings
    environment = {name: value for name, value in os.environ.items() if not name.startswith("DAGSTER")} | {
        "BOOKSEARCH_HOME": str(home),
        "BOOKSEARCH_SAMPLE_EDITIONS": str(settings.sample_editions),
        "BOOKSEARCH_SAMPLE_PORT": str(settings.sample_port),
    }
    command = [sys.executable, "-m", "booksearch_assets.cli", "ui", "--port", str(port)]
    with (home / "ui.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        until(lambda: answers(port), "the UI to answer")
        with dg.DagsterInstance.from_config(str(home / "dagster")) as instance:
            yield Ui(port, home, instance)
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(60)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def answers(port: int) -> bool:
    try:
        with urlopen(f"http://127.0.0.1:{port}/server_info", timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def until(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + SECONDS
    while not holds():
        assert time.monotonic() < deadline, f"waited {SECONDS} s in vain for {what}"
        time.sleep(0.5)


def test_a_backfill_of_assets_over_a_range_is_one_run_with_a_record_for_each_year(ui: Ui) -> None:
    backfill_id = ui.launch_backfill(
        assetSelection=[{"path": ["books", asset]} for asset in YEARLY],
        partitionNames=["2018", "2019", "2020"],
        runConfigData={"ops": {f"books__{asset}": {"config": {"again": True}} for asset in YEARLY}},
    )
    runs = ui.finished(backfill_id)
    assert [run.status for run in runs] == [dg.DagsterRunStatus.SUCCESS]
    assert runs[0].tags["dagster/asset_partition_range_start"] == "2018"
    assert runs[0].tags["dagster/asset_partition_range_end"] == "2020"
    lake = Lake(str(ui.home / "lake"))
    for asset in YEARLY:
        key = dg.AssetKey(["books", asset])
        records = ui.instance.fetch_materializations(key, limit=50).records
        assert sorted(str(record.partition_key) for record in records) == ["2018", "2019", "2020"]
        for record in records:
            assert record.asset_materialization
            commit = lake.resolve(f"books/{asset}", str(record.partition_key))
            shown = record.asset_materialization.metadata
            assert shown["version"].value == commit.version
            assert shown["dagster/row_count"].value == commit.rows
    checks = {
        event.dagster_event.asset_check_evaluation_data.check_name: event
        for event in ui.instance.all_logs(runs[0].run_id, dg.DagsterEventType.ASSET_CHECK_EVALUATION)
        if event.dagster_event
    }
    assert {"contract", "unique_keys", "counts_reconcile", "fetch_settled", "unit_vectors"} <= checks.keys()
    backfill = ui.instance.get_backfill(backfill_id)
    assert backfill
    assert backfill.status.name == "COMPLETED_SUCCESS"


def test_a_backfill_of_the_whole_job_is_refused_with_what_to_do_instead(ui: Ui) -> None:
    lake = Lake(str(ui.home / "lake"))
    before = lake.resolve("books/collection").version
    repository = {"repositoryName": "__repository__", "repositoryLocationName": "booksearch_assets"}
    backfill_id = ui.launch_backfill(
        selector={"partitionSetName": "books_partition_set", "repositorySelector": repository},
        partitionNames=["2018", "2019"],
    )
    runs = ui.finished(backfill_id)
    until(lambda: all(ui.instance.get_run_by_id(run.run_id).is_finished for run in runs), "runs to end")  # type: ignore[union-attr]
    assert {ui.instance.get_run_by_id(run.run_id).status for run in runs} == {dg.DagsterRunStatus.FAILURE}  # type: ignore[union-attr]
    for run in runs:
        failed = ui.instance.all_logs(run.run_id, dg.DagsterEventType.STEP_FAILURE)
        assert any("booksearch materialize --years" in str(event) for event in failed)
    assert lake.resolve("books/collection").version == before
