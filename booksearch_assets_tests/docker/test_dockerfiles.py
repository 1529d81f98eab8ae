"""The Dockerfiles: lint, pins, users, and that what is installed is what is imported."""

from __future__ import annotations

import ast
import fnmatch
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from booksearch_assets.emr.content import PYTHON_VERSION, job_files
from booksearch_assets.settings import PACKAGE
from booksearch_assets_tests.docker.dockerfiles import DOCKER, EMR, PLATFORM, SAGEMAKER, stages

REPOSITORY = PACKAGE.parent
DOCKERFILES = [PLATFORM, EMR, SAGEMAKER]
HADOLINT = Path(sys.executable).with_name("hadolint")
CONSTRAINTS = dict(
    line.split("==") for line in (REPOSITORY / "constraints.txt").read_text().splitlines() if "==" in line
)
# What is imported under another name than it is installed by.
INSTALLED_AS = {"PIL": "pillow", "dagster_pipes": "dagster-pipes", "botocore": "boto3"}
# Installed by EMR itself.
OF_EMR = {"pyspark", "py4j"}
OPTIONAL = {"openvino", "nncf"}
"""Engines that an image may be without: its pictures are embedded by torch then."""


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_hadolint_finds_nothing(path: Path) -> None:
    result = subprocess.run([str(HADOLINT), str(path)], capture_output=True, text=True)
    assert result.returncode == 0, result.stdout


def test_hadolint_would_find_an_image_that_is_not_pinned(tmp_path: Path) -> None:
    wrong = tmp_path / "Dockerfile"
    wrong.write_text(EMR.read_text().replace("amazonlinux:2023.6.20250218.2", "amazonlinux:latest"))
    result = subprocess.run([str(HADOLINT), str(wrong)], capture_output=True, text=True)
    assert result.returncode and "DL3007" in result.stdout


@pytest.mark.parametrize("name", ["webserver", "daemon", "code-server", "search"])
def test_each_service_runs_without_rights_and_says_how_it_is(name: str) -> None:
    stage = stages(PLATFORM)[name]
    assert stage.all_of("USER") == ["10001"]
    assert stage.command() and stage.healthcheck()
    # Nothing is done as another user after the last USER.
    words = [word for word, _ in stage.instructions]
    assert set(words[words.index("USER") :]) <= {"USER", "EXPOSE", "HEALTHCHECK", "CMD"}


def test_the_endpoint_runs_as_sagemaker_expects_it() -> None:
    stage = stages(SAGEMAKER)["endpoint"]
    assert stage.all_of("USER") == [], "SageMaker's guide for containers expects root"
    assert stage.all_of("ENTRYPOINT") == ['["python", "-m", "booksearch_assets.sagemaker.server"]']
    assert stage.command() == ["serve"] and stage.all_of("EXPOSE") == ["8080"]
    assert "http://127.0.0.1:8080/ping" in str(stage.healthcheck())
    python = [
        re.search(r"^ARG PYTHON_IMAGE=(.+)$", path.read_text(), re.MULTILINE)[1]  # type: ignore[index]
        for path in (PLATFORM, SAGEMAKER)
    ]
    assert python[0] == python[1]


def test_the_endpoint_has_what_its_process_imports_and_no_more() -> None:
    modules = _reached(PACKAGE / "sagemaker" / "server.py")
    copied = [REPOSITORY / line[1:] for line in _sent(SAGEMAKER)]
    assert all(any(path.is_relative_to(place) for place in copied) for path in modules)
    # Installed with transformers, which loads the tokenizer with it.
    needed = {module for path in modules for module in _imports(path)} - OPTIONAL | {"tokenizers"}
    listed = _requirements(SAGEMAKER.with_name("requirements.txt"))
    assert set(listed) == {INSTALLED_AS.get(module, module) for module in needed}
    assert not any(listed.values()) and listed.keys() <= CONSTRAINTS.keys()


def test_spark_jobs_and_the_platform_run_the_same_python() -> None:
    (image,) = re.findall(r"PYTHON_IMAGE=python:(3\.\d+)\.\d+-slim", PLATFORM.read_text())
    assert image == PYTHON_VERSION
    assert f"python{image} -m booksearch_assets.emr.package" in EMR.read_text()


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_every_module_that_an_image_runs_is_there(path: Path) -> None:
    named = set(re.findall(r"\bbooksearch_assets(?:\.\w+)+", path.read_text()))
    assert named and not [name for name in named if find_spec(name) is None]


def test_the_package_of_jobs_is_built_with_nothing_installed() -> None:
    (command,) = [run for run in stages(EMR)["build"].all_of("RUN") if "emr.package" in run]
    # The interpreter and its standard library alone, as in the image.
    bare = [sys.executable, "-S", *command.split()[1:3], "--help"]
    said = subprocess.run(bare, cwd=REPOSITORY, env={}, capture_output=True, text=True)
    assert said.returncode == 0, said.stderr
    options = [word for word in command.split() if word.startswith("--")]
    assert options == ["--into", "--torch-index"] and all(option in said.stdout for option in options)


def test_requirements_agree_with_the_versions_that_were_tested() -> None:
    wanted = _requirements(DOCKER / "requirements.txt")
    # Dagster's libraries are released together, under two numbers.
    assert wanted.pop("dagster-postgres") == CONSTRAINTS["dagster-aws"]
    assert wanted.pop("psycopg2-binary")
    assert wanted == {"dagster": "", "dagster-webserver": ""} and wanted.keys() <= CONSTRAINTS.keys()


def test_the_archive_has_what_the_stages_import_and_no_more() -> None:
    modules = [PACKAGE / name for name in job_files() if name.endswith(".py")]
    imported = {module for path in modules for module in _imports(path)} - OF_EMR - OPTIONAL
    # Installed with transformers, which loads the tokenizer with it; and what PySpark refuses mapInArrow without.
    needed = imported | {"tokenizers", "pandas"}
    listed = _requirements(DOCKER / "emr" / "requirements.txt")
    assert set(listed) == {INSTALLED_AS.get(module, module) for module in needed}
    assert not any(listed.values()) and listed.keys() <= CONSTRAINTS.keys()


@pytest.mark.parametrize("path", DOCKERFILES, ids=lambda path: path.parent.name)
def test_everything_that_is_copied_is_there_and_is_sent_to_the_builder(path: Path) -> None:
    assert "*" in path.with_name("Dockerfile.dockerignore").read_text().splitlines()
    sent = [line[1:] for line in _sent(path)]
    copied = {
        source
        for stage in stages(path).values()
        for argument in stage.all_of("COPY")
        if "--from=" not in argument
        for source in [word for word in argument.split() if not word.startswith("--")][:-1]
    }
    assert copied == set(sent)
    assert all((REPOSITORY / source).exists() for source in copied)


def test_the_secrets_of_a_deployment_never_reach_an_image() -> None:
    for path in DOCKERFILES:
        assert not any(fnmatch.fnmatch("docker/.env", line[1:]) for line in _sent(path))
        assert not re.search(r"(?i)(password|secret|token)=", path.read_text())


def _sent(path: Path) -> list[str]:
    """The lines of a Dockerfile's ignore file that let something through."""
    lines = path.with_name("Dockerfile.dockerignore").read_text().splitlines()
    return [line for line in lines if line.startswith("!")]


def _reached(path: Path) -> set[Path]:
    """A module of ours and all that it imports, at whatever moment."""
    reached, waiting = set(), [path]
    while waiting:
        path = waiting.pop()
        if path not in reached:
            reached.add(path)
            waiting += [
                REPOSITORY / f"{node.module.replace('.', '/')}.py"
                for node in ast.walk(ast.parse(path.read_text()))
                if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("booksearch_assets.")
            ]
    return reached


def _requirements(path: Path) -> dict[str, str]:
    """Name -> exact version, or nothing."""
    lines = [line for line in path.read_text().splitlines() if line and not line.startswith("#")]
    return {line.partition("==")[0]: line.partition("==")[2] for line in lines}


def _imports(path: Path) -> set[str]:
    """The packages that a module imports anywhere, beside the standard library and our own."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            names.add(node.module.partition(".")[0])
    return names - sys.stdlib_module_names - {"booksearch_assets", "__future__"}
