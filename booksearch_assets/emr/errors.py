"""What can go wrong between a step and its job, and whether trying again can help.

Belongs here: the typed errors, and telling a passing fault of the service from a lasting one. Does not: turning them
into Dagster's `Failure` (`launcher`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    MetadataRetrievalError,
)

_TRANSIENT_CODES = frozenset(
    {
        "ExpiredToken",
        "ExpiredTokenException",
        "InternalServerException",
        "RequestLimitExceeded",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "SlowDown",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
# What a job's own code raises when a service or a machine let it down, and not its input or its code.
_PASSING_EXCEPTIONS = frozenset(
    {
        "ClientError",
        "ConnectionError",
        "ConnectionResetError",
        "EndpointConnectionError",
        "MemoryError",
        "OSError",
        "Py4JJavaError",
        "Py4JNetworkError",
        "ReadTimeoutError",
        "SparkException",
        "TimeoutError",
    }
)


class EmrError(Exception):
    """A step could not get its report from a job.

    `permanent`: doing the same again cannot help. `figures`: which job it was, and what it cost.
    """

    permanent = True

    def __init__(self, message: str, figures: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.figures = dict(figures or {})


class UnfitParameters(EmrError):
    """The parameters of a stage cannot be handed to a job."""


class PackageMissing(EmrError):
    """The package that a job needs has not been uploaded."""


class PackageOutdated(EmrError):
    """The package that a job would take has other code than this process."""


class ModelMissing(EmrError):
    """The model bundle that a job needs has not been uploaded."""


class NoSuchWorker(EmrError):
    """The service has no worker of the size that was asked for."""


class RequestRefused(EmrError):
    """The service said no: a wrong argument, a missing right, an application or job that is not there."""


class ServiceUnreachable(EmrError):
    """The service did not answer for as long as it was worth waiting."""

    permanent = False


class JobFailed(EmrError):
    """The job ended as FAILED."""

    def __init__(self, message: str, figures: Mapping[str, Any] | None = None, *, permanent: bool) -> None:
        super().__init__(message, figures)
        self.permanent = permanent


class JobCancelled(EmrError):
    """Somebody cancelled the job, who does not want it to be started again."""


class JobReportedNothing(EmrError):
    """The job ended as SUCCESS, and nothing says that the stage was run."""


class OverBudget(EmrError):
    """The job would cost, or has cost, more than it may."""


def is_transient(error: BotoCoreError | ClientError) -> bool:
    """Whether the same call may well be answered a little later."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= 500 or status == 429 or error_code(error) in _TRANSIENT_CODES
    passing = (ConnectionError, HTTPClientError, CredentialRetrievalError, MetadataRetrievalError)
    return isinstance(error, passing)


def error_code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def is_permanent_failure(exception: str, details: str) -> bool:
    """Whether a job that failed will fail again: by the name of what its code raised, and what the service says.

    A job whose code said nothing lost its driver or never got one, which another attempt may.
    """
    if "timed out" in details.lower() or "timeout" in details.lower():
        return True
    return bool(exception) and exception not in _PASSING_EXCEPTIONS
