"""The commands of the images, really started: code server, webserver and daemon together, and the search, on loopback.

They are read from the Dockerfile. Only places differ from the images: ports that are free, SQLite for PostgreSQL.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml

from booksearch_assets_tests.docker.dockerfiles import DOCKER, PLATFORM, stages

_STAGES = stages(PLATFORM)
_GIVE_UP_SECONDS = 180
_LOCATIONS = """{ workspaceOrError { ... on Workspace { locationEntries { name loadStatus locationOrLoadError {
  __typename ... on RepositoryLocation { repositories { assetNodes { assetKey { path } } } }
  ... on PythonError { message } } } } } }"""
_DAEMONS = "{ instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } } }"


@pytest.fixture
def dagster_home(tmp_path: Path) -> Path:
    """What the images have in DAGSTER_HOME, with places of this machine."""
    home = tmp_path / "home"
    home.mkdir()
    instance = yaml.safe_load((DOCKER / "dagster.yaml").read_text())
    del instance["storage"]
    storage = str(tmp_path / "storage")
    instance["local_artifact_storage"]["config"]["base_dir"] = storage
    instance["compute_logs"]["config"]["base_dir"] = storage
    (home / "dagster.yaml").write_text(yaml.safe_dump(instance))
    return home


@pytest.mark.system
def test_the_three_services_start_find_each_other_and_are_healthy(dagster_home: Path, tmp_path: Path) -> None:
    code_port, web_port = _free_port(), _free_port()
    workspace = yaml.safe_load((DOCKER / "workspace.yaml").read_text())
    workspace["load_from"][0]["grpc_server"] |= {"host": "127.0.0.1", "port": code_port}
    (dagster_home / "workspace.yaml").write_text(yaml.safe_dump(workspace))
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("BOOKSEARCH_")},
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "DAGSTER_HOME": str(dagster_home),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "BOOKSEARCH_HOME": str(tmp_path / "books"),
    }
    ports = {"4000": str(code_port), "3000": str(web_port), "0.0.0.0": "127.0.0.1"}

    def words(command: Sequence[str]) -> list[str]:
        """A command of the image with the ports of this test."""
        return [ports.get(word, word.replace(":3000/", f":{web_port}/")) for word in command]

    def healthy(name: str) -> bool:
        check = words(_STAGES[name].healthcheck())
        return subprocess.run(check, env=environment, cwd=dagster_home).returncode == 0

    with _started(words(_STAGES["code-server"].command()), environment, dagster_home) as code_server:
        _wait_for_port(code_port, code_server)
        with (
            _started(words(_STAGES["webserver"].command()), environment, dagster_home) as webserver,
            _started(words(_STAGES["daemon"].command()), environment, dagster_home) as daemon,
        ):
            _wait_for_port(web_port, webserver)
            (location,) = _until(
                lambda: _ask(web_port, _LOCATIONS)["workspaceOrError"]["locationEntries"],
                lambda entries: entries and all(entry["loadStatus"] == "LOADED" for entry in entries),
            )
            assert location["name"] == "booksearch_assets"
            found = location["locationOrLoadError"]
            assert found["__typename"] == "RepositoryLocation", found
            keys = {"/".join(node["assetKey"]["path"]) for node in found["repositories"][0]["assetNodes"]}
            assert {"books/editions", "books/search"} <= keys
            _until(
                lambda: _ask(web_port, _DAEMONS)["instance"]["daemonHealth"]["allDaemonStatuses"],
                lambda daemons: all(status["healthy"] for status in daemons if status["required"]),
            )
            assert healthy("webserver") and healthy("code-server") and healthy("daemon")
            assert daemon.poll() is None


@pytest.mark.system
def test_the_search_starts_before_anything_is_published_and_is_healthy(tmp_path: Path) -> None:
    port = _free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("BOOKSEARCH_")},
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "BOOKSEARCH_HOME": str(tmp_path),
        "BOOKSEARCH_API_TOKENS": "a-token-of-the-tests",
    }
    stage, ports = _STAGES["search"], {"8080": str(port), "0.0.0.0": "127.0.0.1"}
    command = [ports.get(word, word) for word in stage.command()]
    check = [word.replace(":8080/", f":{port}/") for word in stage.healthcheck()]
    with _started(command, environment, tmp_path) as search:
        _wait_for_port(port, search)
        _until(
            lambda: subprocess.run(check, env=environment, capture_output=True).returncode,
            lambda code: code == 0,
        )
        assert search.poll() is None


def test_a_health_check_fails_where_nothing_runs(dagster_home: Path) -> None:
    check = [word.replace(":3000/", f":{_free_port()}/") for word in _STAGES["webserver"].healthcheck()]
    command = [sys.executable, *check[1:]]
    assert subprocess.run(command, cwd=dagster_home, capture_output=True).returncode


def _ask(port: int, query: str) -> dict[str, Any]:
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql",
        data=json.dumps({"query": query}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return dict(json.load(answer)["data"])


def _until(look: Callable[[], Any], good: Callable[[Any], bool]) -> Any:
    deadline = time.monotonic() + _GIVE_UP_SECONDS
    while not good(seen := look()):
        assert time.monotonic() < deadline, seen
        time.sleep(0.5)
    return seen


def _wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _GIVE_UP_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, f"{process.args} ended with {process.returncode}"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.3)
    pytest.fail(f"nothing listens on port {port}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def _started(
    command: Sequence[str], environment: Mapping[str, str], folder: Path
) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(command, env=environment, cwd=folder)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
