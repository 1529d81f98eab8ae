"""Verdicts: what the checks said of one version, kept beside it in the lake.

A blocking check stops its own run only. Publishing reads the verdicts instead, so that a version is published only
if every required check has passed *for that version*, whichever run that was in.

Belongs here: recording and reading verdicts. Does not: the checks (`checks`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

from booksearch_assets.tables.commit import Commit
from booksearch_assets.tables.lake import Lake, LakeError


@dataclass(frozen=True)
class Verdict:
    """What one check said of one version, and the figures it said it by."""

    check: str
    passed: bool
    figures: dict[str, Any] = field(default_factory=dict)


def record_verdict(lake: Lake, commit: Commit, verdict: Verdict) -> None:
    """Keep what a check said of a version, in place of what it said before."""
    lake.write_bytes(_path(commit, verdict.check), json.dumps(asdict(verdict)).encode())


def read_verdict(lake: Lake, commit: Commit, check: str) -> Verdict | None:
    """What a check last said of a version, or None. Raises `LakeError` where the record is no verdict."""
    path = _path(commit, check)
    content = lake.read_bytes(path)
    try:
        return None if content is None else Verdict(**json.loads(content))
    except (ValueError, TypeError) as error:
        raise LakeError(
            f"{lake.uri(path)} is not a verdict ({error}); run the check {check} again"
        ) from error


def objections(lake: Lake, commit: Commit, required: Iterable[str]) -> list[str]:
    """Why this version may not be published: required checks that failed or never ran on it. Empty when it may."""
    verdicts = {check: read_verdict(lake, commit, check) for check in required}
    return [
        f"{check} " + ("failed" if verdict else "has not run")
        for check, verdict in verdicts.items()
        if verdict is None or not verdict.passed
    ]


def _path(commit: Commit, check: str) -> str:
    return f"{commit.table}/verdicts/{commit.version}/{check}.json"
