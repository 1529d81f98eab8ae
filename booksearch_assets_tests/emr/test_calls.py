"""Patience with AWS: what passes is waited out, what lasts is said at once, and no call is repeated for ever."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    NoCredentialsError,
    ParamValidationError,
    ReadTimeoutError,
)

from booksearch_assets.aws.calls import (
    Patience,
    RequestRefused,
    ServiceUnreachable,
    aws_client,
    is_transient,
)
from booksearch_assets.emr.errors import is_permanent_failure

QUICK = Patience(first=0.001, longest=0.002, total=5.0)


def answer(code: str, status: int = 400) -> ClientError:
    return ClientError({"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}, "GetJobRun")


class Flaky:
    """A call that fails with each of these errors in turn, and then answers."""

    def __init__(self, *errors: Exception) -> None:
        self.errors, self.calls = list(errors), 0

    def __call__(self, **arguments: Any) -> dict[str, Any]:
        self.calls += 1
        if self.errors:
            raise self.errors.pop(0)
        return arguments


@pytest.mark.parametrize(
    "error",
    [
        answer("ThrottlingException"),
        answer("TooManyRequestsException", 429),
        answer("Unknown", 503),
        answer("ExpiredTokenException", 403),
        ConnectTimeoutError(endpoint_url="https://emr"),
        ReadTimeoutError(endpoint_url="https://emr"),
    ],
)
def test_a_passing_fault_is_waited_out(error: Exception) -> None:
    call = Flaky(error, error, error)
    assert QUICK.call(call, jobRunId="1") == {"jobRunId": "1"}
    assert call.calls == 4


@pytest.mark.parametrize(
    "error",
    [
        answer("ValidationException"),
        answer("AccessDeniedException", 403),
        answer("ResourceNotFoundException", 404),
        NoCredentialsError(),
        ParamValidationError(report="name is too long"),
    ],
)
def test_a_lasting_fault_is_said_at_once(error: Exception) -> None:
    call = Flaky(error)
    with pytest.raises(RequestRefused) as caught:
        QUICK.call(call)
    assert call.calls == 1
    assert caught.value.permanent


def test_patience_ends() -> None:
    call = Flaky(*[answer("ThrottlingException")] * 1000)
    with pytest.raises(ServiceUnreachable, match="ThrottlingException") as caught:
        Patience(first=0.001, longest=0.001, total=0.05).call(call)
    assert 1 < call.calls < 100
    assert not caught.value.permanent


def test_an_address_where_nobody_answers_is_an_outage(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "none")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "none")
    client = aws_client("emr-serverless", "us-east-1")
    with pytest.raises(ServiceUnreachable, match="list_applications"):
        Patience(total=0).call(client.list_applications)


def test_what_our_code_raises_lasts_and_what_let_it_down_passes() -> None:
    assert is_permanent_failure("DamagedChunk", "")
    assert is_permanent_failure("ModuleNotFoundError", "")
    assert is_permanent_failure("", "Job run timed out after 720 minutes")
    # The driver was killed or never started: no word from it.
    assert not is_permanent_failure("", "Worker could not be provisioned")
    assert not is_permanent_failure("Py4JJavaError", "")
    assert not is_transient(answer("ConflictException", 409))
