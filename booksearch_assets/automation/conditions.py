"""When an asset runs by itself: once rows that it is made from have changed, and only where they have.

A year that was made again with the same rows keeps its data version (`assets.rebuild`), so nothing downstream of it
runs; the tick's evaluation shows for each year whether `rows_changed_upstream` held.

Belongs here: automation conditions. Does not: which asset has which (`assets`), the sensor that evaluates them
(`automation.unattended`).
"""

from __future__ import annotations

from typing import Any

import dagster as dg

Condition = dg.AutomationCondition[Any]


def rows_changed_upstream(ignoring: dg.AssetSelection | None = None) -> Condition:
    """An upstream partition has another data version than at the last tick; `ignoring` names upstream assets to pass over."""
    changed = dg.AutomationCondition.any_deps_match(dg.AutomationCondition.data_version_changed())
    return (changed.ignore(ignoring) if ignoring else changed).with_label("rows_changed_upstream")


def follow_changes(ignoring: dg.AssetSelection | None = None) -> Condition:
    """Run where rows changed upstream, once what changed them has ended and its blocking checks hold.

    A change is remembered until the asset is requested or made, so one that comes while it is running is not lost. A
    run that fails is not started again by this: what failed once for the same rows would mostly fail again.
    """
    busy = dg.AutomationCondition.in_progress() | dg.AutomationCondition.will_be_requested()
    return _run_when(rows_changed_upstream(ignoring), unless=busy)


def follow_settled_changes() -> Condition:
    """As `follow_changes`, for an asset that joins upstream assets which follow one another.

    It waits while a change is still on its way through them: half of a change is not worth a run.
    """
    return _run_when(rows_changed_upstream(), unless=_on_the_way(levels=3))


def _on_the_way(levels: int) -> Condition:
    """It is running, or what it is made from has just changed, or so for what that is made from."""
    running = dg.AutomationCondition.in_progress() | rows_changed_upstream()
    if levels == 1:
        return running
    return running | dg.AutomationCondition.any_deps_match(_on_the_way(levels - 1))


def _run_when(changed: Condition, unless: Condition) -> Condition:
    handled = dg.AutomationCondition.newly_requested() | dg.AutomationCondition.newly_updated()
    waiting = dg.AutomationCondition.any_deps_match(unless).with_label("upstream_is_busy")
    return (
        changed.since(handled)
        & ~dg.AutomationCondition.in_progress()
        & ~waiting
        & dg.AutomationCondition.all_deps_blocking_checks_passed()
    )
