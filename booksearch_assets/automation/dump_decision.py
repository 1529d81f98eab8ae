"""Whether a dump is to be processed now: the rules of the sensor `new_dump`, without asking anybody.

The decision follows from what can be asked again at any time: the site, the lake and the runs of the instance. The
cursor only remembers what was decided, so that losing it loses no dump and repeats none.

Belongs here: pure functions and what they are given. Does not: asking (`automation.dump_evidence`), the sensor
(`automation.new_dump`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

import dagster as dg

BY_HAND = "booksearch materialize"
"""The command that lands the newest dump and processes all years of it."""

_REMEMBERED = 12
_FINISHED = (dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED)


class Outcome(Enum):
    """What can be decided about a dump."""

    LAUNCHED = "launched"
    PROCESSED = "processed"
    OLDER = "older than the landed one"
    INCOMPLETE = "incomplete"
    IN_PROGRESS = "in progress"
    WAITING = "waiting for the next attempt"
    STOPPED = "stopped by a person"
    GIVEN_UP = "given up"


@dataclass(frozen=True)
class Offer:
    """What the site has: the newest date of which every kind is sound, and what is wrong with newer ones.

    `date` is None where no dump is sound. `newest` is the newest date that the site knows of.
    """

    date: str | None
    newest: str | None
    objections: tuple[str, ...] = ()


@dataclass(frozen=True)
class Held:
    """What the lake has: the dump that every kind has landed of, and the one that all years and the search are of."""

    landed: str | None = None
    published: str | None = None


@dataclass(frozen=True)
class Attempt:
    """A run that was to process a dump; a run and its retries are one attempt, with the status of the last."""

    run_id: str
    status: dg.DagsterRunStatus
    ended: datetime


@dataclass(frozen=True)
class Decision:
    """What was decided about the dump of `date`, and why, in words for the tick."""

    date: str
    outcome: Outcome
    reason: str


@dataclass(frozen=True)
class Memory:
    """The cursor: what was decided about each of the newest dumps seen."""

    decided: Mapping[str, Outcome] = field(default_factory=dict)

    @classmethod
    def from_json(cls, text: str) -> Memory:
        """Raises ValueError for a text that is none of ours."""
        try:
            return cls({str(date): Outcome(outcome) for date, outcome in json.loads(text).items()})
        except (ValueError, TypeError, AttributeError) as error:
            raise ValueError(
                f"expected a JSON object of dump dates, found {text[:80]!r} ({error})"
            ) from error

    def to_json(self) -> str:
        newest = sorted(self.decided, reverse=True)[:_REMEMBERED]
        return json.dumps({date: self.decided[date].value for date in newest})

    def noting(self, date: str, outcome: Outcome) -> Memory:
        """The same, with this decision. A dump that was processed stays so until it is launched again."""
        if self.decided.get(date) is Outcome.PROCESSED and outcome is not Outcome.LAUNCHED:
            return self
        return Memory({**self.decided, date: outcome})


def decide(
    date: str,
    held: Held,
    attempts: Sequence[Attempt],
    memory: Memory,
    now: datetime,
    waits: Sequence[timedelta],
) -> Decision:
    """Whether the sound dump of `date` is to be processed now.

    `attempts` are newest first; `waits` are the pauses after the first, second, ... failed attempt, and there is one
    attempt more than pauses.
    """
    done = _done(date, held, attempts, memory)
    if done:
        return done
    running = next((attempt for attempt in attempts if attempt.status not in _FINISHED), None)
    if running:
        return Decision(date, Outcome.IN_PROGRESS, f"run {running.run_id} is processing the dump of {date}")
    ended = [attempt for attempt in attempts if attempt.status is not dg.DagsterRunStatus.SUCCESS]
    if not ended:
        return Decision(date, Outcome.LAUNCHED, f"the dump of {date} is new; the lake holds {_name(held)}")
    last, tried = ended[0], f"attempt {len(ended)} of {len(waits) + 1}"
    if last.status is dg.DagsterRunStatus.CANCELED:
        return Decision(
            date,
            Outcome.STOPPED,
            f"run {last.run_id} for the dump of {date} was cancelled by a person. To process it after all: {BY_HAND}",
        )
    if len(ended) > len(waits):
        return Decision(
            date,
            Outcome.GIVEN_UP,
            f"the dump of {date} failed {len(ended)} times, last in run {last.run_id}; it is not launched again. "
            f"Mend what that run says, then: {BY_HAND}",
        )
    due = last.ended + waits[len(ended) - 1]
    if now < due:
        return Decision(
            date,
            Outcome.WAITING,
            f"{tried} at the dump of {date} failed in run {last.run_id}; the next one is due at {due:%Y-%m-%d %H:%M} UTC",
        )
    return Decision(date, Outcome.LAUNCHED, f"{tried} at the dump of {date} failed; launched again")


def _done(date: str, held: Held, attempts: Sequence[Attempt], memory: Memory) -> Decision | None:
    """Why the dump needs no processing, or None. An empty lake needs it, whatever ran before."""
    if held.landed is None:
        return None
    if date < held.landed:
        return Decision(
            date, Outcome.OLDER, f"the dump of {date} is older than that of {held.landed} in the lake"
        )
    succeeded = next((a for a in attempts if a.status is dg.DagsterRunStatus.SUCCESS), None)
    if held.published and date <= held.published:
        why = "all years and the published search are of it"
    elif succeeded:
        why = f"run {succeeded.run_id} did it, and the lake holds {_name(held)}"
    elif memory.decided.get(date) is Outcome.PROCESSED:
        why = "as the cursor remembers"
    else:
        return None
    return Decision(date, Outcome.PROCESSED, f"the dump of {date} has been processed: {why}")


def _name(held: Held) -> str:
    return f"that of {held.landed}" if held.landed else "none"
