"""Where packages and models lie in S3, putting them there once, and making sure that they are there.

    <staging>/packages/<hash>/pyspark_dependencies.tar.gz, entry_point.py, package.json (written last)
    <staging>/models/<bundle_id>/model.tar

Belongs here: those places. Does not: building a package (`package`), which one a job takes (`launcher`).
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from booksearch_assets.aws.calls import Patience, error_code
from booksearch_assets.aws.objects import split_s3
from booksearch_assets.emr.errors import ModelMissing, PackageMissing, PackageOutdated
from booksearch_assets.emr.package import ARCHIVE, ENTRY_POINT_FILE, MANIFEST, Package, Say, silent, write_tar

if TYPE_CHECKING:
    from booksearch_assets.clip.bundle import Bundle

MODEL_ARCHIVE = "model.tar"
_UPLOAD = "Run `booksearch emr package --upload`."


@dataclass(frozen=True)
class PackageUris:
    """The files of an uploaded package, as `s3://` URIs."""

    archive: str
    entry_point: str
    manifest: str

    @classmethod
    def of(cls, staging: str, package_hash: str) -> PackageUris:
        """Where the package of a hash is, or will be."""
        folder = f"{staging.rstrip('/')}/packages/{package_hash}"
        return cls(f"{folder}/{ARCHIVE}", f"{folder}/{ENTRY_POINT_FILE}", f"{folder}/{MANIFEST}")


def bundle_uri(staging: str, bundle_id: str) -> str:
    """Where the model bundle of an id is, or will be."""
    return f"{staging.rstrip('/')}/models/{bundle_id}/{MODEL_ARCHIVE}"


def upload_package(
    package: Package, staging: str, s3: Any, say: Say = silent, patience: Patience | None = None
) -> PackageUris:
    """Upload a package, unless it is there. Safe to be cut off: what counts as there is its last file."""
    uris, patience = PackageUris.of(staging, package.hash), patience or Patience()
    if exists(s3, uris.manifest, patience):
        return uris
    _put_file(s3, package.archive, uris.archive, say, patience)
    _put_file(s3, package.entry_point, uris.entry_point, silent, patience)
    _put_file(s3, package.manifest, uris.manifest, silent, patience)
    return uris


def upload_bundle(
    bundle: Bundle, staging: str, s3: Any, say: Say = silent, patience: Patience | None = None
) -> str:
    """Upload a model bundle as one tar, unless it is there. Returns its URI.

    Not compressed: weights do not get smaller.
    """
    uri, patience = bundle_uri(staging, bundle.bundle_id), patience or Patience()
    if not exists(s3, uri, patience):
        with tempfile.TemporaryDirectory() as folder:
            archive = Path(folder, MODEL_ARCHIVE)
            with archive.open("wb") as file:
                write_tar(bundle.folder, file)
            _put_file(s3, archive, uri, say, patience)
    return uri


def require_package(archive: str, code: str, s3: Any, patience: Patience) -> None:
    """Make sure that the package of an archive is there and is of this code.

    Raises `PackageMissing`, or `PackageOutdated` where a job would run other code than that which is waiting for it.
    """
    uri = f"{archive.rpartition('/')[0]}/{MANIFEST}"
    bucket, key = _place(uri)
    try:
        body = patience.call(s3.get_object, Bucket=bucket, Key=key)["Body"]
        manifest = json.loads(body.read())
    except ClientError as error:
        if error_code(error) != "NoSuchKey":
            raise
        raise PackageMissing(
            f"there is no package of this code and its requirements: {uri} does not exist. {_UPLOAD}"
        ) from error
    if manifest["code"] != code:
        raise PackageOutdated(
            f"the package {manifest['hash']} has other code ({manifest['code']}) than this ({code}), so that a job "
            f"would run what has been changed since. {_UPLOAD} Then unset BOOKSEARCH_EMR_PACKAGE, or set it to the "
            "new hash."
        )


@dataclass(frozen=True)
class ShippedModel:
    """The uploaded model bundle that Spark unpacks beside driver and executors of one job, in a folder named by its id."""

    uri: str
    bundle_id: str

    @classmethod
    def of(cls, params: Any, staging: str) -> ShippedModel | None:
        """That of a stage whose parameters name a bundle by a folder of this machine; None for another stage."""
        from booksearch_assets.clip.bundle import Bundle

        folder = getattr(params, "bundle", None)
        if not folder:
            return None
        bundle_id = Bundle.open(folder).bundle_id
        return cls(bundle_uri(staging, bundle_id), bundle_id)

    def parameters(self, params: Any) -> Any:
        """The parameters for that job. A job of another model has others, and is another job."""
        return replace(params, bundle=f"./{self.bundle_id}")

    def settings(self, spark: Mapping[str, str]) -> dict[str, str]:
        """Spark settings with one archive more."""
        archives = [spark.get("spark.archives", ""), f"{self.uri}#{self.bundle_id}"]
        return {**spark, "spark.archives": ",".join(filter(None, archives))}

    def require(self, s3: Any, patience: Patience) -> None:
        """Raises `ModelMissing` where it has not been uploaded."""
        if not exists(s3, self.uri, patience):
            raise ModelMissing(
                f"the model {self.bundle_id} has not been uploaded: {self.uri} does not exist. {_UPLOAD}"
            )


def exists(s3: Any, uri: str, patience: Patience) -> bool:
    """Whether there is such an object."""
    bucket, key = _place(uri)
    try:
        patience.call(s3.head_object, Bucket=bucket, Key=key)
    except ClientError:
        # The one error of the service that `Patience` hands on.
        return False
    return True


def _put_file(s3: Any, path: Path, uri: str, say: Say, patience: Patience) -> None:
    bucket, key = _place(uri)
    patience.call(_putter(s3, path, bucket, key, say))


def _putter(s3: Any, path: Path, bucket: str, key: str, say: Say) -> Callable[[], None]:
    def put_object() -> None:
        total, done = path.stat().st_size, 0

        def sent(count: int) -> None:
            nonlocal done
            done += count
            say(f"uploading {path.name}", done, total)

        file: IO[bytes]
        with path.open("rb") as file:
            s3.upload_fileobj(file, bucket, key, Callback=sent)

    return put_object


def _place(uri: str) -> tuple[str, str]:
    """(bucket, key) of an object."""
    bucket, prefix = split_s3(uri)
    return bucket, prefix.removesuffix("/")
