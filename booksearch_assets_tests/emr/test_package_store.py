"""Packages and models in S3: put there once, asked for before a job is started."""

from __future__ import annotations

import json
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from booksearch_assets.aws.calls import Patience, RequestRefused
from booksearch_assets.clip.bundle import Bundle
from booksearch_assets.emr.content import ENTRY_POINT, code_digest
from booksearch_assets.emr.errors import ModelMissing, PackageMissing, PackageOutdated
from booksearch_assets.emr.package import Package
from booksearch_assets.emr.package_store import (
    PackageUris,
    ShippedModel,
    require_package,
    upload_bundle,
    upload_package,
)
from booksearch_assets.settings import PACKAGE
from booksearch_assets_tests.emr.conftest import MakeStep
from booksearch_assets_tests.emr.serverless import BUCKET, LocalServerless
from booksearch_assets_tests.emr.step import failure_of, report_of

SAMPLE_MODEL = PACKAGE / "sample" / "model"
PATIENCE = Patience(total=0)


@dataclass(frozen=True)
class EmbedParams:
    bundle: str
    rows: int = 3


@pytest.fixture
def staging(tmp_path: Path) -> str:
    """A prefix of each test's own."""
    return f"s3://{BUCKET}/{tmp_path.name}/emr"


@pytest.fixture
def s3(service: LocalServerless) -> Any:
    return service.client("s3")


def _package(folder: Path, code: str = "") -> Package:
    """The three files of a package, as far as S3 is concerned."""
    folder = folder / "packages" / "0123456789abcdef"
    folder.mkdir(parents=True)
    package = Package(folder, folder.name)
    package.archive.write_bytes(b"an archive")
    package.entry_point.write_text(ENTRY_POINT)
    package.manifest.write_text(json.dumps({"hash": package.hash, "code": code or code_digest()}))
    return package


def test_a_package_is_uploaded_once_and_its_manifest_last(s3: Any, staging: str, tmp_path: Path) -> None:
    package, bars, put = _package(tmp_path), [], []
    s3.meta.events.register("before-call.s3.PutObject", lambda params, **_: put.append(params["url_path"]))
    uris = upload_package(package, staging, s3, lambda *said: bars.append(said))
    assert uris == PackageUris.of(f"{staging}/", "0123456789abcdef")
    assert uris.archive == f"{staging}/packages/0123456789abcdef/pyspark_dependencies.tar.gz"
    assert [path.rpartition("/")[2] for path in put] == [
        "pyspark_dependencies.tar.gz",
        "entry_point.py",
        "package.json",
    ]
    assert bars == [("uploading pyspark_dependencies.tar.gz", 10, 10)]
    package.archive.write_bytes(b"another archive")
    assert upload_package(package, staging, s3) == uris
    bucket, key = uris.archive.removeprefix("s3://").split("/", 1)
    assert s3.get_object(Bucket=bucket, Key=key)["Body"].read() == b"an archive"


def test_an_upload_that_was_cut_off_is_made_whole(s3: Any, staging: str, tmp_path: Path) -> None:
    package = _package(tmp_path)
    manifest = package.manifest.read_text()
    package.manifest.unlink()
    with pytest.raises(OSError, match="package.json"):
        upload_package(package, staging, s3)
    archive = PackageUris.of(staging, package.hash).archive
    with pytest.raises(PackageMissing):
        require_package(archive, code_digest(), s3, PATIENCE)
    package.manifest.write_text(manifest)
    upload_package(package, staging, s3)
    require_package(archive, code_digest(), s3, PATIENCE)


def test_what_is_not_there_and_what_may_not_be_asked_are_told_apart(s3: Any, staging: str) -> None:
    with pytest.raises(
        PackageMissing, match=r"package.json does not exist. Run `booksearch emr package --upload`"
    ):
        require_package(PackageUris.of(staging, "0" * 16).archive, code_digest(), s3, PATIENCE)
    with pytest.raises(RequestRefused, match="NoSuchBucket"):
        require_package(PackageUris.of("s3://nobodys-bucket/emr", "0" * 16).archive, "", s3, PATIENCE)


def test_a_package_of_other_code_is_refused(s3: Any, staging: str, tmp_path: Path) -> None:
    archive = upload_package(_package(tmp_path, code="fedcba9876543210"), staging, s3).archive
    with pytest.raises(PackageOutdated, match=f"other code .fedcba9876543210. than this .{code_digest()}"):
        require_package(archive, code_digest(), s3, PATIENCE)


def test_a_model_arrives_as_it_was(s3: Any, staging: str, tmp_path: Path) -> None:
    bundle = Bundle.open(SAMPLE_MODEL)
    uri = upload_bundle(bundle, staging, s3)
    assert uri == f"{staging}/models/{bundle.bundle_id}/model.tar"
    bucket, key = uri.removeprefix("s3://").split("/", 1)
    (tmp_path / "model.tar").write_bytes(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    with tarfile.open(tmp_path / "model.tar") as tar:
        tar.extractall(tmp_path / "model", filter="data")
    assert Bundle.open(tmp_path / "model").bundle_id == bundle.bundle_id
    before = s3.head_object(Bucket=bucket, Key=key)["LastModified"]
    assert upload_bundle(bundle, staging, s3, lambda *_: pytest.fail("uploaded again")) == uri
    assert s3.head_object(Bucket=bucket, Key=key)["LastModified"] == before


def test_executors_are_told_the_folder_that_spark_unpacks_the_model_to(staging: str) -> None:
    bundle_id = Bundle.open(SAMPLE_MODEL).bundle_id
    params = EmbedParams(str(SAMPLE_MODEL))
    model = ShippedModel.of(params, staging)
    assert model
    assert model.parameters(params) == EmbedParams(f"./{bundle_id}")
    uri = f"{staging}/models/{bundle_id}/model.tar#{bundle_id}"
    assert model.settings({}) == {"spark.archives": uri}
    assert model.settings({"spark.archives": "s3://b/env.tar.gz#environment", "spark.x": "1"}) == {
        "spark.archives": f"s3://b/env.tar.gz#environment,{uri}",
        "spark.x": "1",
    }
    assert ShippedModel.of(object(), staging) is None


def test_no_job_is_started_without_its_package(
    make_step: MakeStep, s3: Any, service: LocalServerless, staging: str, tmp_path: Path
) -> None:
    uris = PackageUris.of(staging, "0123456789abcdef")
    step = make_step({"staging": staging, "archive": uris.archive})
    result = step.run()
    assert failure_of(result).startswith("PackageMissing: there is no package of this code")
    assert "booksearch emr package --upload" in failure_of(result)
    assert service.faults[step.application_id].calls.count("start") == 0
    upload_package(_package(tmp_path), staging, s3)
    assert report_of(step.run())["counts"]


def test_no_job_is_started_without_its_model(
    make_step: MakeStep, s3: Any, service: LocalServerless, staging: str
) -> None:
    step = make_step({"staging": staging})
    step.params = EmbedParams(str(SAMPLE_MODEL))
    assert failure_of(step.run()).startswith("ModelMissing: the model ")
    assert service.faults[step.application_id].calls.count("start") == 0
    model = ShippedModel.of(step.params, staging)
    assert model
    with pytest.raises(ModelMissing, match="booksearch emr package --upload"):
        model.require(s3, PATIENCE)
    upload_bundle(Bundle.open(SAMPLE_MODEL), staging, s3)
    model.require(s3, PATIENCE)
