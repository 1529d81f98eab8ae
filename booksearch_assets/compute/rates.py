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
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from booksearch_assets.tables.lake import Lake

# A run says little of one that is more than so many times as large.
_REACH = 10


class Place(StrEnum):
    """A kind of place that stages run at."""

    LOCAL = "local"
    EMR = "emr"


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


def rate_of(name: RateName, lake: Lake | None, units: int) -> Rate:
    """The rate that the last run left, for a run of so many units.

    The default one where no run has left any, or only one so small that the default was measured over more: what a
    few rows took was mostly the start of it.
    """
    kept, default = _kept(name, lake) if lake else None, default_rate(name.stage)
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
def default_rate(stage: str) -> Rate:
    """The rate of `rates.json`, which every stage has; one of another stage is taken for a stage that it lacks."""
    table = json.loads(files("booksearch_assets.compute").joinpath("rates.json").read_text("utf-8"))
    rates = table["stages"]
    rate = Rate(**rates.get(stage, rates["filtered_fiction"]))
    return replace(rate, source=f"a default {rate.source}")
