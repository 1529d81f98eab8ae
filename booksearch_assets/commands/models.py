"""`booksearch model`: bundles of models, and the engines that run them.

Belongs here: options and printing. Does not: the work (`clip`, `encoder_engines`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from booksearch_assets.commands.options import explained
from booksearch_assets.settings import Settings


@click.group()
def model() -> None:
    """The embedding model."""


@model.command("fetch")
@click.argument("model_id", default="openai/clip-vit-base-patch32")
@click.option("--revision", help="Commit or tag of the model; the newest by default.")
@click.option("--into", type=click.Path(file_okay=False, path_type=Path), help="Folder of the bundle.")
@explained
def model_fetch(model_id: str, revision: str | None, into: Path | None) -> None:
    """Fetch MODEL_ID from the Hugging Face hub, once, as a bundle."""
    from booksearch_assets.clip.fetch import fetch_model

    _say_bundle(fetch_model(model_id, into or _bundle_folder(model_id), revision))


@model.command("import")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--model-id", required=True, help="Name of the model, as its publisher names it.")
@click.option("--revision", required=True, help="Revision of the model.")
@click.option("--into", type=click.Path(file_okay=False, path_type=Path), help="Folder of the bundle.")
@explained
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
@explained
def model_engines(measure: bool, pictures: Path | None, count: int, as_json: bool) -> None:
    """Show what can run the model here, how fast, and which embeds, and why."""
    from booksearch_assets.encoder_engines import show_engines

    show_engines(Settings.from_environment(), measure, pictures, count, as_json)


def _bundle_folder(model_id: str) -> Path:
    return Settings.from_environment().home / "models" / model_id.replace("/", "--")


def _say_bundle(bundle: Any) -> None:
    click.echo(f"{bundle.bundle_id}: {bundle.dimension} wide, in {bundle.folder}")
    click.echo(f"use it: export BOOKSEARCH_MODEL={bundle.folder}")
