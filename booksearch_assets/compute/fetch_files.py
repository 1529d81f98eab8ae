"""Pictures that lie in a folder of this machine or in S3, instead of at a service.

Belongs here: telling such places from addresses, and reading one. Does not: what the outcome means
(`compute.fetch_client`).
"""

from __future__ import annotations

from functools import lru_cache

import pyarrow.fs as pafs

_S3 = "s3://"


def is_file(place: str) -> bool:
    """Whether this is an absolute path or an s3:// address, and no address to ask a server for."""
    return place.startswith(("/", _S3))


def read_file(place: str, most: int) -> bytes:
    """The bytes of a file, cut one byte after the first `most`. Raises OSError."""
    filesystem, path = pafs.LocalFileSystem(), place
    if place.startswith(_S3):
        path = place.removeprefix(_S3)
        filesystem = _bucket(path.partition("/")[0])
    with filesystem.open_input_stream(path, compression=None) as stream:
        return bytes(stream.read(most + 1))


@lru_cache(maxsize=8)
def _bucket(name: str) -> pafs.FileSystem:
    # Finding the region of a bucket takes a request.
    return pafs.FileSystem.from_uri(_S3 + name)[0]
