"""Rules of landed dumps: the chunks are what was landed, and hold lines.

Belongs here: what must hold of raw bytes. Does not: parsing (`checks.tables` on `books/editions`).
"""

from __future__ import annotations

from booksearch_assets.checks.rule import Outcome, Rule, Scope


def dump_rules() -> list[Rule]:
    return [Rule("chunks_intact", "Every chunk has the checksum that it was landed with.", _chunks_intact)]


def _chunks_intact(scope: Scope) -> Outcome:
    from booksearch_assets.compute.landing import verify_chunks

    problems = [problem for commit in scope.commits for problem in verify_chunks(commit.path)]
    lines = sum(commit.rows for commit in scope.commits)
    return Outcome(
        not problems and lines > 0,
        {"lines": lines, "chunks": sum(len(c.facts["chunks"]) for c in scope.commits), "problems": problems},
    )
