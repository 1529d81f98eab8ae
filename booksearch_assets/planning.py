"""What a build is going to take, here or with Spark on EMR Serverless: `booksearch plan`.

Belongs here: putting the cost model, the planner of Spark runs and the price table together. Does not: measuring
(`calibration`), printing (`plan_report`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Any

from booksearch_assets.compute.calibrations import Encoder, cost_model
from booksearch_assets.compute.cost_model import Cost, CostModel, Stage
from booksearch_assets.compute.landing import LARGEST_CHUNK
from booksearch_assets.compute.plan import SparkPlan, Wishes, Work, plan_spark
from booksearch_assets.compute.rates import Measure, Place, RateName, rate_of
from booksearch_assets.emr.account import NOTHING, Price, Usage, price_in
from booksearch_assets.emr.workers import predicted_usage
from booksearch_assets.settings import Profile, Settings
from booksearch_assets.tables.lake import Lake

DUMP_EDITIONS, DUMP_COVERS = 45_000_000, 70_000
"""Editions of the real dump, of 2024, and the covers that the article's filter wanted of them."""

# The name of the Spark stage of each stage that has one, and what reads four bytes of rows for each of Parquet.
_SPARK = {
    Stage.EDITIONS: "editions",
    Stage.FILTERED_FICTION: "filtered_fiction",
    Stage.COVER_URLS: "cover_urls",
    Stage.COVER_EMBEDDINGS: "image_embeddings",
}
_PARQUET_RATIO = 4
_ROWS_PER_TASK = 512
_EXECUTOR_CORES = 4


@dataclass(frozen=True)
class GraphPlan:
    """What a build of so many editions and covers takes. `usage` is by stage, of EMR Serverless; {} here.

    `covers_per_minute` is how fast covers are asked for.
    """

    place: Place
    editions: int
    covers: int
    vcpus: int
    covers_per_minute: float
    model: CostModel
    sources: tuple[str, ...]
    stages: tuple[Cost, ...]
    usage: Mapping[Stage, Usage]

    @property
    def seconds(self) -> float:
        """One stage after another, as one run does them."""
        return sum(stage.seconds for stage in self.stages)

    @property
    def overlapped_seconds(self) -> float:
        """Where years are fetched and embedded beside each other: one waits for the network, the other for processors."""
        return self.seconds - min(self._of(Stage.COVER_IMAGES), self._of(Stage.COVER_EMBEDDINGS))

    @property
    def peak_bytes(self) -> float:
        return max(stage.peak_bytes for stage in self.stages)

    @property
    def stored_bytes(self) -> float:
        return sum(stage.stored_bytes for stage in self.stages)

    @property
    def bottleneck(self) -> Cost:
        return max(self.stages, key=lambda stage: stage.seconds)

    @property
    def waits_for_the_service(self) -> bool:
        """Whether fetching takes as long as the pace at which covers are asked for makes it."""
        return self._of(Stage.COVER_IMAGES) <= 60 * self.covers / self.covers_per_minute

    @property
    def total_usage(self) -> Usage:
        return sum(self.usage.values(), NOTHING)

    @property
    def reach(self) -> float:
        """How often the largest build that was measured fits into this one."""
        return self.editions / self.model.largest

    def prices(self) -> list[Price]:
        """The list prices of every region of the price table; none where nothing is billed."""
        if not self.usage:
            return []
        regions = json.loads(files("booksearch_assets.emr").joinpath("prices.json").read_text("utf-8"))[
            "regions"
        ]
        return [price for region in regions if (price := price_in(region))]

    def usd_by_region(self) -> dict[str, float]:
        """Dollars at list price."""
        return {price.region: price.of(self.total_usage) for price in self.prices()}

    def _of(self, stage: Stage) -> float:
        return next(cost.seconds for cost in self.stages if cost.stage is stage)

    def to_json(self) -> dict[str, Any]:
        """Seconds, bytes, vCPU-hours, GB-hours and dollars."""
        return {
            "place": self.place.value,
            "editions": self.editions,
            "covers": self.covers,
            "vcpus": self.vcpus,
            "covers_per_minute": self.covers_per_minute,
            "model": self.model.kind,
            "rates": list(self.sources),
            "times_the_largest_build_measured": round(self.reach, 2),
            "stages": [
                {
                    "stage": cost.stage.value,
                    cost.stage.grows_with.value: cost.units,
                    "seconds": round(cost.seconds, 1),
                    "peak_bytes": round(cost.peak_bytes),
                    "stored_bytes": round(cost.stored_bytes),
                    **(self.usage[cost.stage].to_json() if cost.stage in self.usage else {}),
                }
                for cost in self.stages
            ],
            "seconds": round(self.seconds, 1),
            "overlapped_seconds": round(self.overlapped_seconds, 1),
            "peak_bytes": round(self.peak_bytes),
            "stored_bytes": round(self.stored_bytes),
            "bottleneck": self.bottleneck.stage.value,
            "usage": self.total_usage.to_json() if self.usage else {},
            "usd_by_region": {region: round(usd, 4) for region, usd in self.usd_by_region().items()},
        }


def plan_graph(
    settings: Settings,
    place: Place,
    editions: int | None = None,
    covers: int | None = None,
    vcpus: int | None = None,
) -> GraphPlan:
    """Plan a first build of the whole graph. `covers` are those that are wanted; None: as many as such a dump has.

    `editions` are those of the sample world, or of the real dump, unless they are said; no sample world is built on EMR.
    `vcpus` are those of the executors on EMR Serverless (32 by default), or the cores of this machine.
    Raises `ValueError` for more covers than editions, and for executors that do not exist.
    """
    lake, encoder = Lake(settings.lake), encoder_of(settings)
    model = cost_model(lake, encoder)
    sample = settings.profile is Profile.SAMPLE and place is Place.LOCAL
    editions = editions or (settings.sample_editions if sample else DUMP_EDITIONS)
    if covers is None:
        covers = round(editions * (model.covers_per_edition if sample else DUMP_COVERS / DUMP_EDITIONS))
    if not 0 <= covers <= editions:
        raise ValueError(
            f"{covers:,} covers of {editions:,} editions: an edition wants one cover at most, and covers cannot be fewer "
            "than none"
        )
    pace = _pace(settings, sample)
    paced = [
        _paced(cost, pace)
        for cost in model.predict(editions, covers, 0 if place is Place.EMR else vcpus or 0)
    ]
    if place is Place.LOCAL:
        sources = (model.source,)
        return GraphPlan(
            place, editions, covers, vcpus or model.cores, pace, model, sources, tuple(paced), {}
        )
    vcpus = vcpus or 8 * _EXECUTOR_CORES
    plans = {
        stage: _emr_plan(stage, work, vcpus, encoder, lake)
        for stage, work in _works(model, paced, encoder).items()
    }
    stages = tuple(_on_emr(cost, plans[cost.stage]) if cost.stage in plans else cost for cost in paced)
    usage = {stage: predicted_usage(plan) for stage, plan in plans.items()}
    rates = (f"{_SPARK[stage]}: {plan.rate.source}" for stage, plan in plans.items())
    return GraphPlan(
        place,
        editions,
        covers,
        vcpus,
        pace,
        model,
        (f"what is not on Spark: {model.source}", *rates),
        stages,
        usage,
    )


def encoder_of(settings: Settings) -> Encoder:
    """The encoder of a deployment. Raises `BundleError` where there is none."""
    from booksearch_assets.clip.bundle import Bundle
    from booksearch_assets.clip.flops import bundle_gflop
    from booksearch_assets.compute.image_embeddings import worker_bytes

    bundle = Bundle.open(settings.bundle, verify="size")
    return Encoder(bundle.bundle_id, bundle_gflop(bundle), worker_bytes(bundle))


def _pace(settings: Settings, sample: bool) -> float:
    from booksearch_assets.resources.open_library import local_open_library, sample_open_library

    service = sample_open_library(settings) if sample else local_open_library(settings)
    return service.requests_per_minute


def _paced(cost: Cost, covers_per_minute: float) -> Cost:
    """No cover is asked for before its turn."""
    if cost.stage is not Stage.COVER_IMAGES:
        return cost
    return replace(cost, seconds=max(cost.seconds, 60 * cost.units / covers_per_minute))


def _works(model: CostModel, costs: list[Cost], encoder: Encoder) -> dict[Stage, Work]:
    """What each Spark stage is asked to do, as its asset says it."""
    by_stage = {cost.stage: cost for cost in costs}
    editions, covers = by_stage[Stage.EDITIONS].units, by_stage[Stage.COVER_EMBEDDINGS].units
    text = round(model.text_per_edition * editions)
    parsed = _PARQUET_RATIO * round(by_stage[Stage.EDITIONS].stored_bytes)
    return {
        Stage.EDITIONS: Work(editions, text, pieces=-(-text // LARGEST_CHUNK)),
        Stage.FILTERED_FICTION: Work(editions, parsed),
        Stage.COVER_URLS: Work(editions, round(by_stage[Stage.FILTERED_FICTION].stored_bytes)),
        Stage.COVER_EMBEDDINGS: Work(
            covers,
            16 * covers,
            Measure.ROW,
            0,
            _ROWS_PER_TASK,
            encoder.worker_bytes,
            encoder.kind,
            encoder.gflop,
        ),
    }


def _emr_plan(stage: Stage, work: Work, vcpus: int, encoder: Encoder, lake: Lake) -> SparkPlan:
    from booksearch_assets.emr.launcher import EmrServerlessLauncher

    cores = min(vcpus, _EXECUTOR_CORES)
    if vcpus % cores or cores not in (1, 2, _EXECUTOR_CORES):
        raise ValueError(
            f"{vcpus} vCPUs: executors of EMR Serverless have {_EXECUTOR_CORES} in a plan; give 1, 2 or a multiple of "
            f"{_EXECUTOR_CORES}"
        )
    launcher = EmrServerlessLauncher.model_construct(executor_cores=cores, max_executors=vcpus // cores)
    rate = rate_of(RateName(_SPARK[stage], Place.EMR, work.kind), lake, work.units, work.gflop)
    return plan_spark(work, rate, launcher.offer(Wishes()))


def _on_emr(cost: Cost, plan: SparkPlan) -> Cost:
    return replace(
        cost, seconds=plan.seconds, peak_bytes=plan.driver_memory + plan.executors * plan.executor_memory
    )
