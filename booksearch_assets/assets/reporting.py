"""What every materialisation shows: counts, bytes, seconds, a preview, the schema, the versions of its inputs.

Belongs here: turning commits and reports into Dagster metadata. Does not: drawing (`assets.pictures`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import dagster as dg
import pyarrow as pa

from booksearch_assets.tables.commit import Commit
from booksearch_assets.tables.contract import Table
from booksearch_assets.tables.counts import Counts, StageReport
from booksearch_assets.tables.lake import Lake

Metadata = dict[str, Any]
_PREVIEW_ROWS = 5
_CELL = 60


def definition_metadata(table: Table) -> Metadata:
    """Static metadata of an asset: its columns with types, units, descriptions and constraints."""
    columns = [
        dg.TableColumn(
            name=column.name,
            type=str(column.type),
            description=column.description + (f" Unit: {column.unit}." if column.unit else ""),
            constraints=dg.TableColumnConstraints(
                nullable=column.nullable, unique=table.key == (column.name,)
            ),
        )
        for column in table.columns
    ]
    return {"dagster/column_schema": dg.TableSchema(columns=columns)}


def commit_metadata(
    lake: Lake,
    table: Table,
    commit: Commit,
    seconds: float | None = None,
    pictures: Mapping[str, str] | None = None,
) -> Metadata:
    """Metadata of one committed partition. `pictures` are Markdown images by title."""
    metadata: Metadata = {
        "dagster/row_count": commit.rows,
        "dagster/uri": commit.path,
        "bytes": commit.size,
        "version": commit.version,
        "inputs": dg.MetadataValue.json(commit.inputs),
        "preview": dg.MetadataValue.md(preview(head(lake, table, commit))),
    }
    if commit.counts:
        metadata |= counts_metadata(commit.counts)
    if seconds is not None:
        metadata["seconds"] = round(seconds, 2)
    return metadata | {title: dg.MetadataValue.md(picture) for title, picture in (pictures or {}).items()}


def figures_metadata(report: StageReport) -> Metadata:
    """The figures of a stage's report that are numbers or text; those of the whole run, whatever the partition.

    The plan of the run, a sentence a line, becomes a list.
    """
    shown: Metadata = {
        name: value for name, value in report.figures.items() if isinstance(value, int | float | str)
    }
    if "plan" in shown:
        shown["plan"] = dg.MetadataValue.md("\n".join(f"- {line}" for line in shown["plan"].splitlines()))
    return shown


def counts_metadata(counts: Counts) -> Metadata:
    """Rows in, out and rejected, with a table of the reasons."""
    metadata: Metadata = {
        "rows_in": counts.rows_in,
        "rows_out": counts.rows_out,
        "rows_rejected": sum(counts.rejected.values()),
    }
    if counts.rejected:
        reasons = sorted(counts.rejected.items(), key=lambda item: -item[1])
        metadata["rejected_by_reason"] = dg.MetadataValue.md(
            markdown_table(["reason", "rows"], [[k, str(v)] for k, v in reasons])
        )
    return metadata


def head(lake: Lake, table: Table, commit: Commit) -> pa.Table:
    """The first rows of a commit, without its binary columns."""
    columns = [column.name for column in table.columns if not pa.types.is_binary(column.type)]
    return lake.dataset([commit], table.schema).head(_PREVIEW_ROWS, columns=columns)


def preview(rows: pa.Table) -> str:
    """A Markdown table of a few rows, long cells cut."""
    return markdown_table(
        rows.column_names, [[_cell(value) for value in row.values()] for row in rows.to_pylist()]
    )


def markdown_table(header: list[str], rows: list[list[str]]) -> str:
    """A table in Markdown. A pipe in a cell stays in its cell."""
    escaped = [[cell.replace("|", "\\|") for cell in line] for line in (header, *rows)]
    lines = [escaped[0], ["---"] * len(header), *escaped[1:]]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cell(value: Any) -> str:
    if isinstance(value, list):
        if value and isinstance(value[0], float):
            return f"[{', '.join(f'{x:.3f}' for x in value[:4])}, ...] ({len(value)})"
        value = "; ".join(str(item) for item in value)
    text = "" if value is None else str(value)
    text = " ".join(text.split())
    return text if len(text) <= _CELL else text[: _CELL - 1] + "…"


def inputs_of(*commits: Commit | None) -> dict[str, str]:
    """The `inputs` of a commit: what was read, by table and partition, at which version."""
    found = [commit for commit in commits if commit]
    return {"/".join(filter(None, (commit.table, commit.partition))): commit.version for commit in found}
