"""The `booksearch` command.

Belongs here: options, and printing what the called function returns. Does not: the work. Heavy libraries are
imported by the command that needs them, so that `booksearch --help` answers at once.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any, TypeVar

import click

from booksearch_assets.aws.commands import aws
from booksearch_assets.aws_settings import SettingsError
from booksearch_assets.emr.commands import emr
from booksearch_assets.settings import Profile, Settings

_F = TypeVar("_F", bound=Callable[..., Any])


def _explained(command: _F) -> _F:
    """End with one clear line, and exit code 1, for errors that say themselves what to do."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        from booksearch_assets.clip.bundle import BundleError
        from booksearch_assets.clip.fetch import FetchError
        from booksearch_assets.java import JavaMissing
        from booksearch_assets.sagemaker.errors import EndpointError
        from booksearch_assets.search.query import ItemNotFound
        from booksearch_assets.tables.lake import LakeError
        from booksearch_assets.vectorstores.errors import VectorStoreError

        try:
            return command(*args, **kwargs)
        except (
            SettingsError,
            LakeError,
            BundleError,
            FetchError,
            VectorStoreError,
            EndpointError,
            JavaMissing,
            ItemNotFound,
            OSError,
            ValueError,
        ) as error:
            raise click.ClickException(str(error)) from error

    return run  # type: ignore[return-value]


_of_catalogue = click.option(
    "--catalogue",
    envvar="BOOKSEARCH_CATALOGUE",
    type=click.Choice(["books", "products"]),
    default="books",
    show_default=True,
    help="Books by their covers, or products by their photos.",
)


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
@_of_catalogue
@_explained
def demo(editions: int | None, products: int | None, catalogue: str) -> None:
    """Materialise a whole catalogue of the sample world, then search it."""
    from booksearch_assets.demo import run_demo

    sys.exit(run_demo(catalogue, editions, products))


@main.command()
@click.argument("text", required=False)
@_of_catalogue
@click.option(
    "--image", type=click.Path(exists=True, dir_okay=False, path_type=Path), help="Search by this picture."
)
@click.option(
    "--like",
    metavar="KEY",
    help="Search for pictures like that of this item, such as OL7353617M or B07TH2B1LQ@amazon.com.",
)
@click.option("--without", metavar="TEXT", help="Keep away from this.")
@click.option("--year", "years", metavar="2015..2020", help="Only books published in these years.")
@click.option("--pages", metavar="100..300", help="Only books with so many pages.")
@click.option("--author", help="Only books by this author: the whole name.")
@click.option("--subject", help="Only books with this subject.")
@click.option("--language", metavar="CODE", help="Only books in this language, such as eng.")
@click.option("--brand", help="Only products of this brand: the whole name.")
@click.option("--type", help="Only products of this type.")
@click.option("--colour", help="Only products of this colour, as the listing names it.")
@click.option("--material", help="Only products of this material, as the listing names it.")
@click.option(
    "--mode",
    type=click.Choice(["semantic", "lexical", "hybrid"]),
    help="Compare meanings, words, or both. Both for a text alone.",
)
@click.option("-k", default=10, show_default=True, type=click.IntRange(1, 1000), help="How many results.")
@click.option("--more", is_flag=True, help="The next page of the last search.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--sheet", type=click.Path(dir_okay=False, path_type=Path), help="Save the pictures found as one picture."
)
@_explained
def search(
    text: str | None,
    catalogue: str,
    image: Path | None,
    like: str | None,
    without: str | None,
    mode: str | None,
    k: int,
    more: bool,
    as_json: bool,
    sheet: Path | None,
    **filters: str | None,
) -> None:
    """Search what is published by TEXT, by picture, by an item to be like, or by several of them."""
    from booksearch_assets.search.catalogues import searched_catalogue
    from booksearch_assets.search.query import Query, SearchMode
    from booksearch_assets.search.shell import LastSearch, open_search, print_results, save_sheet

    if not (text or image or like or more):
        raise click.UsageError(
            'give a text or --image, --like or --more, as in: booksearch search "a lighthouse in a storm"'
        )
    settings, searched = Settings.from_environment(), searched_catalogue(catalogue)
    last = LastSearch(settings.home, catalogue)
    query = Query(
        text=text,
        image=image.read_bytes() if image else None,
        like=like,
        without=without,
        filters=searched.filters.parse(filters),
        mode=SearchMode(mode) if mode else None,
        k=k,
        cursor=last.cursor() if more else None,
    )
    results = open_search(settings, searched).search(query)
    last.remember(results.next_cursor)
    if as_json:
        click.echo(json.dumps(results.to_json(), ensure_ascii=False, indent=1))
    else:
        print_results(results, searched)
    if sheet:
        heading = text or like or (str(image) if image else "")
        save_sheet(results, settings, sheet, heading, searched)
        click.echo(f"{searched.wording.images}: {sheet}", err=as_json)


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address of this machine to listen at.")
@click.option(
    "--port", default=8080, show_default=True, type=click.IntRange(0, 65_535), help="0: any that is free."
)
@click.option("--public", is_flag=True, help="Let strangers search without a token.")
@_of_catalogue
@_explained
def serve(host: str, port: int, public: bool, catalogue: str) -> None:
    """Serve the search: a page for people, a REST API for programs."""
    from booksearch_assets.search.api.serve import serve as serve_search
    from booksearch_assets.search.catalogues import searched_catalogue

    serve_search(Settings.from_environment(), searched_catalogue(catalogue), host, port, public)


@main.command()
@click.argument("assets", nargs=-1)
@_of_catalogue
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
@_explained
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
    "--calibrate", is_flag=True, help="First measure two small builds on this machine: some minutes."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_explained
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
@_of_catalogue
@_explained
def checks(catalogue: str) -> None:
    """Run every asset check on what is committed; exit 1 when one fails."""
    from booksearch_assets.materialize import run_checks

    sys.exit(run_checks(Settings.from_environment(), catalogue))


@main.command()
@_of_catalogue
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_explained
def versions(catalogue: str, as_json: bool) -> None:
    """List the versions of the collection: which is live, dump, model, rows, quality and checks."""
    from booksearch_assets.publishing import show_versions

    show_versions(Settings.from_environment(), catalogue, as_json)


@main.command()
@click.option("--collection", metavar="NAME", help="The version to measure; the live one by default.")
@click.option(
    "--against",
    metavar="NAME",
    help="The version to compare it with; by default the live one, or the one that the live one replaced.",
)
@click.option(
    "--queries",
    default=300,
    show_default=True,
    type=click.IntRange(10, 100_000),
    help="At most, of each kind.",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option(
    "--report",
    "page",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Save the report as one HTML page.",
)
@_of_catalogue
@_explained
def evaluate(
    collection: str | None,
    against: str | None,
    queries: int,
    as_json: bool,
    page: Path | None,
    catalogue: str,
) -> None:
    """Measure how well a version of the collection finds what is asked, beside another version and baselines."""
    from booksearch_assets.evaluating import evaluate_version
    from booksearch_assets.search.catalogues import searched_catalogue

    settings = Settings.from_environment()
    evaluate_version(settings, searched_catalogue(catalogue), collection, against, queries, as_json, page)


@main.command()
@click.argument("version")
@_of_catalogue
@_explained
def publish(version: str, catalogue: str) -> None:
    """Make VERSION live: a collection's name, or its beginning or end where no other has the same."""
    from booksearch_assets.publishing import publish_version

    publish_version(Settings.from_environment(), catalogue, version)


@main.command()
@_of_catalogue
@_explained
def rollback(catalogue: str) -> None:
    """Make the version live that was live before the present one."""
    from booksearch_assets.publishing import roll_back

    roll_back(Settings.from_environment(), catalogue)


@main.command()
@click.option("--port", default=3000, show_default=True, help="Port of the Dagster UI, on this machine only.")
@_explained
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


@main.group()
def model() -> None:
    """The embedding model."""


@model.command("fetch")
@click.argument("model_id", default="openai/clip-vit-base-patch32")
@click.option("--revision", help="Commit or tag of the model; the newest by default.")
@click.option("--into", type=click.Path(file_okay=False, path_type=Path), help="Folder of the bundle.")
@_explained
def model_fetch(model_id: str, revision: str | None, into: Path | None) -> None:
    """Fetch MODEL_ID from the Hugging Face hub, once, as a bundle."""
    from booksearch_assets.clip.fetch import fetch_model

    _say_bundle(fetch_model(model_id, into or _bundle_folder(model_id), revision))


@model.command("import")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--model-id", required=True, help="Name of the model, as its publisher names it.")
@click.option("--revision", required=True, help="Revision of the model.")
@click.option("--into", type=click.Path(file_okay=False, path_type=Path), help="Folder of the bundle.")
@_explained
def model_import(folder: Path, model_id: str, revision: str, into: Path | None) -> None:
    """Make a bundle of a model that lies in FOLDER."""
    from booksearch_assets.clip.fetch import import_model

    _say_bundle(import_model(folder, into or _bundle_folder(model_id), model_id, revision))


@model.command("engines")
@click.option("--measure", is_flag=True, help="Measure them now, and decide which embeds.")
@click.option(
    "--pictures",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Folder of pictures to measure with; painted covers by default.",
)
@click.option("--count", default=256, show_default=True, type=click.IntRange(20, 10_000), help="How many.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_explained
def model_engines(measure: bool, pictures: Path | None, count: int, as_json: bool) -> None:
    """Show what can run the model here, how fast, and which embeds, and why."""
    from booksearch_assets.encoder_engines import show_engines

    show_engines(Settings.from_environment(), measure, pictures, count, as_json)


def _bundle_folder(model_id: str) -> Path:
    return Settings.from_environment().home / "models" / model_id.replace("/", "--")


def _say_bundle(bundle: Any) -> None:
    click.echo(f"{bundle.bundle_id}: {bundle.dimension} wide, in {bundle.folder}")
    click.echo(f"use it: export BOOKSEARCH_MODEL={bundle.folder}")


@main.group()
def sample() -> None:
    """The sample world: dumps, covers, products, a local service and a small model, all made here."""


@sample.command("write")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--editions", default=2000, show_default=True, type=click.IntRange(100, 10_000_000))
@click.option("--seed", default=0, show_default=True)
@click.option("--release", default=0, show_default=True, help="Which monthly dump of that world.")
@_explained
def sample_write(folder: Path, editions: int, seed: int, release: int) -> None:
    """Write the dump files of a sample world into FOLDER."""
    from booksearch_assets.sample.commands import write_world

    write_world(folder, editions, seed, release)


@sample.command("products")
@click.option(
    "--folder", required=True, type=click.Path(file_okay=False, path_type=Path), help="Where it is written."
)
@click.option("--listings", default=800, show_default=True, type=click.IntRange(40, 1_000_000))
@click.option("--seed", default=0, show_default=True)
@click.option("--originals", is_flag=True, help="Paint the photos in their own size as well.")
@_explained
def sample_products(folder: Path, listings: int, seed: int, originals: bool) -> None:
    """Write a release of products into a folder: listings, images.csv and photos, as ABO publishes them."""
    from booksearch_assets.sample.commands import write_products

    write_products(folder, listings, seed, originals)


@sample.command("serve")
@click.option("--port", type=int, help="Loopback port; BOOKSEARCH_SAMPLE_PORT by default.")
@_explained
def sample_serve(port: int | None) -> None:
    """Serve the sample world's dumps, covers and products on loopback until stopped."""
    from booksearch_assets.sample.commands import serve_world

    serve_world(Settings.from_environment(), port)


@sample.command("paint")
@click.argument("cover_id", type=click.IntRange(1))
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@_explained
def sample_paint(cover_id: int, file: Path) -> None:
    """Paint the cover of COVER_ID into FILE and print its true caption."""
    from booksearch_assets.sample.commands import paint_cover

    click.echo(paint_cover(Settings.from_environment(), cover_id, file))


@sample.command("train-clip")
@click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("data/models/sample-clip"),
    show_default=True,
)
@_explained
def sample_train_clip(into: Path) -> None:
    """Train the small model that the sample world ships, on covers painted here."""
    from booksearch_assets.sample.commands import train_clip

    train_clip(into)


@sample.command("evaluate-clip")
@click.option("--covers", default=1000, show_default=True, type=click.IntRange(10, 100_000))
@_explained
def sample_evaluate_clip(covers: int) -> None:
    """Measure the model on covers and scene combinations that it never saw."""
    from booksearch_assets.sample.commands import evaluate_clip

    sys.exit(evaluate_clip(Settings.from_environment(), covers))


main.add_command(aws)
main.add_command(emr)

if __name__ == "__main__":
    main()
