"""Contracts: what breaks one, what does not, and that every contract of the books can be written and kept."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from booksearch_assets.tables import books
from booksearch_assets.tables.contract import Column, Table, rejections, strings
from booksearch_assets.tables.lake import Lake

POINT = pa.struct([("x", pa.float32()), ("tags", pa.list_(pa.string()))])
THINGS = Table(
    name="test/things",
    description="Things.",
    columns=(
        Column("id", pa.int64(), "Number.", unit="things"),
        Column("note", pa.string(), "Note.", nullable=True),
        strings("words", "Words."),
        Column("points", pa.list_(POINT), "Points."),
        Column("vector", pa.list_(pa.float32(), 2), "Vector."),
    ),
    key=("id",),
)

BOOKS_TABLES = [
    *(table for table in vars(books).values() if isinstance(table, Table)),
    books.COVERS.vectors(512),
]


def _with(name: str, kind: pa.DataType) -> pa.Schema:
    return THINGS.schema.set(THINGS.schema.get_field_index(name), pa.field(name, kind))


def test_a_schema_keeps_its_own_contract() -> None:
    assert THINGS.violations(THINGS.schema, dict.fromkeys(THINGS.column_names, 0)) == []


def test_descriptions_units_and_nullability_are_in_the_schema() -> None:
    field = THINGS.schema.field("id")
    assert field.metadata == {b"description": b"Number.", b"unit": b"things"}
    assert not field.nullable
    assert THINGS.schema.field("note").nullable


def test_a_missing_column_is_named() -> None:
    schema = THINGS.schema.remove(THINGS.schema.get_field_index("note"))
    assert THINGS.violations(schema) == ["column note: expected string, it is missing"]


def test_an_extra_column_is_named() -> None:
    schema = THINGS.schema.append(pa.field("year", pa.int32()))
    assert THINGS.violations(schema) == ["column year: not in the contract of test/things"]


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("id", pa.int32()),
        ("id", pa.string()),
        ("note", pa.binary()),
        ("words", pa.string()),
        ("words", pa.list_(pa.int64())),
        ("words", pa.list_(pa.list_(pa.string()))),
        ("points", pa.list_(pa.struct([("x", pa.float64()), ("tags", pa.list_(pa.string()))]))),
        ("points", pa.list_(pa.struct([("x", pa.float32())]))),
        ("points", pa.list_(pa.struct([("x", pa.float32()), ("tags", pa.list_(pa.int8()))]))),
        ("points", POINT),
        ("vector", pa.list_(pa.float32(), 3)),
        ("vector", pa.list_(pa.float64(), 2)),
        ("vector", pa.list_(pa.float32())),
    ],
)
def test_another_type_is_named_with_both(name: str, found: pa.DataType) -> None:
    expected = THINGS.schema.field(name).type
    assert THINGS.violations(_with(name, found)) == [f"column {name}: expected {expected}, found {found}"]


def test_nulls_break_a_column_that_allows_none() -> None:
    assert THINGS.violations(THINGS.schema, {"id": 0, "note": 5, "words": 2}) == [
        "column words: 2 nulls, none allowed"
    ]


def test_every_problem_is_told_at_once() -> None:
    schema = pa.schema([("id", pa.string()), ("other", pa.int8())])
    assert len(THINGS.violations(schema, {"id": 1})) == 7


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("words", pa.list_(pa.field("element", pa.string(), nullable=False))),
        (
            "points",
            pa.list_(
                pa.field("element", pa.struct([pa.field("x", pa.float32(), False), POINT.field("tags")]))
            ),
        ),
        ("vector", pa.list_(pa.field("element", pa.float32(), nullable=False), 2)),
    ],
)
def test_names_and_flags_of_nested_fields_do_not_matter(name: str, kind: pa.DataType) -> None:
    assert THINGS.violations(_with(name, kind)) == []


def test_rejections_are_keyed_like_what_was_dropped() -> None:
    table = rejections("test/drops", "a stage", THINGS.columns[:1])
    assert table.column_names == ["id", "reason"]
    assert table.key == ("id",)


@pytest.mark.parametrize("table", BOOKS_TABLES, ids=lambda table: str(table.name))
def test_every_contract_survives_a_parquet_file(table: Table, tmp_path: Path) -> None:
    assert table.description
    assert all(column.description for column in table.columns)
    assert set(table.key) <= set(table.column_names)
    assert len(set(table.column_names)) == len(table.columns)
    pq.write_table(table.schema.empty_table(), tmp_path / "x.parquet")
    assert pq.read_schema(tmp_path / "x.parquet").equals(table.schema)


def test_names_of_tables_are_unique() -> None:
    # The covers cache and the rows of a catalogue are the tables of their own names.
    names = [table.name for table in BOOKS_TABLES]
    assert len(set(names)) == len(names)


def test_a_file_with_nulls_where_none_are_allowed_cannot_be_written(tmp_path: Path) -> None:
    pending = Lake(str(tmp_path)).begin(THINGS.name)
    rows = pa.table(
        {field.name: pa.nulls(1, field.type) for field in THINGS.schema},
        schema=pa.schema([field.with_nullable(True) for field in THINGS.schema]),
    )
    with pytest.raises((ValueError, pa.ArrowInvalid)):
        pending.write(rows, THINGS.schema)
