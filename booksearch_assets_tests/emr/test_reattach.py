"""A job outlives the process that started it: the next attempt finds it, and a cancelled run takes it along."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import dagster as dg
import pytest

from booksearch_assets_tests.emr.conftest import MakeStep
from booksearch_assets_tests.emr.serverless import LocalServerless, wait_for
from booksearch_assets_tests.emr.step import Step, failure_of, report_of, said_in


def new_attempt(run_id: str) -> dict[str, str]:
    """The tags that Dagster gives to a run that is a new attempt at another."""
    return {"dagster/parent_run_id": run_id, "dagster/root_run_id": run_id}


def interrupted(step: Step, instance: dg.DagsterInstance, before: Callable[[], None] = lambda: None) -> str:
    """A run whose process gets SIGTERM, as from a redeployment, once its job is running. Returns its id."""

    def interrupt() -> None:
        assert wait_for(lambda: step.times_run == 1)
        before()
        os.kill(os.getpid(), signal.SIGTERM)

    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    thread = threading.Thread(target=interrupt, daemon=True)
    thread.start()
    try:
        assert not step.run(instance).success
    finally:
        thread.join()
        for number, handler in handlers.items():
            signal.signal(number, handler)
    (run,) = instance.get_runs()
    return run.run_id


def test_a_signal_leaves_the_job_and_a_new_attempt_takes_its_report(
    make_step: MakeStep, service: LocalServerless, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    step = make_step(gate=str(gate))
    instance = step.instance_on_disk()
    run_id = interrupted(step, instance)
    assert service.states(step.application_id) == ["RUNNING"]
    gate.touch()
    assert wait_for(lambda: service.states(step.application_id) == ["SUCCESS"])
    result = step.run(instance, tags=new_attempt(run_id))
    assert report_of(result)["counts"][""]["rows_out"] == 3
    assert "of an earlier process: staying with it" in said_in(instance, result.run_id)
    assert step.times_run == 1


def test_a_cancelled_run_cancels_its_job(
    make_step: MakeStep, service: LocalServerless, tmp_path: Path
) -> None:
    step = make_step(gate=str(tmp_path / "never"))
    instance = step.instance_on_disk()

    def cancel_in_the_ui() -> None:
        (run,) = instance.get_runs()
        instance.report_run_canceling(run)

    interrupted(step, instance, before=cancel_in_the_ui)
    assert wait_for(lambda: service.states(step.application_id) == ["CANCELLED"])


def test_a_job_that_writes_elsewhere_is_cancelled_before_another_is_started(
    make_step: MakeStep, service: LocalServerless, tmp_path: Path
) -> None:
    step = make_step(gate=str(tmp_path / "never"))
    instance = step.instance_on_disk()
    run_id = interrupted(step, instance)
    other = Step(step.application_id, step.home, make_step(rows=5).params)
    result = other.run(instance, tags=new_attempt(run_id))
    assert report_of(result)["counts"][""]["rows_out"] == 5
    assert service.states(step.application_id) == ["CANCELLED", "SUCCESS"]


def test_a_run_that_is_no_new_attempt_starts_a_job_of_its_own(
    make_step: MakeStep, service: LocalServerless
) -> None:
    step = make_step()
    assert step.run().success
    assert step.run().success
    assert step.times_run == 2


def test_the_job_of_a_failed_attempt_is_not_taken_for_the_next(
    make_step: MakeStep, service: LocalServerless
) -> None:
    step = make_step(ends="raises")
    instance = dg.DagsterInstance.ephemeral()
    first = step.run(instance)
    again = step.run(instance, tags=new_attempt(first.run_id))
    assert "DamagedInput" in failure_of(again)
    assert step.times_run == 2


@pytest.mark.system
def test_a_killed_orchestrator_is_followed_by_one_that_finds_its_job(
    make_step: MakeStep, service: LocalServerless, tmp_path: Path
) -> None:
    gate = tmp_path / "gate"
    step = make_step(gate=str(gate))
    command = [sys.executable, "-W", "ignore", "-m", "booksearch_assets_tests.emr.step", step.to_json()]
    killed = subprocess.Popen([*command, "{}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    assert wait_for(lambda: step.times_run == 1)
    killed.kill()
    killed.wait()
    assert service.states(step.application_id) == ["RUNNING"]
    instance = step.instance_on_disk()
    (run,) = instance.get_runs()
    follower = subprocess.Popen(
        [*command, json.dumps(new_attempt(run.run_id))], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    assert wait_for(lambda: len(instance.get_runs()) == 2)
    gate.touch()
    assert follower.wait(60) == 0
    assert step.times_run == 1
    assert service.states(step.application_id) == ["SUCCESS"]
