"""An S3 over a plain folder, so that S3 clients and Spark's JVM, which mounts the folder, see one and the same bytes.

`<folder>/<bucket>/<key>` is the object. What makes S3 unlike a file system is kept: a put is whole or not at all,
there is no rename, a listing shows what was put a moment before, and there are no folders. A folder that the JVM made
is invisible until it holds a file, and one that has lost its last file is gone. An object whose key ends with a slash
is possible, as Arrow puts it for a folder; it lies in a hidden file.

What S3 allows and this does not: an object whose key is the folder of another (refused as `InvalidRequest`),
versions, access control, checksums, `ListObjects` of before 2016 (refused as `NotImplemented`).

rclone 1.75 (`serve s3`), the one maintained server that keeps plain files, was tried: it answers 500 to Arrow's
objects for folders and leaves a file in their place, lists empty folders, and overwrites where `If-None-Match` forbids.
"""

from __future__ import annotations

import io
import os
import re
import secrets
import shutil
import threading
import urllib.parse
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import formatdate
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import BinaryIO, ClassVar
from xml.etree import ElementTree
from xml.sax.saxutils import escape

_MARKER = ".is-an-object"
_HIDDEN = (_MARKER, ".crc")
_NAMESPACE = re.compile(r"\{.*\}")
_MOST_KEYS = 1000
_LOOKS_EVERY_SECONDS = 0.05


class S3Error(Exception):
    """What S3 answers in place of what was asked."""

    def __init__(self, status: HTTPStatus, code: str) -> None:
        super().__init__(code)
        self.status, self.code = status, code


NO_SUCH_KEY = (HTTPStatus.NOT_FOUND, "NoSuchKey")
REFUSED = (HTTPStatus.PRECONDITION_FAILED, "PreconditionFailed")


@dataclass(frozen=True)
class Found:
    """An object: its key, file, size in bytes, and when it was put."""

    key: str
    path: Path
    size: int
    modified: float
    etag: str

    @classmethod
    def at(cls, key: str, path: Path) -> Found:
        status = path.stat()
        return cls(key, path, status.st_size, status.st_mtime, f'"{status.st_ino:x}-{status.st_mtime_ns:x}"')


class ObjectStore:
    """The objects under a folder. `uploads` are multipart uploads in hand, beside the buckets."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._uploads = folder.parent / f"{folder.name}.uploads"
        self._changing = threading.Lock()
        for place in (self.folder, self._uploads):
            place.mkdir(parents=True, exist_ok=True)

    def bucket(self, name: str) -> Path:
        path = self.folder / name
        if not path.is_dir():
            raise S3Error(HTTPStatus.NOT_FOUND, "NoSuchBucket")
        return path

    def path(self, bucket: str, key: str) -> Path:
        if any(part in (".", "..", "") for part in key.removesuffix("/").split("/")):
            raise S3Error(HTTPStatus.BAD_REQUEST, "InvalidRequest")
        return self.bucket(bucket) / (f"{key}{_MARKER}" if key.endswith("/") else key)

    def find(self, bucket: str, key: str) -> Found:
        path = self.path(bucket, key)
        try:
            if path.is_dir():
                raise S3Error(*NO_SUCH_KEY)
            return Found.at(key, path)
        except (FileNotFoundError, NotADirectoryError):
            raise S3Error(*NO_SUCH_KEY) from None

    def put(
        self, bucket: str, key: str, fill: Callable[[Path], object], only_if: Callable[[Found | None], bool]
    ) -> Found:
        """Make an object of what `fill` writes, in one step, where `only_if` holds of the one that is there."""
        path, unfinished = self.path(bucket, key), self._uploads / secrets.token_hex(8)
        fill(unfinished)
        with self._changing:
            if not only_if(self._held(bucket, key)):
                unfinished.unlink()
                raise S3Error(*REFUSED)
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                unfinished.replace(path)
            except (NotADirectoryError, FileExistsError, IsADirectoryError):
                raise S3Error(HTTPStatus.BAD_REQUEST, "InvalidRequest") from None
        return Found.at(key, path)

    def delete(self, bucket: str, key: str) -> None:
        """Delete an object, where there is one, and the folders that it leaves empty."""
        path, root = self.path(bucket, key), self.bucket(bucket)
        with self._changing, suppress(OSError):
            path.unlink()
            for folder in path.parents:
                if folder == root:
                    break
                folder.rmdir()

    def keys(self, bucket: str, prefix: str) -> Iterator[str]:
        """Every key that starts with a prefix, in no order."""
        root = self.bucket(bucket)
        for folder, _, names in os.walk(root / prefix.rpartition("/")[0]):
            below = "" if folder == str(root) else f"{Path(folder).relative_to(root)}/"
            for name in names:
                key = below if name == _MARKER else f"{below}{name}"
                if key.startswith(prefix) and not (name != _MARKER and name.endswith(_HIDDEN)):
                    yield key

    def begin_upload(self) -> str:
        upload = secrets.token_hex(8)
        (self._uploads / upload).mkdir()
        return upload

    def part(self, upload: str, number: int) -> Path:
        folder = self._uploads / re.sub(r"\W", "", upload)
        if not folder.is_dir():
            raise S3Error(HTTPStatus.NOT_FOUND, "NoSuchUpload")
        return folder / f"{number:05d}"

    def join(self, upload: str, numbers: list[int]) -> Callable[[Path], None]:
        """Writes the parts of an upload, one after another."""
        parts = [self.part(upload, number) for number in numbers]
        if not parts or not all(part.exists() for part in parts):
            raise S3Error(HTTPStatus.BAD_REQUEST, "InvalidPart")

        def fill(path: Path) -> None:
            with path.open("wb") as whole:
                for part in parts:
                    with part.open("rb") as content:
                        shutil.copyfileobj(content, whole)

        return fill

    def end_upload(self, upload: str) -> None:
        shutil.rmtree(self.part(upload, 0).parent)

    def _held(self, bucket: str, key: str) -> Found | None:
        with suppress(S3Error):
            return self.find(bucket, key)
        return None


class _Request(BaseHTTPRequestHandler):
    """One request of the REST protocol, in path style. Signatures are not looked at."""

    store: ClassVar[ObjectStore]
    protocol_version = "HTTP/1.1"
    # Head and body in one packet: else each answer waits for the client's delayed acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True

    def handle_expect_100(self) -> bool:
        going_on = super().handle_expect_100()
        self.wfile.flush()
        return going_on

    def log_message(self, format: str, *args: object) -> None:
        pass

    def _serve(self) -> None:
        address = urllib.parse.urlsplit(self.path)
        self.query = dict(urllib.parse.parse_qsl(address.query, keep_blank_values=True))
        bucket, _, key = urllib.parse.unquote(address.path).lstrip("/").partition("/")
        self.bucket, self.key = bucket, key
        body = self._body()
        try:
            getattr(self, f"_{self.command.lower()}_{'object' if key else 'bucket'}")(body)
        except S3Error as error:
            self._answer(f"<Error><Code>{error.code}</Code><Key>{escape(key)}</Key></Error>", error.status)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _serve

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            body = _unchunk(self.rfile)
        else:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        # Clients that add a checksum to a stream send it in chunks of their own.
        signed = "aws-chunked" in self.headers.get("Content-Encoding", "")
        return _unchunk(io.BytesIO(body)) if signed else body

    def _answer(
        self,
        text: str = "",
        status: HTTPStatus = HTTPStatus.OK,
        headers: dict[str, str] | None = None,
    ) -> None:
        body = f'<?xml version="1.0" encoding="UTF-8"?>\n{text}'.encode() if text else b""
        self._send(status, {"Content-Type": "application/xml", **(headers or {})}, body)

    def _send(
        self, status: HTTPStatus, headers: dict[str, str], body: bytes, length: int | None = None
    ) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if status != HTTPStatus.NO_CONTENT:
            self.send_header("Content-Length", str(len(body) if length is None else length))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _put_bucket(self, body: bytes) -> None:
        (self.store.folder / self.bucket).mkdir(exist_ok=True)
        self._answer()

    def _head_bucket(self, body: bytes) -> None:
        self.store.bucket(self.bucket)
        self._answer(headers={"x-amz-bucket-region": "us-east-1"})

    def _get_bucket(self, body: bytes) -> None:
        if self.query.get("list-type") != "2":
            raise S3Error(HTTPStatus.NOT_IMPLEMENTED, "NotImplemented")
        prefix, delimiter = self.query.get("prefix", ""), self.query.get("delimiter", "")
        after = self.query.get("continuation-token") or self.query.get("start-after", "")
        most = min(int(self.query.get("max-keys", _MOST_KEYS)), _MOST_KEYS)
        rolled_up = {_roll_up(key, prefix, delimiter) for key in self.store.keys(self.bucket, prefix)}
        entries = sorted((entry for entry in rolled_up if entry > after), key=str.encode)
        shown, rest = entries[:most], entries[most:]
        text = "".join(self._entry(entry, prefix, delimiter) for entry in shown)
        text += f"<IsTruncated>{str(bool(rest)).lower()}</IsTruncated><KeyCount>{len(shown)}</KeyCount>"
        if rest:
            text += f"<NextContinuationToken>{escape(shown[-1])}</NextContinuationToken>"
        encoding = "<EncodingType>url</EncodingType>" if "encoding-type" in self.query else ""
        self._answer(f"<ListBucketResult>{encoding}{text}</ListBucketResult>")

    def _entry(self, entry: str, prefix: str, delimiter: str) -> str:
        name = urllib.parse.quote(entry) if "encoding-type" in self.query else escape(entry)
        if delimiter and delimiter in entry[len(prefix) :]:
            return f"<CommonPrefixes><Prefix>{name}</Prefix></CommonPrefixes>"
        try:
            found = self.store.find(self.bucket, entry)
        except S3Error:
            # Deleted since it was listed.
            return ""
        modified = _iso(found.modified)
        return (
            f"<Contents><Key>{name}</Key><LastModified>{modified}</LastModified><ETag>{escape(found.etag)}</ETag>"
            f"<Size>{found.size}</Size><StorageClass>STANDARD</StorageClass></Contents>"
        )

    def _post_bucket(self, body: bytes) -> None:
        if "delete" not in self.query:
            raise S3Error(HTTPStatus.NOT_IMPLEMENTED, "NotImplemented")
        keys = [element.text or "" for element in _parse(body).iter("Key")]
        for key in keys:
            self.store.delete(self.bucket, key)
        deleted = "".join(f"<Deleted><Key>{escape(key)}</Key></Deleted>" for key in keys)
        self._answer(f"<DeleteResult>{deleted}</DeleteResult>")

    def _get_object(self, body: bytes) -> None:
        found = self.store.find(self.bucket, self.key)
        start, stop = _range(self.headers.get("Range"), found.size)
        headers = {
            "ETag": found.etag,
            "Last-Modified": formatdate(found.modified, usegmt=True),
            "Accept-Ranges": "bytes",
            "Content-Type": "binary/octet-stream",
        }
        partial = "Range" in self.headers
        if partial:
            headers["Content-Range"] = f"bytes {start}-{stop - 1}/{found.size}"
        content = b""
        if self.command == "GET":
            with found.path.open("rb") as file:
                file.seek(start)
                content = file.read(stop - start)
        status = HTTPStatus.PARTIAL_CONTENT if partial else HTTPStatus.OK
        self._send(status, headers, content, stop - start)

    _head_object = _get_object

    def _put_object(self, body: bytes) -> None:
        upload = self.query.get("uploadId")
        if upload:
            self.store.part(upload, int(self.query["partNumber"])).write_bytes(body)
            self._answer(headers={"ETag": f'"{len(body)}"'})
            return
        copied = self.headers.get("x-amz-copy-source")
        if copied:
            bucket, _, key = urllib.parse.unquote(copied).lstrip("/").partition("/")
            source = self.store.find(bucket, key)
            found = self.store.put(
                self.bucket, self.key, lambda path: shutil.copyfile(source.path, path), self._allowed
            )
            self._answer(
                f"<CopyObjectResult><ETag>{escape(found.etag)}</ETag>"
                f"<LastModified>{_iso(found.modified)}</LastModified></CopyObjectResult>"
            )
            return
        found = self.store.put(self.bucket, self.key, lambda path: path.write_bytes(body), self._allowed)
        self._answer(headers={"ETag": found.etag})

    def _post_object(self, body: bytes) -> None:
        if "uploads" in self.query:
            upload = self.store.begin_upload()
            self._answer(
                f"<InitiateMultipartUploadResult><Bucket>{self.bucket}</Bucket><Key>{escape(self.key)}</Key>"
                f"<UploadId>{upload}</UploadId></InitiateMultipartUploadResult>"
            )
            return
        upload = self.query["uploadId"]
        numbers = [int(element.text or 0) for element in _parse(body).iter("PartNumber")]
        found = self.store.put(self.bucket, self.key, self.store.join(upload, numbers), self._allowed)
        self.store.end_upload(upload)
        self._answer(
            f"<CompleteMultipartUploadResult><Key>{escape(self.key)}</Key><ETag>{escape(found.etag)}</ETag>"
            "</CompleteMultipartUploadResult>"
        )

    def _delete_object(self, body: bytes) -> None:
        upload = self.query.get("uploadId")
        if upload:
            self.store.end_upload(upload)
        else:
            self.store.delete(self.bucket, self.key)
        self._answer(status=HTTPStatus.NO_CONTENT)

    def _allowed(self, held: Found | None) -> bool:
        """Whether the conditions of a put hold of the object that is there."""
        if self.headers.get("If-None-Match") == "*" and held:
            return False
        wanted = self.headers.get("If-Match")
        return wanted is None or (held is not None and held.etag == wanted)


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve the objects under a folder on loopback. Gives the address."""
    handler = type("Request", (_Request,), {"store": ObjectStore(folder)})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(
        target=server.serve_forever, args=(_LOOKS_EVERY_SECONDS,), name="object store", daemon=True
    )
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _roll_up(key: str, prefix: str, delimiter: str) -> str:
    """A key, or the common prefix that stands for it in a listing."""
    head, found, _ = key[len(prefix) :].partition(delimiter) if delimiter else (key, "", "")
    return f"{prefix}{head}{found}" if found else key


def _range(header: str | None, size: int) -> tuple[int, int]:
    """The bytes [start, stop) that a Range header asks for. Raises `S3Error` where there are none of them."""
    if header is None:
        return 0, size
    first, _, last = header.removeprefix("bytes=").partition("-")
    start = int(first) if first else max(0, size - int(last))
    stop = min(size, int(last) + 1) if first and last else size
    if start >= size:
        raise S3Error(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, "InvalidRange")
    return start, stop


def _parse(body: bytes) -> ElementTree.Element:
    root = ElementTree.fromstring(body)
    for element in root.iter():
        element.tag = _NAMESPACE.sub("", element.tag)
    return root


def _unchunk(stream: BinaryIO | io.BufferedIOBase) -> bytes:
    """The content of chunks with their sizes before them, up to the empty one and what trails it."""
    content = b""
    while size := int(stream.readline().partition(b";")[0], 16):
        content += stream.read(size)
        stream.readline()
    while stream.readline().strip():
        pass
    return content


def _iso(moment: float) -> str:
    return f"{datetime.fromtimestamp(moment, UTC):%Y-%m-%dT%H:%M:%S.%f}"[:-3] + "Z"
