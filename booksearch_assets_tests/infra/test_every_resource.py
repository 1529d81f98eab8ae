"""Every resource of every template, with all that is optional asked for: each service is asked for each of them.

`AWS::EMR::Studio` is the one that moto has no service for; the API's own model judges it where it is made.
"""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest

from booksearch_assets.aws import deployment
from booksearch_assets.aws.stacks import STACKS, Stack
from booksearch_assets_tests.infra.conftest import BUNDLE, IMAGE_DIGEST, ORCHESTRATOR, PROJECT
from booksearch_assets_tests.infra.moto_aws import completed_moto
from booksearch_assets_tests.infra.services import SERVICES, let_in
from booksearch_assets_tests.infra.templates import load

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")
UNKNOWN_TO_MOTO = {"AWS::EMR::Studio"}
EVERYTHING = {
    "NatGateway": "true",
    "LogsEndpoint": "true",
    "OrchestratorPrincipalArn": ORCHESTRATOR,
    "OrchestratorRoleArn": ORCHESTRATOR,
    "MachineImage": "ami-0123456789abcdef0",
    "ImageDigest": IMAGE_DIGEST,
    "BundleId": BUNDLE,
    "WithBatchTransform": "yes",
}


@pytest.fixture(scope="module")
def everything() -> Iterator[None]:
    """An account with every stack, and in each of them all that it may have."""
    with completed_moto():
        clients = deployment.Clients.of_environment()
        names = [stack.name for stack in STACKS]
        assert deployment.up(clients, PROJECT, names, EVERYTHING, lambda _: True, print)
        yield


def ids_of(stack: Stack) -> dict[str, str]:
    """The physical ids of the resources of a stack, by their logical ids; empty of those that have none."""
    cloudformation = boto3.client("cloudformation")
    answer = cloudformation.describe_stack_resources(StackName=stack.stack_name(PROJECT))
    return {r["LogicalResourceId"]: r.get("PhysicalResourceId", "") for r in answer["StackResources"]}


@pytest.mark.usefixtures("everything")
def test_each_service_has_every_resource_of_the_templates() -> None:
    asked = 0
    for stack in STACKS:
        resources = load(stack.name)["Resources"]
        ids = ids_of(stack)
        assert ids.keys() == resources.keys(), f"{stack.name}: not all of it was made"
        for name, resource in resources.items():
            kind = resource["Type"]
            if kind == "AWS::EC2::SecurityGroupIngress":
                assert let_in(resource["Properties"], ids), f"{stack.name}/{name}"
            elif kind not in UNKNOWN_TO_MOTO:
                assert SERVICES[kind](ids[name]), f"{stack.name}/{name}"
            asked += 1
    assert asked > 50


@pytest.mark.usefixtures("everything")
def test_the_role_of_the_orchestrator_is_for_the_principal_that_was_named_and_has_its_policy_alone() -> None:
    (ids,) = (ids_of(stack) for stack in STACKS if stack.name == "roles")
    iam = boto3.client("iam")
    (trust,) = iam.get_role(RoleName=ids["OrchestratorRole"])["Role"]["AssumeRolePolicyDocument"]["Statement"]
    assert (trust["Action"], trust["Principal"]) == ("sts:AssumeRole", {"AWS": ORCHESTRATOR})
    # moto leaves out the policies that a template attaches.
    attached = load("roles")["Resources"]["OrchestratorRole"]["Properties"]["ManagedPolicyArns"]
    assert attached == [{"Ref": "OrchestratorPolicy"}]
    assert not iam.list_role_policies(RoleName=ids["OrchestratorRole"])["PolicyNames"]


@pytest.mark.usefixtures("everything")
def test_what_is_gone_is_missed() -> None:
    """Else the first test would show nothing."""
    (group,) = (ids_of(stack)["LogGroup"] for stack in STACKS if stack.name == "logs")
    assert SERVICES["AWS::Logs::LogGroup"](group)
    boto3.client("logs").delete_log_group(logGroupName=group)
    assert not SERVICES["AWS::Logs::LogGroup"](group)
