"""Rebuilds of a partitioned asset: one record for each partition, with the data version of its rows."""

from pathlib import Path

import dagster as dg
import pytest

from booksearch_assets.assets.rebuild import Rebuild, partitions_of
from booksearch_assets.tables.lake import Lake
from booksearch_assets_tests.tables.people import PEOPLE, people

YEARS = ("2015", "2016")


class Deployment:
    """A yearly asset whose rows are `rows`, made from the recipe `made_from`; it fails before the year `fails`."""

    def __init__(self, root: Path) -> None:
        self.lake, self.instance = Lake(str(root)), dg.DagsterInstance.ephemeral()
        self.rows = {year: [1, 2] for year in YEARS}
        self.made_from, self.fails, self.again = "recipe", "", False

    def run(self) -> tuple[bool, dict[str, dg.AssetMaterialization]]:
        """Whether the run succeeded, and what it recorded of each year."""

        @dg.asset(
            partitions_def=dg.StaticPartitionsDefinition(list(YEARS)),
            backfill_policy=dg.BackfillPolicy.single_run(),
            code_version="7",
        )
        def made(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
            recipes = dict.fromkeys(partitions_of(context), self.made_from)
            rebuild = Rebuild(context, self.lake, PEOPLE, recipes, recipes if self.again else ())
            pending = self.lake.begin(PEOPLE.name)
            assert rebuild.partitions == sorted(rebuild.partitions)
            for year in rebuild.partitions:
                if year == self.fails:
                    raise ValueError("the service is out")
                pending.write(people(*self.rows[year]), PEOPLE.schema, year)
                commit = pending.commit(year, recipe=self.made_from, contract=PEOPLE)
                rebuild.record(commit, {"rows": commit.rows})
            return rebuild.finished()

        @dg.asset(deps=[made])
        def after() -> None: ...

        result = dg.materialize(
            [made, after],
            selection=["made", "after"],
            instance=self.instance,
            raise_on_error=False,
            tags={"dagster/asset_partition_range_start": "2015", "dagster/asset_partition_range_end": "2016"},
        )
        records = self.instance.fetch_materializations(dg.AssetKey("made"), limit=100).records
        events = [r.asset_materialization for r in records if r.run_id == result.run_id]
        recorded = {str(event.partition): event for event in events if event}
        assert len(recorded) == len(events), "each year is recorded once"
        downstream = self.instance.fetch_materializations(dg.AssetKey("after"), limit=1).records
        assert result.success == any(record.run_id == result.run_id for record in downstream)
        return result.success, recorded


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    return Deployment(tmp_path)


def test_each_year_is_recorded_once_with_its_own_data_version(deployment: Deployment) -> None:
    deployment.rows["2016"] = [1, 2, 3]
    succeeded, recorded = deployment.run()
    assert succeeded
    assert {year: event.metadata["rows"].value for year, event in recorded.items()} == {"2015": 2, "2016": 3}
    tags = {year: event.tags or {} for year, event in recorded.items()}
    assert tags["2015"]["dagster/data_version"] != tags["2016"]["dagster/data_version"]
    assert {found["dagster/code_version"] for found in tags.values()} == {"7"}


def test_the_same_recipe_makes_nothing_unless_it_is_asked_to(deployment: Deployment) -> None:
    _, first = deployment.run()
    _, second = deployment.run()
    assert [event.metadata["unchanged"].value for event in second.values()] == [True, True]
    assert {y: (e.tags or {})["dagster/data_version"] for y, e in second.items()} == {
        y: (e.tags or {})["dagster/data_version"] for y, e in first.items()
    }
    deployment.again = True
    _, third = deployment.run()
    assert [event.metadata["rows_changed"].value for event in third.values()] == [False, False]


def test_another_recipe_makes_the_years_again_and_says_whose_rows_changed(deployment: Deployment) -> None:
    deployment.run()
    deployment.made_from, deployment.rows["2016"] = "another", [1, 2, 3]
    _, recorded = deployment.run()
    changed = {year: event.metadata["rows_changed"].value for year, event in recorded.items()}
    assert changed == {"2015": False, "2016": True}


def test_what_was_finished_before_a_failure_is_recorded_and_left_alone_by_the_next_run(
    deployment: Deployment,
) -> None:
    deployment.fails = "2016"
    succeeded, recorded = deployment.run()
    assert not succeeded
    assert recorded.keys() == {"2015"}
    deployment.fails = ""
    succeeded, recorded = deployment.run()
    assert succeeded
    assert {year: "unchanged" in event.metadata for year, event in recorded.items()} == {
        "2015": True,
        "2016": False,
    }


def test_rows_that_are_gone_from_the_disk_are_made_again(deployment: Deployment) -> None:
    deployment.run()
    [file] = deployment.lake.files(deployment.lake.resolve(PEOPLE.name, "2015"))
    deployment.lake.filesystem.delete_file(file)
    _, recorded = deployment.run()
    assert {year: "unchanged" in event.metadata for year, event in recorded.items()} == {
        "2015": False,
        "2016": True,
    }
    assert len(deployment.lake.read(PEOPLE, "2015")) == 2
