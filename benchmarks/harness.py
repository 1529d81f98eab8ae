"""One frame for every side-by-side measurement: contestants in turn, each in a process of its own, and a row for the table.

Belongs here: running contestants, their medians, memory and processor time, rows and bars. Does not: what is measured
(each module of `run.BENCHMARKS`), the table and the picture (`report`).

A benchmark is a module with these two functions; contestants are functions of a module, called in a fresh process with
arguments that JSON can hold. What they answer must agree before a time counts:

    from harness import At, Contestant, Done, Row, compare, faster

    def ours(path: str) -> Done:
        return Done(answer=count_with_isal(path))

    def peer(path: str) -> Done:
        started = time.perf_counter()          # only where start-up is no part of what is compared
        answer = count_with_gzip(path)
        return Done(answer, seconds=time.perf_counter() - started, figures={"lines": answer})

    def add_options(parser: argparse._ArgumentGroup) -> None:
        parser.add_argument("--lines", type=int, default=1_000_000)

    def rows(options: argparse.Namespace) -> Iterator[Row]:
        path = make_lines(options.scratch, 1_000 if options.quick else options.lines)
        measured = compare(
            [Contestant("isal", ours, {"path": str(path)}), Contestant("gzip", peer, {"path": str(path)})],
            options.repetitions,
        )
        yield faster("counting lines", measured["isal"], measured["gzip"], at_least=3.0)

`options` has `quick`, `repetitions` and `scratch` (a folder that is deleted at the end) beside what `add_options` adds.
Modules import what is heavy inside the functions that use it: every process of a contestant imports its module.
"""

from __future__ import annotations

import contextlib
import json
import operator
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from enum import Enum
from importlib import import_module
from pathlib import Path
from typing import Any, Self

# A look at every process of the machine takes some milliseconds.
_SAMPLE_SECONDS = 0.1
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_LOG_TAIL = 3000


class Disagreement(Exception):
    """Two contestants gave different answers: their times mean nothing."""


class ContestantFailed(Exception):
    """A contestant's process ended without an answer."""


@dataclass(frozen=True)
class Done:
    """What a contestant returns. `answer` is compared, and JSON.

    `seconds` is what it timed itself, where its start-up is no part of the comparison (or `since_start()`, where looking
    at its answer is not); else its process is timed from start to end. `figures` are kept with the results.
    """

    answer: Any = None
    seconds: float | None = None
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Contestant:
    """A function of a module, to be called with `arguments` in a process of its own, with more `environment`."""

    name: str
    work: Callable[..., Done]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """One repetition. `peak_memory` is the largest sum of resident bytes of the process and all below it.

    `others` is how many cores all other processes of the machine used meanwhile: near 0 on a quiet machine.
    """

    seconds: float
    cpu_seconds: float
    peak_memory: int
    others: float
    answer: Any
    figures: Mapping[str, float]


@dataclass(frozen=True)
class Measured:
    """The repetitions of one contestant."""

    name: str
    runs: tuple[Run, ...]

    @property
    def seconds(self) -> float:
        """The median."""
        return statistics.median(run.seconds for run in self.runs)

    @property
    def spread(self) -> float:
        """From the fastest to the slowest, as a share of the median."""
        times = [run.seconds for run in self.runs]
        return (max(times) - min(times)) / self.seconds

    @property
    def cpu_seconds(self) -> float:
        return statistics.median(run.cpu_seconds for run in self.runs)

    @property
    def peak_memory(self) -> int:
        return max(run.peak_memory for run in self.runs)

    def figure(self, name: str) -> float:
        """The median of one of the figures that the contestant returned."""
        return statistics.median(run.figures[name] for run in self.runs)

    def __str__(self) -> str:
        return f"{self.name} {_duration(self.seconds)} ±{self.spread / 2:.0%}"


class At(Enum):
    """Which way a bar is to be cleared."""

    LEAST = "at least"
    MOST = "at most"


@dataclass(frozen=True)
class Row:
    """One line of the table. `ratio` is measured against `bar`; without a bar the line only informs.

    `limit_share` is how much of what is physically possible was reached, `peak_memory` the peak of ours in bytes.
    `measured` is kept in the JSON.
    """

    stage: str
    ours: str
    peer: str
    ratio: float | None
    at: At = At.LEAST
    bar: float | None = None
    limit_share: float | None = None
    peak_memory: int | None = None
    note: str = ""
    measured: tuple[Measured, ...] = ()

    @property
    def met(self) -> bool | None:
        """None where there is nothing to be met, or nothing was measured."""
        if self.bar is None or self.ratio is None:
            return None
        return (operator.ge if self.at is At.LEAST else operator.le)(self.ratio, self.bar)

    @property
    def headroom(self) -> float | None:
        """How many times better than its bar the ratio is; below 1 the bar was missed."""
        if self.bar is None or self.ratio is None:
            return None
        return self.ratio / self.bar if self.at is At.LEAST else self.bar / self.ratio

    @classmethod
    def missing(cls, stage: str, peer: str, why: str) -> Self:
        """A comparison that cannot be made here, as a peer that is not installed."""
        return cls(stage, ours="", peer=peer, ratio=None, note=why)

    def to_json(self) -> dict[str, Any]:
        summaries = [
            {
                "seconds": measured.seconds,
                "spread": measured.spread,
                "cpu_seconds": measured.cpu_seconds,
                "peak_memory": measured.peak_memory,
            }
            for measured in self.measured
        ]
        return asdict(self) | {
            "at": self.at.value,
            "met": self.met,
            "measured": [asdict(m) | summary for m, summary in zip(self.measured, summaries, strict=True)],
        }


def faster(
    stage: str,
    ours: Measured,
    peer: Measured,
    at_least: float | None = None,
    limit_seconds: float | None = None,
    note: str = "",
) -> Row:
    """The peer's time over ours. `limit_seconds` is what nothing on this machine could be below."""
    share = limit_seconds / ours.seconds if limit_seconds else None
    ratio = peer.seconds / ours.seconds
    return _row(stage, ours, peer, ratio, At.LEAST, at_least, share, note)


def slower(stage: str, ours: Measured, limit: Measured, at_most: float | None = None, note: str = "") -> Row:
    """Our time over that of a limit, which does less than we must."""
    share = limit.seconds / ours.seconds
    return _row(stage, ours, limit, ours.seconds / limit.seconds, At.MOST, at_most, share, note)


def _row(
    stage: str,
    ours: Measured,
    peer: Measured,
    ratio: float,
    at: At,
    bar: float | None,
    share: float | None,
    note: str,
) -> Row:
    return Row(stage, str(ours), str(peer), ratio, at, bar, share, ours.peak_memory, note, (ours, peer))


def since_start() -> float:
    """Seconds since this process was started, for a contestant that looks at what it made after its time is taken."""
    started = int(_fields_of(os.getpid())[19]) / _TICKS
    return time.clock_gettime(time.CLOCK_BOOTTIME) - started


def compare(
    contestants: Sequence[Contestant],
    repetitions: int = 5,
    agree: Callable[[Any, Any], bool] = operator.eq,
    timeout: float = 1800.0,
) -> dict[str, Measured]:
    """Run every contestant `repetitions` times, in turn, each round beginning with another one.

    Every answer must `agree` with the first one, or `Disagreement` is raised. Raises `ContestantFailed`.
    """
    runs: dict[str, list[Run]] = {contestant.name: [] for contestant in contestants}
    first: tuple[str, Any] | None = None
    for repetition in range(repetitions):
        turn = repetition % len(contestants)
        for contestant in (*contestants[turn:], *contestants[:turn]):
            run = run_once(contestant, timeout)
            first = first or (contestant.name, run.answer)
            if not agree(first[1], run.answer):
                raise Disagreement(
                    f"{contestant.name} answered {_short(run.answer)}, {first[0]} answered {_short(first[1])}"
                )
            runs[contestant.name].append(run)
            print(
                f"  {repetition + 1}/{repetitions} {contestant.name}: {_duration(run.seconds)}, "
                f"{_duration(run.cpu_seconds)} of processor, {run.peak_memory / 1e6:,.0f} MB, "
                f"{run.others:.1f} cores used by others",
                flush=True,
            )
    return {name: Measured(name, tuple(done)) for name, done in runs.items()}


def run_once(contestant: Contestant, timeout: float = 1800.0) -> Run:
    """One repetition in a fresh process. Raises `ContestantFailed` with the end of what it printed."""
    call = {
        "module": _module_name(contestant.work),
        "function": contestant.work.__name__,
        "arguments": dict(contestant.arguments),
    }
    folders = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(folders), **contestant.environment}
    with tempfile.TemporaryDirectory(prefix="contestant-") as folder:
        result, log = Path(folder, "result.json"), Path(folder, "log")
        busy, started = _busy_seconds(), time.perf_counter()
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, __file__, json.dumps(call), str(result)],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
            try:
                with _watching(process.pid) as usage:
                    status = _wait(process, timeout)
                    seconds = time.perf_counter() - started
                busy = _busy_seconds() - busy
            finally:
                _end(process)
        if status != 0 or not result.exists():
            said = log.read_bytes()[-_LOG_TAIL:].decode(errors="replace")
            raise ContestantFailed(f"{contestant.name} ended with {status}; the end of its output:\n{said}")
        done = json.loads(result.read_text())
    return Run(
        seconds=seconds if done["seconds"] is None else done["seconds"],
        cpu_seconds=usage.cpu_seconds,
        peak_memory=usage.peak_memory,
        others=max(0.0, (busy - usage.cpu_seconds) / seconds),
        answer=done["answer"],
        figures=done["figures"],
    )


def _module_name(work: Callable[..., Done]) -> str:
    name = work.__module__
    if name == "__main__":  # a benchmark that was started by itself
        name = Path(str(sys.modules[name].__file__)).stem
    return name


def _wait(process: subprocess.Popen[bytes], timeout: float) -> int | str:
    try:
        return process.wait(timeout)
    except subprocess.TimeoutExpired:
        return f"nothing within {timeout:g} s"


def _end(process: subprocess.Popen[bytes]) -> None:
    """End what the contestant left behind, which would take the next one's time."""
    for pid in _tree(process.pid):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()


@dataclass
class _Usage:
    peak_memory: int = 0
    seconds_by_process: dict[int, float] = field(default_factory=dict)

    @property
    def cpu_seconds(self) -> float:
        return sum(self.seconds_by_process.values())


@contextlib.contextmanager
def _watching(root: int) -> Iterator[_Usage]:
    """Sample memory and processor time of a process and all below it until the block ends."""
    usage, stop = _Usage(), threading.Event()

    def watch() -> None:
        while not stop.is_set():
            tree = _tree(root)
            usage.peak_memory = max(usage.peak_memory, _resident(tree))
            usage.seconds_by_process.update({pid: stat.cpu_seconds for pid, stat in tree.items()})
            stop.wait(_SAMPLE_SECONDS)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    try:
        yield usage
    finally:
        stop.set()
        thread.join()


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


def _duration(seconds: float) -> str:
    return f"{1000 * seconds:,.1f} ms" if seconds < 1 else f"{seconds:,.1f} s"


def _short(answer: Any) -> str:
    text = json.dumps(answer)
    return text if len(text) < 500 else f"{text[:500]}…"


def _child(call: str, result: str) -> None:
    """What runs in the process of a contestant."""
    wanted = json.loads(call)
    done = getattr(import_module(wanted["module"]), wanted["function"])(**wanted["arguments"])
    Path(result).write_text(json.dumps(asdict(done)))


if __name__ == "__main__":
    _child(*sys.argv[1:])
