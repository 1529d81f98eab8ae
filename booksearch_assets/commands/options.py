"""What commands share: how an error is told, and the catalogue that a command is about.

Belongs here: decorators of commands. Does not: commands.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

import click

from booksearch_assets.aws_settings import SettingsError

_F = TypeVar("_F", bound=Callable[..., Any])


def explained(command: _F) -> _F:
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


of_catalogue = click.option(
    "--catalogue",
    envvar="BOOKSEARCH_CATALOGUE",
    type=click.Choice(["books", "products"]),
    default="books",
    show_default=True,
    help="Books by their covers, or products by their photos.",
)
