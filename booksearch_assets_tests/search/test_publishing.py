"""`booksearch versions`, `publish` and `rollback`, and the search asset: one code path, no Dagster for the commands."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner

from booksearch_assets.assets.books import books_catalogue
from booksearch_assets.assets.search import build_search
from booksearch_assets.cli import main
from booksearch_assets.resources.lake import LakeResource
from booksearch_assets.resources.vector_store import VectorStoreResource
from booksearch_assets.tables.lake import Lake
from booksearch_assets.vectorstores.milvus_lite import MilvusLiteStore
from booksearch_assets_tests.search.releases import Releases


@pytest.fixture
def releases(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Releases]:
    """The deployment that the commands find in the environment."""
    monkeypatch.setenv("BOOKSEARCH_HOME", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "250")
    for variable in ("BOOKSEARCH_LAKE", "BOOKSEARCH_MILVUS_URI", "BOOKSEARCH_PROFILE"):
        monkeypatch.delenv(variable, raising=False)
    with MilvusLiteStore(tmp_path / "milvus") as store:
        yield Releases(Lake(str(tmp_path / "lake")), store)


def _call(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, list(arguments))
    return result.exit_code, result.output


def _materialise(releases: Releases, **config: int) -> dg.ExecuteInProcessResult:
    resources = {
        "lake": LakeResource(root=releases.lake.root),
        "vector_store": VectorStoreResource(uri=releases.store.where),  # type: ignore[attr-defined]
    }
    return dg.materialize(
        [build_search(books_catalogue(2010))],
        resources=resources,
        instance=dg.DagsterInstance.ephemeral(),
        run_config={"ops": {"books__search": {"config": config}}},
        raise_on_error=False,
    )


def _shown(result: dg.ExecuteInProcessResult) -> dict[str, object]:
    [event] = result.asset_materializations_for_node("books__search")
    return {name: value.value for name, value in event.metadata.items()}


def test_no_version_yet_says_what_to_do(releases: Releases) -> None:
    assert _call("versions") == (
        0,
        "there is no version yet; make one with: booksearch materialize --catalogue books\n",
    )
    assert _call("versions", "--json") == (0, "[]\n")
    code, output = _call("rollback")
    assert code == 1
    assert "no version to go back to" in output


def test_versions_are_listed_published_and_rolled_back_while_a_run_holds_every_lock(
    releases: Releases,
) -> None:
    old, new = releases.build(1), releases.build(2)
    bad = releases.build(3, failed=["self_match"])
    # This process has all three databases open, and so locked, as a run would.
    assert [releases.store.count(name) for name in (old, new, bad)] == [24, 24, 24]
    script = (
        "import sys\nfrom booksearch_assets.cli import main\ntry:\n    main(sys.argv[1:])\nfinally:\n"
        "    assert not {'dagster', 'pymilvus', 'torch'} & sys.modules.keys()"
    )
    apart = subprocess.run(
        [sys.executable, "-c", script, "publish", old],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (apart.stdout, apart.stderr) == (f"{old} is live, and replaced nothing\n", "")
    assert _call("publish", new[-6:]) == (0, f"{new} is live, and replaced {old}\n")
    code, listed = _call("versions")
    lines = listed.splitlines()
    assert code == 0
    assert lines[0].split() == ["collection", "dump", "rows", "MRR", "checks", "model"]
    assert bad in lines[1] and "self_match failed" in lines[1]
    assert lines[2].startswith("live") and new in lines[2] and "2026-01-31" in lines[2]
    assert "letters" in lines[2] and "24" in lines[2] and "title 0.500" in lines[2] and "passed" in lines[2]
    assert old in lines[3] and not lines[3].startswith("live")
    assert _call("rollback") == (0, f"{old} is live, and replaced {new}\n")


def test_versions_as_json(releases: Releases) -> None:
    name = releases.build(1, unchecked=["self_match"])
    code, output = _call("versions", "--json")
    assert code == 0
    [version] = json.loads(output)
    assert version["collection"] == name
    assert (version["live"], version["rows"], version["state"]) == (False, 24, "ready")
    assert version["objections"] == ["self_match has not run"]
    assert version["quality"] == {"title_mrr": 0.5}
    assert version["made"].startswith("20") and version["made"].endswith("+00:00")


def test_what_cannot_be_published_is_explained(releases: Releases) -> None:
    name = releases.build(1, failed=["counts_reconcile"])
    for arguments, says in (
        (["publish", name], "counts_reconcile failed"),
        (["publish", "nothing"], f"no version 'nothing'; it has {name}"),
        (["publish"], "Missing argument 'VERSION'"),
        (["rollback"], "no version to go back to"),
    ):
        code, output = _call(*arguments)
        assert code != 0
        assert says in output
        assert "Traceback" not in output
    assert releases.store.published("books") is None


def test_publishing_what_is_live_says_so(releases: Releases) -> None:
    name = releases.build(1)
    assert _call("publish", name)[0] == 0
    assert _call("publish", name) == (0, f"{name} is live already; nothing was changed\n")
    assert releases.recorded() == [name]


def test_the_asset_publishes_the_newest_and_clears_up(releases: Releases) -> None:
    names = []
    for number in range(4):
        names.append(releases.build(number))
        releases.store.close()
        result = _materialise(releases, keep=2)
        assert result.success
    shown = _shown(result)
    assert shown["collection"] == names[3]
    assert shown["replaced"] == names[2]
    assert shown["dagster/row_count"] == 24
    assert names[1] in str(shown["dropped"])
    assert shown["kept"] == f"{names[3]}, {names[2]}"
    assert releases.store.collections() == names[2:]
    assert releases.recorded() == names
    # Once more: nothing moves, nothing is recorded.
    shown = _shown(_materialise(releases, keep=2))
    assert shown["published"] == f"{names[3]} was live already"
    assert releases.recorded() == names


def test_the_asset_refuses_what_did_not_pass_and_readers_keep_what_they_have(releases: Releases) -> None:
    good = releases.build(1)
    assert _materialise(releases).success
    releases.build(2, failed=["quality_not_below_live"])
    result = _materialise(releases)
    assert not result.success
    [failure] = [event for event in result.all_events if event.is_step_failure]
    assert "quality_not_below_live failed" in failure.step_failure_data.error_display_string
    assert releases.store.published("books") == good


def test_the_asset_does_not_undo_a_rollback_until_there_is_a_newer_version(releases: Releases) -> None:
    first = releases.build(1)
    assert _materialise(releases).success
    second = releases.build(2)
    assert _materialise(releases).success
    assert _call("rollback")[0] == 0
    shown = _shown(_materialise(releases))
    assert f"{second} was rolled back from" in str(shown["published"])
    assert shown["collection"] == releases.store.published("books") == first
    third = releases.build(3)
    assert _materialise(releases).success
    assert releases.store.published("books") == third
