"""The pages on EMR Serverless say what the templates, the errors, the commands and the planner say."""

from __future__ import annotations

import re
import runpy
import shlex

import click
import pytest

from booksearch_assets.aws.calls import RequestRefused, ServiceUnreachable
from booksearch_assets.aws.stacks import chosen_stacks, parse_parameters
from booksearch_assets.aws_settings import OF_EMR
from booksearch_assets.cli import main
from booksearch_assets.clip.bundle import Bundle
from booksearch_assets.clip.flops import bundle_gflop
from booksearch_assets.compute.comparison import planned_figures
from booksearch_assets.compute.image_embeddings import worker_bytes
from booksearch_assets.compute.memory import MIB
from booksearch_assets.compute.plan import Wishes, Work, plan_spark
from booksearch_assets.compute.rates import Measure, Place, RateName, rate_of
from booksearch_assets.emr import errors
from booksearch_assets.resources.spark import SparkTuning
from booksearch_assets.settings import PACKAGE
from booksearch_assets_tests.emr.test_workers import LAUNCHER
from booksearch_assets_tests.infra.templates import Statement, load, statements

DOCS = PACKAGE.parent / "docs"
EMR_PAGE = (DOCS / "emr.md").read_text()
ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in EMR_PAGE.splitlines()
    if line.startswith("| `")
]
RIGHTS = [statement for statement in statements() if statement.template == "roles"]


PAGES = [DOCS / name for name in ("emr.md", "emr-scaling.md", "tuning.md", "aws.md")]
TYPED = sorted(
    {
        (page.name, " ".join(command.split()))
        for page in PAGES
        for command in re.findall(
            r"^\$ (booksearch [^\n]+)|`(booksearch [^`|]+)`", page.read_text(), re.MULTILINE
        )
        for command in command
        if command
    }
)
"""Each command that a page has its reader type, on a line of a console or in the text, with its page."""


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


@pytest.mark.parametrize(("page", "typed"), TYPED)
def test_every_command_that_a_page_shows_is_one_with_these_options(page: str, typed: str) -> None:
    words = [word for word in shlex.split(typed, comments=True)[1:] if word != "..."]
    command: click.Command | None = main
    while isinstance(command, click.Group) and words:
        _, command, words = command.resolve_command(click.Context(command), words)
    assert command
    if isinstance(command, click.Group):
        return
    chosen = command.make_context("booksearch", words).params
    stacks = chosen_stacks(chosen.get("stacks", ()))
    known = {name for stack in stacks for name in load(stack.name).get("Parameters", {})}
    assert parse_parameters(chosen.get("parameters", ())).keys() <= known


def test_the_first_run_is_shown_from_the_account_to_the_materialisation() -> None:
    """In this order, each on a line of a console."""
    steps = [
        "booksearch aws up",
        "export BOOKSEARCH_PROFILE=emr",
        "booksearch model fetch",
        "booksearch emr package --upload",
        "booksearch doctor",
        "booksearch materialize",
    ]
    consoles = "\n".join(re.findall(r"^\$ .+", EMR_PAGE, re.MULTILINE))
    places = [
        consoles.rindex(step) if step == "booksearch doctor" else consoles.index(step) for step in steps
    ]
    assert places == sorted(places)


def test_every_setting_of_the_tuning_is_explained() -> None:
    page = (DOCS / "tuning.md").read_text()
    explained = re.findall(
        r"^\| `(\w+)` \|", page.partition("| field |")[2].partition("\n\n")[0], re.MULTILINE
    )
    assert explained == [name for name in SparkTuning.model_fields if name in explained]
    assert set(explained) == set(SparkTuning.model_fields)


SAMPLE_MODEL = Bundle.open(PACKAGE / "sample" / "model")
OF_SAMPLE = {
    "worker_bytes": worker_bytes(SAMPLE_MODEL),
    "kind": SAMPLE_MODEL.bundle_id,
    "gflop": bundle_gflop(SAMPLE_MODEL),
}
OF_VIT_B32 = {"worker_bytes": 2 * 605 * 10**6 + 350 * MIB}


@pytest.mark.parametrize(
    ("page", "covers", "model"), [("tuning.md", 70_000, OF_VIT_B32), ("emr.md", 128, OF_SAMPLE)]
)
def test_a_plan_that_a_page_shows_is_the_planners(page: str, covers: int, model: dict[str, object]) -> None:
    work = Work(covers, 20 * covers, Measure.ROW, rows_per_task=512, **model)  # type: ignore[arg-type]
    rate = rate_of(RateName("image_embeddings", Place.EMR, work.kind), None, work.units, work.gflop)
    plan = plan_spark(work, rate, LAUNCHER.offer(Wishes()), Wishes())
    words = planned_figures(plan, LAUNCHER.predicted_cost(plan))["plan"]
    assert words in (DOCS / page).read_text(), words


def test_the_scaling_page_has_the_figures_of_the_planner_and_the_price_table() -> None:
    scaling = runpy.run_path(str(DOCS / "make_scaling.py"))
    page = (DOCS / "emr-scaling.md").read_text()
    assert scaling["page_with_tables"](page) == page, "run: python docs/make_scaling.py"
    # What the text says in words, for a reader who reads only that.
    whole = scaling["_whole_table"](*_rate_and_price())
    assert whole.count("| fetching, ") == len(scaling["COVERS"]) == 3
    dollars = float(whole.splitlines()[-1].split("|")[5])
    assert dollars < 40
    # Three sizes, each with hours, cost and what holds it up.
    rows = [line.split("|")[1].strip() for line in whole.splitlines()]
    assert rows[-3:] == ["70,000", "1,000,000", "15,000,000"]


def _rate_and_price() -> tuple[object, object]:
    from booksearch_assets.compute.rates import default_rate
    from booksearch_assets.emr.account import price_in

    return default_rate("image_embeddings"), price_in("us-east-1")
