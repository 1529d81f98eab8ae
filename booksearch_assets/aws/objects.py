"""The objects below one prefix of S3, as a job reads and writes them.

Belongs here: addresses, putting, listing, reading and deleting. Does not: what the objects hold.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from booksearch_assets.aws.calls import Patience

# The most that S3 deletes in one request.
_AT_ONCE = 1000


@dataclass(frozen=True)
class ObjectFolder:
    """The objects whose keys begin with `prefix`, which is empty or ends with a slash."""

    client: Any
    bucket: str
    prefix: str
    patience: Patience

    @classmethod
    def at(cls, uri: str, client: Any, patience: Patience) -> ObjectFolder:
        """Of an `s3://` URI. Raises `ValueError` for another."""
        return cls(client, *split_s3(uri), patience)

    @property
    def uri(self) -> str:
        """With a slash at the end, so that no other folder's name begins with it."""
        return f"s3://{self.bucket}/{self.prefix}"

    def folder(self, name: str) -> ObjectFolder:
        """A folder in this one."""
        return ObjectFolder(self.client, self.bucket, f"{self.prefix}{name}/", self.patience)

    def put(self, name: str, body: bytes) -> None:
        self.patience.call(self.client.put_object, Bucket=self.bucket, Key=f"{self.prefix}{name}", Body=body)

    def listing(self) -> list[str]:
        """The whole keys of all objects, sorted."""
        arguments: dict[str, Any] = {"Bucket": self.bucket, "Prefix": self.prefix}
        keys: list[str] = []
        while True:
            page = self.patience.call(self.client.list_objects_v2, **arguments)
            keys += [found["Key"] for found in page.get("Contents", [])]
            if not page.get("NextContinuationToken"):
                return keys
            arguments["ContinuationToken"] = page["NextContinuationToken"]

    def read(self, key: str) -> bytes:
        """An object by its whole key, as `listing` gives it."""

        def get_object() -> bytes:
            # The body too is read within one call: a connection may end half way.
            return bytes(self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read())

        return self.patience.call(get_object)

    def delete(self, key: str) -> None:
        """Delete an object by its whole key, where it is there."""
        self.patience.call(self.client.delete_object, Bucket=self.bucket, Key=key)

    def clear(self) -> None:
        """Delete every object."""
        keys = self.listing()
        for start in range(0, len(keys), _AT_ONCE):
            doomed = [{"Key": key} for key in keys[start : start + _AT_ONCE]]
            self.patience.call(
                self.client.delete_objects, Bucket=self.bucket, Delete={"Objects": doomed, "Quiet": True}
            )


def split_s3(uri: str) -> tuple[str, str]:
    """(bucket, prefix) of an `s3://` URI; the prefix is empty or ends with a slash. Raises `ValueError` for another."""
    scheme, _, rest = uri.partition("://")
    bucket, _, prefix = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise ValueError(f"{uri!r} is no s3://bucket/prefix")
    prefix = prefix.strip("/")
    return bucket, f"{prefix}/" if prefix else ""
