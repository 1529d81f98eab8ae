"""What a materialisation shows: previews that keep their table, counts, the schema and the versions read."""

# No postponed annotations here: Dagster reads that of `context`.

import re
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from booksearch_assets.assets.reporting import (
    commit_metadata,
    counts_metadata,
    definition_metadata,
    head,
    inputs_of,
    markdown_table,
    preview,
)
from booksearch_assets.tables.books import COVERS, EDITIONS, KNOWN_ITEMS
from booksearch_assets.tables.counts import Counts
from booksearch_assets.tables.lake import Lake
from booksearch_assets_tests.tables.people import PEOPLE, commit_people, people


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def _cells(line: str) -> list[str]:
    """The cells of a line, by the rule of GitHub's tables: a pipe behind a backslash separates nothing."""
    inner = re.fullmatch(r"\| (.*) \|", line)
    assert inner, line
    return re.split(r"(?<!\\) \| ", inner[1])


def _only_cell(value: object, kind: pa.DataType) -> str:
    header, rule, line = preview(pa.table({"x": pa.array([value], kind)})).split("\n")
    assert (header, rule) == ("| x |", "| --- |")
    return line.removeprefix("| ").removesuffix(" |")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("plain", "plain"),
        (None, ""),
        ("", ""),
        ("a|b", r"a\|b"),
        ("two\nlines\r\nand\ttabs", "two lines and tabs"),
        ("x" * 60, "x" * 60),
        ("x" * 61, "x" * 59 + "…"),
        ("日本語" * 30, "日本語" * 19 + "日本…"),
    ],
)
def test_a_text_stays_in_its_cell(value: str | None, shown: str) -> None:
    assert _only_cell(value, pa.string()) == shown


def test_a_cut_leaves_no_half_of_an_escape() -> None:
    cell = _only_cell("x" * 58 + "|" * 10, pa.string())
    assert cell == "x" * 58 + r"\|" + "…"


@settings(deadline=None)
@given(st.text(max_size=200))
def test_no_text_breaks_the_table(text: str) -> None:
    lines = preview(pa.table({"before": ["1"], "text": pa.array([text]), "after": ["2"]})).split("\n")
    assert len(lines) == 3
    assert len(lines[2].splitlines()) == 1
    unescaped = re.findall(r"(?<!\\)\|", lines[2])
    assert len(unescaped) == 4


@pytest.mark.parametrize(
    ("value", "kind", "shown"),
    [
        ([0.25] * 512, pa.list_(pa.float32(), 512), "[0.250, 0.250, 0.250, 0.250, ...] (512)"),
        (["a", "b|c"], pa.list_(pa.string()), r"a; b\|c"),
        ([], pa.list_(pa.string()), ""),
        (7, pa.int64(), "7"),
        (True, pa.bool_(), "True"),
    ],
)
def test_vectors_and_lists_are_shown_short(value: object, kind: pa.DataType, shown: str) -> None:
    assert _only_cell(value, kind) == shown


def test_a_preview_of_no_rows_is_its_header() -> None:
    assert preview(people()) == "| id | name |\n| --- | --- |"


def test_head_takes_the_first_rows_and_no_bytes(lake: Lake) -> None:
    commit_people(lake, *range(20))
    assert head(lake, PEOPLE, lake.resolve(PEOPLE.name)).num_rows == 5
    empty = lake.begin(COVERS.bytes.name).commit()
    assert "content" not in head(lake, COVERS.bytes, empty).column_names


def test_the_columns_of_an_asset_are_those_of_its_contract() -> None:
    schema = definition_metadata(EDITIONS)["dagster/column_schema"]
    columns = {column.name: column for column in schema.columns}
    assert list(columns) == EDITIONS.column_names
    assert columns["edition_key"].constraints == dg.TableColumnConstraints(nullable=False, unique=True)
    assert columns["title"].constraints == dg.TableColumnConstraints(nullable=True, unique=False)
    assert columns["pages"].description.endswith(" Unit: pages.")
    assert columns["authors"].type == "list<item: string>"
    # A key of two columns makes neither of them unique.
    pair = definition_metadata(KNOWN_ITEMS)["dagster/column_schema"].columns
    assert not any(column.constraints.unique for column in pair)


def test_counts_come_with_a_table_of_the_reasons() -> None:
    shown = counts_metadata(Counts(10, 3, {"too | short": 2, "old": 5}))
    assert (shown["rows_in"], shown["rows_out"], shown["rows_rejected"]) == (10, 3, 7)
    lines = shown["rejected_by_reason"].value.split("\n")
    assert lines[:3] == ["| reason | rows |", "| --- | --- |", "| old | 5 |"]
    assert _cells(lines[3]) == [r"too \| short", "2"]
    assert "rejected_by_reason" not in counts_metadata(Counts(3, 3))


def test_a_markdown_table_has_a_line_for_each_row() -> None:
    assert markdown_table(["a", "b"], [["1", "2"]]) == "| a | b |\n| --- | --- |\n| 1 | 2 |"


def test_everything_shown_of_a_commit(lake: Lake) -> None:
    pending = lake.begin(PEOPLE.name)
    pending.write(people(1, 2), PEOPLE.schema, "2015")
    commit = pending.commit("2015", counts=Counts(3, 2, {"short": 1}), inputs={"test/other/2015": "v1"})
    shown = commit_metadata(lake, PEOPLE, commit, seconds=1.23456, pictures={"plot": "![](data:,)"})
    assert shown["dagster/row_count"] == 2
    assert shown["dagster/uri"] == commit.path
    assert shown["bytes"] == commit.size > 0
    assert shown["version"] == commit.version
    assert shown["inputs"].value == {"test/other/2015": "v1"}
    assert shown["preview"].value.startswith("| id | name |")
    assert shown["rows_rejected"] == 1
    assert shown["seconds"] == 1.23
    assert shown["plot"] == dg.MetadataValue.md("![](data:,)")
    # Not every commit comes with seconds and counts.
    assert "seconds" not in commit_metadata(lake, PEOPLE, commit_people(lake, 1))


def test_a_vector_table_of_any_width_can_be_shown(lake: Lake) -> None:
    table = COVERS.vectors(3)
    pending = lake.begin(table.name)
    vectors = pa.FixedSizeListArray.from_arrays(pa.array([1.0, 0.0, 0.0], pa.float32()), 3)
    texts = {name: ["x"] for name in table.column_names[2:]}
    pending.write(pa.table({"cover_id": [1], "vector": vectors, **texts}, schema=table.schema), table.schema)
    assert "[1.000, 0.000, 0.000, ...] (3)" in commit_metadata(lake, table, pending.commit())["preview"].value


def test_inputs_name_table_partition_and_version(lake: Lake) -> None:
    whole, year = commit_people(lake, 1), commit_people(lake, 2, partition="2015")
    assert inputs_of(whole, None, year) == {"test/people": whole.version, "test/people/2015": year.version}
