"""`booksearch plan`: calibrating with progress, and a plan as a table or as JSON.

Belongs here: what the command prints. Does not: what a build takes (`planning`), measuring one (`calibration`).
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from booksearch_assets.compute.calibrations import keep_model
from booksearch_assets.compute.cost_model import Build, CostModel, Stage
from booksearch_assets.compute.memory import memory_words
from booksearch_assets.compute.rates import Place
from booksearch_assets.emr.account import Usage
from booksearch_assets.planning import GraphPlan, encoder_of, plan_graph
from booksearch_assets.settings import Settings
from booksearch_assets.tables.lake import Lake

CALIBRATION = (2000, 8000)
"""Editions of the builds that a calibration measures: what a build takes whatever its size, and what grows."""

_DUMP_TIMES = 12
"""How many times the larger build's editions the stages of the dump are measured with by themselves: in a build as small as
that, what they take is a JVM that warms up, and a slope drawn through it says nothing of rows."""

_FAR = 20
_POLITE_PER_MINUTE = 300


def calibrate(settings: Settings, sizes: Sequence[int] = CALIBRATION) -> CostModel:
    """Measure builds of these sizes with the deployment's model, keep what they took in its lake, and return it."""
    model = measure(settings, sizes, Console(stderr=True, highlight=False))
    keep_model(Lake(settings.lake), model)
    return model


def measure(settings: Settings, sizes: Sequence[int], console: Console) -> CostModel:
    """The cost model of this machine by builds of these sizes, which leave nothing behind.

    They embed by the engine that a large build takes: small ones take the reference unless one has been decided.
    """
    from booksearch_assets.encoder_engines import engine_of_large_builds

    engine = engine_of_large_builds(settings)
    dump = _DUMP_TIMES * max(sizes)
    builds = (
        *(measure_one(settings, size, engine, console) for size in sizes),
        measure_one(settings, dump, engine, console, whole=False),
    )
    cores = os.cpu_count() or 1
    source = (
        f"measured on {datetime.now(UTC):%Y-%m-%d} on {cores} cores of this machine, by builds of "
        f"{' and '.join(f'{size:,}' for size in sizes)} editions, embedded by {engine}, and of the dump's stages by {dump:,}"
    )
    return CostModel(builds, cores, encoder_of(settings).kind, source)


def measure_one(
    settings: Settings, editions: int, engine: str, console: Console, whole: bool = True
) -> Build:
    """Build in a folder of its own with this engine, showing what the build says; or the dump's stages alone."""
    from booksearch_assets.calibration import measure_build

    with tempfile.TemporaryDirectory(prefix="calibration-") as home:
        with console.status(f"building {editions:,} editions") as status:
            build = measure_build(
                editions,
                settings.bundle,
                engine,
                Path(home),
                lambda line: status.update(f"building {editions:,} editions: {line[:80]}"),
                whole,
            )
    built = "" if whole else ", the stages of the dump"
    console.print(f"{editions:,} editions, {build.covers:,} covers{built}: {build.seconds:,.0f} s")
    return build


def show_plan(
    settings: Settings,
    place: Place,
    editions: int | None,
    covers: int | None,
    vcpus: int | None,
    as_json: bool,
) -> None:
    """Print the plan of a first build. Raises `ValueError` for what cannot be planned."""
    plan = plan_graph(settings, place, editions, covers, vcpus)
    if as_json:
        click.echo(json.dumps(plan.to_json(), indent=1))
        return
    console = Console(highlight=False)
    console.print(_stages(plan))
    if plan.usage:
        console.print(_prices(plan))
    for line in explain(plan):
        console.print(line)


def explain(plan: GraphPlan) -> list[str]:
    """The plan in words: what decides its time, what could run beside it, and where its rates are from."""
    slowest = plan.bottleneck
    lines = [
        f"The bottleneck is {slowest.stage.value}: {slowest.seconds / plan.seconds:.0%} of the time.",
        f"With years fetched and embedded beside each other: {duration(plan.overlapped_seconds)} instead of "
        f"{duration(plan.seconds)}.",
    ]
    asked = 60 * plan.covers / _POLITE_PER_MINUTE
    if slowest.stage is Stage.COVER_IMAGES and plan.waits_for_the_service:
        lines[0] += (
            f" Covers are asked for {plan.covers_per_minute:,.0f} times a minute, and no processor makes that faster."
        )
    elif plan.covers_per_minute > _POLITE_PER_MINUTE:
        lines.append(
            f"Covers are painted here. The real service, asked {_POLITE_PER_MINUTE} times a minute, would take "
            f"{duration(asked)} for them."
        )
    if plan.place is Place.LOCAL:
        lines.append("It costs nothing: everything runs on this machine.")
    lines += [f"Rates: {source}." for source in plan.sources]
    if plan.reach > _FAR:
        lines.append(f"This is {plan.reach:,.0f} times the largest build that was measured: a rough guess.")
    return lines


def duration(seconds: float) -> str:
    """Seconds for people."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 48 * 3600 else f"{seconds / 86_400:.1f} days"


def _stages(plan: GraphPlan) -> Table:
    where = (
        f"{plan.vcpus} cores here"
        if plan.place is Place.LOCAL
        else f"Spark on EMR Serverless, {plan.vcpus} vCPU"
    )
    table = Table(
        title=f"{plan.editions:,} editions, {plan.covers:,} covers, {where}", box=None, pad_edge=False
    )
    table.add_column("stage", no_wrap=True)
    billed = ("vCPU-h", "GB-h", "disk GB-h") if plan.usage else ()
    for name in ("time", "share", "memory", "lake", *billed):
        table.add_column(name, justify="right", no_wrap=True)
    for cost in plan.stages:
        usage = plan.usage.get(cost.stage)
        table.add_row(
            cost.stage.value,
            duration(cost.seconds),
            f"{cost.seconds / plan.seconds:.0%}",
            memory_words(cost.peak_bytes),
            memory_words(cost.stored_bytes),
            *(_hours(usage) if usage else ()),
        )
    table.add_row(
        "in all",
        duration(plan.seconds),
        "100%",
        memory_words(plan.peak_bytes),
        memory_words(plan.stored_bytes),
        *(_hours(plan.total_usage) if plan.usage else ()),
        style="bold",
    )
    return table


def _hours(usage: Usage) -> tuple[str, str, str]:
    hours = (usage.vcpu_hours, usage.memory_gb_hours, usage.storage_gb_hours)
    one, two, three = (f"{value:,.2f}" for value in hours)
    return one, two, three


def _prices(plan: GraphPlan) -> Table:
    used = plan.total_usage
    table = Table(title="EMR Serverless, USD at list price", box=None, pad_edge=False)
    table.add_column("region")
    for name in ("vCPU", "memory", "storage", "in all", "as of"):
        table.add_column(name, justify="right")
    for price in plan.prices():
        parts = (
            used.vcpu_hours * price.vcpu_hour,
            used.memory_gb_hours * price.memory_gb_hour,
            used.storage_gb_hours * price.storage_gb_hour,
            price.of(used),
        )
        table.add_row(price.region, *(f"{usd:,.2f}" for usd in parts), price.as_of)
    return table
