"""The whole measurement on a small sample world: what it must find there, and the report of it."""

from __future__ import annotations

import re
from html import escape

import pytest

from booksearch_assets.search.quality.evaluation import Effort, Other, evaluate
from booksearch_assets.search.quality.page import html, tables
from booksearch_assets.search.quality.plots import plots
from booksearch_assets.search.quality.query_sets import Kind
from booksearch_assets.search.quality.report import InvalidReport, QualityReport
from booksearch_assets.search.quality.systems import SystemName
from booksearch_assets_tests.search import library
from booksearch_assets_tests.search.quality.conftest import Measured
from booksearch_assets_tests.search.quality.world import SmallWorld


def test_true_captions_find_their_covers(report: QualityReport) -> None:
    caption = report.answers[Kind.CAPTION]
    assert caption.queries > 200
    assert caption.measures["recall@10"].low >= 0.90


def test_subjects_are_found_by_pictures_where_titles_do_not_say_them(report: QualityReport) -> None:
    ndcg = {name: answers[Kind.UNTITLED].measures["nDCG@10"] for name, answers in report.systems.items()}
    assert report.answers[Kind.UNTITLED].queries >= 30
    assert ndcg[SystemName.VECTORS].value >= 2 * ndcg[SystemName.LEXICAL].value
    # Words find none of these books by definition, so the figure must also stand out from chance.
    assert ndcg[SystemName.VECTORS].low > ndcg[SystemName.RANDOM].high
    assert ndcg[SystemName.VECTORS].value >= 2 * ndcg[SystemName.RANDOM].value


def test_baselines_are_what_they_are_said_to_be(report: QualityReport) -> None:
    lexical, random = report.systems[SystemName.LEXICAL], report.systems[SystemName.RANDOM]
    hybrid = report.systems[SystemName.HYBRID]
    assert lexical[Kind.TITLE].measures["recall@1"].value > 0.95
    assert hybrid[Kind.TITLE].measures["recall@1"].value > 0.95
    assert lexical[Kind.CAPTION].measures["recall@10"].value < 0.05
    assert random[Kind.CAPTION].measures["recall@10"].value == pytest.approx(
        10 / report.item_images, abs=0.04
    )
    assert report.pool == 80
    prototype = report.pooled[SystemName.PROTOTYPE]
    assert prototype[Kind.CAPTION].measures["recall@10"].value > 0.5
    assert prototype[Kind.CAPTION].queries == report.pooled[SystemName.VECTORS][Kind.CAPTION].queries


def test_the_index_and_its_speed_are_measured(report: QualityReport) -> None:
    assert report.self_match.share == 1.0
    assert report.images["as it is"].value == 1.0
    assert report.neighbours == {"all": 1.0, "3 %": 1.0, "14 %": 1.0}
    assert 0 < report.latency["search"].p50 <= report.latency["search"].p99
    assert report.latency["text_to_results"].p50 > 0
    assert report.comparison.other == "books_0"
    assert report.comparison.regressions == ()


def test_figures_have_the_names_that_versions_are_listed_by(report: QualityReport) -> None:
    figures = report.figures()
    assert {"caption_mrr", "title_mrr", "caption_recall_at_10", "untitled_subject_ndcg_at_10"} <= set(figures)
    assert {"search_p50_ms", "self_match", "image_as_it_is", "neighbours_3"} <= set(figures)


def test_a_report_is_read_back_as_it_was(report: QualityReport) -> None:
    assert QualityReport.from_json(report.to_json()) == report
    with pytest.raises(InvalidReport, match="no report"):
        QualityReport.from_json(b'{"collection": "books"}')


def test_the_page_holds_everything_and_needs_nothing(report: QualityReport) -> None:
    page = html(report, plots(report))
    assert all(place.startswith("data:") for place in re.findall(r'(?:src|href)="([^"]*)"', page))
    assert "<script" not in page and "@import" not in page
    assert page.count("data:image/png;base64,") == len(plots(report)) == 6
    for table in tables(report):
        assert escape(table.title) in page
        assert all(len(row) == len(table.header) for row in table.rows)
    assert "books_0" in page


def test_progress_is_told(measured: Measured) -> None:
    complete = {what for what, done, total in measured.progress if done == total}
    assert complete == {
        "queries answered",
        "pictures embedded the prototype's way",
        "pictures spoilt and searched for",
    }


def test_an_empty_collection_says_so(world: SmallWorld) -> None:
    empty = library.shelf([])
    with pytest.raises(ValueError, match="nothing to measure"):
        evaluate(
            empty,
            library.WordEncoder(),  # type: ignore[arg-type]
            world.read_images,
            "",
            Other(),
            Effort(),
            lambda *_: None,
        )
