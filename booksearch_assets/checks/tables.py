"""Rules that hold of every table: its contract, unique keys, and counts that reconcile.

Belongs here: rules made from `tables.contract` and the commits' counts. Does not: rules about one table alone.
"""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from booksearch_assets.checks.rule import Outcome, Rule, Scope
from booksearch_assets.tables.contract import Table
from booksearch_assets.tables.lake import Commit

_SHOWN = 10


def table_rules(table: Table) -> list[Rule]:
    """The rules of one table whose Arrow schema is known beforehand."""
    return [
        Rule(
            "contract",
            f"Columns, types and nulls are those of the contract of {table.name}.",
            lambda scope: _contract(scope, table),
        ),
        Rule(
            "unique_keys",
            f"No two rows of a partition share {', '.join(table.key)}.",
            lambda scope: _unique_keys(scope, table),
        ),
        counts_rule(),
    ]


def counts_rule() -> Rule:
    return Rule(
        "counts_reconcile", "Rows in = rows out + rows rejected, in every partition.", _counts_reconcile
    )


def freshness_rule(max_age_days: int) -> Rule:
    """Warns, since old data is better than none."""
    return Rule(
        "freshness",
        f"Landed within the last {max_age_days} days: Open Library publishes a dump a month.",
        lambda scope: _freshness(scope, max_age_days),
        blocking=False,
        severity=dg.AssetCheckSeverity.WARN,
    )


def _contract(scope: Scope, table: Table) -> Outcome:
    problems: list[str] = []
    for commit in scope.commits:
        schema, nulls = _footers(scope, commit, table)
        if schema is not None:
            problems += [
                f"{commit.partition or table.name}: {problem}" for problem in table.violations(schema, nulls)
            ]
    return Outcome(
        not problems,
        {
            "partitions": len(scope.commits),
            "problems": problems[:_SHOWN],
            "expected": str(table.schema.remove_metadata()),
        },
    )


def _footers(scope: Scope, commit: Commit, table: Table) -> tuple[pa.Schema | None, dict[str, int]]:
    """Schema and null counts of a commit, from its footers where these have them and from the columns elsewhere."""
    schema: pa.Schema | None = None
    nulls: Counter[str] = Counter()
    for path in scope.lake.files(commit):
        file = pq.ParquetFile(path, filesystem=scope.lake.filesystem)
        schema = file.schema_arrow
        required = [c.name for c in table.columns if not c.nullable and c.name in schema.names]
        nested = [name for name in required if pa.types.is_nested(schema.field(name).type)]
        for group in range(file.num_row_groups):
            row_group = file.metadata.row_group(group)
            for index in range(row_group.num_columns):
                column = row_group.column(index)
                if column.path_in_schema in required and column.statistics is not None:
                    nulls[column.path_in_schema] += column.statistics.null_count or 0
        for name in nested:
            # A footer counts the nulls of leaves, which for a list says nothing of null lists.
            nulls[name] += sum(batch.column(0).null_count for batch in file.iter_batches(columns=[name]))
    return schema, dict(nulls)


def _unique_keys(scope: Scope, table: Table) -> Outcome:
    repeated: dict[str, int] = {}
    rows = 0
    for commit in scope.commits:
        keys = scope.lake.dataset([commit], table.schema).to_table(columns=list(table.key))
        distinct = keys.group_by(list(table.key)).aggregate([]).num_rows
        rows += len(keys)
        if distinct < len(keys):
            repeated[commit.partition or table.name] = len(keys) - distinct
    return Outcome(not repeated, {"rows": rows, "rows_with_a_repeated_key": repeated})


def _counts_reconcile(scope: Scope) -> Outcome:
    problems = []
    for commit in scope.commits:
        where = commit.partition or commit.table
        if commit.counts is None:
            problems.append(f"{where}: no counts were recorded")
        elif commit.counts.unaccounted:
            problems.append(
                f"{where}: {commit.counts.unaccounted} of {commit.counts.rows_in} rows are unaccounted for"
            )
    total = [commit.counts for commit in scope.commits if commit.counts]
    return Outcome(
        not problems,
        {
            "rows_in": sum(c.rows_in for c in total),
            "rows_out": sum(c.rows_out for c in total),
            "problems": problems[:_SHOWN],
        },
    )


def _freshness(scope: Scope, max_age_days: int) -> Outcome:
    landed = min(
        datetime.strptime(commit.version[:15], "%Y%m%dT%H%M%S").replace(tzinfo=UTC)
        for commit in scope.commits
    )
    age = (datetime.now(UTC) - landed).days
    dates = [commit.facts.get("dump_date", "") for commit in scope.commits]
    return Outcome(
        age <= max_age_days, {"landed": landed.isoformat(), "days_old": age, "dump_date": max(dates)}
    )


def share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def total_rows(scope: Scope, column: str, table: Table) -> pa.ChunkedArray:
    return pc.drop_null(scope.lake.dataset(scope.commits, table.schema).to_table(columns=[column])[column])
