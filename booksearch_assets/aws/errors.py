"""What can go wrong with stacks.

Belongs here: one class for each thing that an operator does something else about. Does not: finding it out.
"""

from __future__ import annotations


class AwsError(Exception):
    """Base of the errors of this package; the message says what to do next."""


class AccessError(AwsError):
    """AWS could not be asked: no credentials, no region, or a right is missing."""


class TemplateError(AwsError):
    """A template or a parameter is not what was expected."""


class StackBusy(AwsError):
    """Another operation on the stack has not ended."""


class StackBroken(AwsError):
    """The stack is in a state that CloudFormation changes no more."""


class StackFailed(AwsError):
    """CloudFormation refused or undid the operation; the message has the first reasons that it gave."""


class BucketNotEmpty(AwsError):
    """The bucket holds objects or versions, and nobody said that they may be deleted."""
