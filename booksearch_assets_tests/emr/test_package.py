"""The package as it is built: it runs from any folder, and the same content gives the same bytes."""

from __future__ import annotations

import json
import platform
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from booksearch_assets.emr import package as package_module
from booksearch_assets.emr.content import EMR_PYTHON, PackageContent, PackageNotBuildable, job_files
from booksearch_assets.emr.package import Package, build_package
from booksearch_assets_tests.emr.packages import only_from, small_content


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PackageContent]:
    folder = tmp_path_factory.mktemp("wheels")
    with pytest.MonkeyPatch.context() as patch:
        only_from(folder, patch)
        yield small_content(folder)


@pytest.fixture(scope="module")
def built(content: PackageContent, tmp_path_factory: pytest.TempPathFactory) -> Package:
    return build_package(content, tmp_path_factory.mktemp("dist"))


def test_it_lies_under_the_hash_of_its_content_with_its_entry_point(
    built: Package, content: PackageContent
) -> None:
    assert built.folder.parent.name == "packages" and built.folder.name == content.hash
    assert sorted(path.name for path in built.folder.iterdir()) == [
        "entry_point.py",
        "package.json",
        "pyspark_dependencies.tar.gz",
    ]
    told = json.loads(built.manifest.read_text())
    assert (told["hash"], told["code"]) == (content.hash, content.code)
    assert told["archive_bytes"] == built.archive.stat().st_size
    assert "from booksearch_assets.emr.payload import main" in built.entry_point.read_text()
    # Nothing of the build is left beside it.
    assert [path.name for path in built.folder.parent.parent.iterdir()] == ["packages"]


def test_it_holds_the_requirements_and_our_modules_of_a_job_and_no_interpreter(built: Package) -> None:
    with tarfile.open(built.archive) as tar:
        entries = {entry.name: entry for entry in tar}
    site = "lib/python3.11/site-packages"
    ours = {f"{site}/booksearch_assets/{name}" for name in job_files()}
    assert {name for name in entries if "/booksearch_assets/" in name} == ours
    assert f"{site}/lighthouse/__init__.py" in entries
    links = {name: entry.linkname for name, entry in entries.items() if entry.issym()}
    assert links["bin/python"] == links["bin/python3"] == "python3.11"
    assert set(links) == {"bin/python", "bin/python3", "bin/python3.11"}
    # Neither scripts with the builder's own Python in their first line, nor pip's notes, nor bytecode.
    assert not [n for n in entries if n.endswith(("/bin/light", "RECORD", "INSTALLER", ".pyc"))]
    assert {(e.mtime, e.uid, e.uname) for e in entries.values()} == {(0, 0, "")}
    assert list(entries) == sorted(entries, key=Path)


def test_it_runs_from_any_folder_in_a_process_that_has_nothing_else(built: Package, tmp_path: Path) -> None:
    environment = tmp_path / "work" / "environment"
    with tarfile.open(built.archive) as tar:
        tar.extractall(environment, filter="tar")
    script = "import sys, lighthouse, booksearch_assets.compute.plan as plan\n"
    script += "print(sys.prefix); print(plan.__file__); import booksearch_assets.definitions"
    done = subprocess.run(
        ["./environment/bin/python", "-c", script],
        cwd=tmp_path / "work",
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
    )
    prefix, plan = done.stdout.splitlines()
    assert prefix == str(environment)
    assert plan == f"{environment}/lib/python3.11/site-packages/booksearch_assets/compute/plan.py"
    # What a job does not need is not in it.
    assert "No module named 'booksearch_assets.definitions'" in done.stderr


def test_the_same_content_gives_the_same_bytes(
    built: Package, content: PackageContent, tmp_path: Path
) -> None:
    said: list[str] = []
    again = build_package(content, tmp_path, lambda what, done, total: said.append(what))
    assert again.archive.read_bytes() == built.archive.read_bytes()
    assert "packing" in said and any("lighthouse" in line for line in said)


def test_what_was_built_is_not_built_again(
    built: Package, content: PackageContent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(package_module, "_install", lambda *_: pytest.fail("installed again"))
    assert build_package(content, built.folder.parent.parent) == built


def test_what_pip_says_is_what_the_error_says(content: PackageContent, tmp_path: Path) -> None:
    wrong = tmp_path / "requirements.txt"
    wrong.write_text("lamp-that-nobody-made\n")
    with pytest.raises(PackageNotBuildable, match="No matching distribution found for lamp-that-nobody-made"):
        build_package(PackageContent(wrong, content.constraints), tmp_path / "dist")
    assert list((tmp_path / "dist" / "packages").iterdir()) == []


def test_another_kind_of_machine_is_sent_to_docker(
    content: PackageContent, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "arm64")
    with pytest.raises(PackageNotBuildable, match="docker build -f docker/emr/Dockerfile --output dist"):
        build_package(content, tmp_path)


def test_a_package_is_for_the_python_of_emr_unless_said_otherwise(content: PackageContent) -> None:
    assert PackageContent(content.requirements, content.constraints).interpreter == EMR_PYTHON
