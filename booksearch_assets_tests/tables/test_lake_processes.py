"""The lake between processes: writers that are killed, writers that collide, and readers in the midst of them."""

from __future__ import annotations

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from booksearch_assets.tables.lake import Lake
from booksearch_assets.tables.pruning import prune
from booksearch_assets_tests.tables.people import PEOPLE, commit_people, committed_ids

_PRELUDE = """
import os, signal, sys, time
from pathlib import Path
from booksearch_assets.tables.lake import Lake
from booksearch_assets.tables.pruning import prune
from booksearch_assets_tests.tables.people import PEOPLE, commit_people, committed_ids, people
lake = Lake(sys.argv[1])
"""


def _start(lake: Lake, code: str, *arguments: str) -> subprocess.Popen[str]:
    program = _PRELUDE + textwrap.dedent(code)
    return subprocess.Popen(
        [sys.executable, "-c", program, lake.root, *arguments], stdout=subprocess.PIPE, text=True
    )


def _finish(process: subprocess.Popen[str]) -> str:
    output, _ = process.communicate(timeout=120)
    assert process.returncode == 0, output
    return output


@pytest.mark.parametrize(
    "until",
    [
        pytest.param("pending = lake.begin(PEOPLE.name); die()", id="begun"),
        pytest.param(
            "pending = lake.begin(PEOPLE.name); pending.write(batches(), PEOPLE.schema)",
            id="half a file written",
        ),
        pytest.param(
            "pending = lake.begin(PEOPLE.name); pending.write(people(2), PEOPLE.schema); die()", id="written"
        ),
        pytest.param(
            # The record of the commit is written first, and the pointer after it.
            "real = lake.write_bytes\n"
            "lake.write_bytes = lambda path, content: die() if '/current/' in path else real(path, content)\n"
            "pending = lake.begin(PEOPLE.name); pending.write(people(2), PEOPLE.schema); pending.commit()",
            id="between record and pointer",
        ),
        pytest.param(
            # As a rename that has not come: the new pointer is complete under its temporary name.
            "lake.filesystem.create_dir(lake.location(PEOPLE.name, 'current'), recursive=True)\n"
            "Path(lake.uri(PEOPLE.name, 'current', '_whole.json.1234.tmp')).write_text('{}'); die()",
            id="pointer not renamed",
        ),
    ],
)
@pytest.mark.parametrize("had", [False, True])
def test_a_killed_writer_leaves_what_was_committed_before(lake: Lake, until: str, had: bool) -> None:
    before = commit_people(lake, 1) if had else None
    code = (
        "def die(): os.kill(os.getpid(), signal.SIGKILL)\n"
        "def batches():\n"
        "    yield people(2).to_batches()[0]\n"
        "    die()\n"
    )
    process = _start(lake, code + until)
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL

    assert lake.current(PEOPLE.name) == before
    assert lake.partitions(PEOPLE.name) == ([""] if had else [])
    commit_people(lake, 3)
    assert committed_ids(lake) == [3]
    prune(lake, PEOPLE.name, keep=1)
    assert committed_ids(lake) == [3]


def test_two_processes_that_commit_one_partition_leave_one_whole_pointer(lake: Lake) -> None:
    code = """
        me = int(sys.argv[2])
        Path(lake.uri(f"ready-{me}")).parent.mkdir(parents=True, exist_ok=True)
        Path(lake.uri(f"ready-{me}")).touch()
        while not Path(lake.uri(f"ready-{1 - me}")).exists():
            pass
        for i in range(50):
            commit_people(lake, me, 10 + i, partition="2015")
    """
    for process in [_start(lake, code, str(me)) for me in range(2)]:
        _finish(process)
    history = lake.history(PEOPLE.name, "2015")
    assert len(history) == 100
    assert lake.resolve(PEOPLE.name, "2015") in history
    assert committed_ids(lake, "2015") in ([0, 59], [1, 59])
    assert [path.name for path in Path(lake.uri(PEOPLE.name, "current")).iterdir()] == ["2015.json"]


def test_readers_never_see_half_a_record_nor_go_back(lake: Lake) -> None:
    commit_people(lake, 0)
    code = """
        stop, seen = Path(lake.uri("stop")), []
        print("reading", flush=True)
        while True:
            last = stop.exists()
            commit = lake.resolve(PEOPLE.name)
            (row,) = lake.dataset([commit], PEOPLE.schema).to_table()["id"].to_pylist()
            assert commit.rows == 1
            seen.append(row)
            if last:
                break
        assert seen == sorted(seen), seen
        print(len(set(seen)), seen[-1])
    """
    readers = [_start(lake, code) for _ in range(2)]
    for reader in readers:
        assert reader.stdout
        assert reader.stdout.readline() == "reading\n"
    for i in range(1, 201):
        commit_people(lake, i)
    lake.write_bytes("stop", b"")
    for reader in readers:
        distinct, last = map(int, _finish(reader).split())
        assert last == 200
        assert distinct > 1, "the reader saw no version change, so it proves nothing"
