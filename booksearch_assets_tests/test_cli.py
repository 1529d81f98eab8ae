"""The `booksearch` command: help, options, and what bad ones get."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner

from booksearch_assets.cli import main
from booksearch_assets.materialize import parse_partitions
from booksearch_assets_tests.graph.deployment import Deployment

Materialised = tuple[Deployment, dg.ExecuteInProcessResult]


def _call(*arguments: str, **environment: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, list(arguments), env=environment)
    return result.exit_code, result.output


@pytest.mark.parametrize(
    "command",
    [
        [],
        ["demo"],
        ["search"],
        ["materialize"],
        ["checks"],
        ["ui"],
        ["model", "fetch"],
        ["sample", "train-clip"],
        ["doctor"],
    ],
)
def test_every_command_has_help(command: list[str]) -> None:
    code, output = _call(*command, "--help")
    assert code == 0
    assert "Usage:" in output


def test_help_imports_nothing_heavy() -> None:
    script = "import sys\nfrom booksearch_assets.cli import main\ntry:\n    main(['--help'])\nexcept SystemExit:\n    pass\nprint(sorted(m for m in ('torch', 'pyspark', 'dagster', 'pyarrow') if m in sys.modules))"
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert answer.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["search"], "give a text or --image"),
        (["search", "x", "--year", "2020..2015"], "reversed"),
        (["search", "x", "--year", "last year"], "expected 2015..2020"),
        (["search", "x", "-k", "0"], "1<=x<=1000"),
        (["search", "--image", "/no/such/file.jpg"], "does not exist"),
        (["materialize", "books/nothing"], "no asset is called books/nothing"),
        (["materialize", "--years", "15"], "expected one or a range"),
        (["materialize", "--years", "1990..2019"], "there is no partition 1990 of books; there are 2010.."),
        (["materialize", "--filter-profile", "artcle"], "article-stated"),
        (["demo", "--editions", "5"], "100<=x<=10000000"),
        (["model", "import", "/no/such/folder", "--model-id", "a", "--revision", "b"], "does not exist"),
    ],
)
def test_bad_options_are_explained(
    arguments: list[str], says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    code, output = _call(*arguments, BOOKSEARCH_HOME=str(tmp_path))
    assert code != 0
    assert says in re.sub(r"\s+", " ", output)
    assert "Traceback" not in output


def test_a_bad_setting_is_explained() -> None:
    code, output = _call("search", "x", BOOKSEARCH_PROFILE="cloud")
    assert code == 1
    assert "BOOKSEARCH_PROFILE" in output
    assert "sample" in output


def test_searching_before_anything_is_published_says_what_to_do(tmp_path: Path) -> None:
    code, output = _call("search", "x", BOOKSEARCH_HOME=str(tmp_path))
    assert code == 1
    assert "nothing is published" in output


def test_years() -> None:
    assert parse_partitions(None) is None
    assert parse_partitions("2015") == ("2015", "2015")
    assert parse_partitions("2015..2019") == ("2015", "2019")
    with pytest.raises(ValueError, match=r"2019\.\.2015"):
        parse_partitions("2019..2015")


@pytest.mark.graph
@pytest.mark.spark
def test_a_search_from_a_shell_prints_and_draws_what_it_finds(
    materialised: Materialised, tmp_path: Path
) -> None:
    settings = materialised[0].settings
    environment = {
        "BOOKSEARCH_HOME": str(settings.home),
        "BOOKSEARCH_SAMPLE_EDITIONS": str(settings.sample_editions),
    }
    sheet = tmp_path / "found.png"
    code, output = _call("search", "a dragon at sea", "-k", "3", "--sheet", str(sheet), **environment)
    assert code == 0, output
    assert "score" in output
    assert sheet.stat().st_size > 10_000
    code, output = _call(
        "search", "a dragon at sea", "-k", "3", "--json", "--year", "2020..2022", **environment
    )
    found = json.loads(output)
    assert code == 0
    assert len(found["results"]) == 3
    assert all(2020 <= result["year"] <= 2022 for result in found["results"])
    code, output = _call("search", "--more", "-k", "3", "--json", **environment)
    assert code == 0, output
    following = json.loads(output)["results"]
    assert [result["rank"] for result in following] == [4, 5, 6]
    assert all(2020 <= result["year"] <= 2022 for result in following)
    like = found["results"][0]["edition_key"]
    code, output = _call("search", "--like", like, "--subject", "no such", "--json", **environment)
    assert (code, json.loads(output)["results"]) == (0, [])
    code, output = _call("search", "--more", **environment)
    assert code == 1
    assert "there is no next page" in output
    code, output = _call("search", "--like", "OL0M", **environment)
    assert code == 1
    assert "holds no edition 'OL0M'" in output
    code, output = _call("search", "--image", str(sheet), "-k", "2", **environment)
    assert code == 0, output


@pytest.mark.graph
@pytest.mark.spark
def test_a_file_that_is_no_picture_is_explained(materialised: Materialised, tmp_path: Path) -> None:
    settings = materialised[0].settings
    (tmp_path / "note.jpg").write_text("not a picture")
    code, output = _call("search", "--image", str(tmp_path / "note.jpg"), BOOKSEARCH_HOME=str(settings.home))
    assert code == 1
    assert "not an image" in output
