"""The commands of the images, really started: code server, webserver and daemon together, on loopback.

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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError

import pytest
import yaml

from booksearch_assets_tests.docker.dockerfiles import DOCKER, PLATFORM, stages

_STAGES = stages(PLATFORM)
_GIVE_UP_SECONDS = 90
_ASK = """{ workspaceOrError { ... on Workspace { locationEntries { name loadStatus locationOrLoadError {
  __typename ... on RepositoryLocation { repositories { assetNodes { assetKey { path } } } }
  ... on PythonError { message } } } } } }"""


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

    def healthy(name: str, process: subprocess.Popen[bytes]) -> None:
        check = words(_STAGES[name].healthcheck())
        deadline = time.monotonic() + _GIVE_UP_SECONDS
        while subprocess.run(check, env=environment, cwd=dagster_home, capture_output=True).returncode:
            assert process.poll() is None, f"{name} ended with {process.returncode}"
            assert time.monotonic() < deadline, f"{name} did not become healthy"
            time.sleep(1)

    with _started(words(_STAGES["code-server"].command()), environment, dagster_home) as code_server:
        _wait_for_port(code_port, code_server)
        with (
            _started(words(_STAGES["webserver"].command()), environment, dagster_home) as webserver,
            _started(words(_STAGES["daemon"].command()), environment, dagster_home) as daemon,
        ):
            healthy("code-server", code_server)
            _wait_for_port(web_port, webserver)
            healthy("webserver", webserver)
            (location,) = _locations(web_port)
            assert (location["name"], location["loadStatus"]) == ("booksearch_assets", "LOADED")
            found = location["locationOrLoadError"]
            assert found["__typename"] == "RepositoryLocation", found
            keys = {"/".join(node["assetKey"]["path"]) for node in found["repositories"][0]["assetNodes"]}
            assert {"books/editions", "books/search"} <= keys
            healthy("daemon", daemon)


def test_a_health_check_fails_where_nothing_runs(dagster_home: Path) -> None:
    check = [word.replace(":3000/", f":{_free_port()}/") for word in _STAGES["webserver"].healthcheck()]
    command = [sys.executable, *check[1:]]
    assert subprocess.run(command, cwd=dagster_home, capture_output=True).returncode


def _locations(port: int) -> list[dict]:  # type: ignore[type-arg]
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql",
        data=json.dumps({"query": _ASK}).encode(),
        headers={"Content-Type": "application/json"},
    )
    deadline = time.monotonic() + _GIVE_UP_SECONDS
    while True:
        with urllib.request.urlopen(request, timeout=30) as answer:
            entries = json.load(answer)["data"]["workspaceOrError"]["locationEntries"]
        if entries and all(entry["loadStatus"] == "LOADED" for entry in entries):
            return entries
        assert time.monotonic() < deadline, entries
        time.sleep(0.5)


def _wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _GIVE_UP_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, f"{process.args} ended with {process.returncode}"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except (OSError, URLError):
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
