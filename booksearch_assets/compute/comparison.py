"""A plan beside what came of it, as the figures of a stage's report.

Belongs here: the names of these figures, and what a run teaches the next plan. Does not: planning (`compute.plan`),
measuring (`compute.task_times`), what a run has cost (`emr.account`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from booksearch_assets.compute.plan import SparkPlan
from booksearch_assets.compute.rates import Rate


def planned_figures(plan: SparkPlan, cost: Mapping[str, Any]) -> dict[str, Any]:
    """The plan in words, and what can be compared with the truth later. `cost` may hold `predicted_usd`."""
    words = plan.explain()
    if "predicted_usd" in cost:
        words += f"\nAbout ${cost['predicted_usd']:,.2f}, by list prices of {cost['predicted_by']}."
    figures = {"plan": words, "planned_tasks": plan.tasks, "predicted_seconds": round(plan.seconds, 1)}
    return figures | dict(cost)


def compared_figures(
    planned: Mapping[str, Any], measured: Mapping[str, Any], seconds: float
) -> dict[str, Any]:
    """What a run took, and how often that is what was predicted. `measured` may hold `estimated_cost_usd`."""
    figures = {"actual_seconds": round(seconds, 1)}
    if planned["predicted_seconds"] > 0:
        figures["actual_to_predicted_seconds"] = round(seconds / planned["predicted_seconds"], 2)
    if planned.get("predicted_usd") and "estimated_cost_usd" in measured:
        figures["actual_to_predicted_usd"] = round(
            measured["estimated_cost_usd"] / planned["predicted_usd"], 2
        )
    return figures


def rate_of_run(plan: SparkPlan, core_seconds: float, seconds: float) -> Rate:
    """What a run of a plan took for each row or byte. What its tasks do not explain is taken to be fixed."""
    fixed = seconds - plan.offer.startup_seconds - core_seconds / plan.busy_cores
    return Rate.of_run(core_seconds, fixed, plan.work.units, plan.work.measure)
