"""Loading the definitions: what is in them, and what loading must never do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from booksearch_assets.definitions import build_defs, default_resources
from booksearch_assets.settings import Settings

REPOSITORY = Path(__file__).resolve().parent.parent
HEAVY = ("torch", "transformers", "pyspark", "py4j", "pymilvus", "matplotlib", "aiohttp", "PIL", "pandas")

_LOAD = """
import json, resource, socket, sys

def refuse(*args, **kwargs):
    raise AssertionError("loading the definitions touched the network")

socket.socket.connect = refuse
socket.getaddrinfo = refuse
import booksearch_assets.definitions

children = resource.getrusage(resource.RUSAGE_CHILDREN)
print(json.dumps({
    "modules": sorted({name.split(".")[0] for name in sys.modules}),
    "children": children.ru_utime + children.ru_stime,
}))
"""


def _load(**chosen: str) -> dict[str, object]:
    environment = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("BOOKSEARCH", "AWS", "DAGSTER"))
    }
    answer = subprocess.run(
        [sys.executable, "-c", _LOAD], env=environment | chosen, capture_output=True, text=True, check=True
    )
    return dict(json.loads(answer.stdout.splitlines()[-1]))


def test_loading_imports_nothing_heavy_starts_nothing_and_touches_no_network() -> None:
    loaded = _load()
    modules = loaded["modules"]
    assert isinstance(modules, list)
    assert not set(HEAVY) & set(modules)
    # Enough for a library that asks the system its name, and not for a JVM.
    assert float(str(loaded["children"])) < 0.1


def test_the_profile_emr_loads_without_credentials_and_network() -> None:
    from booksearch_assets_tests.test_settings import EMR

    loaded = _load(**EMR)
    modules = loaded["modules"]
    assert isinstance(modules, list)
    assert "boto3" in modules and not set(HEAVY) & set(modules)
    launcher = default_resources(Settings.from_environment(EMR))["spark"]
    assert launcher.archive.startswith("s3://books/emr/packages/")
    assert launcher.staging == "s3://books/emr"


def test_definitions_are_loadable_and_complete() -> None:
    defs = build_defs(Settings.from_environment({}))
    dg.Definitions.validate_loadable(defs)
    graph = defs.resolve_asset_graph()
    assert {key.to_user_string() for key in graph.get_all_asset_keys()} == {
        "books/raw_dump/editions",
        "books/raw_dump/works",
        "books/raw_dump/authors",
        "books/raw_dump/covers_metadata",
        "books/editions",
        "books/filtered_fiction",
        "books/cover_urls",
        "books/cover_images",
        "books/cover_embeddings",
        "books/collection",
        "books/search",
        "books/search_quality",
        "products/raw_listings",
        "products/image_urls",
        "products/images",
        "products/image_embeddings",
        "products/collection",
        "products/search",
        "products/search_quality",
    }
    partitioned = {
        key.to_user_string()
        for key in graph.get_all_asset_keys()
        if graph.get(key).partitions_def is not None
    }
    assert partitioned == {
        *(f"books/{name}" for name in ("filtered_fiction", "cover_urls", "cover_images", "cover_embeddings")),
        *(f"products/{name}" for name in ("raw_listings", "image_urls", "images", "image_embeddings")),
    }
    assert {job.name for job in defs.resolve_all_job_defs() if not job.name.startswith("__")} == {
        "books",
        "books_checks",
        "products",
        "products_checks",
    }


@pytest.mark.parametrize(("value", "status"), [("on", "RUNNING"), ("off", "STOPPED"), ("", "STOPPED")])
def test_nothing_starts_by_itself_unless_it_is_asked_to(value: str, status: str) -> None:
    defs = build_defs(Settings.from_environment({"BOOKSEARCH_AUTOMATION": value}))
    repository = defs.get_repository_def()
    found = {sensor.name: sensor.default_status.value for sensor in repository.sensor_defs}
    found |= {schedule.name: schedule.default_status.value for schedule in repository.schedule_defs}
    assert {"new_dump", "run_failures", "monthly_rebuild", "default_automation_condition_sensor"} <= set(
        found
    )
    assert set(found.values()) == {status}


def test_loading_needs_no_secret_and_shows_none(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = {
        "BOOKSEARCH_MILVUS_TOKEN": "root:s3cret",
        "BOOKSEARCH_NOTIFY_WEBHOOK": "https://hooks.example.org/s3cret",
        "BOOKSEARCH_SMTP_URL": "smtp://me:s3cret@mail.example.org",
        "BOOKSEARCH_NOTIFY_EMAIL": "me@example.org",
    }
    for name in secrets:
        monkeypatch.delenv(name, raising=False)
    defs = build_defs(Settings.from_environment(secrets))
    dg.Definitions.validate_loadable(defs)
    assert "s3cret" not in repr(defs.resources)
    notifier = defs.resources["notifier"]  # type: ignore[index]
    assert "BOOKSEARCH_NOTIFY_WEBHOOK" in repr(notifier) and "BOOKSEARCH_SMTP_URL" in repr(notifier)


def test_publishing_is_behind_blocking_checks() -> None:
    graph = build_defs(Settings.from_environment({})).resolve_asset_graph()
    blocking = {
        (key.asset_key.to_user_string(), key.name)
        for key in graph.asset_check_keys
        if graph.get(key).blocking
    }
    assert {
        ("books/collection", "self_match"),
        ("books/collection", "count_matches_embeddings"),
        ("books/collection", "quality_not_below_live"),
        ("books/cover_embeddings", "unit_vectors"),
        ("books/cover_embeddings", "model_manifest"),
        ("books/editions", "counts_reconcile"),
    } <= blocking
    assert not any(name == "freshness" for _, name in blocking)


@pytest.mark.parametrize("arguments", [[], ["-w", "workspace.yaml"]], ids=["pyproject", "workspace"])
def test_dagster_validates_them(arguments: list[str], tmp_path: Path) -> None:
    environment = {**os.environ, "DAGSTER_HOME": str(tmp_path)}
    command = [sys.executable, "-m", "dagster", "definitions", "validate", *arguments]
    answer = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_the_instance_file_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text((REPOSITORY / "dagster.yaml").read_text())
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        assert instance.telemetry_enabled is False
        assert instance.run_monitoring_enabled is True
