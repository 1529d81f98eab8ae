"""`up`, `down` and `status` of a whole deployment: several stacks, each fed with the outputs of those before it.

Belongs here: order, asking before each change, refusing to delete data. Does not: how one stack is changed
(`cloudformation`), printing (`commands`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from booksearch_assets.aws import buckets, cloudformation
from booksearch_assets.aws.cloudformation import ChangeSet, StackState
from booksearch_assets.aws.errors import BucketNotEmpty, TemplateError
from booksearch_assets.aws.stacks import STACKS, Stack, chosen_stacks, parameters_for

_BUCKET_OUTPUT = "BucketName"

Approve = Callable[[ChangeSet], bool]
Say = Callable[[str], None]


@dataclass(frozen=True)
class Clients:
    """The two AWS clients that a deployment needs, of one account and region."""

    cloudformation: Any
    s3: Any

    @classmethod
    def of_environment(cls, region: str | None = None) -> Clients:
        """From the usual credentials. Raises `AccessError` where there is no region."""
        import boto3

        with cloudformation.explained():
            return cls(boto3.client("cloudformation", region), boto3.client("s3", region))


def up(
    clients: Clients,
    project: str,
    names: Sequence[str],
    given: Mapping[str, str],
    approve: Approve,
    say: Say,
) -> bool:
    """Create or update stacks in order. Each change set is shown to `approve` first; a refusal ends it there.

    Returns whether everything was approved. Raises an `AwsError`.
    """
    stacks = chosen_stacks(names)
    client = clients.cloudformation
    declared = {stack: cloudformation.declared_parameters(client, stack.template()) for stack in stacks}
    if unknown := sorted(set(given) - {name for of_stack in declared.values() for name in of_stack}):
        raise TemplateError(
            f"no parameter is called {', '.join(unknown)} in {', '.join(stack.name for stack in stacks)}; "
            f"there are: {', '.join(sorted({name for of_stack in declared.values() for name in of_stack}))}"
        )
    outputs: dict[str, str] = {}
    for stack in STACKS[: STACKS.index(stacks[-1]) + 1]:
        state = cloudformation.describe(client, stack.stack_name(project))
        if stack in stacks:
            state.require_changeable()
            parameters = parameters_for(
                declared[stack], given, outputs, state.parameters if state.exists else ()
            )
            change_set = cloudformation.propose(
                client, state, stack.template(), parameters, {"project": project, "stack": stack.name}
            )
            if change_set is None:
                say(f"{state.stack_name}: no changes")
            elif approve(change_set):
                say(f"{state.stack_name}: working, some minutes at most")
                cloudformation.execute(client, change_set)
                state = cloudformation.describe(client, state.stack_name)
                say(f"{state.stack_name}: {state.status}")
            else:
                cloudformation.discard(client, change_set)
                return False
        outputs |= {output.name: output.value for output in state.outputs}
    return True


def down(
    clients: Clients,
    project: str,
    names: Sequence[str],
    delete_data: bool,
    approve: Callable[[Sequence[str]], bool],
    say: Say,
) -> bool:
    """Delete stacks, last first: the named ones, or all that exist. Returns whether it was approved.

    Raises `BucketNotEmpty` before anything is deleted where the bucket holds something and `delete_data` is false.
    """
    chosen = chosen_stacks(names) if names else list(STACKS)
    states = [s for s in _states(clients, project, chosen) if s.status is not None]
    for state in states:
        bucket = _bucket(state)
        if bucket and not delete_data and buckets.holds_anything(clients.s3, bucket):
            raise BucketNotEmpty(
                f"{state.stack_name} holds the bucket {bucket}, which is not empty (old versions count). Nothing was "
                "deleted. Leave the storage stack out, or lose the data for good: --delete-data"
            )
    if not states or not approve([state.stack_name for state in states[::-1]]):
        return not states
    for state in states[::-1]:
        bucket = _bucket(state)
        if bucket and buckets.holds_anything(clients.s3, bucket):
            say(f"{bucket}: {buckets.empty(clients.s3, bucket)} versions deleted")
        cloudformation.delete(clients.cloudformation, state.stack_name)
        say(f"{state.stack_name}: deleted")
    return True


def status(clients: Clients, project: str) -> list[tuple[Stack, StackState]]:
    """The state of every stack of a deployment, in order."""
    return list(zip(STACKS, _states(clients, project, STACKS), strict=True))


def environment(states: Sequence[StackState]) -> dict[str, str]:
    """The environment variables that the outputs are meant for, as their descriptions say."""
    return {output.variable: output.value for state in states for output in state.outputs if output.variable}


def _states(clients: Clients, project: str, stacks: Sequence[Stack]) -> list[StackState]:
    return [cloudformation.describe(clients.cloudformation, stack.stack_name(project)) for stack in stacks]


def _bucket(state: StackState) -> str | None:
    """The bucket that a stack made; others only take its name."""
    return next((output.value for output in state.outputs if output.name == _BUCKET_OUTPUT), None)
