"""What a job is predicted to take, what it took, and what that costs.

Belongs here: prices, estimates, budgets. Prices are list prices, in `prices.json` with their date: the bill is AWS's.
What SageMaker charges for is the time between a job's start and end on its machines, and not the wait for them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

from booksearch_assets.compute.rates import Measure, Rate
from booksearch_assets.sagemaker.batch_transform.errors import TransformOverBudget
from booksearch_assets.sagemaker.batch_transform.submit import Machines

# Of which each machine pays: pulling the image, unpacking the model, loading it. A guess.
_CONTAINER_STARTS_SECONDS = 120.0
_HOUR = 3600


@dataclass(frozen=True)
class Price:
    """Dollars for an hour of one machine in a region, as of a date."""

    usd_per_hour: float
    region: str
    as_of: str

    @classmethod
    def of(cls, instance: str, region: str) -> Price | None:
        """None where `prices.json` has none."""
        listed = _table()["regions"].get(region, {"usd_per_hour": {}})
        if instance not in listed["usd_per_hour"]:
            return None
        return cls(listed["usd_per_hour"][instance], region, listed["as_of"])


@dataclass(frozen=True)
class Estimate:
    """A job of so many rows, which keeps its `machines` for `seconds` each. `usd` is None where no price is known."""

    rows: int
    machines: Machines
    seconds: float
    usd: float | None
    source: str

    @classmethod
    def of(cls, rows: int, machines: Machines, rate: Rate, region: str) -> Estimate:
        """By what rows took before (`rate`), spread over all processors of the machines."""
        computing = rows * rate.core_seconds / (vcpus(machines.instance) * machines.count)
        seconds = _CONTAINER_STARTS_SECONDS + computing
        price = Price.of(machines.instance, region)
        usd = price.usd_per_hour * machines.count * seconds / _HOUR if price else None
        return cls(rows, machines, seconds, usd, rate.source)

    def explain(self) -> str:
        """The estimate in words, for the log."""
        cost = f"about ${self.usd:,.2f}" if self.usd is not None else "for a price that prices.json lacks"
        return f"{self.rows:,} pictures on {self.machines} in {self.seconds:,.0f} s, {cost} ({self.source})"

    def figures(self) -> dict[str, Any]:
        """The figures of a stage's report that say what was predicted."""
        figures: dict[str, Any] = {
            "plan": self.explain(),
            "predicted_seconds": round(self.seconds, 1),
        }
        return figures | ({"predicted_usd": round(self.usd, 4)} if self.usd is not None else {})

    def require_within(self, budget_usd: float) -> None:
        """Raises `TransformOverBudget` where there is a limit that it exceeds, or no price to measure it by."""
        if budget_usd and self.usd is None:
            raise TransformOverBudget(
                f"a budget is set, and prices.json has no price of {self.machines.instance} in this region; add it "
                "there, or take the budget away"
            )
        if budget_usd and self.usd is not None and self.usd > budget_usd:
            raise TransformOverBudget(
                f"this job is predicted to cost ${self.usd:,.2f}, and its budget is ${budget_usd:,.2f}; nothing was "
                "started. Embed fewer partitions at a time, or raise budget_usd in the tuning of the asset."
            )


def billed_seconds(job: dict[str, Any]) -> float:
    """Seconds of each machine that a job is billed for, by the service's own clock; 0 where it never started."""
    started, ended = job.get("TransformStartTime"), job.get("TransformEndTime")
    return float((ended - started).total_seconds()) if started and ended else 0.0


def cost_figures(machines: Machines, seconds: float, region: str, images: int) -> dict[str, Any]:
    """The figures of a stage's report that say what a job was billed for, and what that costs by list prices."""
    figures: dict[str, Any] = {
        "machines": str(machines),
        "billed_instance_hours": round(machines.count * seconds / _HOUR, 4),
    }
    price = Price.of(machines.instance, region)
    if price is None:
        return figures
    usd = price.usd_per_hour * machines.count * seconds / _HOUR
    figures |= {
        "estimated_cost_usd": round(usd, 4),
        "prices": f"{machines.instance} in {price.region}, as of {price.as_of}",
    }
    if usd > 0:
        figures["images_per_dollar"] = round(images / usd)
    return figures


def rate_of_job(machines: Machines, seconds: float, rows: int) -> Rate | None:
    """What a job teaches the next estimate: what its start does not explain. None where that is nothing."""
    computing = seconds - _CONTAINER_STARTS_SECONDS
    if computing <= 0 or not rows:
        return None
    core_seconds = computing * machines.count * vcpus(machines.instance)
    return Rate.of_run(core_seconds, _CONTAINER_STARTS_SECONDS, rows, Measure.ROW)


def vcpus(instance: str) -> int:
    """Processors of a machine; those of the smallest that is common for one that `prices.json` lacks."""
    return int(_table()["instances"].get(instance, {"vcpus": 4})["vcpus"])


@lru_cache
def _table() -> dict[str, Any]:
    folder = files("booksearch_assets.sagemaker.batch_transform")
    return dict(json.loads(folder.joinpath("prices.json").read_text("utf-8")))
