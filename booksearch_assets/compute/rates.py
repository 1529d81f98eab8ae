"""What stages took before: core seconds for each row or byte, at each kind of place, kept in the lake.

A plan predicts from the rate of the last run of the same stage at the same place, with the same model. Before the
first run it takes the rate of `rates.json`, which says where and when it was measured.

Belongs here: rates, their defaults, keeping them. Does not: measuring (`compute.task_times`), planning by them
(`compute.plan`).
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from booksearch_assets.tables.lake import Lake

# A run says little of one that is more than so many times as large.
_REACH = 10


class Place(StrEnum):
    """A kind of place that stages run at."""

    LOCAL = "local"
    EMR = "emr"
    SAGEMAKER = "sagemaker"


class Measure(StrEnum):
    """What the time of a stage grows with."""

    ROW = "row"
    BYTE = "byte"


@dataclass(frozen=True)
class Rate:
    """`core_seconds` for each row or byte, and `fixed_seconds` for each run. It is that of a run of so many `units`.

    `source` says when and how it was measured.
    """

    core_seconds: float
    fixed_seconds: float
    units: int
    source: str

    @classmethod
    def of_run(cls, core_seconds: float, fixed_seconds: float, units: int, measure: Measure) -> Rate:
        """The rate of a run that has just ended."""
        source = f"measured on {datetime.now(UTC):%Y-%m-%d} over {units:,} {measure}s"
        return cls(core_seconds / units, max(0.0, fixed_seconds), units, source)


@dataclass(frozen=True)
class RateName:
    """What a rate is of. `kind` tells apart what one stage may be run with, as its model."""

    stage: str
    place: Place
    kind: str = ""

    @property
    def path(self) -> str:
        return "/".join(filter(None, ("_rates", self.place, self.stage, self.kind))) + ".json"


def rate_of(name: RateName, lake: Lake | None, units: int, gflop: float = 0.0) -> Rate:
    """The rate that the last run left, for a run of so many units. `gflop` is what a model takes for each of them.

    The default one where no run has left any, or only one so small that the default was measured over more: what a
    few rows took was mostly the start of it.
    """
    kept, default = _kept(name, lake) if lake else None, default_rate(name.stage, gflop)
    if kept is None or (units > _REACH * kept.units and kept.units < default.units):
        return default
    return kept


def keep_rate(name: RateName, lake: Lake, rate: Rate) -> None:
    """Keep what a run took for the plans of the next ones, unless the kept rate is of a run ten times as large."""
    before = _kept(name, lake)
    if before is None or before.units <= _REACH * rate.units:
        lake.write_bytes(name.path, json.dumps(asdict(rate), indent=1).encode())


def _kept(name: RateName, lake: Lake) -> Rate | None:
    content = lake.read_bytes(name.path)
    try:
        return Rate(**json.loads(content)) if content else None
    except (ValueError, TypeError):
        # It only guides a plan, and the next run replaces it.
        return None


@lru_cache
def default_rate(stage: str, gflop: float = 0.0) -> Rate:
    """The rate of `rates.json`, which every stage has; one of another stage is taken for a stage that it lacks.

    A stage that runs a model was measured with one of them: `gflop` is what the model in use takes for each row, and 0
    that it is the measured one. What a row takes besides, as decoding, is the same for each model.
    """
    rates = _table()["stages"]
    values = dict(rates.get(stage, rates["filtered_fiction"]))
    measured, besides = values.pop("gflop", 0.0), values.pop("besides_model", 0.0)
    rate = Rate(**values)
    source = f"a default {rate.source}"
    if not gflop or not measured or gflop == measured:
        return replace(rate, source=source)
    in_model = (rate.core_seconds - besides) * gflop / measured
    source += f", reckoned for {gflop:.3g} GFLOP a row instead of {measured:.3g}"
    return replace(rate, core_seconds=besides + in_model, source=source)


def seconds_per_gflop() -> float:
    """What a core takes for a gigaflop of a model, by the default rate."""
    embedding = _table()["stages"]["image_embeddings"]
    return float((embedding["core_seconds"] - embedding["besides_model"]) / embedding["gflop"])


def _table() -> dict[str, Any]:
    content = files("booksearch_assets.compute").joinpath("rates.json").read_text("utf-8")
    return dict(json.loads(content))
