"""`booksearch sample`: the sample world, its service and its model.

Belongs here: options. Does not: the work (`sample.commands`).
"""

from __future__ import annotations

import sys
from pathlib import Path

import click

from booksearch_assets.commands.options import explained
from booksearch_assets.settings import Settings


@click.group()
def sample() -> None:
    """The sample world: dumps, covers, products, a local service and a small model, all made here."""


@sample.command("write")
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--editions", default=2000, show_default=True, type=click.IntRange(100, 10_000_000))
@click.option("--seed", default=0, show_default=True)
@click.option("--release", default=0, show_default=True, help="Which monthly dump of that world.")
@explained
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
@explained
def sample_products(folder: Path, listings: int, seed: int, originals: bool) -> None:
    """Write a release of products into a folder: listings, images.csv and photos, as ABO publishes them."""
    from booksearch_assets.sample.commands import write_products

    write_products(folder, listings, seed, originals)


@sample.command("serve")
@click.option("--port", type=int, help="Loopback port; BOOKSEARCH_SAMPLE_PORT by default.")
@explained
def sample_serve(port: int | None) -> None:
    """Serve the sample world's dumps, covers and products on loopback until stopped."""
    from booksearch_assets.sample.commands import serve_world

    serve_world(Settings.from_environment(), port)


@sample.command("paint")
@click.argument("cover_id", type=click.IntRange(1))
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
@explained
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
@explained
def sample_train_clip(into: Path) -> None:
    """Train the small model that the sample world ships, on covers painted here."""
    from booksearch_assets.sample.commands import train_clip

    train_clip(into)


@sample.command("evaluate-clip")
@click.option("--covers", default=1000, show_default=True, type=click.IntRange(10, 100_000))
@explained
def sample_evaluate_clip(covers: int) -> None:
    """Measure the model on covers and scene combinations that it never saw."""
    from booksearch_assets.sample.commands import evaluate_clip

    sys.exit(evaluate_clip(Settings.from_environment(), covers))
