"""Rules of vectors: finite, of unit length, and of the model that is in use.

Belongs here: what must hold of each vector. Does not: how good the search is (`checks.collection`).
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from booksearch_assets.assets.catalogue import Catalogue
from booksearch_assets.checks.rule import Outcome, Rule, Scope
from booksearch_assets.checks.tables import counts_rule, table_rules

NORM_TOLERANCE = 1e-4


def embeddings_rules(catalogue: Catalogue) -> list[Rule]:
    def contract(scope: Scope, name: str) -> Outcome:
        # The width of a vector is the model's, so the contract is known only once a commit says it.
        dimension = int(scope.commits[0].facts["dimension"])
        rule = next(rule for rule in table_rules(catalogue.embeddings(dimension)) if rule.name == name)
        return rule.judge(scope)

    return [
        Rule(
            "contract",
            "Columns, types, nulls and vector width are those of the contract.",
            lambda scope: contract(scope, "contract"),
        ),
        Rule(
            "unique_keys",
            "One vector for each picture of a partition.",
            lambda scope: contract(scope, "unique_keys"),
            by_partition=True,
        ),
        counts_rule(),
        Rule(
            "unit_vectors",
            f"Every vector is finite and its length is 1 within {NORM_TOLERANCE}.",
            lambda scope: _unit_vectors(scope, catalogue),
            by_partition=True,
        ),
        Rule(
            "model_manifest",
            "Every vector names the bundle in use, and its width is the bundle's.",
            lambda scope: _model_manifest(scope, catalogue),
            by_partition=True,
        ),
    ]


def _unit_vectors(scope: Scope, catalogue: Catalogue) -> Outcome:
    rows = bad_values = bad_norms = 0
    worst = 0.0
    for commit in scope.commits:
        table = catalogue.embeddings(int(commit.facts["dimension"]))
        for batch in scope.lake.dataset([commit], table.schema).to_batches(columns=["vector"]):
            vectors = _matrix(batch.column(0))
            finite = np.isfinite(vectors).all(axis=1)
            error = np.abs(np.linalg.norm(vectors[finite], axis=1) - 1)
            rows += len(vectors)
            bad_values += int((~finite).sum())
            bad_norms += int((error > NORM_TOLERANCE).sum())
            worst = max(worst, float(error.max(initial=0)))
    return Outcome(
        not bad_values and not bad_norms,
        {"vectors": rows, "not_finite": bad_values, "not_of_length_one": bad_norms, "largest_error": worst},
    )


def _model_manifest(scope: Scope, catalogue: Catalogue) -> Outcome:
    bundle = scope.model.bundle()
    problems = []
    for commit in scope.commits:
        table = catalogue.embeddings(int(commit.facts["dimension"]))
        found = (
            scope.lake.dataset([commit], table.schema)
            .to_table(columns=["bundle_id"])["bundle_id"]
            .unique()
            .to_pylist()
        )
        if any(bundle_id != bundle.bundle_id for bundle_id in found):
            problems.append(f"{commit.partition}: vectors of {', '.join(map(str, found))}")
        if commit.facts["dimension"] != bundle.dimension:
            problems.append(
                f"{commit.partition}: {commit.facts['dimension']} wide, the bundle gives {bundle.dimension}"
            )
    return Outcome(not problems, {"expected": bundle.bundle_id, "problems": problems})


def _matrix(column: pa.FixedSizeListArray) -> np.ndarray:
    values = column.flatten().to_numpy(zero_copy_only=False)
    return values.reshape(len(column), column.type.list_size)
