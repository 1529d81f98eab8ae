"""Which version an attempt at a step fills: that of the attempt before it, unless somebody may be reading that."""

from pathlib import Path

import dagster as dg
import pytest

from booksearch_assets.assets.attempts import begin_attempt
from booksearch_assets.tables.lake import Lake

TABLE = "books/rows"


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return Lake(str(tmp_path))


def attempt(
    lake: Lake, instance: dg.DagsterInstance, recipe: str = "1", first: str = "", commit: bool = False
) -> tuple[str, str]:
    """(id of the run, version that it filled) of a run that is a new attempt at the run `first`."""
    filled: list[str] = []

    @dg.asset
    def rows(context: dg.AssetExecutionContext) -> None:
        pending = begin_attempt(context, lake, TABLE, {"2019": recipe, "2020": recipe})
        filled.append(pending.version)
        if commit:
            pending.commit("2020")

    tags = {"dagster/root_run_id": first, "dagster/parent_run_id": first} if first else {}
    result = dg.materialize([rows], instance=instance, tags=tags)
    return result.run_id, filled[0]


def test_a_new_attempt_fills_the_version_of_the_one_before_and_a_new_run_another(lake: Lake) -> None:
    instance = dg.DagsterInstance.ephemeral()
    first, version = attempt(lake, instance)
    second, same = attempt(lake, instance, first=first)
    assert (second != first, same) == (True, version)
    assert attempt(lake, instance)[1] != version


def test_another_recipe_is_another_version(lake: Lake) -> None:
    instance = dg.DagsterInstance.ephemeral()
    first, version = attempt(lake, instance)
    assert attempt(lake, instance, recipe="2", first=first)[1] != version


def test_a_version_of_which_a_partition_is_committed_is_not_touched(lake: Lake) -> None:
    instance = dg.DagsterInstance.ephemeral()
    first, version = attempt(lake, instance, commit=True)
    assert attempt(lake, instance, first=first)[1] != version
    assert lake.resolve(TABLE, "2020").version == version
