"""What a package is made of: exactly what a job may import, and a hash that changes with it and with nothing else."""

from __future__ import annotations

import ast
from collections.abc import Callable
from pathlib import Path

import pytest

from booksearch_assets.emr.content import (
    SOURCE,
    PackageContent,
    PackageNotBuildable,
    code_digest,
    job_files,
)

MODULES = {
    "__init__.py": "",
    "emr/__init__.py": "",
    "emr/payload.py": "from booksearch_assets.emr.job import Job",
    "emr/job.py": "import json",
    "emr/launcher.py": "import dagster",
    "compute/__init__.py": "",
    "compute/embed.py": "def run():\n    from booksearch_assets.clip import encoder\n",
    "clip/__init__.py": "",
    "clip/encoder.py": "import booksearch_assets.tables.lake",
    "tables/__init__.py": "",
    "tables/lake.py": "",
    "assets/books.py": "from booksearch_assets.compute.embed import run",
}


@pytest.fixture
def content(tmp_path: Path) -> PackageContent:
    for name, text in MODULES.items():
        path = tmp_path / "source" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (tmp_path / "requirements.txt").write_text("# Why.\nnumpy\n")
    (tmp_path / "constraints.txt").write_text("numpy==2.4.6\n")
    return PackageContent(
        tmp_path / "requirements.txt",
        tmp_path / "constraints.txt",
        tmp_path / "source",
        "/usr/bin/python3.11",
    )


def test_a_job_takes_what_it_imports_anywhere_and_nothing_else(content: PackageContent) -> None:
    assert list(job_files(content.source)) == [
        "__init__.py",
        "clip/__init__.py",
        "clip/encoder.py",
        "compute/__init__.py",
        "compute/embed.py",
        "emr/__init__.py",
        "emr/job.py",
        "emr/payload.py",
        "tables/__init__.py",
        "tables/lake.py",
    ]


def test_our_own_package_has_every_stage_and_no_dagster() -> None:
    files = job_files()
    stages = {path.relative_to(SOURCE).as_posix() for path in SOURCE.glob("compute/*.py")}
    assert stages | {"emr/payload.py", "clip/encoder.py", "tables/lake.py"} <= set(files)
    assert not {"definitions.py", "emr/launcher.py", "settings.py"} & set(files)
    # What a stage reads beside itself comes along.
    assert {name for name in files if not name.endswith(".py")} == {"compute/rates.json"}
    for name, text in files.items():
        if not name.endswith(".py"):
            continue
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ImportFrom | ast.Import):
                module = (node.module or "") if isinstance(node, ast.ImportFrom) else node.names[0].name
                assert module.partition(".")[0] != "dagster", name


def _edit(name: str, text: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).write_text(text)


@pytest.mark.parametrize(
    "change",
    [
        _edit("requirements.txt", "numpy\norjson\n"),
        _edit("constraints.txt", "numpy==2.4.7\n"),
        _edit("source/tables/lake.py", "ROOT = 1"),
        _edit("source/compute/urls.py", ""),
    ],
    ids=["requirement", "version", "code", "another stage"],
)
def test_what_jobs_run_is_in_the_hash(
    content: PackageContent, change: Callable[[Path], object], tmp_path: Path
) -> None:
    before = content.hash
    change(tmp_path)
    changed = PackageContent(content.requirements, content.constraints, content.source, content.interpreter)
    assert changed.hash != before and len(before) == 16


def test_what_jobs_do_not_run_is_not_in_the_hash(content: PackageContent, tmp_path: Path) -> None:
    before, code = content.hash, content.code
    _edit("requirements.txt", "numpy   # Better said.\n")(tmp_path)
    _edit("source/assets/books.py", "import dagster")(tmp_path)
    again = PackageContent(content.requirements, content.constraints, content.source, content.interpreter)
    assert (again.hash, again.code) == (before, code)


def test_the_hash_of_the_code_needs_no_checkout(content: PackageContent) -> None:
    content.requirements.unlink()
    assert code_digest(content.source) == content.code
    with pytest.raises(PackageNotBuildable, match="set BOOKSEARCH_EMR_PACKAGE to the hash"):
        PackageContent.of_checkout(content.source)


def test_another_interpreter_is_another_package(content: PackageContent) -> None:
    other = PackageContent(
        content.requirements, content.constraints, content.source, "/usr/local/bin/python3.11"
    )
    assert other.hash != content.hash and other.code == content.code
