"""The S3 of these tests, held to what S3's own clients expect of S3."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pyarrow.fs as pafs
import pytest
from botocore.exceptions import ClientError

from booksearch_assets_tests.emr.object_store import serving

KEYS = {"aws_access_key_id": "none", "aws_secret_access_key": "none"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("served") / "objects"


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with serving(folder) as address:
        yield address


@pytest.fixture(scope="module")
def client(address: str) -> Any:
    return boto3.client("s3", region_name="us-east-1", endpoint_url=address, **KEYS)


@pytest.fixture
def s3(client: Any, folder: Path) -> Iterator[Any]:
    """A client, and an empty bucket `lake`."""
    client.create_bucket(Bucket="lake")
    yield client
    shutil.rmtree(folder / "lake")


@pytest.fixture
def arrow(address: str, s3: Any) -> pafs.S3FileSystem:
    return pafs.S3FileSystem(
        access_key="none",
        secret_key="none",
        region="us-east-1",
        endpoint_override=address,
        allow_bucket_creation=True,
    )


def code_of(error: pytest.ExceptionInfo[ClientError]) -> str:
    return str(error.value.response["Error"]["Code"])


def keys_of(s3: Any, **asked: Any) -> list[str]:
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket="lake", **asked)
    return [found["Key"] for page in pages for found in page.get("Contents", [])]


def test_an_object_comes_back_whole_and_in_ranges(s3: Any, folder: Path) -> None:
    s3.put_object(Bucket="lake", Key="a/é b+c%20.bin", Body=b"0123456789")
    place = {"Bucket": "lake", "Key": "a/é b+c%20.bin"}
    assert s3.get_object(**place)["Body"].read() == b"0123456789"
    for asked, content in (
        ("bytes=2-4", b"234"),
        ("bytes=7-", b"789"),
        ("bytes=-2", b"89"),
        ("bytes=8-99", b"89"),
    ):
        assert s3.get_object(**place, Range=asked)["Body"].read() == content
    with pytest.raises(ClientError) as error:
        s3.get_object(**place, Range="bytes=10-")
    assert code_of(error) == "InvalidRange"
    assert s3.head_object(**place)["ContentLength"] == 10
    assert (folder / "lake" / "a" / "é b+c%20.bin").read_bytes() == b"0123456789"


def test_a_file_that_appears_in_the_folder_is_an_object_at_once(s3: Any, folder: Path) -> None:
    assert keys_of(s3) == []
    (folder / "lake" / "year=2015").mkdir()
    (folder / "lake" / "year=2015" / "part-0.parquet").write_bytes(b"rows")
    assert keys_of(s3) == ["year=2015/part-0.parquet"]
    assert s3.get_object(Bucket="lake", Key="year=2015/part-0.parquet")["Body"].read() == b"rows"


def test_there_are_no_folders(s3: Any, folder: Path) -> None:
    (folder / "lake" / "empty" / "within").mkdir(parents=True)
    s3.put_object(Bucket="lake", Key="a/b/c", Body=b"")
    for key in ("empty", "a", "a/b", "a/b/"):
        with pytest.raises(ClientError) as error:
            s3.head_object(Bucket="lake", Key=key)
        assert code_of(error) == "404"
    assert keys_of(s3) == ["a/b/c"]
    s3.delete_object(Bucket="lake", Key="a/b/c")
    s3.delete_object(Bucket="lake", Key="a/b/c")
    assert not (folder / "lake" / "a").exists()


def test_listings_are_sorted_by_bytes_paged_and_rolled_up(s3: Any) -> None:
    for key in ("b", "a/2", "a/1/x", "a-1", "a/1/y", "ab/z", "é"):
        s3.put_object(Bucket="lake", Key=key, Body=b"x")
    everything = ["a-1", "a/1/x", "a/1/y", "a/2", "ab/z", "b", "é"]
    assert keys_of(s3) == keys_of(s3, PaginationConfig={"PageSize": 2}) == everything
    assert keys_of(s3, Prefix="a/1") == ["a/1/x", "a/1/y"]
    page = s3.list_objects_v2(Bucket="lake", Prefix="a", Delimiter="/")
    assert [found["Prefix"] for found in page["CommonPrefixes"]] == ["a/", "ab/"]
    assert [found["Key"] for found in page["Contents"]] == ["a-1"]
    assert keys_of(s3, StartAfter="a/2") == ["ab/z", "b", "é"]


def test_a_put_may_be_made_to_depend_on_what_is_there(s3: Any) -> None:
    first = s3.put_object(Bucket="lake", Key="pointer", Body=b"1", IfNoneMatch="*")["ETag"]
    with pytest.raises(ClientError) as error:
        s3.put_object(Bucket="lake", Key="pointer", Body=b"2", IfNoneMatch="*")
    assert code_of(error) == "PreconditionFailed"
    s3.put_object(Bucket="lake", Key="pointer", Body=b"3", IfMatch=first)
    with pytest.raises(ClientError):
        s3.put_object(Bucket="lake", Key="pointer", Body=b"4", IfMatch=first)
    assert s3.get_object(Bucket="lake", Key="pointer")["Body"].read() == b"3"


def test_an_upload_in_parts_is_invisible_until_it_is_complete(s3: Any) -> None:
    place = {"Bucket": "lake", "Key": "big"}
    upload = s3.create_multipart_upload(**place)["UploadId"]
    tags = [
        s3.upload_part(**place, UploadId=upload, PartNumber=number, Body=body)["ETag"]
        for number, body in ((1, b"first, "), (2, b"second"))
    ]
    assert keys_of(s3) == []
    parts = [{"PartNumber": number, "ETag": tag} for number, tag in enumerate(tags, 1)]
    s3.complete_multipart_upload(**place, UploadId=upload, MultipartUpload={"Parts": parts})
    assert s3.get_object(**place)["Body"].read() == b"first, second"
    with pytest.raises(ClientError) as error:
        s3.upload_part(**place, UploadId=upload, PartNumber=3, Body=b"late")
    assert code_of(error) == "NoSuchUpload"


def test_what_s3_would_take_and_a_folder_cannot_is_refused(s3: Any) -> None:
    s3.put_object(Bucket="lake", Key="a", Body=b"")
    for key in ("a/b", "a//b", "../b"):
        with pytest.raises(ClientError) as error:
            s3.put_object(Bucket="lake", Key=key, Body=b"")
        assert code_of(error) == "InvalidRequest"
    with pytest.raises(ClientError) as error:
        s3.list_objects_v2(Bucket="other")
    assert code_of(error) == "NoSuchBucket"


def test_arrow_writes_lists_moves_and_deletes(arrow: pafs.S3FileSystem, folder: Path) -> None:
    arrow.create_dir("lake/table/versions/1", recursive=True)
    arrow.create_dir("lake/table/versions/2", recursive=True)
    big = bytes(range(256)) * 50_000
    with arrow.open_output_stream("lake/table/versions/1/part.parquet") as stream:
        stream.write(big)
    with arrow.open_input_file("lake/table/versions/1/part.parquet") as file:
        file.seek(12_345_678)
        assert file.read(100) == big[12_345_678:12_345_778]
    arrow.move("lake/table/versions/1/part.parquet", "lake/table/versions/1/moved.parquet")
    found = arrow.get_file_info(pafs.FileSelector("lake/table", recursive=True))
    assert {(info.path.removeprefix("lake/table/versions"), info.is_file) for info in found} == {
        ("", False),
        ("/1", False),
        ("/1/moved.parquet", True),
        ("/2", False),
    }
    arrow.delete_dir("lake/table/versions/1")
    assert not (folder / "lake" / "table" / "versions" / "1").exists()
    assert arrow.get_file_info("lake/table/versions/1").type is pafs.FileType.NotFound
    assert arrow.get_file_info("lake/table/versions/2").type is pafs.FileType.Directory
    with pytest.raises(FileNotFoundError):
        arrow.open_input_file("lake/table/versions/1/moved.parquet")
