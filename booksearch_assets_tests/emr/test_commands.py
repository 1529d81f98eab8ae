"""`booksearch emr package`, as a user types it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from booksearch_assets.cli import main
from booksearch_assets.emr.content import PackageContent
from booksearch_assets_tests.emr.packages import only_from, small_content
from booksearch_assets_tests.emr.serverless import BUCKET, REGION, ROLE, LocalServerless

DEPLOYMENT = {
    "BOOKSEARCH_PROFILE": "emr",
    "BOOKSEARCH_LAKE": f"s3://{BUCKET}/lake",
    "BOOKSEARCH_EMR_APPLICATION_ID": "00f1a2b3c4d5e6f7",
    "BOOKSEARCH_EMR_ROLE_ARN": ROLE,
    "BOOKSEARCH_MILVUS_URI": "http://milvus:19530",
    "BOOKSEARCH_CONTACT": "me@example.org",
    "AWS_REGION": REGION,
}


@pytest.fixture
def content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> PackageContent:
    """A small package, which the command takes for that of this checkout."""
    (tmp_path / "wheels").mkdir()
    only_from(tmp_path / "wheels", monkeypatch)
    content = small_content(tmp_path / "wheels")
    monkeypatch.setattr(PackageContent, "of_checkout", lambda: content)
    return content


def _package(*arguments: str, **environment: str) -> Result:
    return CliRunner().invoke(main, ["emr", "package", *arguments], env=environment)


def test_package_and_model_are_uploaded_once(
    content: PackageContent, service: LocalServerless, tmp_path: Path
) -> None:
    staging = f"s3://{BUCKET}/{tmp_path.name}"
    told = DEPLOYMENT | {"BOOKSEARCH_EMR_STAGING": staging}
    first = _package("--upload", "--into", str(tmp_path / "dist"), **told)
    assert first.exit_code == 0, first.output
    assert first.stdout.startswith(f"package {content.hash}: ")
    folder = f"{staging}/packages/{content.hash}"
    assert f"  {folder}/pyspark_dependencies.tar.gz\n  {folder}/entry_point.py\n" in first.stdout
    assert f"  {staging}/models/booksearch-sample-clip-" in first.stdout
    assert first.stderr.splitlines()[-2:] == ["uploading pyspark_dependencies.tar.gz", "uploading model.tar"]
    # From another machine, where nothing was built: there is nothing to build.
    again = _package("--upload", "--into", str(tmp_path / "elsewhere"), **told)
    assert again.stdout.startswith(f"package {content.hash} is there already\n")
    assert not (tmp_path / "elsewhere").exists()
    other = _package("--upload", **told, BOOKSEARCH_EMR_PACKAGE="0123456789abcdef")
    assert "BOOKSEARCH_EMR_PACKAGE=0123456789abcdef, which is another one" in other.output


def test_uploading_needs_to_know_where_to(content: PackageContent) -> None:
    told = _package("--upload", BOOKSEARCH_PROFILE="local")
    assert told.exit_code == 1
    assert "needs BOOKSEARCH_PROFILE=emr and the variables that `booksearch aws status` prints" in told.output
    missing = _package("--upload", **DEPLOYMENT)
    assert missing.exit_code == 1 and "BOOKSEARCH_PROFILE=emr needs BOOKSEARCH_EMR_STAGING" in missing.output


def test_help_needs_no_boto() -> None:
    program = (
        "import sys; from booksearch_assets.cli import main; from click.testing import CliRunner;"
        "assert CliRunner().invoke(main, ['emr', 'package', '--help']).exit_code == 0; assert 'boto3' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
