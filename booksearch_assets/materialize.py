"""Running parts of the graph from a terminal: in this process, on the shared Dagster instance, with progress.

Belongs here: turning names and a range of years into one Dagster run, and telling how it ended. Does not: the graph
(`definitions`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from booksearch_assets.automation.partitions import range_tags
from booksearch_assets.instance import use_instance
from booksearch_assets.own_runs import end_killed_runs, own_run
from booksearch_assets.settings import Settings

if TYPE_CHECKING:
    import dagster as dg

_REBUILT = {
    "books": ("editions", "filtered_fiction", "cover_urls", "cover_images", "cover_embeddings", "collection"),
    "products": ("raw_listings", "image_urls", "images", "image_embeddings", "collection"),
}
"""The assets that make only what changed."""

_PARTITIONS = re.compile(r"([0-9]{4}|listings_[0-9a-f])(?:\.\.([0-9]{4}|listings_[0-9a-f]))?")


def materialize_assets(
    settings: Settings,
    names: Sequence[str],
    catalogue: str,
    partitions: str | None,
    filter_profile: str,
    again: bool = False,
) -> int:
    """Materialise assets by name (`books/editions`), or a whole catalogue, in one run. Returns the exit code.

    Only what changed is made, unless `again`. Raises ValueError for an unknown asset, partition or profile.
    """
    from booksearch_assets.openlibrary.profiles import profile

    use_instance(settings)
    from booksearch_assets.definitions import build_defs

    defs = build_defs(settings)
    assets = select_assets(defs, names)
    catalogue = _catalogue_of(assets) or catalogue
    config = run_config(assets, profile(filter_profile).name, again, catalogue)
    return report(run_job(defs, catalogue, parse_partitions(partitions), assets, config))


def run_config(
    assets: Sequence[dg.AssetKey],
    filter_profile: str = "default",
    again: bool = False,
    catalogue: str = "books",
) -> dict[str, Any]:
    """The run config for some assets (all of them for none): the filter profile, and what is made `again`."""
    rebuilt = _REBUILT[catalogue]
    chosen = {key.path[-1] for key in assets} or {*rebuilt}
    config: dict[str, dict[str, Any]] = {name: {"again": again} for name in rebuilt if name in chosen}
    if "filtered_fiction" in config:
        config["filtered_fiction"]["profile"] = filter_profile
    return {"ops": {f"{catalogue}__{name}": {"config": values} for name, values in config.items()}}


def _catalogue_of(assets: Sequence[dg.AssetKey]) -> str:
    """The one catalogue that the assets are of, "" for no assets. Raises ValueError where there are several."""
    catalogues = sorted({key.path[0] for key in assets})
    if len(catalogues) > 1:
        raise ValueError(
            f"the assets are of {' and '.join(catalogues)}; expected assets of one catalogue, which is one run"
        )
    return catalogues[0] if catalogues else ""


def run_checks(settings: Settings, catalogue: str) -> int:
    """Run every check of a catalogue on what is committed. Returns 1 when one of severity ERROR fails."""
    use_instance(settings)
    from booksearch_assets.definitions import build_defs

    result = run_job(build_defs(settings), f"{catalogue}_checks")
    evaluations = result.get_asset_check_evaluations()
    for evaluation in sorted(evaluations, key=lambda e: (e.asset_key.path, e.check_name)):
        mark = "ok  " if evaluation.passed else ("FAIL" if evaluation in failed_checks(result) else "warn")
        click.echo(f"{mark} {evaluation.asset_key.to_user_string()}:{evaluation.check_name}")
    click.echo(f"{sum(e.passed for e in evaluations)} of {len(evaluations)} checks hold")
    return report(result)


def run_job(
    defs: dg.Definitions,
    job: str,
    partitions: tuple[str, str] | None = None,
    assets: Sequence[dg.AssetKey] = (),
    run_config: dict[str, Any] | None = None,
    instance: dg.DagsterInstance | None = None,
) -> dg.ExecuteInProcessResult:
    """Run a job, or some of its assets, for a range of partitions (all of them by default).

    A range is one run: Spark starts once. The result says whether it succeeded; a failed step raises nothing.
    """
    import dagster as dg

    definition = defs.resolve_job_def(job)
    first, last = _range_of(definition, partitions)
    instance = instance or dg.DagsterInstance.get()
    for run_id in end_killed_runs(instance):
        click.echo(f"the run {run_id} was killed; it is marked as failed")
    with own_run(instance) as run_id:
        return definition.execute_in_process(
            run_config={"loggers": {"progress": {}}, **(run_config or {})},
            instance=instance,
            tags=range_tags(first, last) if first else {},
            asset_selection=list(assets) or None,
            raise_on_error=False,
            run_id=run_id,
        )


def report(result: dg.ExecuteInProcessResult) -> int:
    """Say what failed. Returns the exit code: 0 only for a run that succeeded and whose checks hold."""
    failed = failed_checks(result)
    for message in failure_messages(result):
        click.echo(f"error: {message}", err=True)
    for evaluation in failed:
        click.echo(
            f"failed check: {evaluation.asset_key.to_user_string()}:{evaluation.check_name} {_figures(evaluation)}",
            err=True,
        )
    return 0 if result.success and not failed else 1


def failed_checks(result: dg.ExecuteInProcessResult) -> list[dg.AssetCheckEvaluation]:
    """The checks of severity ERROR that did not hold."""
    import dagster as dg

    return [
        e
        for e in result.get_asset_check_evaluations()
        if not e.passed and e.severity is dg.AssetCheckSeverity.ERROR
    ]


def failure_messages(result: dg.ExecuteInProcessResult) -> list[str]:
    """The first cause of each failed step, in one line."""
    messages = []
    for event in result.all_events:
        if event.is_step_failure:
            error = event.step_failure_data.error
            while error and error.cause:
                error = error.cause
            messages.append(f"{event.step_key}: {error.message.strip() if error else 'failed'}")
    return messages


def parse_partitions(text: str | None) -> tuple[str, str] | None:
    """`2015..2019`, `2015` or `listings_0..listings_3` to the first and last partition. Raises ValueError."""
    if text is None:
        return None
    found = _PARTITIONS.fullmatch(text)
    if not found or (found[2] and found[2] < found[1]):
        raise ValueError(
            f"the partitions are {text!r}; expected one or a range: 2015, 2015..2019, listings_0..listings_3"
        )
    return found[1], found[2] or found[1]


def select_assets(defs: dg.Definitions, names: Sequence[str]) -> list[dg.AssetKey]:
    """The assets of these names. Raises ValueError that lists the names there are."""
    known = {key.to_user_string(): key for key in defs.resolve_asset_graph().get_all_asset_keys()}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"no asset is called {', '.join(unknown)}; there are: {', '.join(sorted(known))}")
    return [known[name] for name in names]


def _range_of(job: dg.JobDefinition, partitions: tuple[str, str] | None) -> tuple[str, str]:
    """The first and last partition of a run: those asked for, or all; nothing for a job without partitions."""
    if job.partitions_def is None:
        return "", ""
    keys = job.partitions_def.get_partition_keys()
    first, last = partitions or (keys[0], keys[-1])
    for partition in (first, last):
        if partition not in keys:
            raise ValueError(
                f"there is no partition {partition} of {job.name}; there are {keys[0]}..{keys[-1]}. "
                "BOOKSEARCH_FIRST_YEAR sets the first year of books"
            )
    return first, last


def _figures(evaluation: dg.AssetCheckEvaluation) -> dict[str, Any]:
    return {name: value.value for name, value in evaluation.metadata.items()}
