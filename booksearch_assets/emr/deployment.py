"""From settings to the parts of this package: the launcher of a deployment, and which package its jobs take.

Belongs here: that wiring, for the definitions and the commands alike. Does not: any part.
"""

from __future__ import annotations

from booksearch_assets.aws_settings import EmrSettings, SettingsError
from booksearch_assets.emr.content import PackageContent, PackageNotBuildable
from booksearch_assets.emr.launcher import EmrServerlessLauncher
from booksearch_assets.emr.package_store import PackageUris


def emr_launcher(emr: EmrSettings) -> EmrServerlessLauncher:
    """The launcher of a deployment. It asks nothing of AWS before it runs a stage."""
    package = PackageUris.of(emr.staging, package_hash(emr))
    return EmrServerlessLauncher(
        application_id=emr.application_id,
        execution_role=emr.role_arn,
        region=emr.region,
        entry_point=package.entry_point,
        archive=package.archive,
        staging=emr.staging,
        jobs_uri=emr.jobs_uri,
        logs_uri=emr.logs_uri,
    )


def package_hash(emr: EmrSettings) -> str:
    """The package that jobs take: the one that was chosen, or else that of this code and its requirements.

    Raises `SettingsError` where neither is known.
    """
    if emr.package:
        return emr.package
    try:
        return PackageContent.of_checkout().hash
    except PackageNotBuildable as error:
        raise SettingsError(str(error)) from error
