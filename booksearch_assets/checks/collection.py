"""Rules of a collection: complete, self-consistent, and no worse than the one that is live.

Each leaves a verdict beside the version, which publishing reads (`tables.verdicts`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from booksearch_assets.assets.catalogue import Catalogue
from booksearch_assets.checks.rule import Outcome, Rule, Scope
from booksearch_assets.checks.tables import counts_rule
from booksearch_assets.tables.verdicts import Verdict, record_verdict

if TYPE_CHECKING:
    from booksearch_assets.search.quality import QualityReport

SELF_MATCH_SAMPLE = 500
SELF_MATCH_SHARE = 0.995
"""Exact indexes reach 1; an approximate one (HNSW on a server) may miss a vector now and then."""
QUALITY_QUERIES = 1_000


def collection_rules(catalogue: Catalogue) -> list[Rule]:
    rules = [
        counts_rule(),
        Rule(
            "count_matches_embeddings",
            "The store holds as many rows as were made from the embeddings, in every partition.",
            _count,
        ),
        Rule(
            "self_match",
            f"Of {SELF_MATCH_SAMPLE} sampled vectors, {SELF_MATCH_SHARE:.1%} find their own cover first.",
            _self_match,
        ),
        Rule(
            "quality_not_below_live",
            "MRR of known items is not below the live collection's by more than the intervals allow.",
            lambda scope: _quality_not_below_live(scope, catalogue),
        ),
    ]
    return [_with_verdict(rule) for rule in rules]


def _with_verdict(rule: Rule) -> Rule:
    def judge(scope: Scope) -> Outcome:
        outcome = rule.judge(scope)
        record_verdict(scope.lake, scope.commits[0], Verdict(rule.name, outcome.passed, outcome.figures))
        return outcome

    return Rule(rule.name, rule.description, judge, rule.blocking, rule.severity)


def _count(scope: Scope) -> Outcome:
    commit = scope.commits[0]
    expected: dict[str, int] = commit.facts["rows_by_partition"]
    with scope.vector_store.open() as store:
        found = store.count(commit.facts["collection"])
    figures = {"expected": sum(expected.values()), "recorded": commit.rows, "found": found}
    return Outcome(found == commit.rows == sum(expected.values()), figures)


def _self_match(scope: Scope) -> Outcome:
    from booksearch_assets.search.quality import self_match

    with scope.vector_store.open() as store:
        result = self_match(
            store.index(scope.commits[0].facts["collection"]), sample=SELF_MATCH_SAMPLE, seed=0
        )
    return Outcome(result.share >= SELF_MATCH_SHARE, {"sampled": result.sampled, "share": result.share})


def _quality_not_below_live(scope: Scope, catalogue: Catalogue) -> Outcome:
    """Passes where nothing is live, and where the candidate is the live one."""
    from booksearch_assets.search.known_items import known_items
    from booksearch_assets.search.quality import measure_known_items

    candidate = scope.commits[0].facts["collection"]
    with scope.vector_store.open() as store:
        live = store.published(catalogue.alias)
        encoder = scope.model.encoder()
        queries = known_items(store.index(candidate), scope.open_library.known_items, QUALITY_QUERIES)
        measured = measure_known_items(store.index(candidate), encoder, queries)
        if live in (None, candidate):
            return Outcome(True, _figures("candidate", measured) | {"live": live or "nothing is live yet"})
        if store.describe(live).properties["bundle_id"] != encoder.bundle_id:
            # The live vectors cannot be queried with the new model, so each is measured with its own elsewhere.
            return Outcome(
                True,
                _figures("candidate", measured)
                | {"live": f"{live} is of another model and was not measured"},
            )
        before = measure_known_items(store.index(live), encoder, queries)
    worse = [
        kind
        for kind, kept in measured.kinds.items()
        if kind in before.kinds and kept.mrr.high < before.kinds[kind].mrr.low
    ]
    return Outcome(not worse, _figures("candidate", measured) | _figures("live", before) | {"worse": worse})


def _figures(which: str, report: QualityReport) -> dict[str, Any]:
    return {f"{which}_{kind}_mrr": quality.mrr.value for kind, quality in report.kinds.items()}
