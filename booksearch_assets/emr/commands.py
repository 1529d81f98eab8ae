"""`booksearch emr package`.

Belongs here: options, bars, and printing. Does not: what is done (`package`, `package_store`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from booksearch_assets.aws_settings import EmrSettings, SettingsError
from booksearch_assets.emr.package import TORCH_INDEX
from booksearch_assets.settings import Settings

if TYPE_CHECKING:
    from booksearch_assets.emr.content import PackageContent
    from booksearch_assets.emr.package import Package, Say

_F = TypeVar("_F", bound=Callable[..., Any])
_WIDEST = 60


def _explained(command: _F) -> _F:
    """End with one clear line, and exit code 1, for errors that say themselves what to do."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        from booksearch_assets.aws.calls import ServiceError
        from booksearch_assets.clip.bundle import BundleError
        from booksearch_assets.emr.content import PackageNotBuildable

        try:
            return command(*args, **kwargs)
        except (SettingsError, PackageNotBuildable, BundleError, ServiceError) as error:
            raise click.ClickException(str(error)) from error

    return run  # type: ignore[return-value]


@click.group()
def emr() -> None:
    """Spark jobs on EMR Serverless: what they take with them."""


@emr.command()
@click.option(
    "--upload", is_flag=True, help="Put it, and the model, where jobs look for them, unless they are there."
)
@click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("dist"),
    show_default=True,
    help="Folder to build it in.",
)
@click.option(
    "--torch-index",
    default=TORCH_INDEX,
    show_default=True,
    envvar="BOOKSEARCH_TORCH_INDEX",
    help="A further package index, for torch without CUDA; empty for none.",
)
@_explained
def package(upload: bool, into: Path, torch_index: str) -> None:
    """Build the package of jobs: Python environment and entry point, named by what they are made of."""
    from booksearch_assets.emr.content import PackageContent

    content = PackageContent.of_checkout()
    if not upload:
        _say_built(_built(content, into, torch_index))
        return
    settings = Settings.from_environment()
    if settings.emr is None:
        raise SettingsError(
            "--upload needs BOOKSEARCH_PROFILE=emr and the variables that `booksearch aws status` prints, which say "
            "where to"
        )
    _upload(content, settings.emr, settings.bundle, into, torch_index)


def _upload(
    content: PackageContent, deployment: EmrSettings, bundle_folder: str, into: Path, torch_index: str
) -> None:
    from booksearch_assets.aws.calls import Patience, aws_client
    from booksearch_assets.clip.bundle import Bundle
    from booksearch_assets.emr.package_store import PackageUris, exists, upload_bundle, upload_package

    bundle, s3 = Bundle.open(bundle_folder), aws_client("s3", deployment.region)
    uris = PackageUris.of(deployment.staging, content.hash)
    if exists(s3, uris.manifest, Patience()):
        click.echo(f"package {content.hash} is there already")
    else:
        built = _built(content, into, torch_index)
        _say_built(built)
        with _bar() as say:
            upload_package(built, deployment.staging, s3, say)
    click.echo(f"  {uris.archive}\n  {uris.entry_point}")
    with _bar() as say:
        uri = upload_bundle(bundle, deployment.staging, s3, say)
    click.echo(f"model {bundle.bundle_id}\n  {uri}")
    if deployment.package not in ("", content.hash):
        click.echo(
            f"jobs take the package of BOOKSEARCH_EMR_PACKAGE={deployment.package}, which is another one"
        )


def _built(content: PackageContent, into: Path, torch_index: str) -> Package:
    from booksearch_assets.emr.package import build_package

    with _bar() as say:
        return build_package(content, into, say, torch_index)


def _say_built(built: Package) -> None:
    size = built.archive.stat().st_size / 1e6
    click.echo(f"package {built.hash}: {size:,.0f} MB\n  {built.archive}\n  {built.entry_point}")


@contextmanager
def _bar() -> Iterator[Say]:
    """A bar of bytes done on a terminal, and elsewhere a line for each thing that is begun."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

    console, begun = Console(stderr=True), ""
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("", total=None)

        def say(what: str, done: int, total: int) -> None:
            nonlocal begun
            progress.update(task, description=what[:_WIDEST], completed=done, total=total or None)
            if not console.is_terminal and what != begun:
                begun = what
                click.echo(what, err=True)

        yield say
