"""Cost models that were measured: those that `booksearch plan --calibrate` keeps in the lake, and the one that is shipped.

Belongs here: keeping, finding, and what the shipped one becomes for another embedding model. Does not: the model
itself (`compute.cost_model`).
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING

from booksearch_assets.compute.cost_model import Build, CostModel, Stage
from booksearch_assets.compute.rates import Place, RateName, seconds_per_gflop

if TYPE_CHECKING:
    from booksearch_assets.tables.lake import Lake

_GRAPH = "graph"


@dataclass(frozen=True)
class Encoder:
    """What an embedding model is to a plan: `kind` is its bundle id, `gflop` what one picture costs it, and
    `worker_bytes` what a worker holds of it."""

    kind: str
    gflop: float
    worker_bytes: int


def cost_model(lake: Lake, encoder: Encoder) -> CostModel:
    """The model that was measured here with this encoder, or else the shipped one, made to fit the encoder."""
    return kept_model(lake, encoder.kind) or shipped_model(encoder)


def kept_model(lake: Lake, kind: str) -> CostModel | None:
    """The model that was measured here with an encoder; None where none was, or what is kept cannot be read."""
    content = lake.read_bytes(_path(kind))
    try:
        return CostModel.from_json(json.loads(content)) if content else None
    except (KeyError, TypeError, ValueError):
        # It only guides a plan, and the next calibration replaces it.
        return None


def keep_model(lake: Lake, model: CostModel) -> None:
    """Keep a model for the plans to come, in the place of the one before."""
    lake.write_bytes(_path(model.kind), json.dumps(model.to_json(), indent=1).encode())


def shipped_model(encoder: Encoder) -> CostModel:
    """The model of `rates.json`, measured with the sample encoder, for another one.

    Embedding takes as much longer as the arithmetic of a picture is more, and its workers hold as much more as the
    weights are larger.
    """
    model, measured = _shipped()
    if encoder.kind == measured.kind:
        return model
    builds = tuple(_with_encoder(build, model.cores, measured, encoder) for build in model.builds)
    source = f"{model.source}; embedding reckoned from the {encoder.gflop:.3g} GFLOP that {encoder.kind} takes for a picture"
    return replace(model, builds=builds, kind=encoder.kind, source=source)


def _with_encoder(build: Build, cores: int, before: Encoder, after: Encoder) -> Build:
    if not build.is_whole:
        return build
    measured = build.of(Stage.COVER_EMBEDDINGS)
    cpu_seconds = measured.units * (after.gflop - before.gflop) * seconds_per_gflop()
    changed = replace(
        measured,
        seconds=measured.seconds + cpu_seconds / cores,
        cpu_seconds=measured.cpu_seconds + cpu_seconds,
        peak_bytes=measured.peak_bytes + cores * (after.worker_bytes - before.worker_bytes),
    )
    others = (m for m in build.measurements if m.stage is not Stage.COVER_EMBEDDINGS)
    return replace(build, measurements=(*others, changed))


@lru_cache
def _shipped() -> tuple[CostModel, Encoder]:
    table = json.loads(files("booksearch_assets.compute").joinpath("rates.json").read_text("utf-8"))
    graph = table[_GRAPH]
    return CostModel.from_json(graph), Encoder(graph["kind"], graph["gflop"], graph["worker_bytes"])


def _path(kind: str) -> str:
    return RateName(_GRAPH, Place.LOCAL, kind).path
