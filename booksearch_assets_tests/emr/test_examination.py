"""What the doctor finds of a deployment on EMR: all of it well, and each thing absent."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import boto3
import pytest
from moto.emrserverless.models import emrserverless_backends

from booksearch_assets.aws_settings import SettingsError
from booksearch_assets.clip.bundle import Bundle
from booksearch_assets.doctor import Finding, _examinations
from booksearch_assets.emr.content import PackageContent, code_digest
from booksearch_assets.emr.deployment import emr_launcher, package_hash
from booksearch_assets.emr.examination import EMR_EXAMINATIONS
from booksearch_assets.emr.package import Package
from booksearch_assets.emr.package_store import upload_bundle, upload_package
from booksearch_assets.settings import Settings
from booksearch_assets_tests.emr.serverless import BUCKET, REGION, ROLE, LocalServerless

SUBJECTS = ["aws credentials", "emr application", "emr capacity", "emr package", "emr model"]


@pytest.fixture
def settings(service: LocalServerless, tmp_path: Path) -> Settings:
    """A deployment whose application runs what packages are made for, and which nothing was uploaded to yet."""
    application_id = service.create_application()
    backend = emrserverless_backends["123456789012"][REGION]
    # moto does not know emr-spark-8.0.0.
    backend.applications[application_id].release_label = "emr-spark-8.0.0"
    return Settings.from_environment(
        {
            "BOOKSEARCH_PROFILE": "emr",
            "BOOKSEARCH_HOME": str(tmp_path),
            "BOOKSEARCH_LAKE": f"s3://{BUCKET}/lake",
            "BOOKSEARCH_EMR_STAGING": f"s3://{BUCKET}/{tmp_path.name}",
            "BOOKSEARCH_EMR_APPLICATION_ID": application_id,
            "BOOKSEARCH_EMR_ROLE_ARN": ROLE,
            "BOOKSEARCH_MILVUS_URI": str(tmp_path / "milvus"),
            "BOOKSEARCH_CONTACT": "me@example.org",
            "AWS_REGION": REGION,
        }
    )


def _findings(settings: Settings) -> dict[str, Finding]:
    found = [examine(settings) for examine in EMR_EXAMINATIONS]
    assert [finding.subject for finding in found] == SUBJECTS
    assert all(finding.mend for finding in found if not finding.well)
    return {finding.subject: finding for finding in found}


def _upload(service: LocalServerless, settings: Settings, folder: Path, code: str) -> None:
    assert settings.emr
    package = Package(folder, package_hash(settings.emr))
    for path in (package.archive, package.entry_point):
        path.touch()
    package.manifest.write_text(json.dumps({"hash": package.hash, "code": code}))
    upload_package(package, settings.emr.staging, service.client("s3"))
    upload_bundle(Bundle.open(settings.bundle), settings.emr.staging, service.client("s3"))


def test_the_machine_is_examined_too_but_needs_no_java(settings: Settings) -> None:
    names = [examination.__name__ for examination in _examinations(settings)]
    assert "examine_java" not in names and "examine_disk" in names
    assert names[-len(SUBJECTS) :] == [examination.__name__ for examination in EMR_EXAMINATIONS]


def test_a_deployment_in_which_all_is_well(
    settings: Settings, service: LocalServerless, tmp_path: Path
) -> None:
    _upload(service, settings, tmp_path, code_digest())
    found = _findings(settings)
    assert [subject for subject, finding in found.items() if not finding.well] == []
    assert found["aws credentials"].found.startswith("arn:aws:")
    assert "emr-spark-8.0.0, X86_64" in found["emr application"].found
    assert "a new account's own quota is 16 vCPU" in found["emr capacity"].found
    assert settings.emr
    assert found["emr package"].found == emr_launcher(settings.emr).archive


def test_what_was_not_uploaded_yet(settings: Settings) -> None:
    found = _findings(settings)
    for subject in ("emr package", "emr model"):
        assert not found[subject].well and "does not exist" in found[subject].found
        assert found[subject].mend == "booksearch emr package --upload"


def test_a_package_of_other_code(settings: Settings, service: LocalServerless, tmp_path: Path) -> None:
    assert settings.emr
    pinned = replace(settings, emr=replace(settings.emr, package="0123456789abcdef"))
    _upload(service, pinned, tmp_path, code="fedcba9876543210")
    assert "has other code" in _findings(pinned)["emr package"].found


def test_an_application_of_another_release_or_none(settings: Settings, service: LocalServerless) -> None:
    assert settings.emr
    other = replace(settings, emr=replace(settings.emr, application_id=service.create_application()))
    finding = _findings(other)["emr application"]
    assert not finding.well and "emr-7.9.0" in finding.found and "emr-spark-8.0.0" in finding.mend
    none = replace(settings, emr=replace(settings.emr, application_id="nothere"))
    found = _findings(none)
    assert not found["emr application"].well and not found["emr capacity"].well


def test_no_credentials(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    # boto3 keeps the credentials that it has found once.
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    found = _findings(settings)
    assert not any(finding.well for finding in found.values())
    assert "Unable to locate credentials" in found["aws credentials"].found
    assert found["aws credentials"].mend.startswith("aws configure")


def test_an_installation_without_a_checkout_is_told_which_package(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    of_checkout = PackageContent.of_checkout
    monkeypatch.setattr(PackageContent, "of_checkout", lambda: of_checkout(tmp_path / "site-packages"))
    assert settings.emr
    with pytest.raises(SettingsError, match="set BOOKSEARCH_EMR_PACKAGE to the hash"):
        package_hash(settings.emr)
    told = replace(settings.emr, package="0123456789abcdef")
    launcher = emr_launcher(told)
    assert launcher.archive == f"{told.staging}/packages/0123456789abcdef/pyspark_dependencies.tar.gz"
