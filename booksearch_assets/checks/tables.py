"""Rules that hold of every table: its contract, unique keys, and counts that reconcile.

Belongs here: rules made from `tables.contract` and the commits' counts. Does not: rules about one table alone.
"""

from __future__ import annotations

from datetime import UTC, datetime

import dagster as dg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from booksearch_assets.checks.rule import SHOWN, Outcome, Rule, Scope
from booksearch_assets.tables.contract import Table


def table_rules(table: Table) -> list[Rule]:
    """The rules of one table whose Arrow schema is known beforehand."""
    return [
        Rule(
            "contract",
            f"Columns, types and nulls are those of the contract of {table.name}.",
            lambda scope: _contract(scope, table),
            by_partition=True,
        ),
        Rule(
            "unique_keys",
            f"No two rows of a partition share {', '.join(table.key)}.",
            lambda scope: _unique_keys(scope, table),
            by_partition=True,
        ),
        counts_rule(),
    ]


def counts_rule() -> Rule:
    return Rule(
        "counts_reconcile",
        "Rows in = rows out + rows rejected, in every partition.",
        _counts_reconcile,
        by_partition=True,
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
        files = scope.lake.files(commit)
        # Once each, in the order found: what one file breaks, its neighbours mostly break too.
        found = dict.fromkeys(problem for path in files for problem in _violations(scope, path, table))
        if commit.rows and not files:
            found = {f"the files of its {commit.rows} rows are gone from {commit.path}": None}
        problems += [f"{commit.partition or table.name}: {problem}" for problem in found]
    return Outcome(
        not problems,
        {
            "partitions": len(scope.commits),
            "problems": problems[:SHOWN],
            "expected": str(table.schema.remove_metadata()),
        },
    )


def _violations(scope: Scope, path: str, table: Table) -> list[str]:
    """How one file breaks the contract."""
    file = pq.ParquetFile(path, filesystem=scope.lake.filesystem)
    required = [c.name for c in table.columns if not c.nullable and c.name in file.schema_arrow.names]
    return table.violations(file.schema_arrow, {name: _null_count(file, name) for name in required})


def _null_count(file: pq.ParquetFile, name: str) -> int:
    """Nulls of a column, by the footer where that counts them, and by reading the column elsewhere.

    A footer counts the nulls of leaves, which for a list say nothing of null lists.
    """
    groups = [file.metadata.row_group(group) for group in range(file.num_row_groups)]
    columns = [group.column(index) for group in groups for index in range(group.num_columns)]
    statistics = [column.statistics for column in columns if column.path_in_schema == name]
    counted = [found.null_count for found in statistics if found is not None and found.has_null_count]
    if len(counted) == len(groups):
        return sum(counted)
    return sum(batch.column(0).null_count for batch in file.iter_batches(columns=[name]))


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
            "problems": problems[:SHOWN],
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
