"""What can go wrong between a list of pictures and their vectors.

Belongs here: the typed errors of jobs. Does not: what any call to AWS may end with (`aws.calls`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from booksearch_assets.aws.calls import ServiceError


class TransformError(ServiceError):
    """A stage could not get its vectors from a job. What the job had finished is in the cache all the same."""


class TransformFailed(TransformError):
    """The job ended as Failed."""

    def __init__(self, message: str, figures: Mapping[str, Any] | None = None, *, permanent: bool) -> None:
        super().__init__(message, figures)
        self.permanent = permanent


class TransformStopped(TransformError):
    """Somebody stopped the job, who does not want it to be started again."""


class UnexpectedOutput(TransformError):
    """The outputs are not one line of the wanted model for each picture."""


class TransformOverBudget(TransformError):
    """The job would cost more than it may."""


def is_permanent(reason: str) -> bool:
    """Whether a job that failed for a reason of the service's will fail again.

    The service's own faults and a lack of machines pass; what it calls a ClientError or AlgorithmError lasts.
    """
    return not any(word in reason for word in ("InternalServerError", "CapacityError", "Please try again"))
