"""Launchers: what can be tuned, what is planned and learnt, and settings that a JVM takes only when it starts."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from pydantic import ValidationError

from booksearch_assets.compute.memory import GIB
from booksearch_assets.compute.plan import Offer, SparkPlan, Wishes, Work
from booksearch_assets.compute.rates import Measure, Place
from booksearch_assets.definitions import build_defs
from booksearch_assets.resources.spark import LocalSparkLauncher, Preset, SparkLauncher, SparkTuning
from booksearch_assets.tables.counts import Counts, StageReport
from booksearch_assets.tables.lake import Lake

_TWO_TUNINGS = """
import json
from booksearch_assets.resources.spark import LocalSparkLauncher, SparkTuning

launcher = LocalSparkLauncher(master="local[1]")
seen = []
for memory in ("512m", "512m", "900m"):
    session = launcher.session(SparkTuning(driver_memory=memory))
    runtime = session._jvm.java.lang.Runtime.getRuntime()
    seen.append((session.sparkContext.applicationId, runtime.maxMemory() // 2**20, session.range(10).count()))
print(json.dumps(seen))
"""


@pytest.mark.system
@pytest.mark.spark
def test_another_driver_memory_starts_another_jvm_and_the_same_one_does_not() -> None:
    answer = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _TWO_TUNINGS], capture_output=True, text=True, timeout=300
    )
    assert answer.returncode == 0, answer.stderr
    (first, small, rows), (again, _, _), (other, large, _) = json.loads(answer.stdout.splitlines()[-1])
    assert rows == 10
    assert first == again
    assert other != first
    assert small <= 512 < large <= 900


class Elsewhere(SparkLauncher):
    """A place of 32 cores where each row takes a fifth of a second, and a run nothing besides."""

    def offer(self, wishes: Wishes) -> Offer:
        return Offer(Place.EMR, 4, 8, 8 * GIB, 30 * GIB, GIB, driver_cores=1)

    def run_planned(
        self,
        stage: str,
        params: Any,
        plan: SparkPlan,
        tuning: SparkTuning,
        context: dg.AssetExecutionContext | None,
    ) -> tuple[StageReport, float]:
        taken = 0.2 * plan.work.rows
        counts = {"": Counts(plan.work.rows, plan.work.rows)}
        return StageReport(counts, 1.0, {"core_seconds": taken, "tasks_run": plan.tasks}), taken / 32


def test_a_run_is_predicted_by_the_one_before(tmp_path: Path) -> None:
    work = Work(6400, 100_000, Measure.ROW)
    first, second = (
        Elsewhere().run("image_embeddings", None, SparkTuning(), work, lake=Lake(str(tmp_path))).figures
        for _ in range(2)
    )
    # By the default rate first: 126 ms a row, and 10 s besides.
    assert (first["predicted_seconds"], first["actual_seconds"]) == (35.2, 40.0)
    assert (second["predicted_seconds"], second["actual_to_predicted_seconds"]) == (40.0, 1.0)
    assert (second["planned_tasks"], second["tasks_run"]) == (32, 32)
    assert "200 ms a row, measured on 20" in second["plan"]


def test_a_model_that_fits_nowhere_fails_the_step_for_good() -> None:
    huge = Work(6400, 100_000, Measure.ROW, worker_bytes=100 * GIB)
    with pytest.raises(dg.Failure, match="image_embeddings was not started: one task needs 10") as failure:
        Elsewhere().run("image_embeddings", None, SparkTuning(), huge)
    assert not failure.value.allow_retries


def test_the_launchpad_of_every_spark_asset_shows_what_can_be_tuned_and_when() -> None:
    assets = build_defs().resolve_asset_graph().assets_defs
    on_spark = {a.key.to_user_string(): a for a in assets if "spark" in a.required_resource_keys}
    books = ("editions", "filtered_fiction", "cover_urls", "cover_embeddings")
    assert on_spark.keys() == {*(f"books/{name}" for name in books), "products/image_embeddings"}
    for asset in on_spark.values():
        shown = asset.op.config_schema.config_type.fields["tuning"]
        assert shown.default_value["preset"] == "planned"
        fields = shown.config_type.fields
        assert set(fields) == set(SparkTuning.model_fields)
        for name, field in fields.items():
            assert field.description and re.search(
                r"\b(when|where|Choose|Set|Raise|Lower)\b", field.description
            ), name
        assert {value.config_value for value in fields["preset"].config_type.inner_type.enum_values} == {
            p.name for p in Preset
        }


def test_an_amount_without_a_unit_is_refused_in_the_launchpad() -> None:
    with pytest.raises(ValidationError, match="'14' is no amount of memory"):
        SparkTuning(executor_memory="14")


@pytest.mark.parametrize(
    ("master", "cores"),
    [
        ("local", 1),
        ("local[3]", 3),
        ("local[5,2]", 5),
        ("local-cluster[2,3,1024]", 6),
        ("local[*]", os.cpu_count()),
    ],
)
def test_the_cores_of_a_local_master_are_offered(master: str, cores: int) -> None:
    assert LocalSparkLauncher(master=master).offer(Wishes()).cores == cores
