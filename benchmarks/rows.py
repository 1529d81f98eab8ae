"""A row of the table: what was compared, the ratio, and the bar that it is to clear.

Belongs here: rows and how ratios are made of measurements. Does not: measuring (`harness`), showing (`report`).
"""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass
from enum import Enum
from typing import Any, Self

from harness import Measured


class At(Enum):
    """Which way a bar is to be cleared."""

    LEAST = "at least"
    MOST = "at most"


@dataclass(frozen=True)
class Row:
    """One line of the table. `ratio` is measured against `bar`; without a bar the line only informs.

    `limit_share` is how much of what is physically possible was reached, `peak_memory` the peak of ours in bytes.
    `measured` is kept in the JSON.
    """

    stage: str
    ours: str
    peer: str
    ratio: float | None
    at: At = At.LEAST
    bar: float | None = None
    limit_share: float | None = None
    peak_memory: int | None = None
    note: str = ""
    measured: tuple[Measured, ...] = ()

    @property
    def met(self) -> bool | None:
        """None where there is nothing to be met, or nothing was measured."""
        if self.bar is None or self.ratio is None:
            return None
        return (operator.ge if self.at is At.LEAST else operator.le)(self.ratio, self.bar)

    @property
    def headroom(self) -> float | None:
        """How many times better than its bar the ratio is, infinitely where nothing was lost; below 1 the bar was missed."""
        if self.bar is None or self.ratio is None:
            return None
        if self.at is At.LEAST:
            return self.ratio / self.bar
        return self.bar / self.ratio if self.ratio else math.inf

    @classmethod
    def missing(cls, stage: str, peer: str, why: str) -> Self:
        """A comparison that cannot be made here, as a peer that is not installed."""
        return cls(stage, ours="", peer=peer, ratio=None, note=why)

    def to_json(self) -> dict[str, Any]:
        return {
            "stage": self.stage,
            "ours": self.ours,
            "peer": self.peer,
            "ratio": self.ratio,
            "at": self.at.value,
            "bar": self.bar,
            "met": self.met,
            "limit_share": self.limit_share,
            "peak_memory": self.peak_memory,
            "note": self.note,
            "measured": [measured.to_json() for measured in self.measured],
        }


def faster(
    stage: str,
    ours: Measured,
    peer: Measured,
    at_least: float | None = None,
    limit_seconds: float | None = None,
    note: str = "",
) -> Row:
    """The peer's time over ours. `limit_seconds` is what nothing on this machine could be below."""
    share = limit_seconds / ours.seconds if limit_seconds else None
    ratio = peer.seconds / ours.seconds
    return _row(stage, ours, peer, ratio, At.LEAST, at_least, share, note)


def slower(stage: str, ours: Measured, limit: Measured, at_most: float | None = None, note: str = "") -> Row:
    """Our time over that of a limit, which does less than we must."""
    share = limit.seconds / ours.seconds
    return _row(stage, ours, limit, ours.seconds / limit.seconds, At.MOST, at_most, share, note)


def _row(
    stage: str,
    ours: Measured,
    peer: Measured,
    ratio: float,
    at: At,
    bar: float | None,
    share: float | None,
    note: str,
) -> Row:
    return Row(stage, str(ours), str(peer), ratio, at, bar, share, ours.peak_memory, note, (ours, peer))
