"""The ledger of a stage: nothing is lost on its way through JSON, and what is lost in a stage shows."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from booksearch_assets.tables.counts import Counts, StageReport

ROWS = st.integers(0, 10**12)
COUNTS = st.builds(Counts, ROWS, ROWS, st.dictionaries(st.text(max_size=20), ROWS, max_size=5))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20)
REPORTS = st.builds(
    StageReport,
    st.dictionaries(st.text(max_size=10), COUNTS, max_size=5),
    st.floats(0, 1e9),
    st.dictionaries(st.text(max_size=10), SCALARS, max_size=5),
)


@settings(deadline=None)
@given(COUNTS)
def test_counts_survive_json(counts: Counts) -> None:
    assert Counts.from_json(json.loads(json.dumps(counts.to_json()))) == counts


@settings(deadline=None)
@given(REPORTS)
def test_reports_survive_json(report: StageReport) -> None:
    assert StageReport.from_json(json.loads(json.dumps(report.to_json()))) == report


@settings(deadline=None)
@given(st.lists(COUNTS, max_size=6))
def test_a_total_accounts_for_what_its_parts_do(parts: list[Counts]) -> None:
    total = Counts.total(iter(parts))
    assert total.unaccounted == sum(part.unaccounted for part in parts)
    assert total.rows_in == sum(part.rows_in for part in parts)
    for reason in total.rejected:
        assert total.rejected[reason] == sum(part.rejected.get(reason, 0) for part in parts)


def test_unaccounted_tells_losses_from_inventions() -> None:
    assert Counts(10, 7, {"short": 2, "old": 1}).unaccounted == 0
    assert Counts(10, 7, {"short": 2}).unaccounted == 1
    assert Counts(10, 12).unaccounted == -2


def test_the_total_of_a_report_is_of_all_its_partitions() -> None:
    report = StageReport({"2015": Counts(3, 2, {"short": 1}), "2016": Counts(4, 1, {"short": 3})}, 1.5)
    assert report.total == Counts(7, 3, {"short": 4})
    assert StageReport({}, 0.0).total == Counts(0, 0)
