"""Progress of long work in the Dagster log: what is done, how fast, how long still.

Belongs here: turning (done, total) reports into a log line now and then.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import dagster as dg

Progress = Callable[[str, int, int | None], None]
"""Called with what is counted, how many are done, and of how many (None where that is unknown)."""

_EVERY_SECONDS = 5.0


def log_progress(context: dg.AssetExecutionContext) -> Progress:
    """A `Progress` that writes to the run's log every few seconds, and when a count is complete."""
    started: dict[str, float] = {}
    said: dict[str, float] = {}
    complete: set[str] = set()

    def report(what: str, done: int, total: int | None = None) -> None:
        now = time.monotonic()
        begin = started.setdefault(what, now)
        if what in complete or (done != total and now - said.get(what, begin) < _EVERY_SECONDS):
            return
        if done == total:
            complete.add(what)
        said[what] = now
        context.log.info(describe_progress(what, done, total, now - begin))

    return report


def describe_progress(what: str, done: int, total: int | None, seconds: float) -> str:
    """One line: `covers: 300 of 1,200 (25 %), 45 a second, 20 s left`."""
    rate = done / seconds if seconds > 0 else 0.0
    line = f"{what}: {done:,}" + (f" of {total:,} ({done / total:.0%})" if total else "")
    line += f", {rate:,.0f} a second" if rate else ""
    return line + (f", {(total - done) / rate:,.0f} s left" if total and rate and done < total else "")
