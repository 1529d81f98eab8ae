"""Fill the tables of docs/emr-scaling.md: hours and dollars of a first run, by number of covers.

Planned and priced by the platform's own planner and price table, so that the page says what a run would say before it
starts. A test holds the page to it.

    python docs/make_scaling.py
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from booksearch_assets.compute.memory import MIB
from booksearch_assets.compute.plan import Measure, SparkPlan, Wishes, Work, plan_spark
from booksearch_assets.compute.rates import Rate, default_rate
from booksearch_assets.emr.account import Price, price_in
from booksearch_assets.emr.launcher import EmrServerlessLauncher
from booksearch_assets.emr.workers import predicted_usage
from booksearch_assets.resources.spark import PRESETS, Preset

PAGE = Path(__file__).with_name("emr-scaling.md")
COVERS = (70_000, 1_000_000, 15_000_000)
REGION = "us-east-1"
POLITE_PER_MINUTE, LIMIT_PER_MINUTE = 300, 400
# An L cover: 60 kB in the mean, and what Parquet adds is less than a hundredth of that.
COVER_BYTES = 60_000
ROWS_PER_TASK = 512
# What `compute.image_embeddings.worker_bytes` counts for ViT-B/32, whose weights are 605 MB.
MODEL_BYTES = 2 * 605 * 10**6 + 350 * MIB
PRESETS_SHOWN = (Preset.planned, Preset.large)


@dataclass(frozen=True)
class Scale:
    """A first run over so many covers."""

    covers: int

    def fetch_hours(self, per_minute: int) -> float:
        """From one address, which is all that the covers service looks at."""
        return self.covers / per_minute / 60

    def plan(self, preset: Preset, rate: Rate) -> SparkPlan:
        """What the launcher plans for the embedding of all of them."""
        wishes: Wishes = PRESETS[preset]
        work = Work(self.covers, self.covers * 16, Measure.ROW, 0, ROWS_PER_TASK, MODEL_BYTES)
        return plan_spark(work, rate, _launcher().offer(wishes), wishes)


def page_with_tables(page: str) -> str:
    """The page with every `<!-- name -->` ... `<!-- end -->` filled again."""
    price = price_in(REGION)
    assert price
    rate = default_rate("image_embeddings")
    tables = {
        "embedding": _embedding_table(rate, price),
        "fetching": _fetching_table(),
        "whole": _whole_table(rate, price),
        "prices": _prices(rate, price),
    }
    for name, text in tables.items():
        page, count = re.subn(
            rf"(<!-- {name} -->\n).*?(<!-- end -->)", rf"\g<1>{text}\n\g<2>", page, flags=re.DOTALL
        )
        assert count == 1, name
    return page


def _launcher() -> EmrServerlessLauncher:
    uri = "s3://bucket/emr"
    return EmrServerlessLauncher(
        application_id="", execution_role="", region=REGION, entry_point=uri, jobs_uri=uri, logs_uri=uri
    )


def _embedding_table(rate: Rate, price: Price) -> str:
    lines = [
        "| covers | preset | executors | tasks | hours | USD | covers for a dollar |",
        "| ---: | --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for covers in COVERS:
        for preset in PRESETS_SHOWN:
            plan = Scale(covers).plan(preset, rate)
            usd = price.of(predicted_usage(plan))
            size = f"{plan.executors} of {plan.offer.executor_cores} vCPU, {plan.executor_memory >> 30} GB"
            lines.append(
                f"| {covers:,} | `{preset.value}` | {size} | {plan.tasks:,} | {plan.seconds / 3600:.2f} | "
                f"{usd:,.2f} | {covers / usd:,.0f} |"
            )
    return "\n".join(lines)


def _fetching_table() -> str:
    lines = [
        f"| covers | at {POLITE_PER_MINUTE} a minute (default) | at {LIMIT_PER_MINUTE} a minute (the limit) | bytes |",
        "| ---: | ---: | ---: | ---: |",
    ]
    for covers in COVERS:
        hours = (_time(Scale(covers).fetch_hours(pace)) for pace in (POLITE_PER_MINUTE, LIMIT_PER_MINUTE))
        lines.append(f"| {covers:,} | {' | '.join(hours)} | {covers * COVER_BYTES / 1e9:,.0f} GB |")
    return "\n".join(lines)


def _whole_table(rate: Rate, price: Price) -> str:
    lines = [
        "| covers | fetching | embedding | embedding's share of the time | USD of EMR | bottleneck |",
        "| ---: | ---: | ---: | ---: | ---: | --- |",
    ]
    for covers in COVERS:
        fetch = Scale(covers).fetch_hours(POLITE_PER_MINUTE)
        plan = Scale(covers).plan(Preset.planned, rate)
        embed = plan.seconds / 3600
        usd = price.of(predicted_usage(plan))
        bottleneck = "fetching" if fetch > embed else "embedding"
        lines.append(
            f"| {covers:,} | {_time(fetch)} | {_time(embed)} | {embed / (fetch + embed):.1%} | {usd:,.2f} | "
            f"{bottleneck}, {max(fetch, embed) / min(fetch, embed):.0f} times the other |"
        )
    return "\n".join(lines)


def _prices(rate: Rate, price: Price) -> str:
    return (
        f"{price.region}: {price.vcpu_hour} USD for a vCPU-hour, {price.memory_gb_hour} USD for a GB-hour of memory, as "
        f"of {price.as_of} (`booksearch_assets/emr/prices.json`). {1 / rate.core_seconds:.1f} covers a second per core: "
        f"{rate.source} (`booksearch_assets/compute/rates.json`)."
    )


def _time(hours: float) -> str:
    return f"{hours:.1f} h" if hours < 48 else f"{hours / 24:.1f} days"


if __name__ == "__main__":
    PAGE.write_text(page_with_tables(PAGE.read_text()))
