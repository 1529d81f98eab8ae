"""Verdicts: they are of one version, and one that is missing, failed or broken never lets a version pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from booksearch_assets.tables.lake import Lake, LakeError
from booksearch_assets.tables.verdicts import Verdict, objections, read_verdict, record_verdict
from booksearch_assets_tests.tables.people import commit_people


def test_a_verdict_is_of_the_version_that_was_checked(lake: Lake) -> None:
    old = commit_people(lake, 1)
    verdict = Verdict("unique", True, {"rows": 1})
    record_verdict(lake, old, verdict)
    assert read_verdict(lake, old, "unique") == verdict
    assert objections(lake, old, ["unique"]) == []

    new = commit_people(lake, 2)
    assert read_verdict(lake, new, "unique") is None
    assert objections(lake, new, ["unique"]) == ["unique has not run"]


def test_every_objection_is_named(lake: Lake) -> None:
    commit = commit_people(lake, 1)
    record_verdict(lake, commit, Verdict("unique", False))
    record_verdict(lake, commit, Verdict("fresh", True))
    assert objections(lake, commit, ["unique", "fresh", "complete"]) == [
        "unique failed",
        "complete has not run",
    ]


def test_the_last_verdict_counts(lake: Lake) -> None:
    commit = commit_people(lake, 1)
    record_verdict(lake, commit, Verdict("unique", False))
    record_verdict(lake, commit, Verdict("unique", True))
    assert objections(lake, commit, ["unique"]) == []


@pytest.mark.parametrize("content", ["", "{", "[]", '{"passed": true}'])
def test_a_broken_verdict_is_an_error(lake: Lake, content: str) -> None:
    commit = commit_people(lake, 1)
    record_verdict(lake, commit, Verdict("unique", True))
    Path(lake.uri(commit.table, "verdicts", commit.version, "unique.json")).write_text(content)
    with pytest.raises(LakeError, match="is not a verdict .*; run the check unique again"):
        objections(lake, commit, ["unique"])
