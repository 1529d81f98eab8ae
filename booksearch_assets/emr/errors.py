"""What can go wrong between a step and its job, and whether trying again can help.

Belongs here: the typed errors of jobs. Does not: what any call to AWS may end with (`aws.calls`), turning errors into
Dagster's `Failure` (`launcher`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from booksearch_assets.aws.calls import ServiceError

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


class EmrError(ServiceError):
    """A step could not get its report from a job."""


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


def is_permanent_failure(exception: str, details: str) -> bool:
    """Whether a job that failed will fail again: by the name of what its code raised, and what the service says.

    A job whose code said nothing lost its driver or never got one, which another attempt may.
    """
    if "timed out" in details.lower() or "timeout" in details.lower():
        return True
    return bool(exception) and exception not in _PASSING_EXCEPTIONS
