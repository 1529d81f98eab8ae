"""compose.yaml: the rules of the Compose specification, and no way to start with a default password.

Where a Compose is installed, it judges the file itself; it needs no Docker engine for that.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from typing import Any

import pytest
import yaml

from booksearch_assets.settings import PACKAGE
from booksearch_assets_tests.docker.dockerfiles import DOCKER, PLATFORM, stages

PATH = DOCKER / "compose.yaml"
COMPOSE: dict[str, Any] = yaml.safe_load(PATH.read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DAGSTER = {"webserver", "daemon", "code-server"}
OURS = DAGSTER | {"search"}
SECRETS = {"POSTGRES_PASSWORD", "OBJECT_STORE_PASSWORD", "MILVUS_ROOT_PASSWORD", "BOOKSEARCH_API_TOKENS"}
ENVIRONMENT = dict(
    line.split("=", 1)
    for line in (DOCKER / ".env.example").read_text().splitlines()
    if line and not line.startswith("#")
)


def each(name: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(name, sorted(SERVICES))


def test_the_platform_has_its_parts() -> None:
    assert set(SERVICES) == OURS | {"postgres", "milvus", "etcd", "object-store"}
    # The key of old files, which Compose warns of.
    assert "version" not in COMPOSE


@each("service")
def test_images_are_pinned_to_a_release(service: str) -> None:
    _, _, tag = SERVICES[service]["image"].rpartition(":")
    assert re.fullmatch(r"v?\d+\.\d+(\.\d+)?(-[a-z]+)?|RELEASE\.\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ", tag)


@each("service")
def test_services_are_watched_and_come_back(service: str) -> None:
    definition = SERVICES[service]
    assert definition["restart"] == "unless-stopped"
    check = definition["healthcheck"]
    assert check["test"][0] == "CMD"
    assert {"interval", "timeout", "start_period", "retries"} <= check.keys()


@each("service")
def test_services_wait_for_healthy_ones_that_exist(service: str) -> None:
    waits = SERVICES[service].get("depends_on", {})
    assert waits.keys() <= SERVICES.keys() - {service}
    assert all(condition == {"condition": "service_healthy"} for condition in waits.values())


def test_no_service_waits_for_itself_in_the_end() -> None:
    left = {name: set(definition.get("depends_on", {})) for name, definition in SERVICES.items()}
    while ready := {name for name, waits in left.items() if not waits & left.keys()}:
        left = {name: waits for name, waits in left.items() if name not in ready}
    assert not left


@each("service")
def test_networks_and_volumes_are_declared(service: str) -> None:
    definition = SERVICES[service]
    assert definition["networks"] and set(definition["networks"]) <= COMPOSE["networks"].keys()
    assert {volume.partition(":")[0] for volume in definition["volumes"]} <= COMPOSE["volumes"].keys()


def test_only_the_two_user_interfaces_are_reachable_and_from_this_machine_alone() -> None:
    published = {name: definition["ports"] for name, definition in SERVICES.items() if "ports" in definition}
    assert published == {
        "webserver": ["${BOOKSEARCH_UI_ADDRESS:-127.0.0.1}:${BOOKSEARCH_UI_PORT:-3000}:3000"],
        "search": ["${BOOKSEARCH_SEARCH_ADDRESS:-127.0.0.1}:${BOOKSEARCH_SEARCH_PORT:-8080}:8080"],
    }
    assert COMPOSE["networks"]["stores"] == {"internal": True}
    stores = {name for name in SERVICES if SERVICES[name]["networks"] == ["stores"]}
    assert stores == {"postgres", "milvus", "etcd", "object-store"}


@each("service")
def test_every_secret_must_be_set_and_none_is_written_down(service: str) -> None:
    for name, value in (SERVICES[service].get("environment") or {}).items():
        if re.search("PASSWORD|TOKEN|SECRET", name):
            assert re.fullmatch(
                r"(root:)?\$\{[A-Z_]+:\?set it in docker/\.env, .*docker/\.env\.example\}", value
            )
            (variable,) = re.findall(r"\$\{([A-Z_]+):", value)
            assert variable in SECRETS


def test_the_example_has_every_variable_and_no_secret() -> None:
    used = set(re.findall(r"\$\{([A-Z_]+)", PATH.read_text()))
    assert used == ENVIRONMENT.keys()
    assert {name: ENVIRONMENT[name] for name in SECRETS} == dict.fromkeys(SECRETS, "")
    assert used >= SECRETS


@pytest.mark.parametrize("service", sorted(OURS))
def test_our_services_are_the_images_of_the_dockerfile(service: str) -> None:
    definition, stage = SERVICES[service], stages(PLATFORM)[service]
    assert definition["build"]["target"] == service
    assert (DOCKER / definition["build"]["context"] / definition["build"]["dockerfile"]).resolve() == PLATFORM
    assert definition["healthcheck"]["test"] == ["CMD", *stage.healthcheck()]
    assert "command" not in definition
    assert definition["cap_drop"] == ["ALL"] and definition["init"]
    version = re.search(r'^version = "(.+)"$', (PACKAGE.parent / "pyproject.toml").read_text(), re.MULTILINE)
    assert version and definition["image"].endswith(f":{version[1]}")


def test_the_code_server_finds_what_the_other_services_are_called() -> None:
    environment = SERVICES["code-server"]["environment"]
    assert environment["BOOKSEARCH_MILVUS_URI"] == "http://milvus:19530"
    search = SERVICES["search"]
    for name in ("BOOKSEARCH_MILVUS_URI", "BOOKSEARCH_MILVUS_TOKEN", "BOOKSEARCH_HOME", "BOOKSEARCH_PROFILE"):
        assert search["environment"][name] == environment[name], "the search would look elsewhere"
    assert set(search["volumes"]) <= set(SERVICES["code-server"]["volumes"])
    assert environment["DAGSTER_POSTGRES_HOST"] in SERVICES
    (location,) = yaml.safe_load((DOCKER / "workspace.yaml").read_text())["load_from"]
    command = stages(PLATFORM)["code-server"].command()
    server = location["grpc_server"]
    assert server["host"] == "code-server" and str(server["port"]) == command[command.index("-p") + 1]
    (root,) = yaml.safe_load((PACKAGE.parent / "workspace.yaml").read_text())["load_from"]
    assert server["location_name"] == root["python_module"]["location_name"]
    assert command[command.index("-m") + 1] == root["python_module"]["module_name"]


def test_the_instance_behaves_as_without_docker() -> None:
    """Limits, retries and retention are the platform's, not those of one place that it runs in."""
    docker = yaml.safe_load((DOCKER / "dagster.yaml").read_text())
    places = {key: docker.pop(key) for key in ("storage", "compute_logs", "local_artifact_storage")}
    assert docker == yaml.safe_load((PACKAGE.parent / "dagster.yaml").read_text())
    # With SQLAlchemy 2.1 another driver is the default, which dagster-postgres does not install.
    assert places["storage"]["postgres"]["postgres_db"]["scheme"] == "postgresql+psycopg2"
    named = set(re.findall(r"'env': '([A-Z_]+)'", str(places)))
    for service in DAGSTER:
        assert named <= SERVICES[service]["environment"].keys()


@pytest.mark.parametrize("missing", [*sorted(SECRETS), None])
def test_compose_itself_refuses_to_start_without_a_secret(missing: str | None) -> None:
    secrets = {name: "x" for name in SECRETS if name != missing}
    command = [*_compose(), "-f", str(PATH), "--env-file", os.devnull, "config", "--quiet"]
    outside = {name: value for name, value in os.environ.items() if name not in ENVIRONMENT}
    result = subprocess.run(command, env=outside | secrets, capture_output=True, text=True)
    if missing is None:
        assert result.returncode == 0, result.stderr
    else:
        assert result.returncode
        assert f"required variable {missing} is missing a value: set it in docker/.env" in result.stderr


def _compose() -> list[str]:
    if standalone := shutil.which("docker-compose"):
        return [standalone]
    if shutil.which("docker"):
        plugin = subprocess.run(["docker", "compose", "version"], capture_output=True)
        if plugin.returncode == 0:
            return ["docker", "compose"]
    pytest.skip("no Compose here; install Docker Compose 2 to have it judge the file")
