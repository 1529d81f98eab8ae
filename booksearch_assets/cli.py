"""The `booksearch` command: what runs the graph, and all others by their groups.

Belongs here: the commands that materialise, plan, check and examine. Does not: other commands (`commands`, `aws`, `emr`),
the work. Heavy libraries are imported by the command that needs them, so that `booksearch --help` answers at once.
"""

from __future__ import annotations

import sys

import click

from booksearch_assets.aws.commands import aws
from booksearch_assets.commands.models import model
from booksearch_assets.commands.options import explained, of_catalogue
from booksearch_assets.commands.sample_world import sample
from booksearch_assets.commands.searching import evaluate, publish, rollback, search, serve, versions
from booksearch_assets.emr.commands import emr
from booksearch_assets.settings import Profile, Settings


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def main() -> None:
    """From the Open Library dumps to semantic search over book covers."""


@main.command()
@click.option(
    "--editions", type=click.IntRange(100, 10_000_000), default=None, help="Editions of the sample world."
)
@click.option(
    "--products", type=click.IntRange(40, 1_000_000), default=None, help="Listings of the sample world."
)
@of_catalogue
@explained
def demo(editions: int | None, products: int | None, catalogue: str) -> None:
    """Materialise a whole catalogue of the sample world, then search it."""
    from booksearch_assets.demo import run_demo

    sys.exit(run_demo(catalogue, editions, products))


@main.command()
@click.argument("assets", nargs=-1)
@of_catalogue
@click.option(
    "--years",
    "--partitions",
    "partitions",
    metavar="2015..2019",
    help="Only these partitions: years of publication, or listing files as in listings_0..listings_3. All by default.",
)
@click.option(
    "--filter-profile", default="default", show_default=True, help="article, article-stated or default."
)
@click.option("--again", is_flag=True, help="Make also what has not changed.")
@explained
def materialize(
    assets: tuple[str, ...], catalogue: str, partitions: str | None, filter_profile: str, again: bool
) -> None:
    """Materialise ASSETS (such as books/editions), or a whole catalogue, in one run: what changed, and no more."""
    from booksearch_assets.materialize import materialize_assets

    settings = Settings.from_environment()
    _require_java(settings)
    sys.exit(materialize_assets(settings, assets, catalogue, partitions, filter_profile, again))


@main.command()
@click.option(
    "--editions",
    type=click.IntRange(1),
    help="Editions of the dump; those of the sample world, or of the real one, by default.",
)
@click.option(
    "--covers", type=click.IntRange(0), help="Covers wanted of them; as many as such a dump has by default."
)
@click.option(
    "--vcpu", type=click.IntRange(1), help="Cores here, or vCPUs of the executors on EMR Serverless."
)
@click.option(
    "--place",
    type=click.Choice(["local", "emr"]),
    help="Where Spark runs: this machine, or EMR Serverless; by default as the profile says.",
)
@click.option(
    "--calibrate", is_flag=True, help="First measure small builds on this machine: some eight minutes."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@explained
def plan(
    editions: int | None,
    covers: int | None,
    vcpu: int | None,
    place: str | None,
    calibrate: bool,
    as_json: bool,
) -> None:
    """Predict time, memory, storage and price of a first build, stage by stage."""
    from booksearch_assets.compute.rates import Place
    from booksearch_assets.plan_report import calibrate as measure
    from booksearch_assets.plan_report import show_plan

    settings = Settings.from_environment()
    if calibrate:
        _require_java(settings)
        measure(settings)
    on_emr = place == "emr" or (place is None and settings.profile is Profile.EMR)
    where = Place.EMR if on_emr else Place.LOCAL
    show_plan(settings, where, editions, covers, vcpu, as_json)


@main.command()
@of_catalogue
@explained
def checks(catalogue: str) -> None:
    """Run every asset check on what is committed; exit 1 when one fails."""
    from booksearch_assets.materialize import run_checks

    sys.exit(run_checks(Settings.from_environment(), catalogue))


@main.command()
@click.option("--port", default=3000, show_default=True, help="Port of the Dagster UI, on this machine only.")
@explained
def ui(port: int) -> None:
    """Open the Dagster UI on the same instance and data."""
    from booksearch_assets.ui import serve_ui

    settings = Settings.from_environment()
    _require_java(settings)
    sys.exit(serve_ui(settings, port))


def _require_java(settings: Settings) -> None:
    """Before anything slow, where Spark is to run on this machine."""
    from booksearch_assets.java import require_java

    if settings.profile is not Profile.EMR:
        require_java()


@main.command()
def doctor() -> None:
    """Check this machine and this deployment, and say how to mend what is wrong."""
    from booksearch_assets.doctor import examine

    sys.exit(examine())


for command in (search, serve, versions, evaluate, publish, rollback, model, sample, aws, emr):
    main.add_command(command)

if __name__ == "__main__":
    main()
