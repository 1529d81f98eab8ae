"""Every rule holds on good data and fails on each defect, as an asset check of a real run over a real lake."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import dagster as dg
import numpy as np
import pyarrow as pa
import pytest

from booksearch_assets.assets.books import books_catalogue
from booksearch_assets.checks.dump import dump_rules
from booksearch_assets.checks.embeddings import embeddings_rules
from booksearch_assets.checks.images import images_rules
from booksearch_assets.checks.rule import RANGE_END, RANGE_START, Outcome, Rule, Scope, partitions_in_scope
from booksearch_assets.checks.tables import counts_rule, freshness_rule, table_rules
from booksearch_assets.clip.bundle import Bundle
from booksearch_assets.compute.landing import land
from booksearch_assets.tables.books import COVER_IMAGES
from booksearch_assets.tables.commit import Commit
from booksearch_assets.tables.contract import Column, Table, strings
from booksearch_assets.tables.counts import Counts
from booksearch_assets.tables.lake import Lake
from booksearch_assets_tests.checks.graph import YEARS, figures, graph, seed

THINGS = Table(
    name="test/things",
    description="Things.",
    columns=(
        Column("id", pa.int64(), "Number."),
        Column("kind", pa.string(), "Kind."),
        Column("note", pa.string(), "Note.", nullable=True),
        strings("words", "Words."),
    ),
    key=("id", "kind"),
)
GOOD = {"id": [1, 2, 3], "kind": ["a", "a", "a"], "note": [None, "x", None], "words": [["w"], [], [None]]}


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path / "lake"))


def _things(**columns: list[object] | pa.Array) -> pa.Table:
    """Good rows but for these columns, in a schema that forbids nothing."""
    types = {column.name: column.type for column in THINGS.columns}
    values = GOOD | columns
    return pa.table(
        {
            n: v if isinstance(v, pa.Array) else pa.array(v, types.get(n))
            for n, v in values.items()
            if v is not None
        }
    )


def _verdicts(lake: Lake, rules: list[Rule], table: str = THINGS.name, model: str = "") -> dict[str, bool]:
    return {name: e.passed for name, e in graph(lake, table, rules, model).check().items()}


def test_good_data_passes_every_rule(lake: Lake) -> None:
    seed(lake, THINGS.name, _things(), _things(id=[4, 5, 6]), counts=Counts(8, 6, {"short": 2}))
    found = graph(lake, THINGS.name, table_rules(THINGS)).check()
    assert {name: e.passed for name, e in found.items()} == {
        "contract": True,
        "counts_reconcile": True,
        "unique_keys": True,
    }
    assert figures(found["counts_reconcile"])["rows_in"] == 8
    assert figures(found["unique_keys"])["rows"] == 6


def test_an_empty_table_passes_every_rule(lake: Lake) -> None:
    seed(lake, THINGS.name, THINGS.schema.empty_table(), counts=Counts(2, 0, {"short": 2}))
    assert set(_verdicts(lake, table_rules(THINGS)).values()) == {True}


BAD_FILES = {
    "null in a column": (_things(kind=["a", None, "b"]), "column kind: 1 nulls, none allowed"),
    "null list": (_things(words=[["w"], None, None]), "column words: 2 nulls, none allowed"),
    "missing column": (_things(note=None), "column note: expected string, it is missing"),
    "extra column": (_things(year=[1, 2, 3]), "column year: not in the contract of test/things"),
    "wrong type": (_things(id=pa.array([1, 2, 3], pa.int32())), "column id: expected int64, found int32"),
    "text for a number": (_things(id=pa.array(["1", "b", "3"])), "column id: expected int64, found string"),
}


@pytest.mark.parametrize("defect", BAD_FILES)
def test_a_file_that_breaks_the_contract_is_found(lake: Lake, defect: str) -> None:
    bad, problem = BAD_FILES[defect]
    good = _things(id=[4, 5, 6])
    # Wherever the file stands, and whether its footer counts nulls or not.
    seed(lake, THINGS.name, bad, good, partition="2015")
    seed(lake, THINGS.name, good, bad, partition="2016")
    seed(lake, THINGS.name, bad, good, partition="2017", statistics=False)
    seed(lake, THINGS.name, good, partition="2018", statistics=False)
    contract = graph(lake, THINGS.name, [table_rules(THINGS)[0]], partitions=YEARS).check()["contract"]
    assert not contract.passed
    assert figures(contract)["problems"] == [f"{year}: {problem}" for year in (2015, 2016, 2017)]


def test_files_that_are_gone_pass_no_rule_that_reads_them(lake: Lake) -> None:
    shutil.rmtree(seed(lake, THINGS.name, _things()).path)
    found = _verdicts(lake, table_rules(THINGS))
    assert found == {"contract": False, "counts_reconcile": True, "unique_keys": False}


def test_a_key_that_comes_twice_is_counted(lake: Lake) -> None:
    # The same number with another kind is another key.
    seed(lake, THINGS.name, _things(), _things(kind=["b", "a", "a"]), partition="2015")
    seed(lake, THINGS.name, _things(), partition="2016")
    found = graph(lake, THINGS.name, table_rules(THINGS), partitions=YEARS).check()["unique_keys"]
    assert not found.passed
    assert figures(found) == {
        "rows": 9,
        "rows_with_a_repeated_key": {"2015": 2},
        "failed": ["2015"],
        "by_partition": "| partition | holds |\n| --- | --- |\n| 2015 | NO |\n| 2016 | yes |",
    }


@pytest.mark.parametrize(
    ("counts", "problem"),
    [
        (Counts(10, 3, {"short": 6}), "test/things: 1 of 10 rows are unaccounted for"),
        (Counts(2, 3), "test/things: -1 of 2 rows are unaccounted for"),
    ],
)
def test_rows_that_are_lost_or_invented_are_found(lake: Lake, counts: Counts, problem: str) -> None:
    seed(lake, THINGS.name, _things(), counts=counts)
    found = graph(lake, THINGS.name, [counts_rule()]).check()["counts_reconcile"]
    assert not found.passed
    assert figures(found)["problems"] == [problem]


def test_a_stage_that_counted_nothing_does_not_pass(lake: Lake) -> None:
    pending = lake.begin(THINGS.name)
    pending.commit()
    assert _verdicts(lake, [counts_rule()]) == {"counts_reconcile": False}


def test_nothing_in_the_lake_passes_no_rule_and_says_what_to_do(lake: Lake) -> None:
    found = graph(lake, THINGS.name, table_rules(THINGS)).check()
    assert [e.passed for e in found.values()] == [False] * 3
    assert figures(found["contract"]) == {
        "found": f"nothing of test/things is in the lake at {lake.root}",
        "do": "materialise test/things",
    }


def _vectors(ids: list[int], vectors: np.ndarray, bundle_id: str) -> pa.Table:
    width = vectors.shape[1]
    columns = {
        "cover_id": pa.array(ids, pa.int64()),
        "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors.astype(np.float32).ravel()), width),
        **{name: ["x"] * len(ids) for name in ("model_id", "revision", "preprocessing_version")},
        "bundle_id": pa.array([bundle_id] * len(ids), pa.string()),
    }
    return pa.table(columns)


def _unit(rows: int, width: int) -> np.ndarray:
    vectors = np.random.default_rng(0).normal(size=(rows, width))
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def _check_vectors(lake: Lake, bundle: Bundle, *partitions: pa.Table) -> dict[str, dg.AssetCheckEvaluation]:
    catalogue = books_catalogue(2010)
    table = catalogue.embeddings(bundle.dimension).name
    for year, rows in enumerate(partitions, 2015):
        facts = {"dimension": rows.schema.field("vector").type.list_size}
        seed(lake, table, rows, partition=str(year), facts=facts)
    return graph(lake, table, embeddings_rules(catalogue), str(bundle.folder), YEARS).check()


def test_good_vectors_pass_every_rule(lake: Lake, clip_bundle: Bundle) -> None:
    rows = _vectors([1, 2, 3], _unit(3, 16), clip_bundle.bundle_id)
    none = rows.slice(0, 0)
    found = _check_vectors(lake, clip_bundle, rows, none)
    assert {name for name, e in found.items() if e.passed} == {
        "contract",
        "unique_keys",
        "counts_reconcile",
        "unit_vectors",
        "model_manifest",
    }
    assert figures(found["unit_vectors"])["vectors"] == 3


def test_a_vector_that_is_not_finite_or_of_length_one_is_found(lake: Lake, clip_bundle: Bundle) -> None:
    vectors = _unit(9, 16)
    for row, value in enumerate([np.nan, np.inf, -np.inf, 5.0], 2):
        vectors[row, 0] = value
    vectors[7] = 0
    found = _check_vectors(lake, clip_bundle, _vectors(list(range(9)), vectors, clip_bundle.bundle_id))
    assert {name for name, e in found.items() if not e.passed} == {"unit_vectors"}
    shown = figures(found["unit_vectors"])
    assert (shown["vectors"], shown["not_finite"], shown["not_of_length_one"]) == (9, 3, 2)


def test_float16_noise_in_a_length_is_found_and_float32_noise_is_not(lake: Lake, clip_bundle: Bundle) -> None:
    rough = _unit(200, 16).astype(np.float16).astype(np.float32)
    found = _check_vectors(lake, clip_bundle, _vectors(list(range(200)), rough, clip_bundle.bundle_id))
    assert not found["unit_vectors"].passed


def test_vectors_of_another_bundle_are_found(lake: Lake, clip_bundle: Bundle) -> None:
    own = _vectors([1, 2], _unit(2, 16), clip_bundle.bundle_id)
    foreign = _vectors([3], _unit(1, 16), "another-bundle")
    found = _check_vectors(lake, clip_bundle, own, pa.concat_tables([own.slice(0, 1), foreign]))
    assert {name for name, e in found.items() if not e.passed} == {"model_manifest"}
    (problem,) = figures(found["model_manifest"])["problems"]  # type: ignore[misc]
    assert problem == f"2016: vectors of {clip_bundle.bundle_id}, another-bundle"


def test_vectors_of_another_width_are_found(lake: Lake, clip_bundle: Bundle) -> None:
    own = _vectors([1, 2], _unit(2, 16), clip_bundle.bundle_id)
    wide = _vectors([3], _unit(1, 8), clip_bundle.bundle_id)
    found = _check_vectors(lake, clip_bundle, own, wide)
    assert not found["model_manifest"].passed
    assert figures(found["model_manifest"])["problems"] == ["2016: 8 wide, the bundle gives 16"]
    assert not found["contract"].passed


def test_a_cover_with_two_vectors_is_found(lake: Lake, clip_bundle: Bundle) -> None:
    found = _check_vectors(lake, clip_bundle, _vectors([1, 1], _unit(2, 16), clip_bundle.bundle_id))
    assert {name for name, e in found.items() if not e.passed} == {"unique_keys"}


@pytest.mark.parametrize(
    ("statuses", "passed"),
    [
        ({"ok": 98, "throttled": 2}, True),
        ({"ok": 97, "throttled": 1, "server_error": 1, "network_error": 1}, False),
        # What no other try can mend does not count.
        ({"ok": 1, "missing": 50, "undecodable": 50, "refused": 50, "too_large": 50}, True),
        ({}, True),
    ],
)
def test_too_many_covers_without_an_answer_stop_the_graph(
    lake: Lake, statuses: dict[str, int], passed: bool
) -> None:
    seed(lake, COVER_IMAGES.name, COVER_IMAGES.schema.empty_table(), facts={"statuses": statuses})
    found = graph(lake, COVER_IMAGES.name, images_rules()).check()["fetch_settled"]
    assert found.passed is passed
    assert ("do" in figures(found)) is ("throttled" in statuses)


@pytest.fixture
def dump(lake: Lake, tmp_path: Path) -> Commit:
    """A landed dump of many chunks."""
    import gzip

    source = tmp_path / "dump.txt.gz"
    source.write_bytes(gzip.compress(b"".join(b"line %d\n" % i for i in range(1000))))
    pending = lake.begin("test/dump")
    landed = land(source, pending.path, chunk_bytes=1000)
    facts = {"chunks": [chunk.name for chunk in landed.chunks], "dump_date": "2026-06-30"}
    return pending.commit(rows=landed.lines, facts=facts)


def test_a_landed_dump_is_intact(lake: Lake, dump: Commit) -> None:
    found = graph(lake, "test/dump", dump_rules()).check()["chunks_intact"]
    assert found.passed
    assert figures(found) == {"lines": 1000, "chunks": len(dump.facts["chunks"]), "problems": []}


@pytest.mark.parametrize("damage", ["changed", "cut", "missing", "manifest missing", "manifest cut"])
def test_a_damaged_chunk_is_found(lake: Lake, dump: Commit, damage: str) -> None:
    chunk = Path(dump.path, dump.facts["chunks"][3])
    manifest = Path(dump.path, "chunks.json")
    match damage:
        case "changed":
            chunk.write_bytes(chunk.read_bytes()[:-1] + b"!")
        case "cut":
            chunk.write_bytes(chunk.read_bytes()[:-1])
        case "missing":
            chunk.unlink()
        case "manifest missing":
            manifest.unlink()
        case "manifest cut":
            manifest.write_bytes(manifest.read_bytes()[:-10])
    assert not graph(lake, "test/dump", dump_rules()).check()["chunks_intact"].passed


def test_an_old_landing_warns_and_stops_nothing(lake: Lake) -> None:
    commit = seed(lake, THINGS.name, _things())
    pointer = Path(lake.uri(THINGS.name, "current", "_whole.json"))
    record = json.loads(pointer.read_text())
    pointer.write_text(json.dumps(record | {"version": "20200101T000000000000-abcdef"}))
    made = graph(lake, THINGS.name, [freshness_rule(45)])
    found = made.check()["freshness"]
    assert not found.passed
    assert found.severity is dg.AssetCheckSeverity.WARN
    assert made.materialize().success
    assert made.executed == ["made", "after"]

    pointer.write_text(json.dumps(record | {"version": commit.version}))
    assert made.check()["freshness"].passed


def test_a_blocking_rule_that_fails_stops_what_is_downstream(lake: Lake) -> None:
    seed(lake, THINGS.name, _things(kind=["a", None, "b"]))
    made = graph(lake, THINGS.name, table_rules(THINGS))
    result = made.materialize()
    assert not result.success
    assert made.executed == ["made"]
    assert len(result.get_asset_check_evaluations()) == 3


def test_rules_that_hold_stop_nothing(lake: Lake) -> None:
    seed(lake, THINGS.name, _things())
    made = graph(lake, THINGS.name, table_rules(THINGS))
    assert made.materialize().success
    assert made.executed == ["made", "after"]


def test_a_rule_that_breaks_fails_and_hides_no_other(lake: Lake) -> None:
    def broken(scope: Scope) -> Outcome:
        raise OSError("the disk is gone")

    seed(lake, THINGS.name, _things())
    rules = [Rule("a_broken_rule", "Breaks.", broken), *table_rules(THINGS)]
    found = graph(lake, THINGS.name, rules).check()
    assert {name: e.passed for name, e in found.items()} == {
        "a_broken_rule": False,
        "contract": True,
        "counts_reconcile": True,
        "unique_keys": True,
    }
    assert "the disk is gone" in str(figures(found["a_broken_rule"]))


@pytest.mark.parametrize(
    ("tags", "judged"),
    [
        ({}, ["2015", "2016", "2017"]),
        ({"dagster/partition": "2016"}, ["2016"]),
        ({RANGE_START: "2016", RANGE_END: "2018"}, ["2016", "2017"]),
    ],
)
def test_a_run_is_judged_by_its_own_partitions(lake: Lake, tags: dict[str, str], judged: list[str]) -> None:
    for year in ("2015", "2016", "2017"):
        seed(lake, THINGS.name, _things(), partition=year)
    seen: list[str] = []

    def look(scope: Scope) -> Outcome:
        seen.extend(commit.partition for commit in scope.commits)
        return Outcome(True)

    graph(lake, THINGS.name, [Rule("look", "Looks.", look)], partitions=YEARS).check(tags)
    assert seen == judged


def test_a_partition_that_is_not_in_the_lake_fails(lake: Lake) -> None:
    seed(lake, THINGS.name, _things(), partition="2015")
    found = graph(lake, THINGS.name, table_rules(THINGS), partitions=YEARS).check(
        {"dagster/partition": "2016"}
    )
    assert [e.passed for e in found.values()] == [False] * 3


@pytest.mark.parametrize(
    ("tags", "committed", "expected"),
    [
        ({}, [], []),
        ({}, [""], [""]),
        ({"dagster/partition": "2016"}, [""], [""]),
        ({RANGE_START: "2015", RANGE_END: "2016"}, [""], [""]),
        ({"dagster/partition": "2016"}, ["2015"], []),
        ({RANGE_START: "2010", RANGE_END: "2015"}, ["2009", "2010", "2015", "2016"], ["2010", "2015"]),
        ({RANGE_START: "2015", RANGE_END: "2015"}, ["2014", "2015"], ["2015"]),
    ],
)
def test_partitions_in_scope(tags: dict[str, str], committed: list[str], expected: list[str]) -> None:
    assert partitions_in_scope(tags, committed) == expected
