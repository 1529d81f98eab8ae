"""What a table contract is: columns with types, units and descriptions, and a key.

Belongs here: the `Table` type and checking data against it. The contracts themselves are in `tables.books`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True)
class Column:
    """One column: its Arrow type, what it means, its unit where it has one, and whether null is allowed."""

    name: str
    type: pa.DataType
    description: str
    unit: str | None = None
    nullable: bool = False

    @property
    def field(self) -> pa.Field:
        metadata = {"description": self.description} | ({"unit": self.unit} if self.unit else {})
        return pa.field(self.name, self.type, self.nullable, metadata)


@dataclass(frozen=True)
class Table:
    """A table contract. The Spark schema, the column texts in the UI and the schema checks are made from it.

    `name` is the path of the table in the lake and of the asset that makes it: `books/editions`. `content` names the
    columns that decide whether two versions say the same, all of them by default.
    """

    name: str
    description: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    content: tuple[str, ...] = ()

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([column.field for column in self.columns])

    @property
    def column_names(self) -> list[str]:
        return [column.name for column in self.columns]

    @property
    def content_names(self) -> list[str]:
        return list(self.content) or self.column_names

    def violations(self, schema: pa.Schema, null_counts: dict[str, int] | None = None) -> list[str]:
        """How `schema` (and the nulls counted in the data) break the contract; empty when they keep it.

        Nullability flags are not compared, since Spark writes every column as nullable: `null_counts` says
        what is really null.
        """
        found = {field.name: field.type for field in schema}
        problems = [
            f"column {column.name}: expected {column.type}, "
            + (f"found {found[column.name]}" if column.name in found else "it is missing")
            for column in self.columns
            if not _same_type(column.type, found.get(column.name))
        ]
        problems += [
            f"column {name}: not in the contract of {self.name}"
            for name in found
            if name not in self.column_names
        ]
        problems += [
            f"column {column.name}: {null_counts[column.name]} nulls, none allowed"
            for column in self.columns
            if null_counts and not column.nullable and null_counts.get(column.name, 0)
        ]
        return problems


def _same_type(expected: pa.DataType, found: pa.DataType | None) -> bool:
    """Equal up to the names and nullability of nested fields, which Parquet writers choose differently."""
    if found is None:
        return False
    if pa.types.is_fixed_size_list(expected):
        return (
            pa.types.is_fixed_size_list(found)
            and expected.list_size == found.list_size
            and _same_type(expected.value_type, found.value_type)
        )
    if pa.types.is_list(expected):
        return pa.types.is_list(found) and _same_type(expected.value_type, found.value_type)
    if pa.types.is_struct(expected):
        names = [field.name for field in expected]
        return (
            pa.types.is_struct(found)
            and names == [field.name for field in found]
            and all(_same_type(expected.field(name).type, found.field(name).type) for name in names)
        )
    return expected == found


def strings(name: str, description: str, nullable: bool = False) -> Column:
    return Column(name, pa.list_(pa.string()), description, nullable=nullable)


def rejections(name: str, of: str, key: Sequence[Column]) -> Table:
    """The contract of the rows that stage `of` dropped: their key, and the first reason that applied."""
    return Table(
        name=name,
        description=f"Rows that {of} dropped, each with the first reason that applied.",
        columns=(
            *key,
            Column("reason", pa.string(), "Why the row was dropped: the first rule that rejected it."),
        ),
        key=tuple(column.name for column in key),
    )
