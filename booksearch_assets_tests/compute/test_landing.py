from __future__ import annotations

import gzip
import os
import random
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from booksearch_assets.compute.landing import (
    LARGEST_CHUNK,
    SMALLEST_CHUNK,
    BadDump,
    BadDumpReason,
    Landed,
    LandingProgress,
    chunk_size_for,
    land,
    verify_chunks,
)
from booksearch_assets.openlibrary.dump_site import DumpKind


def edition(number: int, title: str = "A title") -> bytes:
    return b'/type/edition\t/books/OL%dM\t1\t2020-01-01T00:00:00\t{"title": "%s"}\n' % (
        number,
        title.encode(),
    )


EDITIONS = b"".join(edition(n, "word " * (n % 40)) for n in range(5000))


def _packed(text: bytes) -> bytes:
    """The same bytes at any time, since tests are named by them."""
    return gzip.compress(text, mtime=0)


def gz(folder: Path, content: bytes, name: str = "dump.txt.gz") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


def text_of(folder: Path, landed: Landed) -> bytes:
    return b"".join(gzip.decompress((folder / chunk.name).read_bytes()) for chunk in landed.chunks)


def test_chunks_are_whole_lines_and_the_source_bytes(tmp_path: Path) -> None:
    seen: list[LandingProgress] = []
    source = gz(tmp_path, gzip.compress(EDITIONS))
    landed = land(source, str(tmp_path / "out"), DumpKind.EDITIONS.problem, 50_000, seen.append)
    assert text_of(tmp_path / "out", landed) == EDITIONS
    assert (landed.lines, landed.raw_bytes) == (5000, len(EDITIONS))
    assert len(landed.chunks) == -(-len(EDITIONS) // 50_000)
    for chunk in landed.chunks:
        text = gzip.decompress((tmp_path / "out" / chunk.name).read_bytes())
        assert text.endswith(b"\n")
        assert (chunk.lines, chunk.raw_bytes) == (text.count(b"\n"), len(text))
        assert chunk.gz_bytes == (tmp_path / "out" / chunk.name).stat().st_size
    assert (seen[-1].lines, seen[-1].gz_read) == (5000, seen[-1].gz_total)
    assert Landed.read(str(tmp_path / "out")) == landed
    assert landed.gz_bytes == sum(chunk.gz_bytes for chunk in landed.chunks)


def test_same_source_gives_the_same_files(tmp_path: Path) -> None:
    source = gz(tmp_path, gzip.compress(EDITIONS))
    outs = [land(source, str(tmp_path / name), chunk_bytes=70_000) for name in ("one", "two")]
    assert outs[0] == outs[1]
    for chunk in outs[0].chunks:
        assert (tmp_path / "one" / chunk.name).read_bytes() == (tmp_path / "two" / chunk.name).read_bytes()


@settings(max_examples=60, deadline=None)
@given(
    lines=st.lists(
        st.binary(max_size=30).map(lambda line: line.replace(b"\n", b"")), min_size=1, max_size=40
    ),
    end=st.sampled_from([b"", b"\n"]),
    chunk_bytes=st.integers(1, 200),
    members=st.integers(1, 3),
)
def test_any_text_survives(lines: list[bytes], end: bytes, chunk_bytes: int, members: int) -> None:
    text = b"\n".join(lines) + end
    if not text:
        return
    step = -(-len(text) // members)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = gz(folder, b"".join(gzip.compress(text[at : at + step]) for at in range(0, len(text), step)))
        landed = land(source, str(folder / "out"), chunk_bytes=chunk_bytes)
        texts = [gzip.decompress((folder / "out" / chunk.name).read_bytes()) for chunk in landed.chunks]
    assert b"".join(texts) == text
    assert all(part.endswith(b"\n") for part in texts[:-1])
    # No chunk goes on after the line that fills it.
    assert all(len(part[:-1].rsplit(b"\n", 1)[0]) < chunk_bytes for part in texts if b"\n" in part[:-1])
    assert landed.lines == len(text.split(b"\n")) - text.endswith(b"\n")


def test_three_megabyte_line_and_last_line_without_newline(tmp_path: Path) -> None:
    text = edition(1) + edition(2, "x" * 3_000_000) + edition(3).rstrip(b"\n")
    landed = land(
        gz(tmp_path, gzip.compress(text)), str(tmp_path / "out"), DumpKind.EDITIONS.problem, SMALLEST_CHUNK
    )
    assert text_of(tmp_path / "out", landed) == text
    assert [chunk.lines for chunk in landed.chunks] == [2, 1]


@pytest.mark.parametrize(
    ("content", "reason", "words"),
    [
        (b"", BadDumpReason.EMPTY, "0 bytes"),
        (_packed(b""), BadDumpReason.EMPTY, "no lines"),
        (b"<html>Service unavailable</html>", BadDumpReason.NOT_GZIP, "<html>"),
        (b"\x1f", BadDumpReason.NOT_GZIP, "expected a gzip file"),
        (_packed(EDITIONS)[:-4], BadDumpReason.TRUNCATED, "ends after"),
        (_packed(EDITIONS)[:30], BadDumpReason.TRUNCATED, "ends after 30 bytes"),
        (
            _packed(EDITIONS)[:-8] + b"\0\0\0\0" + _packed(EDITIONS)[-4:],
            BadDumpReason.DAMAGED,
            "is damaged",
        ),
        (_packed(EDITIONS) + b"<html>", BadDumpReason.TRAILING_GARBAGE, "<html>"),
        (_packed(EDITIONS) + _packed(EDITIONS)[:500], BadDumpReason.TRUNCATED, "ends after"),
        (
            _packed(EDITIONS.replace(b"/type/edition", b"/type/work")),
            BadDumpReason.WRONG_FILE,
            "/type/work",
        ),
        (_packed(b"one line"), BadDumpReason.WRONG_FILE, "5 tab-separated fields"),
    ],
)
def test_bad_dumps_are_refused_with_the_reason(
    tmp_path: Path, content: bytes, reason: BadDumpReason, words: str
) -> None:
    with pytest.raises(BadDump, match=words) as raised:
        land(gz(tmp_path, content), str(tmp_path / "out"), DumpKind.EDITIONS.problem, 50_000)
    assert raised.value.reason is reason
    assert str(tmp_path / "dump.txt.gz") in str(raised.value)
    assert not (tmp_path / "out" / "chunks.json").exists()


def test_damage_in_the_middle_is_found(tmp_path: Path) -> None:
    noise = random.Random(1).randbytes(3_000_000).replace(b"\n", b"")
    packed = bytearray(gzip.compress(noise))
    packed[1_500_000] ^= 0xFF
    with pytest.raises(BadDump) as raised:
        land(gz(tmp_path, bytes(packed)), str(tmp_path / "out"))
    assert raised.value.reason is BadDumpReason.DAMAGED


def test_zero_padding_after_the_last_member_is_no_garbage(tmp_path: Path) -> None:
    landed = land(gz(tmp_path, gzip.compress(EDITIONS) + b"\0" * 600), str(tmp_path / "out"))
    assert landed.lines == 5000


def test_a_few_odd_lines_at_the_start_do_not_condemn_a_dump(tmp_path: Path) -> None:
    landed = land(
        gz(tmp_path, gzip.compress(b"odd\n" * 3 + EDITIONS)), str(tmp_path / "out"), DumpKind.EDITIONS.problem
    )
    assert landed.lines == 5003


def test_verify_chunks_finds_a_changed_and_a_missing_chunk(tmp_path: Path) -> None:
    out = tmp_path / "out"
    landed = land(gz(tmp_path, gzip.compress(EDITIONS)), out.as_uri(), chunk_bytes=100_000)
    assert verify_chunks(str(out)) == []
    first, second = (out / chunk.name for chunk in landed.chunks[:2])
    first.write_bytes(first.read_bytes()[:-1] + b"?")
    second.unlink()
    problems = verify_chunks(out.as_uri())
    assert len(problems) == 2
    assert "expected sha256" in problems[0]
    assert "missing" in problems[1]


KILLED = """
import os, signal, sys
from pathlib import Path
from booksearch_assets.compute.landing import land
chunks = []
def count(progress):
    chunks.append(progress)
    if len(chunks) == int(sys.argv[3]):
        os.kill(os.getpid(), signal.SIGKILL)
land(Path(sys.argv[1]), sys.argv[2], chunk_bytes=20_000, on_progress=count)
"""


def killed_after(chunks: int, source: Path, out: Path) -> None:
    """Land `source` in a process that kills itself once it has cut so many chunks."""
    command = [sys.executable, "-c", KILLED, str(source), str(out), str(chunks)]
    assert subprocess.run(command).returncode == -signal.SIGKILL
    assert not (out / "chunks.json").exists()


@pytest.mark.parametrize("members", [1, 3])
def test_a_killed_landing_goes_on_after_its_last_whole_chunk(tmp_path: Path, members: int) -> None:
    step = -(-len(EDITIONS) // members)
    packed = b"".join(gzip.compress(EDITIONS[at : at + step]) for at in range(0, len(EDITIONS), step))
    source, out = gz(tmp_path, packed), tmp_path / "out"
    undisturbed = land(source, str(tmp_path / "undisturbed"), chunk_bytes=20_000)
    for kept, kill_after in ((0, 4), (4, 3)):
        before = {path.name: path.stat().st_mtime_ns for path in out.glob("*.gz")}
        killed_after(kill_after, source, out)
        after = {path.name: path.stat().st_mtime_ns for path in out.glob("*.gz")}
        assert len(before) == kept and before.items() <= after.items()
    seen: list[LandingProgress] = []
    landed = land(source, str(out), chunk_bytes=20_000, on_progress=seen.append)
    assert landed == undisturbed
    assert (landed.kept, len(seen)) == (7, len(landed.chunks) - 7)
    assert (seen[-1].lines, seen[-1].raw_bytes) == (5000, len(EDITIONS))
    assert text_of(out, landed) == EDITIONS
    assert sorted(path.name for path in out.iterdir()) == sorted(
        path.name for path in (tmp_path / "undisturbed").iterdir()
    )


def test_a_chunk_that_was_damaged_since_is_cut_again(tmp_path: Path) -> None:
    source, out = gz(tmp_path, gzip.compress(EDITIONS)), tmp_path / "out"
    killed_after(5, source, out)
    damaged = out / "part-00002.txt.gz"
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"?")
    landed = land(source, str(out), chunk_bytes=20_000)
    assert (landed.kept, text_of(out, landed)) == (2, EDITIONS)


def test_damage_before_the_place_where_a_landing_goes_on_is_found(tmp_path: Path) -> None:
    noise = b"".join(random.Random(n).randbytes(999).replace(b"\n", b"") + b"\n" for n in range(500))
    source, out = gz(tmp_path, gzip.compress(noise)), tmp_path / "out"
    killed_after(10, source, out)
    packed = bytearray(source.read_bytes())
    packed[50_000] ^= 0xFF
    source.write_bytes(packed)
    with pytest.raises(BadDump) as raised:
        land(source, str(out), chunk_bytes=20_000)
    assert raised.value.reason is BadDumpReason.DAMAGED
    assert not (out / "chunks.json").exists()


def test_memory_stays_constant(tmp_path: Path) -> None:
    """300 MB of text in 64 MB chunks, within 40 MB more than a landing of next to nothing."""
    big = tmp_path / "big.gz"
    with gzip.open(big, "wb", compresslevel=1) as stream:
        block = (b"x" * 999 + b"\n") * 10_000
        for _ in range(30):
            stream.write(block)
    small = gz(tmp_path, gzip.compress(b"one line\n"))
    code = (
        "import resource, sys; from pathlib import Path; from booksearch_assets.compute.landing import land\n"
        "land(Path(sys.argv[1]), sys.argv[2]); print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    peaks = [
        int(
            subprocess.check_output(
                [sys.executable, "-c", code, str(source), str(tmp_path / source.stem)], env=os.environ
            )
        )
        for source in (small, big)
    ]
    assert peaks[1] - peaks[0] < 40_000


@pytest.mark.parametrize(
    ("gz_size", "cores"), [(0, 1), (1_000_000, 2), (50_000_000, 8), (10**10, 2), (10**10, 1000)]
)
def test_chunk_size_gives_every_core_four_chunks_where_size_allows(gz_size: int, cores: int) -> None:
    size = chunk_size_for(gz_size, cores)
    assert SMALLEST_CHUNK <= size <= LARGEST_CHUNK
    assert size == SMALLEST_CHUNK or gz_size * 4.5 / size >= 4 * cores
