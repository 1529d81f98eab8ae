"""The fiction filter against the oracle, profile by profile, and its counts by year."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from booksearch_assets.compute import editions, filtered_fiction
from booksearch_assets.compute.filtered_fiction import FilteredFictionParams, _files, _filter, _Task
from booksearch_assets.openlibrary.judging import OUTCOME, columns_of, judge, united_subjects
from booksearch_assets.openlibrary.profiles import PROFILES, UnknownProfile, profile
from booksearch_assets.tables.books import EDITIONS, FILTER_REJECTIONS, FILTERED_FICTION
from booksearch_assets.tables.counts import Counts
from booksearch_assets_tests.compute.dumps import Rows, editions_params, land, read, write_editions
from booksearch_assets_tests.openlibrary import oracle
from booksearch_assets_tests.openlibrary.messy import author_line, edition_line, work_line

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DUMP_YEAR = 2025
YEARS = [str(year) for year in range(2010, 2026)]
LINES = st.integers(0, 2**62)
# Words are not looked for where one of these is said.
UNHEARD = ("no_language", "not_english", "no_subjects")


def outcomes(rows: Rows, dump_year: int = DUMP_YEAR) -> dict[tuple[str, str], dict[str, Any]]:
    """What is made of EDITIONS rows, by profile and edition."""
    table = pa.Table.from_pylist(rows, EDITIONS.schema)
    found = {}
    for name, chosen in PROFILES.items():
        subjects = united_subjects(table).to_pylist()
        outcome = judge(table.select(sorted(set(columns_of(chosen)))), chosen, dump_year)
        assert outcome.schema == OUTCOME
        for row, united, judged in zip(rows, subjects, outcome.to_pylist(), strict=True):
            found[name, row["edition_key"]] = judged | {"subjects": united}
    return found


def expected_outcomes(rows: Rows, dump_year: int = DUMP_YEAR) -> dict[tuple[str, str], dict[str, Any]]:
    expected = {
        (name, row["edition_key"]): oracle.filtered(row, name, dump_year) for name in PROFILES for row in rows
    }
    for outcome in expected.values():
        if outcome["reason"] in UNHEARD:
            outcome["fiction_rule"] = None
    return expected


@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(LINES, min_size=200, max_size=200), st.lists(LINES, min_size=40, max_size=40))
def test_messy_editions_agree_with_the_oracle(editions: list[int], works: list[int]) -> None:
    lines = [*map(edition_line, editions)]
    rows = list(
        oracle.editions_of(lines, [*map(work_line, works)], [author_line(1)], DUMP_YEAR).editions.values()
    )
    assert outcomes(rows) == expected_outcomes(rows)


@pytest.mark.spark
@pytest.mark.parametrize(("dump_year", "first_year"), [(2020, 2010), (2003, 1990)])
def test_real_editions_agree_with_the_oracle(
    spark: SparkSession, real_data: Path, tmp_path: Path, dump_year: int, first_year: int
) -> None:
    lines = (real_data / "openlibrary" / "editions.txt").read_bytes().splitlines()
    assert len(lines) == 546
    landed = land(tmp_path / "landed", {"editions": lines})
    editions.run(spark, editions_params(tmp_path, landed, first_year, dump_year))
    expected = oracle.editions_of(lines, [], [], dump_year).editions
    for name in PROFILES:
        assert_run_agrees(spark, tmp_path, list(expected.values()), name, first_year, dump_year)


def assert_run_agrees(
    spark: SparkSession, folder: Path, rows: Rows, name: str, first_year: int, dump_year: int
) -> None:
    """Run the stage over the table in `folder`, and compare every written row and every count with the oracle."""
    years = [str(year) for year in range(first_year, dump_year + 1)]
    output = folder / name
    params = FilteredFictionParams((folder / "editions").as_uri(), years, name, dump_year, output.as_uri())
    report = filtered_fiction.run(spark, params)
    judged = [row | oracle.filtered(row, name, dump_year) for row in rows]
    for year in years:
        of_year = [row for row in judged if str(row["year"]) == year]
        kept = read(FILTERED_FICTION, output / f"year={year}" / "outcome=kept")
        columns = FILTERED_FICTION.column_names
        assert by_key(kept) == by_key(
            [
                {c: (row | {"publish_year": row["year"]})[c] for c in columns}
                for row in of_year
                if not row["reason"]
            ]
        )
        rejected = read(FILTER_REJECTIONS, output / f"year={year}" / "outcome=rejected")
        assert by_key(rejected) == by_key(
            [{"edition_key": row["edition_key"], "reason": row["reason"]} for row in of_year if row["reason"]]
        )
        reasons = Counter(row["reason"] for row in of_year if row["reason"])
        assert report.counts[year] == Counts(len(of_year), len(kept), dict(reasons))
    assert report.total.rows_in + report.figures["outside"] == len(rows)


def by_key(rows: Rows) -> dict[str, dict[str, Any]]:
    found = {row["edition_key"]: row for row in rows}
    assert len(found) == len(rows)
    return found


EDITION: dict[str, Any] = {
    **{column.name: [] if str(column.type).startswith("list") else None for column in EDITIONS.columns},
    "edition_key": "OL1M",
    "languages": ["eng"],
    "work_subjects": ["Fiction"],
    "edition_subjects": ["Fiction"],
    "publish_date": "2020",
    "publish_year": 2020,
    "first_four_digits": 2020,
    "pages": 300,
    "number_of_pages": 300,
    "revision": 1,
    "last_modified": "",
}


def subjects(*headings: str) -> dict[str, Any]:
    return {"work_subjects": list(headings), "edition_subjects": list(headings)}


# (change to a good edition, reason or None by `article`, and by `default`)
CASES: list[tuple[dict[str, Any], str | None, str | None]] = [
    ({}, None, None),
    ({"languages": []}, "no_language", "no_language"),
    ({"languages": ["fre"]}, "not_english", "not_english"),
    ({"languages": ["fre", "eng"]}, None, None),
    (subjects(), "no_subjects", "no_subjects"),
    ({"edition_subjects": []}, "no_subjects", None),
    ({**subjects(), "genres": ["Fiction."]}, "no_subjects", None),
    (subjects("Tigers -- Fiction."), None, None),
    (subjects("Nonfiction"), None, "nonfiction"),
    (subjects("Fiction", "Non-fiction"), None, "nonfiction"),
    (subjects("Fiction--History and criticism"), None, "about_fiction"),
    (subjects("Fiction--Authorship"), None, "about_fiction"),
    (subjects("Fiction -- Technique -- Handbooks"), None, "about_fiction"),
    (subjects("Authorship -- Fiction"), None, None),
    (subjects("Fiction", "Children of immigrants"), "children", None),
    (subjects("Fiction", "Children's hospitals -- Fiction"), "children", None),
    (subjects("Children's fiction"), "children", "children"),
    (subjects("Children\u2019s stories"), "children", "children"),
    (subjects("Children: Grades 4-6", "Fiction"), "children", "children"),
    (subjects("Juvenile fiction."), "juvenile", "juvenile"),
    (subjects("Juvenile delinquency -- Fiction"), "juvenile", None),
    (subjects("Fiction", "Biography"), None, "biography"),
    (subjects("Autobiographical fiction"), None, None),
    (subjects("Detective and mystery stories"), "not_fiction", None),
    (subjects("History"), "not_fiction", "not_fiction"),
    (subjects("Fictional places"), None, "not_fiction"),
    ({"number_of_pages": None}, "no_pages", None),
    ({"number_of_pages": None, "pages": None}, "no_pages", "no_pages"),
    ({"number_of_pages": 100, "pages": 100}, None, "too_short"),
    ({"number_of_pages": 99, "pages": 99}, "too_short", "too_short"),
    ({"publish_year": None, "first_four_digits": None}, "no_year", "no_year"),
    ({"publish_year": 2016, "first_four_digits": 2016}, None, None),
    ({"publish_year": 2015, "first_four_digits": 2015}, None, "too_old"),
    ({"publish_year": 2019, "first_four_digits": 1234}, "too_old", None),
    ({"publish_year": None, "first_four_digits": 2035}, None, "no_year"),
]


def test_the_first_reason_that_applies_is_given() -> None:
    rows = [EDITION | change | {"edition_key": f"OL{n}M"} for n, (change, _, _) in enumerate(CASES)]
    found = outcomes(rows)
    assert found == expected_outcomes(rows)
    for n, (change, article, default) in enumerate(CASES):
        assert (found["article", f"OL{n}M"]["reason"], found["default", f"OL{n}M"]["reason"]) == (
            article,
            default,
        ), change


def test_the_article_as_stated_wants_more_pages_and_the_last_ten_years() -> None:
    years = {2015: "too_old", 2016: None, 2025: None, 2026: "in_the_future"}
    rows = [EDITION | {"edition_key": str(year), "first_four_digits": year} for year in years] + [
        EDITION | {"number_of_pages": 100}
    ]
    found = outcomes(rows)
    assert {year: found["article-stated", str(year)]["reason"] for year in years} == years
    assert found["article-stated", "OL1M"]["reason"] == "too_short"


@pytest.mark.spark
def test_every_edition_is_kept_or_rejected_in_one_year_or_outside(
    spark: SparkSession, tmp_path: Path
) -> None:
    lines = [edition_line(number) for number in range(400)]
    rows = list(
        oracle.editions_of(
            lines, [work_line(number) for number in range(60)], [], DUMP_YEAR
        ).editions.values()
    )
    write_editions(tmp_path / "editions", rows, EDITIONS.schema)
    for name in PROFILES:
        assert_run_agrees(spark, tmp_path, rows, name, 2010, DUMP_YEAR)


@pytest.mark.spark
def test_only_the_years_asked_for_are_read_and_written(spark: SparkSession, tmp_path: Path) -> None:
    rows = [
        EDITION | {"edition_key": f"OL{year}M", "publish_year": year, "first_four_digits": year}
        for year in (2018, 2019, 2020)
    ]
    write_editions(tmp_path / "editions", rows, EDITIONS.schema)
    # An edition that says 2019 in the folder of 2018 can be counted only if that folder is read.
    write_editions(tmp_path / "other", [rows[1] | {"edition_key": "OL0M"}], EDITIONS.schema)
    (tmp_path / "other/year=2019/part-0.parquet").rename(tmp_path / "editions/year=2018/part-1.parquet")
    params = FilteredFictionParams(
        (tmp_path / "editions").as_uri(), ["2019", "2021"], "default", DUMP_YEAR, (tmp_path / "out").as_uri()
    )
    report = filtered_fiction.run(spark, params)
    assert report.counts == {"2019": Counts(1, 1), "2021": Counts(0, 0)}
    assert report.figures == {"profile": "default", "outside": 3}
    assert [path.name for path in (tmp_path / "out").glob("year=*")] == ["year=2019"]


@pytest.mark.spark
def test_a_profile_of_ones_own_may_be_given(spark: SparkSession, tmp_path: Path) -> None:
    write_editions(tmp_path / "editions", [EDITION], EDITIONS.schema)
    chosen = json.loads(json.dumps(profile("default").to_json() | {"name": "long", "min_pages": 400}))
    params = FilteredFictionParams(
        (tmp_path / "editions").as_uri(), YEARS, chosen, DUMP_YEAR, (tmp_path / "out").as_uri()
    )
    report = filtered_fiction.run(spark, params)
    assert (report.figures["profile"], report.counts["2020"]) == ("long", Counts(1, 0, {"too_short": 1}))


def test_an_unknown_profile_is_named_before_anything_is_read() -> None:
    with pytest.raises(UnknownProfile, match="nonsense"):
        _ = FilteredFictionParams(
            "file:///nowhere", YEARS, "nonsense", DUMP_YEAR, "file:///nowhere"
        ).filter_profile


@pytest.mark.spark
def test_an_edition_of_no_asked_year_is_outside_whatever_folder_it_lies_in(
    spark: SparkSession, tmp_path: Path
) -> None:
    """With a profile that reads years another way, years and folders differ: rows of one file go to several years."""
    years = {
        "OL1M": (2018, 2018),
        "OL2M": (2018, 2019),
        "OL3M": (None, 2019),
        "OL4M": (2019, None),
        "OL5M": (2018, 1850),
    }
    rows = [
        EDITION | {"edition_key": key, "publish_year": year, "first_four_digits": digits}
        for key, (year, digits) in years.items()
    ]
    write_editions(tmp_path / "editions", rows, EDITIONS.schema)
    assert_run_agrees(spark, tmp_path, rows, "article", 2018, 2019)


def test_files_of_more_rows_than_are_judged_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = [edition_line(number) for number in range(400)]
    rows = list(oracle.editions_of(lines, [], [], DUMP_YEAR).editions.values())
    write_editions(tmp_path / "editions", rows, EDITIONS.schema)
    params = FilteredFictionParams(
        (tmp_path / "editions").as_uri(), YEARS, "article", DUMP_YEAR, (tmp_path / "out").as_uri()
    )
    files = tuple(_files(params))
    whole = _filter(_Task(0, files), params, params.filter_profile)
    rows_of = written(tmp_path / "out")
    assert {Path(folder).name for folder in rows_of} == {"outcome=kept", "outcome=rejected"}
    monkeypatch.setattr(filtered_fiction, "_ROWS_AT_ONCE", 7)
    # Again over what is there, as a task that is repeated does.
    assert _filter(_Task(0, files), params, params.filter_profile) == whole
    assert written(tmp_path / "out") == rows_of


def written(output: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """The rows in each folder of a year and an outcome, by key."""
    outcomes = {"outcome=kept": FILTERED_FICTION, "outcome=rejected": FILTER_REJECTIONS}
    folders = output.glob("year=*/outcome=*")
    return {
        str(folder.relative_to(output)): by_key(read(outcomes[folder.name], folder)) for folder in folders
    }


def test_a_task_that_fails_leaves_nothing_that_is_taken_for_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # So that every row has been written before the damage is met.
    monkeypatch.setattr(filtered_fiction, "_ROWS_AT_ONCE", 1)
    write_editions(
        tmp_path / "editions",
        [EDITION, EDITION | {"edition_key": "OL2M", "genres": ["Memoirs"]}],
        EDITIONS.schema,
    )
    damaged = tmp_path / "editions/year=2020/part-1.parquet"
    damaged.write_bytes(b"no Parquet")
    params = FilteredFictionParams(
        (tmp_path / "editions").as_uri(), YEARS, "default", DUMP_YEAR, (tmp_path / "out").as_uri()
    )
    task = _Task(3, tuple(sorted(_files(params), key=lambda file: file.uri)))
    with pytest.raises(pa.ArrowInvalid):
        _filter(task, params, params.filter_profile)
    left = [path.name for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert len(left) == 2
    assert all(name.startswith(".") for name in left)
    write_editions(tmp_path / "other", [EDITION | {"edition_key": "OL3M"}], EDITIONS.schema)
    (tmp_path / "other/year=2020/part-0.parquet").rename(damaged)
    _filter(task, params, params.filter_profile)
    assert {folder: set(rows) for folder, rows in written(tmp_path / "out").items()} == {
        "year=2020/outcome=kept": {"OL1M", "OL3M"},
        "year=2020/outcome=rejected": {"OL2M"},
    }


@pytest.mark.spark
def test_what_an_edition_may_lack_it_lacks_where_it_is_written(spark: SparkSession, tmp_path: Path) -> None:
    lacking = [column.name for column in EDITIONS.columns if column.nullable]
    rows = [EDITION | {"edition_key": f"without {name}", name: None} for name in lacking]
    rows.append(EDITION | dict.fromkeys(lacking))
    write_editions(tmp_path / "editions", rows, EDITIONS.schema)
    for name in PROFILES:
        assert_run_agrees(spark, tmp_path, rows, name, 2010, DUMP_YEAR)


@pytest.mark.parametrize(
    ("heading", "reason"),
    [
        ("FICTION", None),
        ("\u0130stanbul -- Fiction", None),
        ("Stra\u00dfen -- Fiction.", None),
        ("\u039f\u03b4\u03cc\u03c2 -- FICTION", None),
        ("F\u0131ct\u0131on", "not_fiction"),
        ("F\u0130CT\u0130ON", "not_fiction"),
        ("Boo\u212as for children -- Fiction", "children"),
        ("Children\u2019s books", "children"),
        ("", "not_fiction"),
        (".", "not_fiction"),
    ],
)
def test_letters_beyond_ascii_are_lowered_and_nothing_else(heading: str, reason: str | None) -> None:
    rows = [EDITION | subjects(heading)]
    assert outcomes(rows)["default", "OL1M"]["reason"] == reason


def test_an_empty_table_has_an_empty_outcome() -> None:
    for chosen in PROFILES.values():
        assert judge(EDITIONS.schema.empty_table(), chosen, DUMP_YEAR).num_rows == 0
