"""Rules of fetched images.

Belongs here: when a fetch was too incomplete to build on. Does not: fetching (`compute.fetch`).
"""

from __future__ import annotations

from collections import Counter

from booksearch_assets.checks.rule import Outcome, Rule, Scope
from booksearch_assets.checks.tables import share

MAX_UNSETTLED = 0.02
"""Above this share of pictures whose last answer may change on another try, the service was out rather than unlucky."""


def images_rules() -> list[Rule]:
    return [
        Rule(
            "fetch_settled",
            f"At most {MAX_UNSETTLED:.0%} of the wanted pictures ended on an error that another run may mend.",
            _fetch_settled,
        )
    ]


def _fetch_settled(scope: Scope) -> Outcome:
    from booksearch_assets.compute.fetch import RETRYABLE

    statuses: Counter[str] = Counter()
    for commit in scope.commits:
        statuses.update(commit.facts.get("statuses", {}))
    unsettled = sum(
        count for status, count in statuses.items() if status in {str(s.value) for s in RETRYABLE}
    )
    part = share(unsettled, statuses.total())
    figures = {"images": statuses.total(), "unsettled": unsettled, "share": part, "statuses": dict(statuses)}
    return Outcome(
        part <= MAX_UNSETTLED,
        figures | ({"do": "materialise the images again: only these are retried"} if unsettled else {}),
    )
