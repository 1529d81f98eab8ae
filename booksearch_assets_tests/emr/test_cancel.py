"""A run that is launched and terminated by what the UI's buttons send: its job goes with it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import ModuleTarget
from dagster_graphql.test.utils import execute_dagster_graphql

from booksearch_assets_tests.emr.conftest import MakeStep
from booksearch_assets_tests.emr.serverless import LocalServerless, wait_for
from booksearch_assets_tests.emr.step import said_in

MODULE = "booksearch_assets_tests.emr.location"
# The other coordinator hands runs to a daemon, which would only pass them on.
SETTINGS = {
    "telemetry": {"enabled": False},
    "run_coordinator": {"module": "dagster._core.run_coordinator", "class": "DefaultRunCoordinator"},
}
LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchRun(executionParams: $params) { __typename ... on LaunchRunSuccess { run { runId } } }
}
"""
TERMINATE = """
mutation Terminate($runId: String!) { terminateRun(runId: $runId, terminatePolicy: SAFE_TERMINATE) { __typename } }
"""


@pytest.mark.system
def test_terminating_a_run_in_the_ui_cancels_its_job(
    make_step: MakeStep, service: LocalServerless, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = make_step(gate=str(tmp_path / "never"))
    monkeypatch.setenv("STEP", step.to_json())
    target = ModuleTarget(MODULE, attribute=None, working_directory=None, location_name="tests")
    step.home.mkdir()
    instance = dg.DagsterInstance.local_temp(str(step.home), overrides=SETTINGS)
    with instance, WorkspaceProcessContext(instance, target) as workspace:

        def ask(query: str, **variables: Any) -> Any:
            answer = execute_dagster_graphql(workspace.create_request_context(), query, variables)
            assert not answer.errors, answer.errors
            return answer.data

        selector = {
            "repositoryLocationName": "tests",
            "repositoryName": "__repository__",
            "jobName": "everything",
        }
        launched = ask(LAUNCH, params={"selector": selector, "mode": "default"})["launchRun"]
        assert launched["__typename"] == "LaunchRunSuccess", launched
        run_id = launched["run"]["runId"]
        assert wait_for(lambda: step.times_run == 1, 120), said_in(instance, run_id)
        answer = ask(TERMINATE, runId=run_id)
        assert answer["terminateRun"]["__typename"] == "TerminateRunSuccess"
        assert wait_for(lambda: service.states(step.application_id) == ["CANCELLED"], 120)

        def is_over() -> bool:
            run = instance.get_run_by_id(run_id)
            return run is not None and run.is_finished

        assert wait_for(is_over, 120)
        run = instance.get_run_by_id(run_id)
        assert run and run.status is dg.DagsterRunStatus.CANCELED
        assert "the run is cancelled, and its job with it" in said_in(instance, run_id)
