"""Recent English fiction: the editions that pass a filter profile, and the first reason against each other one.

Each edition belongs to the year that the profile reads for it, and is kept or rejected in that year's counts. Where
that is the year that the editions table is laid out by, only the years asked for are read.

Tasks read files of the editions table and write files of the years by Arrow; of the wide columns only what is kept goes
on.

Belongs here: files, years and counts. Does not: how an edition is judged (`openlibrary.judging`), what a profile asks for
(`openlibrary.profiles`).
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from booksearch_assets.compute.arrow_files import filesystem_of, open_parquet, whole_parquet
from booksearch_assets.compute.spark_tables import KEPT, REJECTED, delete_folder
from booksearch_assets.compute.spark_tasks import for_tasks, run_tasks
from booksearch_assets.openlibrary.judging import columns_of, judge, united_subjects
from booksearch_assets.openlibrary.profiles import FilterProfile, profile
from booksearch_assets.tables.books import EDITIONS, FILTER_REJECTIONS, FILTERED_FICTION
from booksearch_assets.tables.counts import Counts, StageReport
from booksearch_assets.tables.parquet import writer_settings

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

# The column that `compute.editions` lays its folders out by.
_LAID_OUT_BY = "publish_year"
_ROWS_AT_ONCE = 131_072
# What a file weighs of which only the rows are counted: a request or two, and next to no work.
_FOOTER_BYTES = 1 << 20
_IS_KEPT = ""
"""In the place of a reason, where figures are counted by it."""


@dataclass(frozen=True)
class FilteredFictionParams:
    """`editions` is the folder of the editions table, which holds `year=...` folders.

    `profile` is the name of a profile, or one as `FilterProfile.to_json` gives it. FILTERED_FICTION is written to
    `<output>/year=<year>/outcome=kept` and FILTER_REJECTIONS to `.../outcome=rejected`, for each of `years`; a folder
    that would hold no row is not made. What an earlier attempt left in `output` is deleted first.
    """

    editions: str
    years: list[str]
    profile: str | dict[str, Any]
    dump_year: int
    output: str

    @property
    def filter_profile(self) -> FilterProfile:
        return (
            profile(self.profile) if isinstance(self.profile, str) else FilterProfile.from_json(self.profile)
        )


@dataclass(frozen=True)
class _File:
    """A file of the editions table, from the folder of a year. It is only counted where it `is_counted_only`."""

    uri: str
    size: int
    is_counted_only: bool

    @property
    def weight(self) -> int:
        """About the bytes that are judged."""
        return min(self.size, _FOOTER_BYTES) if self.is_counted_only else self.size


@dataclass(frozen=True)
class _Task:
    """The files that one task reads; `number` names what it writes."""

    number: int
    files: tuple[_File, ...]


def run(spark: SparkSession, params: FilteredFictionParams) -> StageReport:
    """Filter the editions of `params.years`. Counts by year; the figure `outside` counts editions of no such year."""
    started = time.monotonic()
    wanted = params.filter_profile
    delete_folder(spark, params.output)
    largest_first = sorted(_files(params), key=lambda file: (-file.weight, file.uri))
    groups = for_tasks(spark, largest_first, lambda file: file.weight)
    tasks = [_Task(number, tuple(files)) for number, files in enumerate(groups)]
    answers = run_tasks(spark, tasks, lambda task: _filter(task, params, wanted))

    found: dict[str, Counter[str]] = {year: Counter() for year in params.years}
    for answer in answers:
        for year, reasons in answer["years"].items():
            found[year].update(reasons)
    counts = {year: _counts(reasons) for year, reasons in found.items()}
    outside = sum(answer["rows"] for answer in answers) - Counts.total(counts.values()).rows_in
    return StageReport(counts, time.monotonic() - started, {"profile": wanted.name, "outside": outside})


def _files(params: FilteredFictionParams) -> Iterator[_File]:
    """The files of the table. What starts with an underscore or a dot is no data."""
    filesystem, place = filesystem_of(params.editions)
    folders_say_years = params.filter_profile.year_column == _LAID_OUT_BY
    for info in filesystem.get_file_info(pafs.FileSelector(place, recursive=True)):
        path = info.path[len(place) + 1 :]
        parts = path.split("/")
        if info.is_file and path.endswith(".parquet") and not any(part[0] in "_." for part in parts):
            year = parts[0].removeprefix("year=")
            yield _File(
                f"{params.editions}/{path}", info.size, folders_say_years and year not in params.years
            )


def _filter(task: _Task, params: FilteredFictionParams, wanted: FilterProfile) -> dict[str, Any]:
    """Judge the editions of some files, and write those of the years asked for.

    Returns how many `rows` the files have, and how many of each of the `years` have which reason, "" where they are kept.
    """
    rows = 0
    reasons: dict[str, Counter[str]] = defaultdict(Counter)
    with ExitStack() as unfinished:
        written = _Written(params.output, task.number, unfinished)
        for file in task.files:
            parquet = open_parquet(file.uri)
            rows += parquet.metadata.num_rows
            if file.is_counted_only:
                continue
            for batch in parquet.iter_batches(_ROWS_AT_ONCE, columns=_needed(wanted), use_threads=False):
                editions = pa.Table.from_batches([batch])
                outcome = judge(editions, wanted, params.dump_year)
                for year in _years(outcome, params.years):
                    of_year = pc.equal(outcome["year"], int(year))
                    kept = pc.and_(of_year, outcome["reason"].is_null())
                    dropped = pc.and_(of_year, outcome["reason"].is_valid())
                    written.add(year, KEPT, _kept(editions.filter(kept), outcome.filter(kept)))
                    written.add(year, REJECTED, _rejected(editions.filter(dropped), outcome.filter(dropped)))
                    counted = pc.fill_null(outcome.filter(of_year)["reason"], _IS_KEPT).value_counts()
                    reasons[year].update({count["values"]: count["counts"] for count in counted.to_pylist()})
        written.end()
    return {"rows": rows, "years": reasons}


class _Written:
    """The files of one task, one for each year and outcome that has rows, all of which are there when `files` ends."""

    def __init__(self, output: str, number: int, files: ExitStack) -> None:
        self._output, self._name, self._files = output, f"part-{number:05d}.parquet", files
        self._writers: dict[tuple[str, str], pq.ParquetWriter] = {}
        self._waiting: dict[tuple[str, str], list[pa.Table]] = defaultdict(list)

    def add(self, year: str, outcome: str, rows: pa.Table) -> None:
        """Rows wait for others, so that row groups are large, but no more of them than one group has."""
        if len(rows):
            waiting = self._waiting[year, outcome]
            waiting.append(rows)
            if sum(map(len, waiting)) >= _ROWS_AT_ONCE:
                self._write(year, outcome)

    def end(self) -> None:
        for year, outcome in [*self._waiting]:
            self._write(year, outcome)

    def _write(self, year: str, outcome: str) -> None:
        rows = pa.concat_tables(self._waiting.pop((year, outcome)))
        if (year, outcome) not in self._writers:
            uri = f"{self._output}/year={year}/{outcome}/{self._name}"
            writer = whole_parquet(uri, rows.schema, **writer_settings(rows.schema))
            self._writers[year, outcome] = self._files.enter_context(writer)
        self._writers[year, outcome].write_table(rows)


def _needed(wanted: FilterProfile) -> list[str]:
    """The columns of EDITIONS that are judged by, or kept."""
    needed = {*columns_of(wanted), *FILTERED_FICTION.column_names, "work_subjects", "edition_subjects"}
    return [name for name in EDITIONS.column_names if name in needed]


def _years(outcome: pa.Table, years: Sequence[str]) -> list[str]:
    """Those of `years` that any row belongs to."""
    return sorted({str(year) for year in outcome["year"].unique().to_pylist()}.intersection(years))


def _kept(editions: pa.Table, outcome: pa.Table) -> pa.Table:
    found = {
        "publish_year": outcome["year"],
        "pages": outcome["pages"],
        "subjects": united_subjects(editions),
        "fiction_rule": outcome["fiction_rule"],
    }
    columns = {
        name: found[name] if name in found else editions[name] for name in FILTERED_FICTION.column_names
    }
    return pa.table(columns, FILTERED_FICTION.schema)


def _rejected(editions: pa.Table, outcome: pa.Table) -> pa.Table:
    [key] = FILTER_REJECTIONS.key
    return pa.table({key: editions[key], "reason": outcome["reason"]}, FILTER_REJECTIONS.schema)


def _counts(reasons: Counter[str]) -> Counts:
    rejected = {reason: count for reason, count in reasons.items() if reason != _IS_KEPT}
    return Counts(reasons.total(), reasons[_IS_KEPT], rejected)
