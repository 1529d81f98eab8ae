"""`booksearch plan`: a plan is the sum of its stages, priced by the price table, and says where its rates are from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from booksearch_assets.cli import main
from booksearch_assets.compute.calibrations import keep_model
from booksearch_assets.compute.cost_model import Stage
from booksearch_assets.compute.rates import Measure, Place, Rate, RateName, keep_rate
from booksearch_assets.emr.account import Usage, price_in
from booksearch_assets.planning import encoder_of, plan_graph
from booksearch_assets.settings import Settings
from booksearch_assets.tables.lake import Lake
from booksearch_assets_tests.compute.test_cost_model import made_up_build, made_up_model


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings.from_environment({"BOOKSEARCH_HOME": str(tmp_path), "BOOKSEARCH_SAMPLE_EDITIONS": "3000"})


@pytest.fixture
def calibrated(settings: Settings) -> Settings:
    keep_model(Lake(settings.lake), made_up_model(500, 2000, kind=encoder_of(settings).kind))
    return settings


def test_a_plan_here_is_what_the_calibration_predicts(calibrated: Settings) -> None:
    plan = plan_graph(calibrated, Place.LOCAL)
    assert (plan.editions, plan.covers, plan.sources) == (3000, 1200, ("made up",))
    assert plan.seconds == pytest.approx(made_up_build(3000).seconds)
    assert plan.usage == {} and plan.prices() == []
    fetching, embedding = (
        next(c.seconds for c in plan.stages if c.stage is stage)
        for stage in (Stage.COVER_IMAGES, Stage.COVER_EMBEDDINGS)
    )
    assert plan.overlapped_seconds == pytest.approx(plan.seconds - min(fetching, embedding))
    assert plan.peak_bytes == max(cost.peak_bytes for cost in plan.stages)


def test_the_real_service_is_the_bottleneck(calibrated: Settings) -> None:
    plan = plan_graph(calibrated, Place.EMR, vcpus=32)
    assert (plan.editions, plan.covers, plan.covers_per_minute) == (45_000_000, 70_000, 300)
    assert plan.waits_for_the_service
    fetching = next(cost for cost in plan.stages if cost.stage is Stage.COVER_IMAGES)
    assert fetching.seconds == 70_000 / 300 * 60


def test_a_plan_on_emr_costs_what_its_hours_cost_in_each_region(calibrated: Settings) -> None:
    plan = plan_graph(calibrated, Place.EMR, 1_000_000, 50_000, 16)
    assert set(plan.usage) == {stage for stage in Stage if stage.on_spark}
    total = plan.total_usage
    assert total.vcpu_hours == pytest.approx(sum(usage.vcpu_hours for usage in plan.usage.values()))
    price = price_in("eu-central-1")
    assert price
    usd = 0.060528 * total.vcpu_hours + 0.006643 * total.memory_gb_hours
    assert plan.usd_by_region()["eu-central-1"] == pytest.approx(usd) == price.of(total)
    assert total.storage_gb_hours == Usage(0, 0, 0).storage_gb_hours
    faster = plan_graph(calibrated, Place.EMR, 1_000_000, 50_000, 64)
    assert faster.seconds < plan.seconds


def test_a_rate_that_a_job_left_comes_before_the_default(calibrated: Settings) -> None:
    kind = encoder_of(calibrated).kind
    rate = Rate.of_run(90_000.0, 30.0, 50_000, Measure.ROW)
    before = plan_graph(calibrated, Place.EMR, 1_000_000, 50_000, 16)
    keep_rate(RateName("image_embeddings", Place.EMR, kind), Lake(calibrated.lake), rate)
    plan = plan_graph(calibrated, Place.EMR, 1_000_000, 50_000, 16)
    assert f"image_embeddings: {rate.source}" in plan.sources
    assert plan.usage[Stage.COVER_EMBEDDINGS].vcpu_hours > before.usage[Stage.COVER_EMBEDDINGS].vcpu_hours


def _run(home: Path, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["plan", *arguments], env={"BOOKSEARCH_HOME": str(home)})


def test_the_command_prints_a_table_or_json(tmp_path: Path) -> None:
    shown = _run(tmp_path, "--editions", "20000", "--place", "emr", "--vcpu", "8")
    assert shown.exit_code == 0, shown.output
    for said in ("20,000 editions", "8 vCPU", "cover_embeddings", "us-east-1", "The bottleneck is", "Rates:"):
        assert said in shown.output
    answer = json.loads(_run(tmp_path, "--editions", "20000", "--json").output)
    assert answer["seconds"] == pytest.approx(sum(s["seconds"] for s in answer["stages"]), abs=1)
    assert [stage["stage"] for stage in answer["stages"]] == [stage.value for stage in Stage]
    assert (answer["usd_by_region"], answer["usage"], answer["place"]) == ({}, {}, "local")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--editions", "10", "--covers", "11"), "11 covers of 10 editions"),
        (("--place", "emr", "--vcpu", "7"), "give 1, 2 or a multiple of 4"),
        (("--editions", "0"), "0 is not in the range"),
        (("--place", "moon"), "'moon' is not one of"),
    ],
)
def test_what_cannot_be_is_refused_with_what_can(
    tmp_path: Path, arguments: tuple[str, ...], said: str
) -> None:
    refused = _run(tmp_path, *arguments)
    assert refused.exit_code != 0
    assert said in refused.output
