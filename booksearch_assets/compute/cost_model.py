"""What a build of the whole graph takes: a line for each stage, through what builds of several sizes took.

Everything that a stage takes (seconds, memory, bytes in the lake) is `fixed + each * units`: the start of a JVM and of
Python workers has nothing to do with the number of rows, and a rate that counts it in is wrong at every other size.

Belongs here: stages, measurements, lines through them, prediction. Does not: measuring (`calibration`), the plan of one
Spark run (`compute.plan`), prices (`emr.account`), words (`planning`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from typing import Any, Self


class Driver(StrEnum):
    """What a stage grows with."""

    EDITIONS = "editions"
    COVERS = "covers"


class Stage(StrEnum):
    """The stages of a build in their order, by the asset that each is; checks belong to the stage of their asset.

    PROCESS is all that lies outside of them: the start of the process, definitions, and the time between steps.
    """

    PROCESS = "process"
    RAW_DUMP = "raw_dump"
    EDITIONS = "editions"
    FILTERED_FICTION = "filtered_fiction"
    COVER_URLS = "cover_urls"
    COVER_IMAGES = "cover_images"
    COVER_EMBEDDINGS = "cover_embeddings"
    COLLECTION = "collection"
    SEARCH = "search"
    SEARCH_QUALITY = "search_quality"

    @property
    def grows_with(self) -> Driver:
        of_editions = (
            Stage.PROCESS,
            Stage.RAW_DUMP,
            Stage.EDITIONS,
            Stage.FILTERED_FICTION,
            Stage.COVER_URLS,
        )
        return Driver.EDITIONS if self in of_editions else Driver.COVERS

    @property
    def on_spark(self) -> bool:
        """Whether its work is spread over all cores, of this machine or of a cluster."""
        return self in (
            Stage.EDITIONS,
            Stage.FILTERED_FICTION,
            Stage.COVER_URLS,
            Stage.COVER_EMBEDDINGS,
        )

    @property
    def of_dump(self) -> bool:
        """Whether it reads records of the dump, of which many take little: these are measured at a larger size of their own."""
        return self.grows_with is Driver.EDITIONS and self is not Stage.PROCESS

    @property
    def folders(self) -> tuple[str, ...]:
        """What it fills, below the home of a deployment."""
        match self:
            case Stage.PROCESS:
                return ()
            case Stage.COVER_IMAGES:
                return "lake/books/cover_images", "lake/_cache/covers"
            case Stage.COVER_EMBEDDINGS:
                return "lake/books/cover_embeddings", "lake/_cache/vectors"
            case Stage.COLLECTION:
                return "lake/books/collection", "milvus"
        return (f"lake/books/{self.value}",)


@dataclass(frozen=True)
class Measurement:
    """What a stage took of so many units in one build.

    `seconds` are wall time, `cpu_seconds` those of all its processes, `peak_bytes` what they held at most, and
    `stored_bytes` what it left.
    """

    stage: Stage
    units: int
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    stored_bytes: int


@dataclass(frozen=True)
class Build:
    """A build of so many editions, with so many covers; of the whole graph, or of the stages of the dump alone.

    `text_bytes` is the size of its dumps, unpacked.
    """

    editions: int
    covers: int
    text_bytes: int
    measurements: tuple[Measurement, ...]

    @property
    def seconds(self) -> float:
        return sum(measured.seconds for measured in self.measurements)

    @property
    def is_whole(self) -> bool:
        return {measured.stage for measured in self.measurements} == {*Stage}

    def of(self, stage: Stage) -> Measurement:
        """Raises `ValueError` for a stage that was no part of it."""
        for measured in self.measurements:
            if measured.stage is stage:
                return measured
        raise ValueError(f"{stage.value} was no part of the build of {self.editions:,} editions")

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Raises KeyError, TypeError or ValueError for what is no build."""
        measured = (Measurement(**m | {"stage": Stage(m["stage"])}) for m in data["measurements"])
        return cls(data["editions"], data["covers"], data["text_bytes"], tuple(measured))


_NOTHING = 1e-9
"""Seconds or bytes that no measurement can tell from none."""


_MEMORY_NOISE = 0.05
"""How far the peaks of two builds of one size differ, as a share: a slope through less would be drawn through chance."""


@dataclass(frozen=True)
class Line:
    """`fixed + each * units`, neither below zero."""

    fixed: float
    each: float

    @classmethod
    def through(cls, points: Sequence[tuple[int, float]]) -> Self:
        """The line nearest to (units, amount) points, each error counted as a share of its amount.

        Nothing shrinks as it grows and nothing costs less than nothing: a line that says so is the noise of the
        measurement, and the nearest one that does not is taken. Raises `ValueError` for fewer than two sizes.
        """
        if len({units for units, _ in points}) < 2:
            raise ValueError(
                f"a line needs two sizes at least; there are measurements of {dict(points) or 'none'}"
            )
        # Plain least squares would fit the largest build alone; no amount weighs more than one of a thousandth.
        most = max(amount for _, amount in points)
        weights = [(most / max(amount, most / 1000)) ** 2 if most > _NOTHING else 1.0 for _, amount in points]
        whole = sum(weights)
        mean_x = sum(w * x for w, (x, _) in zip(weights, points, strict=True)) / whole
        mean_y = sum(w * y for w, (_, y) in zip(weights, points, strict=True)) / whole
        spread = sum(w * (x - mean_x) ** 2 for w, (x, _) in zip(weights, points, strict=True))
        along = sum(w * (x - mean_x) * (y - mean_y) for w, (x, y) in zip(weights, points, strict=True))
        each = max(0.0, along / spread)
        fixed = mean_y - each * mean_x
        if fixed < 0:
            squares = sum(w * x * x for w, (x, _) in zip(weights, points, strict=True))
            products = sum(w * x * y for w, (x, y) in zip(weights, points, strict=True))
            return cls(0.0, products / squares)
        return cls(fixed, each)

    def at(self, units: float) -> float:
        return self.fixed + self.each * units


@dataclass(frozen=True)
class Cost:
    """What a stage is predicted to take: wall time in seconds, most bytes of memory, bytes that it leaves."""

    stage: Stage
    units: int
    seconds: float
    peak_bytes: float
    stored_bytes: float


@dataclass(frozen=True)
class CostModel:
    """Lines through builds of several sizes on `cores` cores, with the model of `kind`. `source` says when and where."""

    builds: tuple[Build, ...]
    cores: int
    kind: str
    source: str

    def __post_init__(self) -> None:
        if len({build.editions for build in self._whole}) < 2:
            sizes = ", ".join(f"{build.editions:,}" for build in self._whole) or "none"
            raise ValueError(
                f"whole builds of two sizes are needed to tell what is fixed from what grows; got {sizes}"
            )

    def _measured(self, stage: Stage) -> list[Measurement]:
        return [m for build in self.builds for m in build.measurements if m.stage is stage]

    @property
    def _whole(self) -> list[Build]:
        return [build for build in self.builds if build.is_whole]

    @property
    def covers_per_edition(self) -> float:
        return self.builds[-1].covers / self.builds[-1].editions

    @property
    def text_per_edition(self) -> float:
        """Bytes of the dumps, unpacked."""
        return self.builds[-1].text_bytes / self.builds[-1].editions

    @property
    def largest(self) -> int:
        """Editions of the largest whole build: predictions of far more are guesses."""
        return max(build.editions for build in self._whole)

    def line(self, stage: Stage, amount: str) -> Line:
        """The line of an amount, which is a field of `Measurement`."""
        return Line.through([(m.units, getattr(m, amount)) for m in self._measured(stage)])

    def predict(self, editions: int, covers: int, cores: int = 0) -> list[Cost]:
        """What each stage takes on so many cores; 0: as many as were measured on.

        What grows in a stage on Spark shrinks with the cores; what is fixed does not.
        """
        return [self._cost(stage, editions, covers, cores or self.cores) for stage in Stage]

    def _cost(self, stage: Stage, editions: int, covers: int, cores: int) -> Cost:
        units = editions if stage.grows_with is Driver.EDITIONS else covers
        seconds = self.line(stage, "seconds")
        if stage.on_spark:
            seconds = replace(seconds, each=seconds.each * self.cores / cores)
        retained = 0.0 if stage.grows_with is Driver.EDITIONS else self._retained(editions)
        return Cost(
            stage=stage,
            units=units,
            seconds=seconds.at(units),
            peak_bytes=self._memory(stage).at(units) + retained,
            stored_bytes=self.line(stage, "stored_bytes").at(units),
        )

    def _memory(self, stage: Stage) -> Line:
        """The line of the memory of a stage, flat where builds differ by no more than two of one size do."""
        peaks = [measured.peak_bytes for measured in self._measured(stage)]
        if stage is Stage.SEARCH_QUALITY:
            # It asks as many questions of any collection, once there are books for so many.
            return Line(max(peaks), 0.0)
        if max(peaks) - min(peaks) <= _MEMORY_NOISE * max(peaks):
            return Line(sum(peaks) / len(peaks), 0.0)
        return self.line(stage, "peak_bytes")

    def _retained(self, editions: int) -> float:
        """Bytes more than in the builds that were measured that the stages of the dump leave to those after them.

        One process runs them all, and what its JVM has taken it keeps.
        """
        last = Stage.COVER_URLS
        held = [build.of(last).peak_bytes for build in self._whole]
        return max(0.0, self._memory(last).at(editions) - sum(held) / len(held))

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """Raises KeyError, TypeError or ValueError for what is no model."""
        builds = tuple(Build.from_json(build) for build in data["builds"])
        return cls(builds, data["cores"], data["kind"], data["source"])
