"""Rates: defaults, and what runs leave in the lake for the next plans."""

from __future__ import annotations

import json
import re
from importlib.resources import files
from pathlib import Path

import pytest

from booksearch_assets.compute.comparison import compared_figures, planned_figures, rate_of_run
from booksearch_assets.compute.memory import GIB, memory_bytes, memory_setting
from booksearch_assets.compute.plan import Offer, Work, plan_spark
from booksearch_assets.compute.rates import Measure, Place, Rate, RateName, default_rate, keep_rate, rate_of
from booksearch_assets.tables.lake import Lake

NAME = RateName("image_embeddings", Place.EMR, "a-bundle")
STAGES = ("editions", "filtered_fiction", "cover_urls", "image_embeddings")


@pytest.mark.parametrize("stage", STAGES)
def test_every_stage_has_a_default_that_says_where_and_when_it_was_measured(stage: str) -> None:
    table = json.loads(files("booksearch_assets.compute").joinpath("rates.json").read_text("utf-8"))
    assert stage in table["stages"]
    rate = default_rate(stage)
    assert 0 < rate.core_seconds < 1
    assert rate.units > 1
    assert re.search(r"20\d\d-\d\d", rate.source)


def test_a_run_leaves_its_rate_to_the_next_one_at_the_same_place_with_the_same_model(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    measured = Rate.of_run(core_seconds=200.0, fixed_seconds=12.0, units=10_000, measure=Measure.ROW)
    keep_rate(NAME, lake, measured)
    assert rate_of(NAME, lake, 70_000) == measured == Rate(0.02, 12.0, 10_000, measured.source)
    assert re.fullmatch(r"measured on 20\d\d-\d\d-\d\d over 10,000 rows", measured.source)
    for other in (
        RateName("image_embeddings", Place.LOCAL, "a-bundle"),
        RateName("image_embeddings", Place.EMR, "another-bundle"),
        RateName("cover_urls", Place.EMR),
    ):
        assert rate_of(other, lake, 70_000) == default_rate(other.stage)
    assert lake.tables() == []


def test_a_small_run_teaches_nothing_of_a_large_one(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    few = Rate.of_run(50.0, 1.0, 90, Measure.ROW)
    keep_rate(NAME, lake, few)
    assert rate_of(NAME, lake, 200) == few
    assert rate_of(NAME, lake, 70_000) == default_rate("image_embeddings")
    many = Rate.of_run(5000.0, 1.0, 70_000, Measure.ROW)
    keep_rate(NAME, lake, many)
    keep_rate(NAME, lake, few)
    assert rate_of(NAME, lake, 200) == many


def test_a_damaged_rate_is_made_good_by_the_next_run(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    lake.write_bytes(NAME.path, b"{")
    assert rate_of(NAME, lake, 1) == default_rate("image_embeddings")
    kept = Rate.of_run(1.0, 1.0, 5, Measure.ROW)
    keep_rate(NAME, lake, kept)
    assert rate_of(NAME, lake, 1) == kept


def test_a_run_like_the_last_one_is_predicted_to_take_as_long() -> None:
    offer = Offer(Place.LOCAL, 2, 1, 0, 24 * GIB, startup_seconds=5.0)
    work = Work(10_000, 200_000, Measure.ROW)
    plan = plan_spark(work, default_rate("image_embeddings"), offer)
    again = plan_spark(work, rate_of_run(plan, core_seconds=80.0, seconds=53.0), offer)
    assert again.core_seconds == pytest.approx(80.0)
    assert again.seconds == pytest.approx(53.0)


def test_the_plan_is_compared_with_the_truth() -> None:
    plan = plan_spark(
        Work(1000, 200_000, Measure.ROW),
        Rate(0.1, 0.0, 1000, "made up"),
        Offer(Place.LOCAL, 2, 1, 0, 24 * GIB),
    )
    planned = planned_figures(plan, {"predicted_usd": 0.5, "predicted_by": "nowhere, as of 2026-01-01"})
    assert (planned["planned_tasks"], planned["predicted_seconds"]) == (2, 50.0)
    assert planned["plan"].endswith("About $0.50, by list prices of nowhere, as of 2026-01-01.")
    assert compared_figures(planned, {"estimated_cost_usd": 0.75}, 60.0) == {
        "actual_seconds": 60.0,
        "actual_to_predicted_seconds": 1.2,
        "actual_to_predicted_usd": 1.5,
    }


def test_amounts_of_memory_are_those_of_spark() -> None:
    assert [memory_bytes(text) for text in ("512m", "14g", "64MB", "1t")] == [2**29, 14 * 2**30, 2**26, 2**40]
    assert [memory_setting(amount) for amount in (2 * GIB, 2**29, 2**29 + 1)] == ["2g", "512m", "513m"]
    with pytest.raises(ValueError, match=r"'14' is no amount of memory.*512m or 14g"):
        memory_bytes("14")
