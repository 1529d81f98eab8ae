"""The rules of `new_dump` by themselves: every outcome, and the cursor."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from dagster import DagsterRunStatus as Status

from booksearch_assets.automation.dump_decision import Attempt, Held, Memory, Outcome, decide

AUGUST, SEPTEMBER, OCTOBER = "2026-08-31", "2026-09-30", "2026-10-31"
NOW = datetime(2026, 10, 3, 12, tzinfo=UTC)
WAITS = (timedelta(hours=6), timedelta(hours=24))


def attempt(status: Status, hours_ago: float, run_id: str = "r") -> Attempt:
    return Attempt(run_id, status, NOW - timedelta(hours=hours_ago))


@pytest.mark.parametrize(
    ("held", "attempts", "outcome"),
    [
        # What the lake says.
        (Held(), [], Outcome.LAUNCHED),
        (Held(AUGUST, AUGUST), [], Outcome.LAUNCHED),
        (Held(SEPTEMBER, SEPTEMBER), [], Outcome.PROCESSED),
        (Held(SEPTEMBER, AUGUST), [], Outcome.LAUNCHED),
        (Held(SEPTEMBER, None), [], Outcome.LAUNCHED),
        (Held(OCTOBER, SEPTEMBER), [], Outcome.OLDER),
        # What the runs say.
        (Held(SEPTEMBER, AUGUST), [attempt(Status.SUCCESS, 1)], Outcome.PROCESSED),
        (Held(SEPTEMBER), [attempt(Status.FAILURE, 1), attempt(Status.SUCCESS, 2)], Outcome.PROCESSED),
        (Held(AUGUST, AUGUST), [attempt(Status.QUEUED, 0)], Outcome.IN_PROGRESS),
        (Held(AUGUST), [attempt(Status.STARTED, 9), attempt(Status.FAILURE, 30)], Outcome.IN_PROGRESS),
        (Held(AUGUST, AUGUST), [attempt(Status.CANCELED, 99)], Outcome.STOPPED),
        # An older dump was put back by hand: the newer one had its turn.
        (Held(AUGUST, AUGUST), [attempt(Status.SUCCESS, 1)], Outcome.PROCESSED),
        # A lake that was emptied must be filled again, whatever ran.
        (Held(), [attempt(Status.SUCCESS, 1)], Outcome.LAUNCHED),
    ],
)
def test_what_is_decided(held: Held, attempts: list[Attempt], outcome: Outcome) -> None:
    decision = decide(SEPTEMBER, held, attempts, Memory(), NOW, WAITS)
    assert (decision.date, decision.outcome) == (SEPTEMBER, outcome)
    assert SEPTEMBER in decision.reason


@pytest.mark.parametrize(
    ("hours_ago", "outcome"),
    [
        ([5.9], Outcome.WAITING),
        ([6.0], Outcome.LAUNCHED),
        ([23.9, 48.0], Outcome.WAITING),
        ([24.0, 48.0], Outcome.LAUNCHED),
        ([1000.0, 1010.0, 1050.0], Outcome.GIVEN_UP),
    ],
)
def test_failed_runs_are_repeated_after_longer_and_longer_waits_and_not_for_ever(
    hours_ago: list[float], outcome: Outcome
) -> None:
    attempts = [attempt(Status.FAILURE, hours, f"run-{hours}") for hours in hours_ago]
    decision = decide(SEPTEMBER, Held(AUGUST, AUGUST), attempts, Memory(), NOW, WAITS)
    assert decision.outcome is outcome
    if outcome is Outcome.WAITING:
        assert "due at 2026-10-03 12:06 UTC" in decision.reason
    if outcome is Outcome.GIVEN_UP:
        assert "failed 3 times" in decision.reason
        assert "run-1000.0" in decision.reason
        assert "booksearch materialize" in decision.reason


def test_the_cursor_keeps_a_dump_processed_when_runs_were_purged_and_the_search_did_not_change() -> None:
    memory = Memory({SEPTEMBER: Outcome.PROCESSED})
    assert decide(SEPTEMBER, Held(SEPTEMBER, AUGUST), [], memory, NOW, WAITS).outcome is Outcome.PROCESSED
    assert decide(SEPTEMBER, Held(), [], memory, NOW, WAITS).outcome is Outcome.LAUNCHED


def test_a_cursor_that_says_launched_does_not_lose_a_run_that_was_never_made() -> None:
    memory = Memory({SEPTEMBER: Outcome.LAUNCHED})
    assert decide(SEPTEMBER, Held(AUGUST, AUGUST), [], memory, NOW, WAITS).outcome is Outcome.LAUNCHED


def test_the_cursor_survives_being_written() -> None:
    memory = Memory(dict(zip("abcdefgh", Outcome, strict=True)))
    assert Memory.from_json(memory.to_json()) == memory


def test_the_cursor_stays_small() -> None:
    memory = Memory()
    for month in range(1000):
        memory = memory.noting(f"{2000 + month // 12}-{month % 12 + 1:02}-28", Outcome.PROCESSED)
        memory = Memory.from_json(memory.to_json())
    assert sorted(memory.decided)[0] == "2082-05-28"
    assert len(memory.decided) == 12


def test_what_was_processed_stays_so_until_it_is_launched_again() -> None:
    memory = Memory({SEPTEMBER: Outcome.PROCESSED})
    assert memory.noting(SEPTEMBER, Outcome.INCOMPLETE) == memory
    assert memory.noting(SEPTEMBER, Outcome.LAUNCHED).decided == {SEPTEMBER: Outcome.LAUNCHED}


@pytest.mark.parametrize("text", ["{", "[]", "null", '{"2026-09-30": "eaten"}', '{"2026-09-30": []}', "7"])
def test_a_cursor_of_something_else_is_known_as_such(text: str) -> None:
    with pytest.raises(ValueError, match="expected a JSON object of dump dates"):
        Memory.from_json(text)
