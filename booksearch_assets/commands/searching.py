"""`booksearch search | serve | versions | evaluate | publish | rollback`: what is published, and how it is asked.

Belongs here: their options. Does not: the work (`search`, `publishing`, `evaluating`).
"""

from __future__ import annotations

import json
from pathlib import Path

import click

from booksearch_assets.commands.options import explained, of_catalogue
from booksearch_assets.settings import Settings


@click.command()
@click.argument("text", required=False)
@of_catalogue
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
@explained
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


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address of this machine to listen at.")
@click.option(
    "--port", default=8080, show_default=True, type=click.IntRange(0, 65_535), help="0: any that is free."
)
@click.option("--public", is_flag=True, help="Let strangers search without a token.")
@of_catalogue
@explained
def serve(host: str, port: int, public: bool, catalogue: str) -> None:
    """Serve the search: a page for people, a REST API for programs."""
    from booksearch_assets.search.api.serve import serve as serve_search
    from booksearch_assets.search.catalogues import searched_catalogue

    serve_search(Settings.from_environment(), searched_catalogue(catalogue), host, port, public)


@click.command()
@of_catalogue
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@explained
def versions(catalogue: str, as_json: bool) -> None:
    """List the versions of the collection: which is live, dump, model, rows, quality and checks."""
    from booksearch_assets.publishing import show_versions

    show_versions(Settings.from_environment(), catalogue, as_json)


@click.command()
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
@of_catalogue
@explained
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


@click.command()
@click.argument("version")
@of_catalogue
@explained
def publish(version: str, catalogue: str) -> None:
    """Make VERSION live: a collection's name, or its beginning or end where no other has the same."""
    from booksearch_assets.publishing import publish_version

    publish_version(Settings.from_environment(), catalogue, version)


@click.command()
@of_catalogue
@explained
def rollback(catalogue: str) -> None:
    """Make the version live that was live before the present one."""
    from booksearch_assets.publishing import roll_back

    roll_back(Settings.from_environment(), catalogue)
