"""Every resource of every template, with all that is optional asked for: each service is asked for each of them.

`AWS::EMR::Studio` is the one that moto has no service for; the API's own model judges it where it is made.
"""

from __future__ import annotations

import boto3
import pytest

from booksearch_assets.aws import deployment
from booksearch_assets.aws.stacks import STACKS
from booksearch_assets_tests.infra.conftest import BUNDLE, IMAGE_DIGEST, ORCHESTRATOR, PROJECT
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


def test_each_service_has_every_resource_of_the_templates(empty_account: deployment.Clients) -> None:
    names = [stack.name for stack in STACKS]
    assert deployment.up(empty_account, PROJECT, names, EVERYTHING, lambda _: True, print)
    asked = 0
    for stack in STACKS:
        resources = load(stack.name)["Resources"]
        answer = boto3.client("cloudformation").describe_stack_resources(StackName=stack.stack_name(PROJECT))
        ids = {r["LogicalResourceId"]: r.get("PhysicalResourceId", "") for r in answer["StackResources"]}
        assert ids.keys() == resources.keys(), f"{stack.name}: not all of it was made"
        for name, resource in resources.items():
            kind = resource["Type"]
            if kind == "AWS::EC2::SecurityGroupIngress":
                assert let_in(resource["Properties"], ids), f"{stack.name}/{name}"
            elif kind not in UNKNOWN_TO_MOTO:
                assert SERVICES[kind](ids[name]), f"{stack.name}/{name}"
            asked += 1
    assert asked > 50


def test_what_is_gone_is_missed(empty_account: deployment.Clients) -> None:
    """Else the test above would show nothing."""
    assert deployment.up(empty_account, PROJECT, ["storage", "logs"], {}, lambda _: True, print)
    answer = boto3.client("cloudformation").describe_stack_resources(StackName=f"{PROJECT}-logs")
    (group,) = [resource["PhysicalResourceId"] for resource in answer["StackResources"]]
    assert SERVICES["AWS::Logs::LogGroup"](group)
    boto3.client("logs").delete_log_group(logGroupName=group)
    assert not SERVICES["AWS::Logs::LogGroup"](group)
