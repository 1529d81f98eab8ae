"""Fingerprints: equal for the same rows however they lie, different for any other row."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from booksearch_assets.tables.books import COVER_IMAGES
from booksearch_assets.tables.commit import Commit
from booksearch_assets.tables.contract import Column, Table
from booksearch_assets.tables.fingerprint import recipe, rows_fingerprint

TABLE = Table(
    name="people",
    description="Rows of every kind of column.",
    columns=(
        Column("id", pa.int64(), "Key."),
        Column("name", pa.string(), "Text.", nullable=True),
        Column("height", pa.int32(), "Number.", nullable=True),
        Column("tags", pa.list_(pa.string()), "List.", nullable=True),
        Column("vector", pa.list_(pa.float32(), 2), "Fixed list."),
        Column("seen", pa.timestamp("ms", tz="UTC"), "Time.", nullable=True),
        Column("place", pa.struct([("x", pa.int32()), ("note", pa.string())]), "Struct.", nullable=True),
    ),
    key=("id",),
)
text = st.text(st.characters(codec="utf-8"), max_size=4)
number = st.integers(-5, 5)
row = st.fixed_dictionaries(
    {
        "id": st.integers(0, 10**6),
        "name": st.none() | text,
        "height": st.none() | number,
        "tags": st.none() | st.lists(st.none() | text, max_size=3),
        "vector": st.tuples(number, number).map(lambda pair: [float(value) for value in pair]),
        "seen": st.none() | number.map(lambda day: datetime(2020, 1, 10 + day, tzinfo=UTC)),
        "place": st.none() | st.fixed_dictionaries({"x": st.none() | number, "note": st.none() | text}),
    }
)
people = st.lists(row, max_size=6, unique_by=lambda person: person["id"])


def table_of(rows: list[dict[str, Any]]) -> pa.Table:
    return pa.Table.from_pylist(rows, TABLE.schema.remove_metadata())


@given(people, st.randoms())
def test_order_chunks_and_garbage_under_nulls_make_no_difference(
    rows: list[dict[str, Any]], random: Any
) -> None:
    plain = rows_fingerprint(table_of(rows), TABLE)
    shuffled = random.sample(rows, len(rows))
    pieces = [table_of([one]) for one in shuffled] or [table_of([])]
    assert rows_fingerprint(pa.concat_tables(pieces), TABLE) == plain
    padded = pa.concat_tables([table_of(rows), table_of(rows)]).combine_chunks()
    assert rows_fingerprint(padded.slice(len(rows)), TABLE) == plain


@given(people, people)
def test_other_rows_have_another_fingerprint(
    rows: list[dict[str, Any]], others: list[dict[str, Any]]
) -> None:
    def ordered(people: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return sorted(people, key=lambda person: person["id"])

    same = ordered(rows) == ordered(others)
    assert (rows_fingerprint(table_of(rows), TABLE) == rows_fingerprint(table_of(others), TABLE)) == same


@given(people.filter(bool), st.data())
def test_one_other_value_is_another_fingerprint(rows: list[dict[str, Any]], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(rows) - 1))
    column = data.draw(st.sampled_from(sorted(set(TABLE.column_names) - {"id"})))
    value = data.draw(row)[column]
    changed = [*rows[:index], rows[index] | {column: value}, *rows[index + 1 :]]
    same = value == rows[index][column]
    assert (rows_fingerprint(table_of(rows), TABLE) == rows_fingerprint(table_of(changed), TABLE)) == same


def test_values_that_move_between_neighbours_are_another_row() -> None:
    def names(first: str | None, second: str | None) -> str:
        base = {"height": None, "tags": [], "vector": [0.0, 1.0], "seen": None, "place": None}
        return rows_fingerprint(
            table_of([{"id": 1, "name": first, **base}, {"id": 2, "name": second, **base}]), TABLE
        )

    seen = [names("ab", "c"), names("a", "bc"), names("abc", ""), names("abc", None), names("", "abc")]
    assert len(set(seen)) == len(seen)


def test_bookkeeping_of_a_fetch_is_no_content() -> None:
    fetched = {
        "cover_id": 7,
        "url": "http://covers/7",
        "status": "ok",
        "sha256": "ab",
        "attempts": [],
        "fetched_at": datetime(2026, 1, 1, tzinfo=UTC),
        "shard": "one",
    }

    def fingerprint(**changes: Any) -> str:
        rows = pa.Table.from_pylist([fetched | changes], COVER_IMAGES.schema)
        return rows_fingerprint(rows, COVER_IMAGES)

    plain = fingerprint()
    assert fingerprint(shard="two", fetched_at=datetime(2026, 2, 1, tzinfo=UTC)) == plain
    assert fingerprint(sha256="cd") != plain
    assert fingerprint(status="missing") != plain


def test_a_recipe_is_of_contents_and_settings_not_of_versions() -> None:
    def commit(version: str, data_version: str) -> Commit:
        return Commit("people", "2020", version, "", 1, 1, None, data_version)

    made = recipe([commit("v1", "rows")], {"min": 1})
    assert recipe([commit("v2", "rows")], {"min": 1}) == made
    assert recipe([commit("v1", "others")], {"min": 1}) != made
    assert recipe([commit("v1", "rows")], {"min": 2}) != made
    assert recipe([], {"min": 1}) != made
