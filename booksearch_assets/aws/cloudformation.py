"""One stack at a time: its state, a change set with its preview, executing, deleting.

Belongs here: CloudFormation calls, and turning what it answers into typed values and errors. Does not: which stacks
there are (`stacks`), the order of several (`deployment`).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from booksearch_assets.aws.errors import AccessError, StackBroken, StackBusy, StackFailed

_CAPABILITIES = ["CAPABILITY_IAM"]
_UNCHANGED = ("didn't contain changes", "No updates are to be performed")
_VARIABLE = re.compile(r"(BOOKSEARCH_[A-Z_]+): ")
_REASONS_SHOWN = 3
# A NAT gateway and an EC2 instance take some minutes each.
_WAITER = {"Delay": 5, "MaxAttempts": 360}


@dataclass(frozen=True)
class Output:
    """A value that a stack tells. `variable` is the environment variable that it belongs in, if any."""

    name: str
    value: str
    description: str

    @property
    def variable(self) -> str | None:
        match = _VARIABLE.match(self.description)
        return match[1] if match else None


@dataclass(frozen=True)
class StackState:
    """What CloudFormation says of one stack. `status` is None where there is no such stack."""

    stack_name: str
    status: str | None = None
    reason: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    outputs: Sequence[Output] = ()

    @property
    def exists(self) -> bool:
        """Whether there is something to update: a stack that was only reviewed holds nothing."""
        return self.status not in (None, "REVIEW_IN_PROGRESS")

    def require_changeable(self) -> None:
        """Raises `StackBusy` or `StackBroken` where an update would be refused."""
        if self.exists and str(self.status).endswith("_IN_PROGRESS"):
            raise StackBusy(f"{self.stack_name} is {self.status}; wait until it has ended, then try again")
        if self.status in ("ROLLBACK_COMPLETE", "ROLLBACK_FAILED", "CREATE_FAILED", "DELETE_FAILED"):
            project, _, name = self.stack_name.rpartition("-")
            raise StackBroken(
                f"{self.stack_name} is {self.status} ({self.reason or 'no reason given'}) and can only be deleted: "
                f"booksearch aws down {name} --project {project}"
            )


class Replacement(Enum):
    """Whether a change makes a new resource instead of changing the one that there is."""

    NO = "False"
    MAYBE = "Conditional"
    YES = "True"


@dataclass(frozen=True)
class Change:
    """One resource that a change set adds, changes or removes."""

    action: str
    resource: str
    kind: str
    replacement: Replacement


@dataclass(frozen=True)
class ChangeSet:
    """A change set that waits to be executed. It has no changes where only outputs are others."""

    stack_name: str
    name: str
    creates: bool
    changes: Sequence[Change]


@contextmanager
def explained() -> Iterator[None]:
    """Turns boto's errors of access into an `AccessError`, and refusals of CloudFormation into a `StackFailed`."""
    from botocore.exceptions import BotoCoreError, ClientError, WaiterError

    try:
        yield
    except WaiterError:
        raise
    except ClientError as error:
        details = error.response.get("Error", {})
        code, message = details.get("Code", ""), details.get("Message", str(error))
        if code in ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation"):
            raise AccessError(
                f"{message}; docs/aws.md lists the rights that {error.operation_name} and the rest need"
            ) from error
        if code in (
            "ExpiredToken",
            "InvalidClientTokenId",
            "SignatureDoesNotMatch",
            "UnrecognizedClientException",
        ):
            raise AccessError(f"AWS does not accept these credentials ({message}); sign in again") from error
        raise StackFailed(f"{error.operation_name} was refused: {message}") from error
    except BotoCoreError as error:
        raise AccessError(
            f"AWS cannot be asked ({error}); expected credentials and a region: try `aws configure`, or set "
            "AWS_PROFILE and AWS_REGION"
        ) from error


def describe(client: Any, stack_name: str) -> StackState:
    """The state of a stack, which may not exist."""
    from botocore.exceptions import ClientError

    with explained():
        try:
            stack = client.describe_stacks(StackName=stack_name)["Stacks"][0]
        except ClientError as error:
            if "does not exist" not in str(error):
                raise
            return StackState(stack_name)
    return StackState(
        stack_name,
        stack["StackStatus"],
        stack.get("StackStatusReason", ""),
        {p["ParameterKey"]: p.get("ParameterValue", "") for p in stack.get("Parameters", [])},
        tuple(
            Output(o["OutputKey"], o["OutputValue"], o.get("Description", ""))
            for o in stack.get("Outputs", [])
        ),
    )


def declared_parameters(client: Any, template: str) -> dict[str, bool]:
    """The parameters of a template, and whether each has a default. Raises `StackFailed` for a broken template."""
    with explained():
        summary = client.get_template_summary(TemplateBody=template)
    return {p["ParameterKey"]: p.get("DefaultValue") is not None for p in summary["Parameters"]}


def propose(
    client: Any,
    state: StackState,
    template: str,
    parameters: Sequence[Mapping[str, object]],
    tags: Mapping[str, str],
) -> ChangeSet | None:
    """Make a change set and wait for it; None where nothing would change. The stack itself is left as it is.

    Raises `StackFailed` where the change set cannot be made.
    """
    from botocore.exceptions import WaiterError

    name = _named("up")
    with explained():
        client.create_change_set(
            StackName=state.stack_name,
            ChangeSetName=name,
            ChangeSetType="UPDATE" if state.exists else "CREATE",
            TemplateBody=template,
            Parameters=list(parameters),
            Capabilities=_CAPABILITIES,
            Tags=[{"Key": key, "Value": value} for key, value in tags.items()],
        )
        where = {"StackName": state.stack_name, "ChangeSetName": name}
        try:
            client.get_waiter("change_set_create_complete").wait(
                **where, WaiterConfig={"Delay": 2, "MaxAttempts": 60}
            )
        except WaiterError as error:
            reason = str(client.describe_change_set(**where).get("StatusReason", error))
            discard(client, ChangeSet(state.stack_name, name, not state.exists, ()))
            if any(said in reason for said in _UNCHANGED):
                return None
            raise StackFailed(f"the changes of {state.stack_name} were refused: {reason}") from error
        return ChangeSet(state.stack_name, name, not state.exists, tuple(_changes(client, where)))


def _changes(client: Any, where: Mapping[str, str]) -> Iterator[Change]:
    for page in client.get_paginator("describe_change_set").paginate(**where):
        for change in page.get("Changes", []):
            resource = change["ResourceChange"]
            yield Change(
                resource["Action"],
                resource["LogicalResourceId"],
                resource["ResourceType"],
                Replacement(resource.get("Replacement") or "False"),
            )


def discard(client: Any, change_set: ChangeSet) -> None:
    """Delete a change set that is not executed, and the empty stack that it was to create."""
    with explained():
        client.delete_change_set(StackName=change_set.stack_name, ChangeSetName=change_set.name)
        if change_set.creates:
            client.delete_stack(StackName=change_set.stack_name)


def execute(client: Any, change_set: ChangeSet) -> None:
    """Execute a change set and wait. Raises `StackFailed` with the first reasons where it is rolled back."""
    with explained():
        client.execute_change_set(
            StackName=change_set.stack_name, ChangeSetName=change_set.name, ClientRequestToken=change_set.name
        )
    waiter = "stack_create_complete" if change_set.creates else "stack_update_complete"
    _wait(client, change_set.stack_name, waiter, token=change_set.name)


def delete(client: Any, stack_name: str) -> None:
    """Delete a stack and wait. Raises `StackFailed` with the first reasons where something would not go."""
    token = _named("down")
    with explained():
        client.delete_stack(StackName=stack_name, ClientRequestToken=token)
    _wait(client, stack_name, "stack_delete_complete", token)


def _wait(client: Any, stack_name: str, waiter: str, token: str) -> None:
    from botocore.exceptions import WaiterError

    try:
        with explained():
            client.get_waiter(waiter).wait(StackName=stack_name, WaiterConfig=_WAITER)
    except WaiterError as error:
        state = describe(client, stack_name)
        reasons = "; ".join(_failures(client, stack_name, token)) or state.reason or str(error)
        raise StackFailed(
            f"{stack_name} ended as {state.status or 'deleted'}: {reasons}. Mend the cause, then try again"
        ) from error


def _failures(client: Any, stack_name: str, token: str) -> list[str]:
    """What failed first in the operation with this token, oldest first: the rest fails because of it."""
    with explained():
        pages = client.get_paginator("describe_stack_events").paginate(StackName=stack_name)
        events = [
            event
            for page in pages
            for event in page["StackEvents"]
            if event.get("ClientRequestToken") == token
            and event.get("ResourceStatus", "").endswith("_FAILED")
        ]
    # CloudFormation lists the newest first.
    return [
        f"{event['LogicalResourceId']} ({event['ResourceType']}): {event.get('ResourceStatusReason', 'no reason given')}"
        for event in events[::-1][:_REASONS_SHOWN]
    ]


def _named(operation: str) -> str:
    return f"{operation}-{datetime.now(UTC):%Y%m%dT%H%M%S}-{secrets.token_hex(3)}"
