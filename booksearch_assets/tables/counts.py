"""What a stage did with its rows: read, written, rejected by reason.

Belongs here: the ledger of a stage, which the reconciliation checks, the UI and the lake's records all read.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Counts:
    """Rows of one partition (or of a whole table). Nothing is lost when `unaccounted` is zero."""

    rows_in: int
    rows_out: int
    rejected: dict[str, int] = field(default_factory=dict)

    @property
    def unaccounted(self) -> int:
        return self.rows_in - self.rows_out - sum(self.rejected.values())

    @classmethod
    def total(cls, parts: Iterable[Counts]) -> Counts:
        parts = list(parts)
        rejected: Counter[str] = Counter()
        for part in parts:
            rejected.update(part.rejected)
        return cls(sum(p.rows_in for p in parts), sum(p.rows_out for p in parts), dict(rejected))

    def to_json(self) -> dict[str, Any]:
        return {
            "rows_in": self.rows_in,
            "rows_out": self.rows_out,
            "rejected": dict(sorted(self.rejected.items())),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Counts:
        return cls(data["rows_in"], data["rows_out"], dict(data["rejected"]))


@dataclass(frozen=True)
class StageReport:
    """What one run of a stage did: counts by partition ("" for an unpartitioned table), and free figures.

    `figures` holds JSON scalars that the UI shows as they are (images a second, fetched bytes, planned tasks ...).
    """

    counts: dict[str, Counts]
    seconds: float
    figures: dict[str, Any] = field(default_factory=dict)

    @property
    def total(self) -> Counts:
        return Counts.total(self.counts.values())

    def to_json(self) -> dict[str, Any]:
        return {
            "counts": {partition: counts.to_json() for partition, counts in self.counts.items()},
            "seconds": self.seconds,
            "figures": self.figures,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> StageReport:
        counts = {partition: Counts.from_json(value) for partition, value in data["counts"].items()}
        return cls(counts, data["seconds"], dict(data["figures"]))
