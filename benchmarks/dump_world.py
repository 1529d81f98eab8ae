"""Dump files of any size to measure with: a sample world, its lines as long as a real dump's, over and over under new keys.

Belongs here: making the input of the dump benchmarks. Does not: measuring (`dump_stages`).

A real edition has some 850 to 1,000 bytes, of which the sample world writes the fields that somebody reads: the rest is made up
here. Making records is slow and copying them is not, so that 5 GB take two minutes. No key has two revisions, since
the prototype keeps both of them; broken lines are left in.
"""

from __future__ import annotations

import gzip
import json
import random
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from booksearch_assets.sample.dumps import DumpFile, write_dump
from booksearch_assets.sample.world import World

YEAR = 2026
_DATE = f"{YEAR}-01-31"
_LEVEL = 6
_FIRST_COPY = 100
_WRITE_BYTES = 8 * 2**20


@dataclass(frozen=True)
class DumpInput:
    """The `.gz` files of a dump. `text_bytes` and `lines` are of the editions alone."""

    editions: str
    works: str
    authors: str
    text_bytes: int
    lines: int


def make_dump(folder: Path, text_bytes: int, editions: int = 20_000, workers: int = 2) -> DumpInput:
    """A dump whose editions file holds at least `text_bytes` of text: copies of a world of `editions` editions.

    The first line is one that no filter keeps, since the prototype takes it for a header.
    """
    base = write_dump(World(editions=editions), folder / "base", _DATE, workers=workers)
    sources = (DumpFile.EDITIONS, DumpFile.WORKS, DumpFile.AUTHORS)
    texts = {file: gzip.decompress(base.path(file).read_bytes()) for file in sources}
    texts[DumpFile.EDITIONS] = _as_long_as_real(texts[DumpFile.EDITIONS])
    copies = -(-text_bytes // len(texts[DumpFile.EDITIONS]))
    paths: dict[DumpFile, str] = {}
    for file, text in texts.items():
        path = folder / f"{file.value}-{copies}.txt.gz"
        first = b"/type/edition\t/books/OL1M\t1\t2008-04-01T03:28:50.625462\t{}\n"
        _compress(path, first if file is DumpFile.EDITIONS else b"", text, copies)
        paths[file] = str(path)
    text = texts[DumpFile.EDITIONS]
    return DumpInput(
        editions=paths[DumpFile.EDITIONS],
        works=paths[DumpFile.WORKS],
        authors=paths[DumpFile.AUTHORS],
        text_bytes=copies * len(text),
        lines=copies * text.count(b"\n") + 1,
    )


def _as_long_as_real(text: bytes) -> bytes:
    """The last line of each key, with the fields that nobody reads, and every line that is no record."""
    draws = random.Random(7)
    records: dict[bytes, bytes] = {}
    for line in text.splitlines(keepends=True):
        key, end = line.split(b"\t", 2)[1:2], line.rstrip(b"\n")
        whole = line.startswith(b"/type/edition\t") and end.endswith(b"}") and line.count(b"\t") == 4
        if whole:
            unread = json.dumps(_unread_fields(draws))[1:].encode()
            line = end[:-1] + b", " + unread + b"\n"
        records[key[0] if whole else line] = line
    return b"".join(records.values())


def _unread_fields(draws: random.Random) -> dict[str, object]:
    def digits(count: int) -> str:
        return "".join(draws.choices("0123456789", k=count))

    return {
        "oclc_numbers": [digits(9)],
        "lccn": [digits(10)],
        "ocaid": f"bub_gb_{digits(12)}",
        "source_records": [f"marc:marc_records_{digits(4)}/part{digits(2)}.mrc:{digits(9)}:{digits(4)}"],
        "publish_places": [draws.choice(["New York", "London", "Toronto", "Garden City, N.Y", "Oxford"])],
    }


def _compress(path: Path, first: bytes, text: bytes, copies: int) -> None:
    """One gzip member, as Open Library writes its dumps."""
    compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, 31)
    with path.open("wb") as out:
        out.write(compressor.compress(first))
        for piece in _copied(text, copies):
            out.write(compressor.compress(piece))
        out.write(compressor.flush())


def _copied(text: bytes, copies: int) -> Iterator[bytes]:
    for copy in range(_FIRST_COPY, _FIRST_COPY + copies):
        keyed = text.replace(b"/OL", b"/OL%d" % copy).replace(b'"title": "', b'"title": "%d ' % copy)
        for start in range(0, len(keyed), _WRITE_BYTES):
            yield keyed[start : start + _WRITE_BYTES]
