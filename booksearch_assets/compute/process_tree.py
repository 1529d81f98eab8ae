"""What a process and all below it hold and have used: resident memory and processor time, from Linux's /proc.

Belongs here: reading and sampling them. Does not: what is measured (`calibration`), Spark's own account
(`compute.task_times`).
"""

from __future__ import annotations

import os
import threading
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from time import time
from typing import Self

_PROC = Path("/proc")
_TICKS = os.sysconf("SC_CLK_TCK")
# A look at a JVM's mappings takes a few milliseconds of a core.
_EVERY_SECONDS = 0.5
# Fields of /proc/<pid>/stat after the name of the program, which may hold spaces.
_PARENT, _USER, _SYSTEM, _CHILDREN_USER, _CHILDREN_SYSTEM = 1, 11, 12, 13, 14


@dataclass(frozen=True)
class Use:
    """At `at` (seconds since the epoch): bytes held, each shared page counted once, and processor seconds used."""

    at: float
    memory: int
    cpu_seconds: float


def use_of(root: int) -> Use:
    """What a process and its descendants hold now. Those that ended count in the processor time of their parents."""
    stats = {int(entry.name): _stat(entry) for entry in _PROC.iterdir() if entry.name.isdigit()}
    children: dict[int, list[int]] = defaultdict(list)
    for process, stat in stats.items():
        if stat:
            children[int(stat[_PARENT])].append(process)
    found, left = [], [root]
    while left:
        process = left.pop()
        found.append(process)
        left += children[process]
    ticks = sum(
        int(stat[field])
        for process in found
        if (stat := stats.get(process))
        for field in (_USER, _SYSTEM, _CHILDREN_USER, _CHILDREN_SYSTEM)
    )
    return Use(time(), sum(map(_memory, found)), ticks / _TICKS)


class Watch:
    """Samples a process and its descendants in a thread, as a context manager."""

    def __init__(self, process: int) -> None:
        self._process = process
        self._samples: list[Use] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, name="watch", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def peak(self, start: float, end: float) -> int:
        """The most bytes held in a span of time; those of the nearest look where the span is too short for one."""
        return max((use.memory for use in self._between(start, end)), default=0)

    def cpu_seconds(self, start: float, end: float) -> float:
        """The processor seconds used in a span of time."""
        within = self._between(start, end)
        return within[-1].cpu_seconds - within[0].cpu_seconds if within else 0.0

    def _between(self, start: float, end: float) -> list[Use]:
        within = [use for use in self._samples if start <= use.at <= end]
        if within or not self._samples:
            return within
        return [min(self._samples, key=lambda use: abs(use.at - start))]

    def _look(self) -> None:
        used = 0.0
        while not self._over.wait(_EVERY_SECONDS):
            use = use_of(self._process)
            # A process that ended is in nobody's account until its parent has waited for it.
            used = max(used, use.cpu_seconds)
            self._samples.append(replace(use, cpu_seconds=used))


def _stat(process: Path) -> list[str] | None:
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        # It ended since it was listed.
        return None


def _memory(process: int) -> int:
    try:
        lines = (_PROC / str(process) / "smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    # Python workers are forks: what they share with one another is there once.
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:")), 0)
