"""The instance of docker/dagster.yaml on a real PostgreSQL, where one is installed."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml

from booksearch_assets_tests.docker.dockerfiles import DOCKER

pytest.importorskip("dagster_postgres", reason="pip install -r docker/requirements.txt")

_PASSWORD = "only-for-this-test"
_USE = """
import dagster as dg

@dg.asset
def thing() -> int:
    return 1

with dg.DagsterInstance.get() as instance:
    assert dg.materialize([thing], instance=instance).success
    assert instance.get_latest_materialization_event(dg.AssetKey("thing"))
    print(type(instance.run_storage).__name__)
"""


@pytest.fixture
def postgres_port() -> Iterator[int]:
    """A PostgreSQL of its own, which asks for a password, with the database of compose.yaml."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs:
        pytest.skip("no PostgreSQL server here; install postgresql to test the instance on one")
    initdb, pg_ctl = (str(programs[-1] / name) for name in ("initdb", "pg_ctl"))
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    with TemporaryDirectory() as folder:
        # PostgreSQL refuses to run as root.
        user = "postgres" if os.geteuid() == 0 else None
        if user:
            shutil.chown(folder, user)
        (Path(folder) / "password").write_text(_PASSWORD)
        (Path(folder) / "password").chmod(0o644)

        def run(*command: str) -> None:
            subprocess.run(command, check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL)

        data = f"{folder}/data"
        run(
            initdb,
            "-D",
            data,
            "-U",
            "dagster",
            "-A",
            "scram-sha-256",
            "--pwfile",
            f"{folder}/password",
            "--no-sync",
        )
        options = f"-p {port} -c listen_addresses=127.0.0.1 -c fsync=off -k {folder}"
        run(pg_ctl, "-D", data, "-o", options, "-l", f"{folder}/log", "-w", "start")
        try:
            run(
                "psql",
                f"postgresql://dagster:{_PASSWORD}@127.0.0.1:{port}/postgres",
                "-qc",
                "CREATE DATABASE dagster",
            )
            yield port
        finally:
            run(pg_ctl, "-D", data, "-m", "immediate", "stop")


def test_runs_and_events_are_kept_in_postgres(postgres_port: int, tmp_path: Path) -> None:
    instance = yaml.safe_load((DOCKER / "dagster.yaml").read_text())
    instance["storage"]["postgres"]["postgres_db"]["port"] = postgres_port
    instance["local_artifact_storage"]["config"]["base_dir"] = str(tmp_path)
    instance["compute_logs"]["config"]["base_dir"] = str(tmp_path)
    (tmp_path / "dagster.yaml").write_text(yaml.safe_dump(instance))
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(tmp_path),
        "DAGSTER_POSTGRES_HOST": "127.0.0.1",
        "DAGSTER_POSTGRES_USER": "dagster",
        "DAGSTER_POSTGRES_DB": "dagster",
        "DAGSTER_POSTGRES_PASSWORD": _PASSWORD,
    }
    script = tmp_path / "use.py"
    script.write_text(_USE)
    result = subprocess.run([sys.executable, str(script)], env=environment, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split()[-1] == "PostgresRunStorage"
