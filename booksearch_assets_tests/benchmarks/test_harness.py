"""The frame of the benchmarks: no time counts before its answer does, and a missed bar is seen."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
CONTESTANTS = """
import subprocess, sys, time
from harness import Done

def sums(n):
    return Done(sum(range(n)), seconds=0.25, figures={"n": n})

def wrong(n):
    return Done(n)

def hungry():
    # Its child takes most of the memory, and most of the processor time.
    work = "x = bytearray(200_000_000); t = __import__('time'); e = t.process_time() + 0.4\\nwhile t.process_time() < e: pass"
    subprocess.run([sys.executable, "-c", work], check=True)
    return Done()

def broken():
    raise ValueError("no such dump")

def slow():
    time.sleep(60)

def stays(n):
    memory = bytearray(150_000_000)
    yield Done()
    for turn in range(n):
        end = time.process_time() + 0.2
        while time.process_time() < end:
            pass
        yield Done(45, seconds=0.5, figures={"turn": turn})
"""


@pytest.fixture
def frame(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    import harness
    import report
    import rows

    return SimpleNamespace(harness=harness, report=report, rows=rows)


@pytest.fixture
def contestant(frame: SimpleNamespace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    (tmp_path / "contestants_of_a_test.py").write_text(CONTESTANTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    import importlib

    module: ModuleType = importlib.import_module("contestants_of_a_test")
    path = {"PYTHONPATH": os.pathsep.join([str(BENCHMARKS), str(tmp_path)])}
    return lambda name, **arguments: frame.harness.Contestant(name, getattr(module, name), arguments, path)


def test_measures_a_process_and_all_below_it(frame: SimpleNamespace, contestant: Callable[..., Any]) -> None:
    run = frame.harness.run_once(contestant("hungry"))
    assert 200e6 < run.peak_memory < 400e6
    assert 0.3 < run.cpu_seconds < run.seconds + 1


def test_compares_answers_before_times(frame: SimpleNamespace, contestant: Callable[..., Any]) -> None:
    measured = frame.harness.compare([contestant("sums", n=10)], repetitions=3)["sums"]
    assert (measured.seconds, measured.spread, measured.figure("n")) == (0.25, 0.0, 10)
    assert [run.answer for run in measured.runs] == [45] * 3
    with pytest.raises(frame.harness.Disagreement, match="wrong answered 10, sums answered 45"):
        frame.harness.compare([contestant("sums", n=10), contestant("wrong", n=10)], repetitions=1)


def test_one_that_stays_is_started_once(frame: SimpleNamespace, contestant: Callable[..., Any]) -> None:
    both = [contestant("stays", n=3), contestant("sums", n=10)]
    measured = frame.harness.compare(both, repetitions=3)["stays"]
    assert [run.figures["turn"] for run in measured.runs] == [0, 1, 2]
    assert measured.start.seconds != 0.5 and measured.from_start().seconds == measured.start.seconds
    assert measured.by("turn").seconds == 1
    # Of a round alone, though memory that was taken before counts in each.
    assert all(0.1 < run.cpu_seconds < 0.5 and run.peak_memory > 150e6 for run in measured.runs)
    with pytest.raises(frame.harness.ContestantFailed, match="stays ended with 0"):
        frame.harness.compare(both, repetitions=4)
    with pytest.raises(ValueError, match="sums has no start of its own"):
        frame.harness.compare(both[1:], repetitions=1)["sums"].from_start()


def test_says_why_a_contestant_failed(frame: SimpleNamespace, contestant: Callable[..., Any]) -> None:
    with pytest.raises(frame.harness.ContestantFailed, match="ValueError: no such dump"):
        frame.harness.run_once(contestant("broken"))
    with pytest.raises(frame.harness.ContestantFailed, match="nothing within 0.5 s"):
        frame.harness.run_once(contestant("slow"), timeout=0.5)


def test_rows_know_whether_their_bar_was_met(frame: SimpleNamespace, tmp_path: Path) -> None:
    harness, report, rows = frame.harness, frame.report, frame.rows

    def measured(name: str, *seconds: float) -> Any:
        return harness.Measured(name, tuple(harness.Run(s, s, 3_000_000, 0.0, 1, {}) for s in seconds))

    ours, peer = measured("ours", 2.0, 1.0, 9.0), measured("peer", 5.0, 6.0, 7.0)
    assert (ours.seconds, ours.spread) == (2.0, 4.0)
    fast = rows.faster("parsing", ours, peer, at_least=3.0, limit_seconds=0.5)
    missed = rows.slower("landing", peer, ours, at_most=2.5, note="a disk was full")
    absent = rows.Row.missing("loading", "polars", "not installed")
    assert [(r.ratio, r.met, r.limit_share) for r in (fast, missed)] == [
        (3.0, True, 0.25),
        (3.0, False, 1 / 3),
    ]
    assert (absent.ratio, absent.met) == (None, None)
    text = report.table([fast, missed, absent]).splitlines()
    assert "at least 3" in text[2] and "met" in text[2] and "25%" in text[2]
    assert "MISSED" in text[3] and text[-2:] == ["[1] a disk was full", "[2] not installed"]
    nothing_lost = rows.Row("losing", "0", "9", 0.0, rows.At.MOST, 0.5)
    assert nothing_lost.met and nothing_lost.headroom == math.inf
    report.write_results([absent, nothing_lost, missed], tmp_path, "bench", {"dump_mb": 1})
    assert (tmp_path / "bench.png").stat().st_size > 0
    kept = json.loads((tmp_path / "bench.json").read_text())["rows"]
    assert (kept[0]["peer"], kept[1]["met"], kept[2]["measured"][0]["seconds"]) == ("polars", True, 6.0)
    assert "answer" not in kept[2]["measured"][0]["runs"][0], "vectors would make results of megabytes"
