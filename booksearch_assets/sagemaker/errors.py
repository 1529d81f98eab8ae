"""What can go wrong between a query and the endpoint that is to encode it.

Belongs here: the typed errors. Does not: telling one from another (`endpoint`).
"""

from __future__ import annotations


class EndpointError(Exception):
    """The endpoint gave no vectors. The message says which endpoint, and what to do."""


class EndpointUnavailable(EndpointError):
    """It did not answer for as long as it was asked: throttled, starting, or not reachable. Later it may."""


class EndpointRefused(EndpointError):
    """AWS refused the call: no such endpoint, no right to ask it, no credentials."""


class InputRefused(EndpointError):
    """The container refused the input with a 4xx, which says what is wrong with it."""


class UnexpectedAnswer(EndpointError):
    """The container failed, or answered something else than vectors of the bundle that it began with."""
