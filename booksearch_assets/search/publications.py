"""The history of what was live: one record in the lake for each move of a catalogue's alias.

The alias in the vector store says what is live; these records say what was, and why. A process that is killed between
the two leaves a version live that is not recorded yet: whoever reads the history says what is live, and it is taken in.

Belongs here: recording and reading moves, and what rolling back means. Does not: moving the alias (`versions`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from booksearch_assets.tables.commit import Commit
from booksearch_assets.tables.lake import Lake, begun_at


class Reason(StrEnum):
    """Who moved the alias."""

    ASSET = "asset"
    COMMAND = "command"
    ROLLBACK = "rollback"


@dataclass(frozen=True)
class Publication:
    """One move of the alias to `collection`. `replaced` was live before."""

    collection: str
    replaced: str | None
    reason: Reason
    at: datetime


def published_table(catalogue: str) -> str:
    """Name of the lake table that records what was published when."""
    return f"{catalogue}/search"


def record_publication(
    lake: Lake, catalogue: str, version: Commit, replaced: str | None, reason: Reason
) -> None:
    """Record that the version of this commit of the collection is live now."""
    lake.begin(published_table(catalogue)).commit(
        rows=version.rows,
        inputs={version.table: version.version},
        facts={**version.facts, "replaced": replaced, "reason": reason.value},
    )


def last_recorded(lake: Lake, catalogue: str) -> Publication | None:
    """The publication that was recorded last, and that readers of the lake see."""
    commit = lake.current(published_table(catalogue))
    return _publication(commit) if commit else None


def publications(lake: Lake, catalogue: str) -> list[Publication]:
    """Every recorded publication, the last first."""
    return [_publication(commit) for commit in lake.history(published_table(catalogue))]


def before_live(history: list[Publication], live: str | None) -> list[str]:
    """What was live before `live`, the last first. `history` is as `publications` gives it.

    Publications stack: publishing puts a version on top, rolling back takes off what is above it, so that what was
    rolled back from is not gone back to.
    """
    stack: list[str] = []
    for publication in reversed(history):
        _put(stack, publication.collection, publication.reason)
    if live and stack[-1:] != [live]:
        # Moved by a process that was killed before it recorded why: back, if it was live before.
        _put(stack, live, Reason.ROLLBACK if live in stack else Reason.COMMAND)
    return [name for name in reversed(stack) if name != live]


def was_rolled_back(history: list[Publication], collection: str) -> bool:
    """Whether somebody went back from this version, and nobody has published it since."""
    for publication in history:
        if publication.collection == collection:
            return False
        if publication.reason is Reason.ROLLBACK and publication.replaced == collection:
            return True
    return False


def _publication(commit: Commit) -> Publication:
    # Those that were recorded before reasons were are the asset's: there were no commands.
    reason = Reason(commit.facts.get("reason", Reason.ASSET))
    at = begun_at(commit.version) or datetime.min.replace(tzinfo=UTC)
    return Publication(commit.facts["collection"], commit.facts["replaced"], reason, at)


def _put(stack: list[str], name: str, reason: Reason) -> None:
    if reason is not Reason.ROLLBACK:
        if stack[-1:] != [name]:
            stack.append(name)
        return
    while stack and stack[-1] != name:
        stack.pop()
    if not stack:
        stack.append(name)
