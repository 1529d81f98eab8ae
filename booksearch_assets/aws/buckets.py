"""Emptying a versioned bucket, which neither CloudFormation nor S3 does on its own.

Belongs here: asking whether a bucket holds anything, and deleting all versions of all objects. Does not: deciding to.
"""

from __future__ import annotations

from typing import Any

from booksearch_assets.aws.cloudformation import explained
from booksearch_assets.aws.errors import StackFailed

# The most that S3 deletes in one request.
_AT_ONCE = 1000


def holds_anything(client: Any, bucket: str) -> bool:
    """Whether there is any object, old version or delete marker. A bucket that is gone holds nothing."""
    with explained():
        try:
            page = client.list_object_versions(Bucket=bucket, MaxKeys=1)
        except client.exceptions.NoSuchBucket:
            return False
    return bool(page.get("Versions") or page.get("DeleteMarkers"))


def empty(client: Any, bucket: str) -> int:
    """Delete every version of every object, for good. Returns how many. Raises `StackFailed` where one stays."""
    deleted = 0
    with explained():
        # Always the first page of what is left: a marker would point at what is not there any more.
        while versions := _some_versions(client, bucket):
            answer = client.delete_objects(Bucket=bucket, Delete={"Objects": versions, "Quiet": True})
            if errors := answer.get("Errors"):
                raise StackFailed(
                    f"{len(errors)} objects of {bucket} could not be deleted, the first of them "
                    f"{errors[0]['Key']}: {errors[0]['Message']}; mend that, then try again"
                )
            deleted += len(versions)
    return deleted


def _some_versions(client: Any, bucket: str) -> list[dict[str, str]]:
    page = client.list_object_versions(Bucket=bucket, MaxKeys=_AT_ONCE)
    return [
        {"Key": version["Key"], "VersionId": version["VersionId"]}
        for version in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
    ]
