"""Calls to AWS that outlast throttling and outages: back-off with jitter, and an end to patience.

Belongs here: the one retry mechanism of what runs as jobs at AWS, and what a call may end with; the clients' own
repeating is switched off, or the two would multiply. Does not: what is asked for.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import boto3
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    CredentialRetrievalError,
    HTTPClientError,
    MetadataRetrievalError,
)

T = TypeVar("T")

_CONFIG = Config(retries={"total_max_attempts": 1}, connect_timeout=10, read_timeout=30)
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


class ServiceError(Exception):
    """What was to be done at AWS was not done.

    `permanent`: doing the same again cannot help. `figures`: which job it was, and what it cost.
    """

    permanent = True

    def __init__(self, message: str, figures: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.figures = dict(figures or {})


class RequestRefused(ServiceError):
    """The service said no: a wrong argument, a missing right, an application or job that is not there.

    `code` is the service's own word for it, empty where the call did not reach it.
    """

    code = ""


class ServiceUnreachable(ServiceError):
    """The service did not answer for as long as it was worth waiting."""

    permanent = False


def aws_client(service: str, region: str) -> Any:
    """A client that tries each call once, for `Patience`. Credentials are those of the environment."""
    return boto3.client(service, region_name=region, config=_CONFIG)  # type: ignore[call-overload]


@dataclass(frozen=True)
class Patience:
    """How long to go on asking: waits grow from `first` to `longest` seconds, for `total` seconds in all."""

    first: float = 1.0
    longest: float = 30.0
    total: float = 300.0

    def call(self, function: Callable[..., T], **arguments: Any) -> T:
        """`function(**arguments)`, again and again while its fault is a passing one.

        Raises `RequestRefused` for a lasting fault and `ServiceUnreachable` when patience ends. What is called must
        be safe to repeat: the answer of a call that was carried out may be lost.
        """
        started, longest_wait = time.monotonic(), self.first
        while True:
            try:
                return function(**arguments)
            except (BotoCoreError, ClientError) as error:
                # A missing object is an answer, which some callers wait for.
                if isinstance(error, ClientError) and error_code(error) in ("NoSuchKey", "404"):
                    raise
                if not is_transient(error):
                    refusal = RequestRefused(
                        f"AWS refused {_name(function)}: {error}. Mend the setting or the IAM right that it names."
                    )
                    refusal.code = error_code(error) if isinstance(error, ClientError) else ""
                    raise refusal from error
                waited = time.monotonic() - started
                if waited >= self.total:
                    raise ServiceUnreachable(
                        f"AWS did not answer {_name(function)} for {waited:.0f} s; its last word was: {error}"
                    ) from error
            # Half of the wait is by chance, so that many steps that were throttled together do not return together.
            time.sleep(longest_wait * random.uniform(0.5, 1.0))
            longest_wait = min(2 * longest_wait, self.longest)


def is_transient(error: BotoCoreError | ClientError) -> bool:
    """Whether the same call may well be answered a little later."""
    if isinstance(error, ClientError):
        status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
        return status >= 500 or status == 429 or error_code(error) in _TRANSIENT_CODES
    passing = (ConnectionError, HTTPClientError, CredentialRetrievalError, MetadataRetrievalError)
    return isinstance(error, passing)


def error_code(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", repr(function))
