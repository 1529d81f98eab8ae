"""Runs of killed commands: ended by the next command, so that nothing waits for what they held."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import dagster as dg
import pytest

from booksearch_assets.automation.partitions import POOL_SPARK
from booksearch_assets.own_runs import end_killed_runs, own_run
from booksearch_assets.settings import PACKAGE

_RUN = f"""
import sys, time
from pathlib import Path
import dagster as dg
from booksearch_assets.own_runs import own_run

@dg.asset(pool="{POOL_SPARK}")
def exclusive() -> None:
    begun = time.time()
    Path(sys.argv[2]).touch()
    time.sleep(float(sys.argv[3]))
    print(begun, time.time())

job = dg.Definitions(
    assets=[exclusive], jobs=[dg.define_asset_job("job")], executor=dg.in_process_executor
).resolve_job_def("job")
with dg.DagsterInstance.from_config(sys.argv[1]) as instance, own_run(instance) as run_id:
    assert job.execute_in_process(instance=instance, run_id=run_id).success
"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An instance as `dagster.yaml` makes it."""
    shutil.copyfile(PACKAGE.parent / "dagster.yaml", tmp_path / "dagster.yaml")
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        instance.get_runs()
    return tmp_path


def start(home: Path, seconds: float) -> subprocess.Popen[str]:
    """A process that runs the asset, and with it holds the pool for so long."""
    return subprocess.Popen(
        [sys.executable, "-c", _RUN, str(home), str(home / "holding"), str(seconds)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


@pytest.mark.system
def test_runs_that_need_the_same_thing_wait_for_one_another(home: Path) -> None:
    processes = [start(home, 0.5) for _ in range(2)]
    said = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    (_, first_end), (second_begin, _) = sorted(tuple(map(float, text.split())) for text in said)
    assert first_end <= second_begin


@pytest.mark.system
def test_a_killed_run_is_ended_and_gives_back_its_pool(home: Path) -> None:
    killed = start(home, 3600)
    deadline = time.monotonic() + 120
    while not (home / "holding").exists():
        assert killed.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        assert end_killed_runs(instance) == [], "it lives"
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait()
        [run] = instance.get_runs()
        assert run.status is dg.DagsterRunStatus.STARTED
        assert end_killed_runs(instance) == [run.run_id]
        ended = instance.get_run_by_id(run.run_id)
        assert ended
        assert ended.status is dg.DagsterRunStatus.FAILURE
        assert end_killed_runs(instance) == []
    after = start(home, 0)
    after.communicate(timeout=120)
    assert after.returncode == 0


def test_a_run_that_ended_leaves_no_lock(home: Path) -> None:
    with dg.DagsterInstance.from_config(str(home)) as instance:
        with pytest.raises(ZeroDivisionError), own_run(instance):
            raise ZeroDivisionError
        assert list(home.rglob("*.lock")) == []
        assert end_killed_runs(instance) == []
