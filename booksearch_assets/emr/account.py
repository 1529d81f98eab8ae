"""What a job used and what that costs.

Belongs here: usage, prices, budgets. Does not: predicting usage (`workers`), asking the service for it (`watch`). Prices are list
prices of a date, in `prices.json`: the bill is AWS's.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from enum import Enum
from importlib.resources import files
from typing import Any, Self

from booksearch_assets.emr.errors import OverBudget

# The stages whose rows are images, so that what a second does, and a dollar buys, has its plain name.
_IMAGE_STAGE = "image_embeddings"


@dataclass(frozen=True)
class Usage:
    """What a job held: vCPU-hours, GB-hours of memory, GB-hours of storage beyond what is free."""

    vcpu_hours: float
    memory_gb_hours: float
    storage_gb_hours: float

    @classmethod
    def of_api(cls, utilization: dict[str, float]) -> Self:
        """Of a `ResourceUtilization` or `TotalResourceUtilization` of the API."""
        names = ("vCPUHour", "memoryGBHour", "storageGBHour")
        return cls(*(float(utilization.get(name) or 0.0) for name in names))

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            self.vcpu_hours + other.vcpu_hours,
            self.memory_gb_hours + other.memory_gb_hours,
            self.storage_gb_hours + other.storage_gb_hours,
        )

    @property
    def is_known(self) -> bool:
        """A job that ran held memory; the service fills in zeros before it has added up."""
        return self.memory_gb_hours > 0

    def to_json(self) -> dict[str, float]:
        return asdict(self)


def counted_by(stage: str) -> str:
    """What the rows of a stage are called: `images` or `rows`."""
    return "images" if stage == _IMAGE_STAGE else "rows"


NOTHING = Usage(0.0, 0.0, 0.0)


class Architecture(Enum):
    """The processors of an application, by which its prices differ."""

    x86_64 = "x86_64"
    arm64 = "arm64"


@dataclass(frozen=True)
class Price:
    """Dollars for each hour of a vCPU, a GB of memory and a GB of storage in one region, as of a date."""

    region: str
    vcpu_hour: float
    memory_gb_hour: float
    storage_gb_hour: float
    as_of: str

    def of(self, usage: Usage) -> float:
        """Dollars."""
        return (
            usage.vcpu_hours * self.vcpu_hour
            + usage.memory_gb_hours * self.memory_gb_hour
            + usage.storage_gb_hours * self.storage_gb_hour
        )


def price_in(region: str, architecture: Architecture = Architecture.x86_64) -> Price | None:
    """The price in a region; None where `prices.json` has none."""
    table = json.loads(files("booksearch_assets.emr").joinpath("prices.json").read_text("utf-8"))
    found = table["regions"].get(region)
    if found is None:
        return None
    price = Price(region, **found)
    if architecture is Architecture.x86_64:
        return price
    share = table["arm64"]["share_of_x86_64"]
    return replace(price, vcpu_hour=share * price.vcpu_hour, memory_gb_hour=share * price.memory_gb_hour)


@dataclass(frozen=True)
class Budget:
    """What one job may cost: no limit where `usd` is 0. `price` is None in a region whose prices are not known."""

    usd: float
    price: Price | None

    @classmethod
    def in_region(cls, region: str, usd: float, architecture: Architecture = Architecture.x86_64) -> Self:
        """Raises `OverBudget` where there is a limit, and no price to measure a job by."""
        price = price_in(region, architecture)
        if usd and price is None:
            raise OverBudget(
                f"a budget is set, and prices.json has no price for region {region!r}; add it there, or take the "
                "budget away"
            )
        return cls(usd, price)

    def cost_of(self, usage: Usage) -> float:
        """Dollars; 0 where the price is not known."""
        return self.price.of(usage) if self.price else 0.0

    def is_exceeded_by(self, usage: Usage) -> bool:
        return 0 < self.usd < self.cost_of(usage)

    def require_room_for(self, predicted: Usage) -> None:
        """Raises `OverBudget` where a run is predicted to cost more than it may, before it has cost anything."""
        if self.is_exceeded_by(predicted):
            raise OverBudget(
                f"this run is predicted to cost ${self.cost_of(predicted):,.2f}, and its budget is ${self.usd:,.2f}; "
                "nothing was started. Run fewer partitions, raise budget_usd in the tuning of the asset, or let it take "
                "longer on fewer max_executors, which saves what they cost while they start."
            )


def usage_of(job_run: dict[str, Any]) -> Usage:
    """The most that the service says a job has used: what is billed, or else what was held so far."""
    billed = Usage.of_api(job_run.get("billedResourceUtilization") or {})
    return billed if billed.is_known else Usage.of_api(job_run.get("totalResourceUtilization") or {})


def cost_figures(usage: Usage, price: Price | None, stage: str, rows_out: int) -> dict[str, Any]:
    """The figures of a stage's report that say what it used and cost."""
    figures: dict[str, Any] = {
        "billed_vcpu_hours": round(usage.vcpu_hours, 4),
        "billed_memory_gb_hours": round(usage.memory_gb_hours, 4),
        "billed_storage_gb_hours": round(usage.storage_gb_hours, 4),
    }
    if price is None:
        return figures
    cost = price.of(usage)
    figures |= {
        "estimated_cost_usd": round(cost, 4),
        "prices": f"{price.region}, as of {price.as_of}",
    }
    if cost > 0:
        figures[f"{counted_by(stage)}_per_dollar"] = round(rows_out / cost)
    return figures
