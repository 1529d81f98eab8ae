"""Landing: one `.gz` file of text becomes many small `.gz` chunks of whole lines, in one pass and constant memory.

One gzip stream of 45 GB of text cannot be split, so a cluster would read it with one task; a thousand chunks give a
thousand tasks. Bytes are untouched: the chunks' text, one after another, is the source's text.

A landing that was killed is continued: a journal names the chunks that are whole. The source is read again from its
start, since gzip cannot be entered in the middle, but nothing is compressed or written twice, and damage in any part
of it is still found.

Belongs here: cutting, checking while reading, the manifest. Does not: downloading (`compute.download`), what the
lines mean (`openlibrary`, `abo`).
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from itertools import takewhile
from pathlib import Path
from queue import Full, Queue
from typing import BinaryIO, Self

import numpy as np
import pyarrow.fs as pafs
from isal import igzip_lib, isal_zlib

from booksearch_assets.compute.arrow_files import filesystem_of

MANIFEST = "chunks.json"
JOURNAL = "_landing.json"
LARGEST_CHUNK = 64 * 2**20
SMALLEST_CHUNK = 256 * 2**10

_NEWLINE = ord("\n")
_GZIP_MAGIC = b"\x1f\x8b"
_READ_BYTES = 1 << 20
_BLOCK_BYTES = 1 << 20
_HEAD_LINES = 100
_HEAD_BLOCKS = 16
# ISA-L's level 1: 2 % larger than its level 2 on a dump, and faster.
_LEVEL = 1
_GZIP_FORMAT = 31
# Text to gzip on Open Library's dumps: 4.1 to 4.5.
_EXPECTED_RATIO = 4.5
_CHUNKS_PER_CORE = 4

LineCheck = Callable[[bytes], str | None]


class BadDumpReason(Enum):
    NOT_GZIP = "not_gzip"
    TRUNCATED = "truncated"
    DAMAGED = "damaged"
    TRAILING_GARBAGE = "trailing_garbage"
    EMPTY = "empty"
    WRONG_FILE = "wrong_file"


class BadDump(Exception):
    """The source is not the sound gzip text that was expected. No manifest was written."""

    def __init__(self, reason: BadDumpReason, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class Chunk:
    """One landed chunk: `sha256` is of the compressed file, sizes are in bytes."""

    name: str
    lines: int
    raw_bytes: int
    gz_bytes: int
    sha256: str


@dataclass(frozen=True)
class Landed:
    """What landed, in the order of the source. `kept` of the chunks had been cut before, by a landing that was killed."""

    chunks: tuple[Chunk, ...]
    kept: int = field(default=0, compare=False)

    @property
    def lines(self) -> int:
        return sum(chunk.lines for chunk in self.chunks)

    @property
    def raw_bytes(self) -> int:
        return sum(chunk.raw_bytes for chunk in self.chunks)

    @property
    def gz_bytes(self) -> int:
        return sum(chunk.gz_bytes for chunk in self.chunks)

    @classmethod
    def read(cls, uri: str, name: str = MANIFEST) -> Self:
        """The manifest of a folder of chunks. Raises `FileNotFoundError` where nothing has landed in full."""
        filesystem, folder = filesystem_of(uri)
        with filesystem.open_input_stream(f"{folder}/{name}", compression=None) as stream:
            found = json.loads(stream.read())
        return cls(tuple(Chunk(**chunk) for chunk in found["chunks"]))


@dataclass(frozen=True)
class LandingProgress:
    """How far a landing is. `gz_read` of `gz_total` bytes of the source have been read."""

    lines: int
    raw_bytes: int
    gz_read: int
    gz_total: int


def chunk_size_for(gz_size: int, cores: int) -> int:
    """Raw bytes of a chunk so that a source of `gz_size` bytes gives each core at least four, of a sensible size."""
    even = int(gz_size * _EXPECTED_RATIO) // (_CHUNKS_PER_CORE * max(cores, 1))
    return max(SMALLEST_CHUNK, min(LARGEST_CHUNK, even))


def land(
    source: Path,
    output_uri: str,
    expects: LineCheck | None = None,
    chunk_bytes: int = LARGEST_CHUNK,
    on_progress: Callable[[LandingProgress], None] | None = None,
) -> Landed:
    """Cut the gzip file `source` into chunks under `output_uri`, and write the manifest last.

    A chunk ends with the first line that brings it to `chunk_bytes` of text, so the same source gives the same
    files. What a killed landing left under `output_uri`, which must have been of the same bytes and `chunk_bytes`, is
    kept as far as it is sound. `expects` (such as `DumpKind.problem`) judges the first lines. Raises `BadDump`, and
    `OSError` where `output_uri` cannot be written.
    """
    filesystem, folder = filesystem_of(output_uri)
    filesystem.create_dir(folder, recursive=True)
    chunks = _whole_chunks(filesystem, folder, output_uri)
    kept, kept_bytes = len(chunks), sum(chunk.raw_bytes for chunk in chunks)
    lines, raw_bytes = sum(chunk.lines for chunk in chunks), kept_bytes
    with source.open("rb") as stream, _ReadAhead(_checked(_text(stream, source), source, expects)) as blocks:
        for pieces in _cut(_after(blocks, kept_bytes), chunk_bytes):
            chunk = _write_chunk(filesystem, folder, f"part-{len(chunks):05d}.txt.gz", pieces)
            chunks.append(chunk)
            _replace(filesystem, f"{folder}/{JOURNAL}", chunks)
            lines, raw_bytes = lines + chunk.lines, raw_bytes + chunk.raw_bytes
            if on_progress:
                on_progress(LandingProgress(lines, raw_bytes, stream.tell(), source.stat().st_size))
    _replace(filesystem, f"{folder}/{MANIFEST}", chunks)
    filesystem.delete_file(f"{folder}/{JOURNAL}")
    return Landed(tuple(chunks), kept)


def verify_chunks(uri: str) -> list[str]:
    """What is wrong with the chunks under `uri`, by their manifest: missing, or of another checksum. Empty when sound."""
    filesystem, folder = filesystem_of(uri)
    problems = (_problem(filesystem, folder, chunk) for chunk in Landed.read(uri).chunks)
    return [problem for problem in problems if problem]


def _problem(filesystem: pafs.FileSystem, folder: str, chunk: Chunk) -> str | None:
    path = f"{folder}/{chunk.name}"
    digest = hashlib.sha256()
    try:
        with filesystem.open_input_stream(path, compression=None) as stream:
            while block := stream.read(_READ_BYTES):
                digest.update(block)
    except FileNotFoundError:
        return f"{path} is missing; land the dump again"
    if digest.hexdigest() != chunk.sha256:
        return f"{path}: expected sha256 {chunk.sha256}, found {digest.hexdigest()}; land the dump again"
    return None


def _whole_chunks(filesystem: pafs.FileSystem, folder: str, uri: str) -> list[Chunk]:
    """The chunks that a killed landing finished, up to the first that is not sound any more."""
    try:
        journal = Landed.read(uri, JOURNAL)
    except FileNotFoundError:
        return []
    return list(takewhile(lambda chunk: _problem(filesystem, folder, chunk) is None, journal.chunks))


def _after(blocks: Iterable[bytes], skipped: int) -> Iterator[bytes]:
    """The text without its first `skipped` bytes."""
    for block in blocks:
        if skipped < len(block):
            yield block[skipped:]
        skipped = max(skipped - len(block), 0)


def _replace(filesystem: pafs.FileSystem, path: str, chunks: list[Chunk]) -> None:
    """Write a manifest in one step: a kill leaves the one before."""
    folder, _, name = path.rpartition("/")
    # Written once for each chunk: `indent` would leave json's fast encoder.
    content = json.dumps({"chunks": [vars(chunk) for chunk in chunks]})
    with filesystem.open_output_stream(f"{folder}/.{name}.tmp", compression=None) as stream:
        stream.write(content.encode())
    filesystem.move(f"{folder}/.{name}.tmp", path)


def _text(stream: BinaryIO, source: Path) -> Iterator[bytes]:
    """The text of every gzip member, in blocks. Strict, since a cut or padded dump must not pass for a whole one."""
    again = "delete it and download it again, or take an older dump"
    data = stream.read(_READ_BYTES)
    if not data:
        raise BadDump(BadDumpReason.EMPTY, f"{source} has 0 bytes; {again}")
    if not data.startswith(_GZIP_MAGIC):
        raise BadDump(
            BadDumpReason.NOT_GZIP, f"expected a gzip file at {source}, found {data[:40]!r}; {again}"
        )
    while data:
        member = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
        while not member.eof:
            try:
                block = member.decompress(data, _BLOCK_BYTES)
            except igzip_lib.IsalError as error:  # type: ignore[misc]  # its stub does not say what it is
                where = f"near byte {stream.tell():,} of {source.stat().st_size:,}"
                raise BadDump(
                    BadDumpReason.DAMAGED, f"{source} is damaged {where} ({error}); {again}"
                ) from error
            if block:
                yield block
            data = b""
            if member.needs_input and not member.eof:
                data = stream.read(_READ_BYTES)
                if not data:
                    size = f"{source.stat().st_size:,} bytes"
                    raise BadDump(
                        BadDumpReason.TRUNCATED,
                        f"{source} ends after {size}, before its gzip stream does; {again}",
                    )
        data = _next_member(member.unused_data, stream, source)


def _next_member(rest: bytes, stream: BinaryIO, source: Path) -> bytes:
    """The bytes that start the next gzip member; empty at the end. Zeros after a member are padding."""
    while True:
        if not rest.startswith(_GZIP_MAGIC[:1]):
            rest = rest.lstrip(b"\0")
        if len(rest) >= len(_GZIP_MAGIC) or not (more := stream.read(_READ_BYTES)):
            break
        rest += more
    if rest and not rest.startswith(_GZIP_MAGIC):
        where = f"{stream.tell() - len(rest):,}"
        raise BadDump(
            BadDumpReason.TRAILING_GARBAGE,
            f"expected the end of {source} or another gzip member at byte {where}, found {rest[:40]!r}; "
            "delete it and download it again",
        )
    return rest


def _checked(blocks: Iterator[bytes], source: Path, expects: LineCheck | None) -> Iterator[bytes]:
    """The same blocks, once their first lines have been judged: most of them must be of the kind expected."""
    held: list[bytes] = []
    newlines = 0
    for block in blocks:
        held.append(block)
        newlines += block.count(b"\n")
        if newlines >= _HEAD_LINES or len(held) >= _HEAD_BLOCKS:
            break
    head = b"".join(held)
    if not head:
        raise BadDump(
            BadDumpReason.EMPTY, f"{source} holds no lines; download it again, or take an older dump"
        )
    lines = [line for line in head.split(b"\n", _HEAD_LINES)[:_HEAD_LINES] if line]
    problems = [problem for line in lines if expects and (problem := expects(line))]
    if len(problems) * 2 > len(lines):
        raise BadDump(
            BadDumpReason.WRONG_FILE,
            f"{source} is another kind of file, by {len(problems)} of its first {len(lines)} lines: {problems[0]}. "
            "Check which file was downloaded under this name.",
        )
    yield from held
    yield from blocks


def _cut(blocks: Iterable[bytes], chunk_bytes: int) -> Iterator[Iterator[bytes]]:
    """The text as chunks, each an iterator of pieces that must be used up before the next chunk is asked for."""
    remaining = iter(blocks)
    carried: list[bytes] = []

    def pieces() -> Iterator[bytes]:
        size = 0
        while block := (carried.pop() if carried else next(remaining, b"")):
            # The newline at or after the position where the chunk is large enough.
            end = block.find(b"\n", max(chunk_bytes - size - 1, 0)) + 1
            if end:
                if end < len(block):
                    carried.append(block[end:])
                yield block[:end]
                return
            size += len(block)
            yield block

    while first := (carried.pop() if carried else next(remaining, b"")):
        carried.append(first)
        yield pieces()


def _write_chunk(filesystem: pafs.FileSystem, folder: str, name: str, pieces: Iterator[bytes]) -> Chunk:
    compressor = isal_zlib.compressobj(_LEVEL, isal_zlib.DEFLATED, _GZIP_FORMAT)
    digest = hashlib.sha256()
    newlines = raw_bytes = gz_bytes = 0
    last = b""
    # pyarrow would compress a name that ends with .gz a second time.
    with filesystem.open_output_stream(f"{folder}/{name}", compression=None) as stream:

        def put(data: bytes) -> int:
            digest.update(data)
            stream.write(data)
            return len(data)

        for last in pieces:
            # In a third of the time of `bytes.count`.
            newlines += int(np.count_nonzero(np.frombuffer(last, np.uint8) == _NEWLINE))
            raw_bytes += len(last)
            gz_bytes += put(compressor.compress(last))
        gz_bytes += put(compressor.flush())
    return Chunk(name, newlines + (not last.endswith(b"\n")), raw_bytes, gz_bytes, digest.hexdigest())


class _ReadAhead:
    """Iterates `blocks` in a thread, a few ahead: ISA-L releases the GIL, so reading and writing use a core each."""

    def __init__(self, blocks: Iterator[bytes], depth: int = 8) -> None:
        self._blocks = blocks
        self._queue: Queue[bytes | BaseException | None] = Queue(depth)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="read-ahead", daemon=True)

    def __enter__(self) -> Iterator[bytes]:
        self._thread.start()
        return self._received()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _received(self) -> Iterator[bytes]:
        while (item := self._queue.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            yield item

    def _run(self) -> None:
        try:
            for block in self._blocks:
                if not self._put(block):
                    return
            self._put(None)
        except BaseException as error:  # noqa: BLE001, raised again where the blocks are used
            self._put(error)

    def _put(self, item: bytes | BaseException | None) -> bool:
        while not self._stop.is_set():
            try:
                self._queue.put(item, timeout=0.1)
                return True
            except Full:
                continue
        return False
