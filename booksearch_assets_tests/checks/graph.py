"""A graph of one asset and its checks on an ephemeral instance, over a lake that a test fills as it likes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pyarrow as pa
import pyarrow.parquet as pq

from booksearch_assets.checks.rule import Rule, build_checks
from booksearch_assets.resources.lake import LakeResource
from booksearch_assets.resources.model import ModelResource
from booksearch_assets.resources.open_library import OpenLibraryResource
from booksearch_assets.resources.pictures import PictureServicesResource
from booksearch_assets.resources.product_release import ProductReleaseResource
from booksearch_assets.resources.vector_store import VectorStoreResource
from booksearch_assets.tables.commit import Commit
from booksearch_assets.tables.counts import Counts
from booksearch_assets.tables.lake import WHOLE, Lake

YEARS = dg.StaticPartitionsDefinition(["2015", "2016", "2017", "2018"])


def seed(
    lake: Lake,
    table: str,
    *files: pa.Table,
    partition: str = WHOLE,
    counts: Counts | None = None,
    facts: dict[str, object] | None = None,
    statistics: bool = True,
) -> Commit:
    """A committed partition of these files, whatever is wrong with them: no schema is asked."""
    pending = lake.begin(table)
    folder = Path(pending.partition_path(partition))
    folder.mkdir(parents=True, exist_ok=True)
    for number, rows in enumerate(files):
        # Small row groups, so that a rule that looks at the first one only is found out.
        path = folder / f"part-{number}.parquet"
        pq.write_table(rows, path, row_group_size=2, write_statistics=statistics)
    rows_out = sum(len(rows) for rows in files)
    return pending.commit(partition, counts=counts or Counts(rows_out, rows_out), facts=facts or {})


@dataclass(frozen=True)
class Graph:
    """`executed` names what ran, in order: the asset under test and the one downstream of it."""

    definitions: dg.Definitions
    rules: list[str]
    executed: list[str]

    def materialize(self, tags: dict[str, str] | None = None) -> dg.ExecuteInProcessResult:
        """Assets and checks in one run."""
        return self._run("everything", tags)

    def check(self, tags: dict[str, str] | None = None) -> dict[str, dg.AssetCheckEvaluation]:
        """The checks alone. Returns what each said."""
        result = self._run("checks", tags)
        found = {evaluation.check_name: evaluation for evaluation in result.get_asset_check_evaluations()}
        # A failed blocking check fails the run too, but a rule that raises says nothing and silences the next ones.
        assert sorted(found) == sorted(self.rules), "not every rule has spoken"
        return found

    def _run(self, job: str, tags: dict[str, str] | None) -> dg.ExecuteInProcessResult:
        with dg.DagsterInstance.ephemeral() as instance:
            return self.definitions.resolve_job_def(job).execute_in_process(
                instance=instance, tags=tags, raise_on_error=False
            )


def graph(
    lake: Lake,
    table: str,
    rules: Sequence[Rule],
    model: str = "",
    partitions: dg.PartitionsDefinition | None = None,
) -> Graph:
    """`made` has the rules as checks, and `after` is downstream of it."""
    executed: list[str] = []

    @dg.asset(key=table.split("/"), partitions_def=partitions)
    def made() -> None:
        executed.append("made")

    @dg.asset(deps=[made], partitions_def=partitions)
    def after() -> None:
        executed.append("after")

    unused = "nothing"
    definitions = dg.Definitions(
        assets=[made, after],
        asset_checks=[build_checks(table, rules)],
        jobs=[
            dg.define_asset_job("everything", selection=dg.AssetSelection.all(include_sources=False)),
            dg.define_asset_job("checks", selection=dg.AssetSelection.all_asset_checks()),
        ],
        resources={
            "lake": LakeResource(root=lake.root),
            "model": ModelResource(folder=model or unused),
            "vector_store": VectorStoreResource(uri=unused),
            "pictures": PictureServicesResource(
                books=OpenLibraryResource(downloads=unused),
                products=ProductReleaseResource(root=unused, source=unused, downloads=unused),
            ),
        },
        executor=dg.in_process_executor,
    )
    return Graph(definitions, [rule.name for rule in rules], executed)


def figures(evaluation: dg.AssetCheckEvaluation) -> dict[str, object]:
    """What a check showed."""
    return {name: value.value for name, value in evaluation.metadata.items()}
