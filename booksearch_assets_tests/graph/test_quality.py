"""The quality of what the graph has published: what the asset shows and keeps, and `booksearch evaluate`."""

from __future__ import annotations

import json
from pathlib import Path

import dagster as dg
import pytest
from click.testing import CliRunner

from booksearch_assets.cli import main
from booksearch_assets.search.quality.opening import REPORT_PAGE, stored_report
from booksearch_assets.search.quality.query_sets import Kind
from booksearch_assets.search.quality.report import Pairing, QualityReport
from booksearch_assets_tests.graph.deployment import Deployment, materializations

pytestmark = [pytest.mark.graph, pytest.mark.spark]

Materialised = tuple[Deployment, dg.ExecuteInProcessResult]


def test_the_asset_shows_and_keeps_the_report(materialised: Materialised) -> None:
    deployment = materialised[0]
    commit = deployment.lake.resolve("books/search_quality")
    report = stored_report(deployment.lake, "books", commit.facts["collection"])
    assert report
    assert report.answers[Kind.CAPTION].measures["recall@10"].value >= 0.90
    assert commit.facts["caption_recall_at_10"] == report.answers[Kind.CAPTION].measures["recall@10"].value
    assert report.images["as it is"].value == 1.0
    assert report.comparison.pairing is Pairing.NOTHING
    [record] = materializations(deployment, "books/search_quality")
    assert record.asset_materialization
    shown = {name: value.value for name, value in record.asset_materialization.metadata.items()}
    page = Path(str(shown["report"]).removeprefix("file://"))
    assert page.name == REPORT_PAGE
    assert page.read_text().startswith("<!doctype html>")
    assert sum("data:image/png" in str(value) for value in shown.values()) >= 5


def test_the_first_version_passes_the_check_and_says_why(materialised: Materialised) -> None:
    [said] = [
        evaluation
        for evaluation in materialised[1].get_asset_check_evaluations()
        if evaluation.check_name == "quality_not_below_live"
    ]
    assert said.passed
    assert "this is the first version" in str(said.metadata["compared"].value)


def test_evaluate_measures_what_is_live_on_demand(
    materialised: Materialised, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = materialised[0].settings
    monkeypatch.setenv("BOOKSEARCH_HOME", str(settings.home))
    monkeypatch.setenv("BOOKSEARCH_SAMPLE_EDITIONS", str(settings.sample_editions))
    page = tmp_path / "reports" / "quality.html"
    result = CliRunner().invoke(main, ["evaluate", "--queries", "10", "--json", "--report", str(page)])
    assert result.exit_code == 0, result.output
    report = QualityReport.from_json(result.stdout.encode())
    assert json.loads(result.stdout)["collection"] == report.collection
    assert report.answers[Kind.CAPTION].queries == 10
    assert "queries answered" in result.stderr
    assert report.collection in page.read_text()
    unknown = CliRunner().invoke(main, ["evaluate", "--collection", "books_of_nobody"])
    assert unknown.exit_code == 1
    assert "books_of_nobody" in unknown.output
