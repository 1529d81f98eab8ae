"""Where jobs run at AWS, read from environment variables.

Belongs here: the settings of EMR Serverless and of Batch Transform, and `SettingsError`. Does not: all else (`settings`,
which hands its environment over).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

_S3_PREFIX = re.compile(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[^/\s#,]+)+/?")
_APPLICATION_ID = re.compile(r"[0-9a-z]{1,64}")
_ROLE_ARN = re.compile(r"arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+")
_REGION = re.compile(r"[a-z]{2}(-[a-z]+)+-[0-9]")
_PACKAGE_HASH = re.compile(r"[0-9a-f]{16}")
_MODEL_NAME = re.compile(r"[A-Za-z0-9](-*[A-Za-z0-9]){0,62}")
_INSTANCE = re.compile(r"ml(\.[a-z0-9-]+){2}")
_INSTANCES = re.compile(r"[1-9][0-9]{0,2}")


class SettingsError(ValueError):
    """An environment variable holds what it cannot hold; the message names it and what is allowed."""


@dataclass(frozen=True)
class EmrSettings:
    """Where jobs run, and where in S3 they find what they need: below `staging`.

    `package` is the hash of the package that jobs take; empty for that of this code.
    """

    staging: str
    application_id: str
    role_arn: str
    region: str
    package: str = ""

    @property
    def jobs_uri(self) -> str:
        """Messages of jobs. The role of jobs may write below `runs/` alone."""
        return f"{self.staging}/runs/jobs"

    @property
    def logs_uri(self) -> str:
        return f"{self.staging}/runs/logs"


@dataclass(frozen=True)
class TransformSettings:
    """The SageMaker model that embeds pictures in place of Spark, the machines of a job, and where its files lie."""

    model: str
    staging: str
    region: str
    instance: str
    instances: int


OF_EMR = {
    "BOOKSEARCH_LAKE": (_S3_PREFIX, "s3://bucket/prefix"),
    "BOOKSEARCH_EMR_STAGING": (_S3_PREFIX, "s3://bucket/prefix"),
    "BOOKSEARCH_EMR_APPLICATION_ID": (_APPLICATION_ID, "the id of an application, such as 00f1a2b3c4d5e6f7"),
    "BOOKSEARCH_EMR_ROLE_ARN": (_ROLE_ARN, "the ARN of a role, arn:aws:iam::<account>:role/<name>"),
    "BOOKSEARCH_EMR_REGION": (_REGION, "an AWS region, such as eu-central-1"),
}


def emr_settings(environment: Mapping[str, str]) -> EmrSettings:
    """The settings of the profile `emr`, which has defaults for none of them. All that are missing are named at once."""
    regions = ("BOOKSEARCH_EMR_REGION", "AWS_REGION", "AWS_DEFAULT_REGION")
    region = next((environment[name] for name in regions if name in environment), None)
    told = {**environment, **({"BOOKSEARCH_EMR_REGION": region} if region else {})}
    needed = (*OF_EMR, "BOOKSEARCH_MILVUS_URI", "BOOKSEARCH_CONTACT")
    if missing := [name for name in needed if name not in told]:
        raise SettingsError(
            f"BOOKSEARCH_PROFILE=emr needs {', '.join(missing)}. `booksearch aws status` prints what belongs to the "
            "stacks. The region may be AWS_REGION too; BOOKSEARCH_MILVUS_URI is a server or a folder of this machine; "
            "BOOKSEARCH_CONTACT is an e-mail or page that the covers service can reach you at"
        )
    for name, (allowed, meaning) in OF_EMR.items():
        if not allowed.fullmatch(told[name]):
            raise SettingsError(f"{name} is {told[name]!r}; with BOOKSEARCH_PROFILE=emr it must be {meaning}")
    package = told.get("BOOKSEARCH_EMR_PACKAGE", "")
    if package and not _PACKAGE_HASH.fullmatch(package):
        raise SettingsError(
            f"BOOKSEARCH_EMR_PACKAGE is {package!r}; it must be the 16 hexadecimal digits that "
            "`booksearch emr package` prints"
        )
    return EmrSettings(
        staging=told["BOOKSEARCH_EMR_STAGING"].rstrip("/"),
        application_id=told["BOOKSEARCH_EMR_APPLICATION_ID"],
        role_arn=told["BOOKSEARCH_EMR_ROLE_ARN"],
        region=told["BOOKSEARCH_EMR_REGION"],
        package=package,
    )


_OF_TRANSFORM = {
    "BOOKSEARCH_TRANSFORM_MODEL": (_MODEL_NAME, "the name of a SageMaker model"),
    "BOOKSEARCH_TRANSFORM_STAGING": (_S3_PREFIX, "s3://bucket/prefix"),
    "BOOKSEARCH_TRANSFORM_INSTANCE": (_INSTANCE, "a machine of SageMaker, such as ml.c5.xlarge"),
    "BOOKSEARCH_TRANSFORM_INSTANCES": (_INSTANCES, "a whole number from 1 to 999"),
    "AWS_REGION": (_REGION, "an AWS region, such as eu-central-1"),
}


def transform_settings(environment: Mapping[str, str]) -> TransformSettings | None:
    """The settings of Batch Transform; None where no model is named, and Spark embeds."""
    if "BOOKSEARCH_TRANSFORM_MODEL" not in environment:
        return None
    told = {"BOOKSEARCH_TRANSFORM_INSTANCE": "ml.c5.xlarge", "BOOKSEARCH_TRANSFORM_INSTANCES": "1"}
    if "AWS_DEFAULT_REGION" in environment:
        told["AWS_REGION"] = environment["AWS_DEFAULT_REGION"]
    told |= {name: environment[name] for name in _OF_TRANSFORM if name in environment}
    if missing := [name for name in _OF_TRANSFORM if name not in told]:
        raise SettingsError(
            f"BOOKSEARCH_TRANSFORM_MODEL needs {', '.join(missing)} too. `booksearch aws status` prints what belongs to "
            "the stacks"
        )
    for name, (allowed, meaning) in _OF_TRANSFORM.items():
        if not allowed.fullmatch(told[name]):
            raise SettingsError(f"{name} is {told[name]!r}; it must be {meaning}")
    return TransformSettings(
        model=told["BOOKSEARCH_TRANSFORM_MODEL"],
        staging=told["BOOKSEARCH_TRANSFORM_STAGING"].rstrip("/"),
        region=told["AWS_REGION"],
        instance=told["BOOKSEARCH_TRANSFORM_INSTANCE"],
        instances=int(told["BOOKSEARCH_TRANSFORM_INSTANCES"]),
    )
