"""Usage, prices and budgets."""

from __future__ import annotations

import pytest

from booksearch_assets.emr.account import (
    NOTHING,
    Architecture,
    Budget,
    Price,
    Usage,
    cost_figures,
    price_in,
    usage_of,
)
from booksearch_assets.emr.errors import OverBudget

PRICE = Price("nowhere", vcpu_hour=0.05, memory_gb_hour=0.006, storage_gb_hour=0.0001, as_of="2026-01-01")


@pytest.mark.parametrize("region", ["us-east-1", "us-east-2", "us-west-2", "eu-west-1", "eu-central-1"])
def test_every_region_of_the_table_has_a_dated_price(region: str) -> None:
    price = price_in(region)
    assert price is not None
    assert 0.01 < price.vcpu_hour < 0.2
    assert 0.001 < price.memory_gb_hour < 0.02
    assert 0.00001 < price.storage_gb_hour < 0.001
    assert len(price.as_of) == len("2026-01-01")


def test_arm_is_cheaper_than_x86_by_what_the_table_says() -> None:
    x86, arm = price_in("us-east-1"), price_in("us-east-1", Architecture.arm64)
    assert x86 is not None and arm is not None
    hour = Usage(1, 4, 0)
    assert arm.of(hour) == pytest.approx(0.8 * x86.of(hour))
    assert arm.storage_gb_hour == x86.storage_gb_hour


def test_a_region_without_a_price_has_no_cost() -> None:
    assert price_in("mars-north-1") is None
    assert "estimated_cost_usd" not in cost_figures(Usage(1, 4, 0), None, "editions", 10)


def test_what_is_billed_comes_before_what_was_held() -> None:
    held = {"vCPUHour": 3.0, "memoryGBHour": 12.0, "storageGBHour": 60.0}
    billed = {"vCPUHour": 3.1, "memoryGBHour": 12.4, "storageGBHour": 0.0}
    nothing_yet = dict.fromkeys(billed, 0.0)
    both = {"billedResourceUtilization": billed, "totalResourceUtilization": held}
    assert usage_of(both) == Usage(3.1, 12.4, 0.0)
    assert usage_of(both | {"billedResourceUtilization": nothing_yet}) == Usage(3.0, 12.0, 60.0)
    assert usage_of({"billedResourceUtilization": None}) == NOTHING
    assert not usage_of({}).is_known


def test_what_a_dollar_buys_is_called_images_where_it_is_images() -> None:
    usage = Usage(vcpu_hours=10, memory_gb_hours=40, storage_gb_hours=100)
    assert PRICE.of(usage) == pytest.approx(0.75)
    assert cost_figures(usage, PRICE, "image_embeddings", 75_000)["images_per_dollar"] == 100_000
    assert cost_figures(usage, PRICE, "editions", 75_000)["rows_per_dollar"] == 100_000
    assert "rows_per_dollar" not in cost_figures(NOTHING, PRICE, "editions", 5)


def test_a_prediction_above_the_budget_stops_a_run_before_it_starts() -> None:
    budget = Budget(10.0, PRICE)
    budget.require_room_for(Usage(200, 0, 0))
    with pytest.raises(
        OverBudget, match=r"predicted to cost \$10.05, and its budget is \$10.00.*raise budget_usd"
    ):
        budget.require_room_for(Usage(201, 0, 0))
    Budget(0.0, PRICE).require_room_for(Usage(10_000, 40_000, 0))
    assert OverBudget("").permanent


def test_a_budget_of_nothing_is_no_limit() -> None:
    dear = Usage(10_000, 40_000, 0)
    assert not Budget(0.0, PRICE).is_exceeded_by(dear)
    assert Budget(1.0, PRICE).is_exceeded_by(dear)
    assert Budget.in_region("mars-north-1", 0.0).cost_of(dear) == 0
    with pytest.raises(OverBudget, match="no price"):
        Budget.in_region("mars-north-1", 1.0)
