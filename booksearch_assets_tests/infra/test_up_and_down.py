"""Creating, changing and deleting stacks: what is asked before, what is refused, what is left."""

from __future__ import annotations

from collections.abc import Sequence

import boto3
import pytest
from botocore.stub import ANY, Stubber

from booksearch_assets.aws import buckets, cloudformation, deployment, stacks
from booksearch_assets.aws.cloudformation import ChangeSet, StackState
from booksearch_assets.aws.errors import (
    AccessError,
    BucketNotEmpty,
    StackBroken,
    StackBusy,
    StackFailed,
    TemplateError,
)
from booksearch_assets_tests.infra.conftest import PROJECT

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def up(clients: deployment.Clients, *names: str, **given: str) -> list[ChangeSet]:
    """Bring stacks up and return what was proposed on the way."""
    proposed: list[ChangeSet] = []

    def approve(change_set: ChangeSet) -> bool:
        proposed.append(change_set)
        return True

    assert deployment.up(clients, PROJECT, names, given, approve, print)
    return proposed


def writable_bucket(clients: deployment.Clients) -> str:
    """The bucket, without its policy: moto does not know that its own requests would be over TLS."""
    (output, *_) = cloudformation.describe(clients.cloudformation, "booksearch-storage").outputs
    assert output.name == "BucketName"
    clients.s3.delete_bucket_policy(Bucket=output.value)
    return output.value


def test_nothing_is_made_before_it_is_approved(empty_account: deployment.Clients) -> None:
    shown: list[ChangeSet] = []

    def refuse(change_set: ChangeSet) -> bool:
        shown.append(change_set)
        return False

    assert not deployment.up(empty_account, PROJECT, [], {}, refuse, print)
    (first,) = shown
    assert (first.stack_name, first.creates) == ("booksearch-storage", True)
    assert {(c.action, c.kind) for c in first.changes} == {
        ("Add", "AWS::S3::Bucket"),
        ("Add", "AWS::S3::BucketPolicy"),
    }
    assert empty_account.s3.list_buckets()["Buckets"] == []
    # Not even the empty stack that a change set leaves.
    assert [state.status for _, state in deployment.status(empty_account, PROJECT)] == [None] * len(
        stacks.STACKS
    )


def test_a_second_up_changes_nothing_and_asks_nothing(empty_account: deployment.Clients) -> None:
    assert len(up(empty_account, "storage", "logs")) == 2
    assert up(empty_account, "storage", "logs") == []


def test_values_that_were_given_once_are_kept(empty_account: deployment.Clients) -> None:
    up(empty_account, "logs", KeepLogsDays="90")
    up(empty_account, "logs")
    assert cloudformation.describe(empty_account.cloudformation, "booksearch-logs").parameters == {
        "KeepLogsDays": "90"
    }


def test_an_update_takes_hold(empty_account: deployment.Clients) -> None:
    up(empty_account, "logs")
    (proposed,) = up(empty_account, "logs", KeepLogsDays="7")
    assert not proposed.creates
    (group,) = boto3.client("logs").describe_log_groups()["logGroups"]
    assert group["retentionInDays"] == 7


def test_later_stacks_wait_for_the_outputs_of_earlier_ones(empty_account: deployment.Clients) -> None:
    with pytest.raises(TemplateError, match="BucketName has no value.*earlier stacks"):
        up(empty_account, "network")


def test_parameters_and_stacks_that_do_not_exist_are_named(empty_account: deployment.Clients) -> None:
    with pytest.raises(TemplateError, match="KeepLogDays in logs; there are: KeepLogsDays"):
        up(empty_account, "logs", KeepLogDays="7")
    with pytest.raises(TemplateError, match="no stack is called netwrok; there are: .*network"):
        up(empty_account, "netwrok")
    with pytest.raises(TemplateError, match="'KeepLogsDays' is not Name=value"):
        stacks.parse_parameters(["KeepLogsDays"])
    with pytest.raises(TemplateError, match="'Book Search'; expected"):
        deployment.status(empty_account, "Book Search")


@pytest.mark.parametrize("left", ["object", "old version", "delete marker"])
def test_down_refuses_while_the_bucket_holds_anything(empty_account: deployment.Clients, left: str) -> None:
    up(empty_account, "storage", "logs")
    s3, bucket = empty_account.s3, writable_bucket(empty_account)
    version = s3.put_object(Bucket=bucket, Key="lake/table", Body=b"rows")["VersionId"]
    if left != "object":
        s3.delete_object(Bucket=bucket, Key="lake/table")
        assert "Contents" not in s3.list_objects_v2(Bucket=bucket)
    if left == "delete marker":
        s3.delete_object(Bucket=bucket, Key="lake/table", VersionId=version)
    with pytest.raises(BucketNotEmpty, match=f"{bucket}, which is not empty.*--delete-data"):
        deployment.down(empty_account, PROJECT, [], False, lambda _: True, print)
    # It refused before it deleted the others.
    assert cloudformation.describe(empty_account.cloudformation, "booksearch-logs").exists
    assert buckets.holds_anything(s3, bucket)


def test_down_deletes_every_version_when_told_to(
    empty_account: deployment.Clients, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(buckets, "_AT_ONCE", 2)
    up(empty_account, "storage")
    s3, bucket = empty_account.s3, writable_bucket(empty_account)
    for number in range(6):
        s3.put_object(Bucket=bucket, Key=f"lake/{number % 3}", Body=b"")
    s3.delete_object(Bucket=bucket, Key="lake/0")
    said: list[str] = []
    assert deployment.down(empty_account, PROJECT, [], True, lambda _: True, said.append)
    assert s3.list_buckets()["Buckets"] == []
    assert said == [f"{bucket}: 7 versions deleted", "booksearch-storage: deleted"]


def test_down_deletes_the_last_first_and_only_when_approved(empty_account: deployment.Clients) -> None:
    up(empty_account, "storage", "network", "logs")
    asked: list[Sequence[str]] = []

    def refuse(names: Sequence[str]) -> bool:
        asked.append(names)
        return False

    assert not deployment.down(empty_account, PROJECT, [], False, refuse, print)
    assert asked == [["booksearch-logs", "booksearch-network", "booksearch-storage"]]
    assert cloudformation.describe(empty_account.cloudformation, "booksearch-logs").exists
    assert deployment.down(empty_account, PROJECT, ["logs", "network"], False, lambda _: True, print)
    left = [state.stack_name for _, state in deployment.status(empty_account, PROJECT) if state.exists]
    assert left == ["booksearch-storage"]


def test_down_of_nothing_asks_nothing(empty_account: deployment.Clients) -> None:
    assert deployment.down(empty_account, PROJECT, [], False, lambda _: pytest.fail("asked"), print)


def test_a_bucket_that_is_gone_does_not_keep_the_stack(empty_account: deployment.Clients) -> None:
    up(empty_account, "storage")
    bucket = writable_bucket(empty_account)
    empty_account.s3.delete_bucket(Bucket=bucket)
    assert not buckets.holds_anything(empty_account.s3, bucket)


def test_a_nat_gateway_is_there_only_when_it_is_asked_for(empty_account: deployment.Clients) -> None:
    up(empty_account, "storage", "network", NatGateway="true")
    told = {
        output.name: output.value
        for output in cloudformation.describe(empty_account.cloudformation, "booksearch-network").outputs
    }
    ec2 = boto3.client("ec2")
    (gateway,) = ec2.describe_nat_gateways()["NatGateways"]
    private = told["PrivateSubnets"].split(",")
    assert gateway["SubnetId"] not in private
    for subnet in private:
        association = [{"Name": "association.subnet-id", "Values": [subnet]}]
        (table,) = ec2.describe_route_tables(Filters=association)["RouteTables"]
        out = [r for r in table["Routes"] if r.get("DestinationCidrBlock") == "0.0.0.0/0"]
        assert [r.get("NatGatewayId") for r in out] == [gateway["NatGatewayId"]]
    # Through the NAT gateway, logs need no endpoint of their own.
    assert told["LogsReachable"] == "true"
    assert {e["VpcEndpointType"] for e in ec2.describe_vpc_endpoints()["VpcEndpoints"]} == {"Gateway"}


def test_logs_leave_through_an_endpoint_when_it_is_asked_for(empty_account: deployment.Clients) -> None:
    up(empty_account, "storage", "network", "logs", "emr", LogsEndpoint="true")
    ec2 = boto3.client("ec2")
    names = {e["ServiceName"]: e for e in ec2.describe_vpc_endpoints()["VpcEndpoints"]}
    endpoint = names["com.amazonaws.eu-central-1.logs"]
    assert endpoint["VpcEndpointType"] == "Interface" and len(endpoint["SubnetIds"]) == 1
    application = cloudformation.describe(empty_account.cloudformation, "booksearch-emr")
    assert application.parameters["LogsReachable"] == "true"


def test_a_managed_milvus_needs_no_instance(empty_account: deployment.Clients) -> None:
    uri = "https://in01.example.com:19530"
    up(empty_account, "storage", "network", "milvus", MilvusMode="managed", ManagedUri=uri)
    states = [state for _, state in deployment.status(empty_account, PROJECT)]
    assert deployment.environment(states)["BOOKSEARCH_MILVUS_URI"] == uri
    assert not boto3.client("ec2").describe_instances()["Reservations"]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("UPDATE_IN_PROGRESS", StackBusy),
        ("DELETE_IN_PROGRESS", StackBusy),
        ("ROLLBACK_COMPLETE", StackBroken),
        ("DELETE_FAILED", StackBroken),
    ],
)
def test_a_stack_that_cannot_be_changed_says_what_to_do(status: str, error: type[Exception]) -> None:
    state = StackState("my-books-emr", status, "quota exceeded")
    with pytest.raises(error, match=r"wait until|quota exceeded.*booksearch aws down emr --project my-books"):
        state.require_changeable()


@pytest.mark.parametrize(
    "status", [None, "REVIEW_IN_PROGRESS", "CREATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"]
)
def test_other_stacks_can_be_changed(status: str | None) -> None:
    StackState("booksearch-emr", status).require_changeable()


def test_a_failed_stack_tells_the_first_reasons_of_this_operation() -> None:
    """moto fails no resource, so CloudFormation's answers are given here in their order: the newest first."""
    client = boto3.client("cloudformation", "eu-central-1", aws_access_key_id="x", aws_secret_access_key="x")
    token = "up-20260101T000000"

    def event(resource: str, status: str, reason: str, of: str = token) -> dict[str, object]:
        return {
            "StackId": "id",
            "EventId": f"{resource}{reason}",
            "StackName": "booksearch-emr",
            "LogicalResourceId": resource,
            "ResourceType": "AWS::EMRServerless::Application",
            "ResourceStatus": status,
            "ResourceStatusReason": reason,
            "ClientRequestToken": of,
            "Timestamp": "2026-01-01T00:00:00Z",
        }

    stack = {
        "StackName": "booksearch-emr",
        "CreationTime": "2026-01-01T00:00:00Z",
        "StackStatus": "ROLLBACK_COMPLETE",
    }
    events = [
        event("Second", "CREATE_FAILED", "Resource creation cancelled"),
        event("Application", "CREATE_FAILED", "Account quota of 16 vCPU exceeded"),
        event("Application", "CREATE_IN_PROGRESS", ""),
        event("Application", "CREATE_FAILED", "an older failure", "up-2025"),
    ]
    with Stubber(client) as stub:
        stub.add_response("execute_change_set", {}, {**_named(token), "ClientRequestToken": token})
        stub.add_response("describe_stacks", {"Stacks": [stack]}, {"StackName": "booksearch-emr"})
        stub.add_response("describe_stacks", {"Stacks": [stack]}, {"StackName": "booksearch-emr"})
        stub.add_response("describe_stack_events", {"StackEvents": events}, {"StackName": ANY})
        with pytest.raises(StackFailed) as caught:
            cloudformation.execute(client, ChangeSet("booksearch-emr", token, True, ()))
    message = str(caught.value)
    assert message.startswith("booksearch-emr ended as ROLLBACK_COMPLETE: Application (AWS::EMRServerless::")
    assert message.index("quota of 16 vCPU") < message.index("Resource creation cancelled")
    assert "older failure" not in message


@pytest.mark.parametrize(
    ("code", "message", "error", "said"),
    [
        ("AccessDenied", "not authorized to perform", AccessError, "docs/aws.md lists the rights"),
        ("ExpiredToken", "the token has expired", AccessError, "sign in again"),
        (
            "ValidationError",
            "Template format error",
            StackFailed,
            "DescribeStacks was refused: Template format",
        ),
    ],
)
def test_what_aws_refuses_says_what_to_do(code: str, message: str, error: type[Exception], said: str) -> None:
    client = boto3.client("cloudformation", "eu-central-1", aws_access_key_id="x", aws_secret_access_key="x")
    with Stubber(client) as stub:
        stub.add_client_error("describe_stacks", code, message)
        with pytest.raises(error, match=said):
            cloudformation.describe(client, "booksearch-emr")


def test_without_region_or_credentials_it_says_what_to_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    with pytest.raises(AccessError, match="aws configure"):
        deployment.Clients.of_environment()
    with pytest.raises(AccessError, match="aws configure"):
        deployment.status(deployment.Clients.of_environment("eu-central-1"), PROJECT)


def _named(token: str) -> dict[str, str]:
    return {"StackName": "booksearch-emr", "ChangeSetName": token}
