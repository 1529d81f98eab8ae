"""What `booksearch doctor` examines of a deployment on EMR Serverless: nothing is started, and nothing changed.

Belongs here: one small examination for each thing that a job needs. Does not: the machine that Dagster runs on
(`booksearch_assets.doctor`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from booksearch_assets.aws.calls import Patience, ServiceError, aws_client
from booksearch_assets.aws_settings import EmrSettings
from booksearch_assets.doctor import Finding
from booksearch_assets.emr.content import code_digest
from booksearch_assets.emr.deployment import package_hash
from booksearch_assets.emr.package_store import PackageUris, bundle_uri, exists, require_package
from booksearch_assets.settings import Settings

RELEASE = "emr-spark-8.0.0"
ARCHITECTURE = "X86_64"
_ONCE = Patience(total=0)
_STACKS = "`booksearch aws status` prints the stacks and the variables that belong to them"
_UPLOAD = "booksearch emr package --upload"
_NEW_ACCOUNT_VCPU = 16


def examine_credentials(settings: Settings) -> Finding:
    """Whose credentials these are."""
    try:
        identity = _ONCE.call(aws_client("sts", _of(settings).region).get_caller_identity)
    except ServiceError as error:
        return Finding(
            "aws credentials", False, str(error), "aws configure, or set AWS_PROFILE; then try again"
        )
    return Finding("aws credentials", True, identity["Arn"])


def examine_application(settings: Settings) -> Finding:
    """Whether the application is there and runs the Spark and Python that packages are made for."""
    emr = _of(settings)
    try:
        application = _application(emr)
    except ServiceError as error:
        return Finding("emr application", False, str(error), _STACKS)
    release, architecture = application["releaseLabel"], application.get("architecture", ARCHITECTURE)
    return Finding(
        "emr application",
        (release, architecture) == (RELEASE, ARCHITECTURE) and application["state"] != "TERMINATED",
        f"{emr.application_id} in {emr.region}: {release}, {architecture}, {application['state']}",
        f"packages are made for {RELEASE} on {ARCHITECTURE}: booksearch aws up emr",
    )


def examine_quota(settings: Settings) -> Finding:
    """How much the application may use. The quota of the account needs a right of its own, so it is only hinted at."""
    try:
        most = _application(_of(settings)).get("maximumCapacity", {}).get("cpu", "any number of vCPU")
    except ServiceError as error:
        return Finding("emr capacity", False, str(error), _STACKS)
    return Finding(
        "emr capacity",
        True,
        f"{most} at most; a new account's own quota is {_NEW_ACCOUNT_VCPU} vCPU, see `Max concurrent vCPUs per account` "
        "in Service Quotas",
    )


def examine_package(settings: Settings) -> Finding:
    """Whether the package that jobs take is there, and of this code."""
    emr = _of(settings)
    uris = PackageUris.of(emr.staging, package_hash(emr))
    try:
        require_package(uris.archive, code_digest(), aws_client("s3", emr.region), _ONCE)
    except ServiceError as error:
        return Finding("emr package", False, str(error), _UPLOAD)
    return Finding("emr package", True, uris.archive)


def examine_shipped_model(settings: Settings) -> Finding:
    """Whether the model is where jobs take it from."""
    from booksearch_assets.clip.bundle import Bundle, BundleError

    emr = _of(settings)
    try:
        uri = bundle_uri(emr.staging, Bundle.open(settings.bundle).bundle_id)
        found = exists(aws_client("s3", emr.region), uri, _ONCE)
    except (BundleError, ServiceError) as error:
        return Finding("emr model", False, str(error), _UPLOAD)
    return Finding("emr model", found, uri if found else f"{uri} does not exist", _UPLOAD)


EMR_EXAMINATIONS: tuple[Callable[[Settings], Finding], ...] = (
    examine_credentials,
    examine_application,
    examine_quota,
    examine_package,
    examine_shipped_model,
)


def _application(emr: EmrSettings) -> dict[str, Any]:
    client = aws_client("emr-serverless", emr.region)
    answer = _ONCE.call(client.get_application, applicationId=emr.application_id)
    return dict(answer["application"])


def _of(settings: Settings) -> EmrSettings:
    assert settings.emr, "examined with the profile emr only"
    return settings.emr
