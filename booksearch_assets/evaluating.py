"""`booksearch evaluate`: measure any version, beside another, and print or save the report.

Belongs here: choosing the versions, progress, printing. Does not: the measures (`search.quality`).
"""

from __future__ import annotations

import time
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table as Grid

from booksearch_assets.search.catalogue import SearchedCatalogue
from booksearch_assets.search.publications import publications
from booksearch_assets.search.quality.evaluation import Effort, evaluate
from booksearch_assets.search.quality.opening import open_other, open_version
from booksearch_assets.search.quality.page import describe, html, tables
from booksearch_assets.search.quality.plots import plots
from booksearch_assets.search.quality.report import QualityReport
from booksearch_assets.search.shell import image_contents
from booksearch_assets.search.versions import Versions
from booksearch_assets.settings import Settings
from booksearch_assets.tables.lake import Lake

_EVERY_SECONDS = 2.0


def evaluate_version(
    settings: Settings,
    catalogue: SearchedCatalogue,
    collection: str | None,
    against: str | None,
    queries: int,
    as_json: bool,
    page: Path | None,
) -> None:
    """Measure `collection` of a catalogue (the live one by default) beside `against`, and print what was found.

    By default that is the live version, or for the live version the one that it replaced. Raises `UnknownVersion`.
    """
    from booksearch_assets.definitions import default_resources, picture_services
    from booksearch_assets.vectorstores.connect import open_store

    resources = default_resources(settings)
    model, service = resources["model"], picture_services(resources).of(catalogue.name)
    lake = Lake(settings.lake)
    with open_store(settings.store_uri, settings.store_token()) as store:
        versions = Versions(lake, store, catalogue.name)
        live = versions.live()
        name = versions.find(collection or live or "").collection
        beside = (
            versions.find(against).collection if against else _default_other(lake, catalogue.name, name, live)
        )
        known_items = service.known_items if Path(service.known_items).is_file() else ""
        click.echo(f"measuring {name} beside {beside or 'no other version'}", err=True)
        report = evaluate(
            *open_version(store, name, model.encoder_of),
            read_images=lambda images: image_contents(catalogue.pictures, lake.root, service.source, images),
            known_items=known_items,
            other=open_other(store, lake, catalogue.name, beside, model.encoder_of),
            effort=Effort(queries=queries),
            on_progress=_Lines(),
        )
    if as_json:
        click.echo(report.to_json().decode())
    else:
        _print(report)
    if page:
        page.parent.mkdir(parents=True, exist_ok=True)
        page.write_text(html(report, plots(report)), encoding="utf-8")
        click.echo(f"report: {page}", err=True)


def _default_other(lake: Lake, catalogue: str, name: str, live: str | None) -> str | None:
    if name != live:
        return live
    replaced = (p.replaced for p in publications(lake, catalogue) if p.collection == name)
    return next(replaced, None)


class _Lines:
    """Progress on standard error, a line now and then and one at the end of each count."""

    def __init__(self) -> None:
        self._said = 0.0

    def __call__(self, what: str, done: int, total: int | None = None) -> None:
        if done == total or time.monotonic() - self._said > _EVERY_SECONDS:
            self._said = time.monotonic()
            click.echo(f"  {what}: {done:,}" + (f" of {total:,}" if total else ""), err=True)


def _print(report: QualityReport) -> None:
    console = Console(highlight=False)
    console.print(f"[bold]{report.collection}[/bold]  {report.bundle_id}, {report.items:,} items")
    console.print(describe(report.comparison), markup=False)
    for table in tables(report):
        grid = Grid(*table.header, box=None, pad_edge=False, title=table.title, title_justify="left")
        for row in table.rows:
            grid.add_row(*row)
        console.print()
        console.print(grid)
