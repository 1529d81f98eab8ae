"""`booksearch versions`, `publish` and `rollback`: what they do and print.

None of them needs Dagster, nor a lock of the vector store, so they work while Dagster runs.

Belongs here: opening the deployment's lake and store, and printing. Does not: the decisions (`search.versions`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Any

import click
from rich.console import Console
from rich.table import Table

from booksearch_assets.search.publications import Reason
from booksearch_assets.search.versions import Published, State, Version, Versions
from booksearch_assets.settings import Settings


def show_versions(settings: Settings, catalogue: str, as_json: bool) -> None:
    """Print every version of a catalogue's collection, the newest first."""
    with _versions(settings, catalogue) as versions:
        listed = versions.all()
    if as_json:
        click.echo(json.dumps([_plain(version) for version in listed], ensure_ascii=False, indent=1))
    elif listed:
        Console(highlight=False).print(_table(listed))
    else:
        click.echo(f"there is no version yet; make one with: booksearch materialize --catalogue {catalogue}")


def publish_version(settings: Settings, catalogue: str, name: str) -> None:
    """Make the version called `name` live. Raises `PublishingError`."""
    with _versions(settings, catalogue) as versions:
        _say(versions.publish(name, Reason.COMMAND))


def roll_back(settings: Settings, catalogue: str) -> None:
    """Make the version live that was live before the present one. Raises `PublishingError`."""
    with _versions(settings, catalogue) as versions:
        _say(versions.roll_back())


@contextmanager
def _versions(settings: Settings, catalogue: str) -> Iterator[Versions]:
    from booksearch_assets.tables.lake import Lake
    from booksearch_assets.vectorstores.connect import open_store

    with open_store(settings.store_uri, settings.store_token()) as store:
        yield Versions(Lake(settings.lake), store, catalogue)


def _say(published: Published) -> None:
    name = published.version.collection
    if published.moved:
        click.echo(f"{name} is live, and replaced {published.replaced or 'nothing'}")
    else:
        click.echo(f"{name} is live already; nothing was changed")


def _table(versions: Sequence[Version]) -> Table:
    """As narrow as can be: names are there to be copied, so no cell is cut, however narrow the terminal."""
    table = Table("", box=None, pad_edge=False, padding=(0, 1, 0, 0))
    longest = max(len(version.collection) for version in versions)
    table.add_column("collection", no_wrap=True, min_width=longest)
    table.add_column("dump", no_wrap=True, min_width=len("2026-01-31"))
    for name, word in (("rows", "rows"), ("MRR", "caption"), ("checks", "passed"), ("model", "model")):
        table.add_column(name, overflow="fold", min_width=len(word))
    for version in versions:
        table.add_row(
            "live" if version.live else "",
            version.collection,
            version.dump_date,
            "" if version.rows is None else f"{version.rows:,}",
            _measures(version.quality),
            _checks(version),
            version.model_id,
        )
    return table


def _measures(quality: Mapping[str, float]) -> str:
    """The mean reciprocal ranks, by kind of query."""
    kinds = {name.removesuffix("_mrr"): value for name, value in quality.items() if name.endswith("_mrr")}
    return ", ".join(f"{kind} {value:.3f}" for kind, value in sorted(kinds.items()))


def _checks(version: Version) -> str:
    """What is wrong with a version: that it is not whole, else what the required checks say."""
    if version.state is not State.READY:
        return version.state.value
    return "; ".join(version.objections) or "passed"


def _plain(version: Version) -> dict[str, Any]:
    """A version as JSON: moments in ISO 8601, with their zone."""
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name, value in asdict(version).items()
    }
