"""What a process and all below it hold and use, of real processes."""

from __future__ import annotations

import subprocess
import sys
import time

from booksearch_assets.compute.process_tree import Watch, use_of

_HOLD = """
import subprocess, sys
held = bytearray(b"x") * (40 * 2**20)
child = subprocess.Popen([sys.executable, "-c", "held = bytearray(b'x') * (60 * 2**20); print('ready', flush=True); input()"],
                         stdin=sys.stdin)
child.wait()
"""


def test_a_process_counts_with_what_it_started() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as tree:
        assert tree.stdin and tree.stdout
        started = time.time()
        with Watch(tree.pid) as watch:
            assert tree.stdout.readline() == "ready\n"
            use = use_of(tree.pid)
            # The first look may have been before they held anything.
            while watch.peak(started, time.time()) < 100 * 2**20 and time.time() < started + 30:
                time.sleep(0.05)
            tree.stdin.write("\n")
            tree.stdin.close()
            tree.wait()
    assert 100 * 2**20 < use.memory < 160 * 2**20
    assert use.cpu_seconds > 0
    assert watch.peak(started, use.at + 60) >= 100 * 2**20
    # A span between two looks has the nearest one.
    assert watch.peak(started - 20, started - 10) > 0


def test_a_process_that_ended_holds_nothing() -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    assert use_of(ended.pid).memory == 0
