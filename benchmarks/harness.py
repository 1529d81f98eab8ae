"""One frame for every side-by-side measurement: contestants in turn, each in a process of its own, and a row for the table.

Belongs here: running contestants, and their medians. Does not: what is measured (each module of `run.BENCHMARKS`), memory and
processor time (`processes`), rows and bars (`rows`).

A benchmark is a module with these two functions; contestants are functions of a module, called in a fresh process with
arguments that JSON can hold. What they answer must agree before a time counts:

    from harness import Contestant, Done, compare
    from rows import Row, faster

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

Where starting takes longer than what is compared, as a JVM and models do, the function is a generator: its process stays
from round to round, what it yields first is its start, and each further `Done` is one repetition.

    def ours(paths: list[str]) -> Iterator[Done]:
        session = start()
        yield Done()                           # timed from the start of the process, and kept apart
        while True:
            yield Done(answer=count(session))

`options` has `quick`, `repetitions` and `scratch` (a folder that is deleted at the end) beside what `add_options` adds.
Modules import what is heavy inside the functions that use it: every process of a contestant imports its module.
"""

from __future__ import annotations

import contextlib
import inspect
import json
import operator
import os
import select
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib import import_module
from pathlib import Path
from typing import Any, Self

import processes

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
    """A function of a module, to be called with `arguments` in a process of its own, with more `environment`.

    A generator stays: one process for all repetitions.
    """

    name: str
    work: Callable[..., Done | Iterator[Done]]
    arguments: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def stays(self) -> bool:
        return inspect.isgeneratorfunction(self.work)


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

    def to_json(self) -> dict[str, Any]:
        """All but the answer, which was compared and may be large."""
        kept = asdict(self)
        del kept["answer"]
        return kept


@dataclass(frozen=True)
class Measured:
    """The repetitions of one contestant, and the start of one that stays."""

    name: str
    runs: tuple[Run, ...]
    start: Run | None = None

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

    def by(self, figure: str) -> Self:
        """The same repetitions by the seconds of one of their figures."""
        runs = tuple(replace(run, seconds=run.figures[figure]) for run in self.runs)
        return replace(self, runs=runs)

    def from_start(self) -> Self:
        """The start alone, as one repetition. Raises `ValueError` for one that does not stay."""
        if self.start is None:
            raise ValueError(f"{self.name} has no start of its own: its function is no generator")
        return replace(self, runs=(self.start,))

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "seconds": self.seconds,
            "spread": self.spread,
            "cpu_seconds": self.cpu_seconds,
            "peak_memory": self.peak_memory,
            "start": self.start.to_json() if self.start else None,
            "runs": [run.to_json() for run in self.runs],
        }

    def __str__(self) -> str:
        return f"{self.name} {_duration(self.seconds)} ±{self.spread / 2:.0%}"


def compare(
    contestants: Sequence[Contestant],
    repetitions: int = 5,
    agree: Callable[[Any, Any], bool] = operator.eq,
    timeout: float = 1800.0,
) -> dict[str, Measured]:
    """Run every contestant `repetitions` times, in turn, each round beginning with another one.

    Those that stay are started before the first round, one after another. Every answer must `agree` with the first one,
    or `Disagreement` is raised. Raises `ContestantFailed`.
    """
    runs: dict[str, list[Run]] = {contestant.name: [] for contestant in contestants}
    starts: dict[str, Run] = {}
    with contextlib.ExitStack() as stack:
        staying: dict[str, _Process] = {}
        for contestant in contestants:
            if contestant.stays:
                process = stack.enter_context(_Process(contestant, timeout))
                starts[contestant.name] = process.ask()
                staying[contestant.name] = process
                _tell("start", contestant, starts[contestant.name])
        first: tuple[str, Any] | None = None
        for repetition in range(repetitions):
            turn = repetition % len(contestants)
            for contestant in (*contestants[turn:], *contestants[:turn]):
                stays = staying.get(contestant.name)
                run = stays.ask() if stays else run_once(contestant, timeout)
                first = first or (contestant.name, run.answer)
                if not agree(first[1], run.answer):
                    raise Disagreement(
                        f"{contestant.name} answered {_short(run.answer)}, {first[0]} answered {_short(first[1])}"
                    )
                runs[contestant.name].append(run)
                _tell(f"{repetition + 1}/{repetitions}", contestant, run)
    return {name: Measured(name, tuple(done), starts.get(name)) for name, done in runs.items()}


def run_once(contestant: Contestant, timeout: float = 1800.0) -> Run:
    """One repetition in a fresh process. Raises `ContestantFailed` with the end of what it printed."""
    with _Process(contestant, timeout) as process:
        return process.ask(and_end=True)


class _Process:
    """The process of a contestant, which answers as often as it is asked. As a context manager, ended at the end."""

    def __init__(self, contestant: Contestant, timeout: float) -> None:
        self._contestant, self._timeout = contestant, timeout
        self._folder = tempfile.TemporaryDirectory(prefix="contestant-")
        self._log = Path(self._folder.name, "log")
        self._started: float | None = None

    def __enter__(self) -> Self:
        work = self._contestant.work
        call = {
            "module": _module_name(work),
            "function": work.__name__,
            "arguments": dict(self._contestant.arguments),
        }
        folders = [str(Path(__file__).parent), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {
            **os.environ,
            "PYTHONPATH": os.pathsep.join(folders),
            **self._contestant.environment,
        }
        asked, self._asks = os.pipe()
        self._answers, answering = os.pipe()
        self._started = time.perf_counter()
        with self._log.open("wb") as output:
            self._process = subprocess.Popen(
                [sys.executable, __file__, json.dumps(call), str(asked), str(answering)],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                pass_fds=[asked, answering],
            )
        os.close(asked)
        os.close(answering)
        return self

    def __exit__(self, *_: object) -> None:
        processes.end(self._process.pid)
        self._process.wait()
        os.close(self._asks)
        os.close(self._answers)
        self._folder.cleanup()

    def ask(self, and_end: bool = False) -> Run:
        """The next answer, or the only one: the time to the end of the process counts then."""
        # The first answer is timed from the start of the process.
        started, self._started = self._started or time.perf_counter(), None
        with processes.watching(self._process.pid) as usage:
            done = self._answer()
            if and_end and (status := self._process.wait(self._timeout)):
                raise self._failed(str(status))
            seconds = time.perf_counter() - started
        return Run(
            seconds=seconds if done["seconds"] is None else done["seconds"],
            cpu_seconds=usage.cpu_seconds,
            peak_memory=usage.peak_memory,
            others=usage.others / seconds,
            answer=done["answer"],
            figures=done["figures"],
        )

    def _answer(self) -> dict[str, Any]:
        with contextlib.suppress(BrokenPipeError):
            os.write(self._asks, b"\n")
        if not select.select([self._answers], [], [], self._timeout)[0]:
            raise self._failed(f"nothing within {self._timeout:g} s")
        line = bytearray()
        while not line.endswith(b"\n"):
            part = os.read(self._answers, 1 << 20)
            if not part:
                raise self._failed(str(self._process.wait()))
            line += part
        return dict(json.loads(line))

    def _failed(self, why: str) -> ContestantFailed:
        said = self._log.read_bytes()[-_LOG_TAIL:].decode(errors="replace")
        return ContestantFailed(f"{self._contestant.name} ended with {why}; the end of its output:\n{said}")


def _tell(round_: str, contestant: Contestant, run: Run) -> None:
    print(
        f"  {round_} {contestant.name}: {_duration(run.seconds)}, {_duration(run.cpu_seconds)} of processor, "
        f"{run.peak_memory / 1e6:,.0f} MB, {run.others:.1f} cores used by others",
        flush=True,
    )


def _module_name(work: Callable[..., Any]) -> str:
    name = work.__module__
    if name == "__main__":  # a benchmark that was started by itself
        name = Path(str(sys.modules[name].__file__)).stem
    return name


def _duration(seconds: float) -> str:
    return f"{1000 * seconds:,.1f} ms" if seconds < 1 else f"{seconds:,.1f} s"


def _short(answer: Any) -> str:
    text = json.dumps(answer)
    return text if len(text) < 500 else f"{text[:500]}…"


def _child(call: str, asked: int, answers: int) -> None:
    """What runs in the process of a contestant: an answer for each line that it is sent."""
    # Nothing that it starts may keep the pipe open, or its own end would not be seen.
    os.set_inheritable(asked, False)
    os.set_inheritable(answers, False)
    wanted = json.loads(call)
    work = getattr(import_module(wanted["module"]), wanted["function"])
    found = work(**wanted["arguments"])
    # As the contestant is taken for by the process that asks.
    if not inspect.isgeneratorfunction(work):
        _send(found, answers)
        return
    while os.read(asked, 1) and (done := next(found, None)):
        _send(done, answers)


def _send(done: Done, answers: int) -> None:
    line = json.dumps(asdict(done)).encode() + b"\n"
    while line:
        line = line[os.write(answers, line) :]


if __name__ == "__main__":
    _child(sys.argv[1], *map(int, sys.argv[2:]))
