"""`booksearch aws` as a person uses it."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner, Result
from moto.cloudformation.models import cloudformation_backends
from moto.core import DEFAULT_ACCOUNT_ID as ACCOUNT

from booksearch_assets.aws import deployment
from booksearch_assets.aws.commands import aws
from booksearch_assets_tests.infra.moto_aws import REGION

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def run(*arguments: str, answer: str = "") -> Result:
    return CliRunner().invoke(aws, list(arguments), input=answer)


def test_up_shows_the_changes_and_asks(empty_account: deployment.Clients) -> None:
    refused = run("up", "logs", answer="n\n")
    assert refused.exit_code == 1
    assert "booksearch-logs: create\n  + LogGroup" in refused.output
    assert "not approved" in refused.output
    assert "not created" in run("status").output

    approved = run("up", "storage", answer="y\n")
    assert approved.exit_code == 0, approved.output
    assert "Make these changes of booksearch-storage?" in approved.output
    assert "export BOOKSEARCH_LAKE=s3://booksearch-storage-bucket-" in approved.output


def test_yes_shows_the_changes_without_asking(empty_account: deployment.Clients) -> None:
    done = run("up", "logs", "--yes", "-p", "KeepLogsDays=7", "--project", "other")
    assert done.exit_code == 0, done.output
    assert "other-logs: create" in done.output and "+ LogGroup" in done.output and "?" not in done.output
    changed = run("up", "logs", "--yes", "-p", "KeepLogsDays=14", "--project", "other")
    assert "other-logs: update" in changed.output
    assert "other-logs: no changes" in run("up", "logs", "--yes", "--project", "other").output


def test_status_prints_states_and_outputs(empty_account: deployment.Clients) -> None:
    assert run("up", "logs", "--yes").exit_code == 0
    text = run("status")
    assert text.exit_code == 0
    assert "CREATE_COMPLETE" in text.output and "LogGroupArn" in text.output
    answer = json.loads(run("status", "--json").output)
    assert answer["stacks"]["booksearch-logs"]["status"] == "CREATE_COMPLETE"
    assert answer["stacks"]["booksearch-emr"]["status"] is None
    assert answer["stacks"]["booksearch-logs"]["outputs"]["LogGroupName"] == "/booksearch-logs/emr-serverless"
    assert answer["environment"] == {}


@pytest.mark.parametrize(
    ("state", "code"), [("UPDATE_COMPLETE", 0), ("UPDATE_ROLLBACK_COMPLETE", 1), ("DELETE_FAILED", 1)]
)
def test_status_fails_where_a_stack_has_failed(
    empty_account: deployment.Clients, state: str, code: int
) -> None:
    assert run("up", "logs", "--yes").exit_code == 0
    (stack,) = cloudformation_backends[ACCOUNT][REGION].stacks.values()
    stack.status = state
    result = run("status")
    assert result.exit_code == code and state in result.output


def test_down_refuses_to_lose_data(empty_account: deployment.Clients) -> None:
    assert run("up", "storage", "--yes").exit_code == 0
    status = json.loads(run("status", "--json").output)
    bucket = status["stacks"]["booksearch-storage"]["outputs"]["BucketName"]
    # moto does not know that its own requests would be over TLS, which the policy asks for.
    empty_account.s3.delete_bucket_policy(Bucket=bucket)
    empty_account.s3.put_object(Bucket=bucket, Key="lake/a", Body=b"a")
    refused = run("down", "--yes")
    assert refused.exit_code == 1 and "--delete-data" in refused.output
    asked = run("down", "--delete-data", answer="n\n")
    assert (
        asked.exit_code == 1
        and "everything in the bucket?" in asked.output
        and "nothing was deleted" in asked.output
    )
    done = run("down", "--delete-data", "--yes")
    assert done.exit_code == 0, done.output
    assert "booksearch-storage: deleted" in done.output


def test_an_error_is_one_line(empty_account: deployment.Clients) -> None:
    result = run("up", "storge")
    assert result.exit_code == 1
    assert result.output.startswith("Error: no stack is called storge;") and result.output.count("\n") == 1


def test_help_needs_no_aws_library() -> None:
    import subprocess
    import sys

    program = (
        "import sys; from booksearch_assets.aws.commands import aws; from click.testing import CliRunner;"
        "assert CliRunner().invoke(aws, ['up', '--help']).exit_code == 0; assert 'boto3' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
