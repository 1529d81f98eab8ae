"""What a process and all below it hold and use, sampled while it works, from Linux's /proc.

Belongs here: reading, sampling and ending processes. Does not: who runs what (`harness`).
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

# A look at every process of the machine takes some milliseconds.
_SAMPLE_SECONDS = 0.1
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")


@dataclass
class Usage:
    """`peak_memory` is the largest sum of resident bytes, `cpu_seconds` what all processes used, `others` what the rest of
    the machine used meanwhile."""

    peak_memory: int = 0
    others: float = 0.0
    _before: dict[int, float] = field(default_factory=dict)
    _after: dict[int, float] = field(default_factory=dict)

    @property
    def cpu_seconds(self) -> float:
        return sum(used - self._before.get(process, 0.0) for process, used in self._after.items())

    def look(self, root: int) -> None:
        tree = _tree(root)
        self.peak_memory = max(self.peak_memory, _resident(tree))
        self._after.update({process: stat.cpu_seconds for process, stat in tree.items()})


@contextlib.contextmanager
def watching(root: int) -> Iterator[Usage]:
    """Sample memory and processor time of a process and all below it until the block ends."""
    usage, over = Usage(), threading.Event()
    usage.look(root)
    usage._before = dict(usage._after)

    def watch() -> None:
        while not over.wait(_SAMPLE_SECONDS):
            usage.look(root)

    thread = threading.Thread(target=watch, daemon=True)
    busy = _busy_seconds()
    thread.start()
    try:
        yield usage
    finally:
        busy = _busy_seconds() - busy
        over.set()
        thread.join()
        usage.look(root)
        usage.others = max(0.0, busy - usage.cpu_seconds)


def end(root: int) -> None:
    """End a process and whatever it left behind, which would take the next one's time."""
    for process in _tree(root):
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def since_start() -> float:
    """Seconds since this process was started, for a contestant that looks at what it made after its time is taken."""
    started = int(_fields_of(os.getpid())[19]) / _TICKS
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started


def _resident(tree: Mapping[int, _Stat]) -> int:
    """Bytes of all processes. One as large as its parent has just been forked and has nothing of its own yet.

    A JVM forks to change a file's permissions: counted, it would seem to take twice its memory for a moment.
    """
    return sum(
        stat.resident
        for stat in tree.values()
        if not (stat.parent in tree and tree[stat.parent].size == stat.size)
    )


@dataclass(frozen=True)
class _Stat:
    parent: int
    session: int
    cpu_seconds: float
    size: int
    resident: int


def _tree(root: int) -> dict[int, _Stat]:
    """The process `root`, what it started, and what these did, also where a process between has ended."""
    stats = {pid: stat for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if (stat := _stat(pid))}
    found = {pid for pid, stat in stats.items() if pid == root or stat.session == root}
    while more := {pid for pid, stat in stats.items() if stat.parent in found} - found:
        found |= more
    return {pid: stats[pid] for pid in found}


def _stat(pid: int) -> _Stat | None:
    try:
        fields = _fields_of(pid)
    except OSError:
        return None
    return _Stat(
        parent=int(fields[1]),
        session=int(fields[3]),
        cpu_seconds=(int(fields[11]) + int(fields[12])) / _TICKS,
        size=int(fields[20]),
        resident=int(fields[21]) * _PAGE,
    )


def _fields_of(pid: int) -> list[str]:
    """The fields of proc(5)'s `stat` from the third, the state, on: the name before them may hold anything."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _busy_seconds() -> float:
    """Processor seconds that the whole machine has used since it started."""
    user, nice, system, _idle, _wait, irq, softirq, *_ = Path("/proc/stat").read_text().split()[1:9]
    return sum(map(int, (user, nice, system, irq, softirq))) / _TICKS
