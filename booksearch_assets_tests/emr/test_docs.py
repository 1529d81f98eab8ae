"""docs/emr.md and docs/emr-scaling.md say what the templates, the errors and the planner say."""

from __future__ import annotations

import re
import runpy

import pytest

from booksearch_assets.aws.calls import RequestRefused, ServiceUnreachable
from booksearch_assets.aws_settings import OF_EMR
from booksearch_assets.emr import errors
from booksearch_assets.settings import PACKAGE
from booksearch_assets_tests.infra.templates import Statement, statements

DOCS = PACKAGE.parent / "docs"
EMR_PAGE = (DOCS / "emr.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in EMR_PAGE.splitlines()
    if line.startswith("| `")
]
RIGHTS = [statement for statement in statements() if statement.template == "roles"]


def _words(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


@pytest.mark.parametrize("statement", RIGHTS, ids=lambda s: f"{s.resource}-{s.body['Sid']}")
def test_every_right_is_explained(statement: Statement) -> None:
    rows = [
        row
        for row in ROWS
        if row[0] == f"`{statement.body['Sid']}`" and row[1].partition(",")[0] == statement.resource
    ]
    (row,) = [row for row in rows if _words(row[2]) == sorted(statement.each("Action"))]
    assert len(row) == 5 and len(row[4].split()) > 4


def test_no_right_is_explained_that_nobody_has() -> None:
    explained = {(row[1].partition(",")[0], row[0].strip("`")) for row in ROWS if len(row) == 5}
    assert explained == {(s.resource, s.body["Sid"]) for s in RIGHTS}


def test_every_error_says_what_to_do_and_whether_it_is_retried() -> None:
    every = [*errors.EmrError.__subclasses__(), RequestRefused, ServiceUnreachable]
    known = {error.__name__: error for error in every}
    told = {row[0].strip("`"): row for row in ROWS if len(row) == 4}
    assert set(told) == set(known)
    for name, error in known.items():
        expected = "where another" if name == "JobFailed" else "no" if error.permanent else "yes"
        assert told[name][3].startswith(expected), name


def test_every_variable_of_the_profile_is_listed() -> None:
    listed = {word for row in ROWS if len(row) == 2 for word in _words(row[0])}
    assert set(OF_EMR) | {"BOOKSEARCH_EMR_PACKAGE", "BOOKSEARCH_CONTACT", "BOOKSEARCH_PROFILE"} <= listed


def test_the_scaling_page_has_the_figures_of_the_planner_and_the_price_table() -> None:
    scaling = runpy.run_path(str(DOCS / "make_scaling.py"))
    page = (DOCS / "emr-scaling.md").read_text()
    assert scaling["page_with_tables"](page) == page, "run: python docs/make_scaling.py"
    # What the text says in words, for a reader who reads only that.
    whole = scaling["_whole_table"](*_rate_and_price())
    assert whole.count("| fetching, ") == len(scaling["COVERS"]) == 3
    dollars = float(whole.splitlines()[-1].split("|")[5])
    assert dollars < 40


def _rate_and_price() -> tuple[object, object]:
    from booksearch_assets.compute.rates import default_rate
    from booksearch_assets.emr.account import price_in

    return default_rate("image_embeddings"), price_in("us-east-1")
