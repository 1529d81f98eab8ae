"""`booksearch aws up | down | status`.

Belongs here: options, questions, and printing. Does not: what is done (`deployment`).
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from booksearch_assets.aws.cloudformation import ChangeSet

_F = TypeVar("_F", bound=Callable[..., Any])
_MARKS = {"Add": "+", "Modify": "~", "Remove": "-"}
_REPLACED = {
    "False": "",
    "Conditional": " (may be replaced)",
    "True": " (REPLACED: a new one takes its place)",
}


def _explained(command: _F) -> _F:
    """End with one clear line, and exit code 1, for errors that say themselves what to do."""

    @wraps(command)
    def run(*args: Any, **kwargs: Any) -> Any:
        from booksearch_assets.aws.errors import AwsError

        try:
            return command(*args, **kwargs)
        except AwsError as error:
            raise click.ClickException(str(error)) from error

    return run  # type: ignore[return-value]


def _deployment_options(command: _F) -> _F:
    project = click.option(
        "--project",
        default="booksearch",
        show_default=True,
        help="Name of the deployment; stacks start with it.",
    )
    region = click.option("--region", help="AWS region; what the AWS configuration says by default.")
    return project(region(command))


@click.group()
def aws() -> None:
    """The AWS stacks of infra/: bucket, network, EMR Serverless, roles, studio, Milvus."""


@aws.command()
@click.argument("stacks", nargs=-1)
@click.option(
    "--parameter",
    "-p",
    "parameters",
    multiple=True,
    metavar="NAME=VALUE",
    help="Of any template; repeatable.",
)
@click.option("--yes", is_flag=True, help="Show the changes, and make them without asking.")
@_deployment_options
@_explained
def up(
    stacks: tuple[str, ...], parameters: tuple[str, ...], yes: bool, project: str, region: str | None
) -> None:
    """Create or update STACKS, showing each change set first. All but milvus, opensearch and sagemaker by default."""
    from booksearch_assets.aws import deployment
    from booksearch_assets.aws.stacks import parse_parameters

    def approve(change_set: ChangeSet) -> bool:
        _show(change_set)
        return yes or click.confirm(f"Make these changes of {change_set.stack_name}?")

    clients = deployment.Clients.of_environment(region)
    done = deployment.up(clients, project, stacks, parse_parameters(parameters), approve, click.echo)
    if not done:
        raise click.ClickException(
            "stopped: that change was not approved; the stacks before it stay as they are"
        )
    states = [state for _, state in deployment.status(clients, project)]
    _show_environment(deployment.environment(states))


@aws.command()
@click.argument("stacks", nargs=-1)
@click.option("--delete-data", is_flag=True, help="Delete what is in the bucket, with all old versions.")
@click.option("--yes", is_flag=True, help="Delete without asking.")
@_deployment_options
@_explained
def down(stacks: tuple[str, ...], delete_data: bool, yes: bool, project: str, region: str | None) -> None:
    """Delete STACKS, or all of them. Refuses while the bucket holds anything, unless told otherwise."""
    from booksearch_assets.aws import deployment

    def approve(names: Sequence[str]) -> bool:
        data = " and everything in the bucket" if delete_data else ""
        return yes or click.confirm(f"Delete {', '.join(names)}{data}?")

    clients = deployment.Clients.of_environment(region)
    if not deployment.down(clients, project, stacks, delete_data, approve, click.echo):
        raise click.ClickException("stopped: nothing was deleted")


@aws.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_deployment_options
@_explained
def status(as_json: bool, project: str, region: str | None) -> None:
    """Print the state and the outputs of every stack; exit 1 where one is in a failed state."""
    from booksearch_assets.aws import deployment

    found = deployment.status(deployment.Clients.of_environment(region), project)
    states = [state for _, state in found]
    variables = deployment.environment(states)
    if as_json:
        stacks = {
            state.stack_name: {
                "status": state.status,
                "reason": state.reason,
                "outputs": {output.name: output.value for output in state.outputs},
            }
            for state in states
        }
        click.echo(json.dumps({"stacks": stacks, "environment": variables}, indent=1))
    else:
        for stack, state in found:
            click.echo(f"{state.stack_name:<24} {state.status or 'not created':<24} {stack.purpose}")
            for output in state.outputs:
                click.echo(f"    {output.name:<24} {output.value}")
        _show_environment(variables)
    sys.exit(any(_failed(state.status) for state in states))


def _failed(status: str | None) -> bool:
    """Of `UPDATE_ROLLBACK_COMPLETE` the old stack works, but it is not what was asked for."""
    return status is not None and ("ROLLBACK" in status or status.endswith("_FAILED"))


def _show(change_set: ChangeSet) -> None:
    click.echo(f"{change_set.stack_name}: {'create' if change_set.creates else 'update'}")
    for change in change_set.changes:
        mark = _MARKS.get(change.action, "?")
        click.echo(f"  {mark} {change.resource:<28} {change.kind}{_REPLACED[change.replacement.value]}")


def _show_environment(variables: dict[str, str]) -> None:
    if variables:
        click.echo("\n# for the shell, or the .env file, of the machine that runs Dagster")
        for name, value in variables.items():
            click.echo(f"export {name}={value}")
