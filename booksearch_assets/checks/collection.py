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
    from booksearch_assets.search.quality.report import Answers, Comparison

SELF_MATCH_SAMPLE = 500
SELF_MATCH_SHARE = 0.995
"""Exact indexes reach 1; an approximate one (HNSW on a server) may miss a vector now and then."""
QUALITY_QUERIES = 500
"""Of each kind: more than the report asks, since this decides."""


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
            "Known items (MRR) and subjects (nDCG@10) are found no worse than in the live version: the 95 % interval of the "
            "difference, paired query by query, does not lie below 0.",
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
    from booksearch_assets.search.quality.images import self_match

    with scope.vector_store.open() as store:
        result = self_match(
            store.index(scope.commits[0].facts["collection"]), sample=SELF_MATCH_SAMPLE, seed=0
        )
    return Outcome(result.share >= SELF_MATCH_SHARE, {"sampled": result.sampled, "share": result.share})


def _quality_not_below_live(scope: Scope, catalogue: Catalogue) -> Outcome:
    """Passes where nothing is live, where the candidate is the live one, and where nothing is known of the live one."""
    from booksearch_assets.search.quality.evaluation import Other, answers_of, compare_with
    from booksearch_assets.search.quality.opening import open_other, open_version
    from booksearch_assets.search.quality.query_sets import query_sets
    from booksearch_assets.search.quality.systems import VectorSystem

    candidate = scope.commits[0].facts["collection"]
    with scope.vector_store.open() as store:
        version = VectorSystem(*open_version(store, candidate, scope.model.encoder_of))
        queries = query_sets(version.index, scope.pictures.of(catalogue.name).known_items, QUALITY_QUERIES)
        answers = answers_of(version, queries)
        live = store.published(catalogue.alias)
        if live is None:
            other = Other(why="nothing is live yet: this is the first version")
        elif live == candidate:
            other = Other(why="the candidate is live itself")
        else:
            other = open_other(store, scope.lake, catalogue.name, live, scope.model.encoder_of)
        comparison = compare_with(version, other, queries, answers)
    return Outcome(not comparison.regressions, _figures(answers) | _comparison_figures(comparison))


def _figures(answers: Answers) -> dict[str, Any]:
    from booksearch_assets.search.quality.report import flat_name

    return {
        f"candidate_{flat_name(kind, kind.main_measure)}": quality.measures[kind.main_measure].value
        for kind, quality in answers.items()
    }


def _comparison_figures(comparison: Comparison) -> dict[str, Any]:
    from booksearch_assets.search.quality.page import describe

    return {
        "candidate": comparison.candidate,
        "live": comparison.other or "none",
        "compared": describe(comparison),
        "worse": [str(difference) for difference in comparison.regressions],
        "differences": [str(difference) for difference in comparison.differences],
    }
