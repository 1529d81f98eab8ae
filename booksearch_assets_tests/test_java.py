"""Finding Java: with real processes, of scripts that answer `-version` as the releases do."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from booksearch_assets.java import Java, find_java, missing_message, require_java

# What the releases print, all of it to stderr.
ANSWERS = {
    8: 'openjdk version "1.8.0_412"\nOpenJDK Runtime Environment (build 1.8.0_412-b08)',
    11: 'openjdk version "11.0.23" 2024-04-16',
    17: 'Picked up JAVA_TOOL_OPTIONS: -Xmx1g\nopenjdk version "17.0.15" 2025-04-15',
    21: 'java version "21-ea" 2023-09-19',
    25: 'openjdk version "25" 2025-09-16 LTS',
}
DOES_NOT_RUN = 0


def _install(home: Path, release: int) -> Path:
    """A home of a Java of this release, as far as `-version` goes."""
    java = home / "bin" / "java"
    java.parent.mkdir(parents=True)
    if release == DOES_NOT_RUN:
        java.write_bytes(b"\x7fELF not for this machine")
    else:
        java.write_text(f"#!/bin/sh\ncat >&2 <<'END'\n{ANSWERS[release]}\nEND\n")
    java.chmod(0o755)
    return home


@pytest.fixture
def nowhere(tmp_path: Path) -> tuple[Path]:
    return (tmp_path / "jvm",)


@pytest.mark.parametrize("release", [17, 21])
def test_java_home_comes_first(tmp_path: Path, release: int) -> None:
    home = _install(tmp_path / "a java" / "home", release)
    other = _install(tmp_path / "other", 17)
    found = find_java({"JAVA_HOME": str(home), "PATH": str(other / "bin")}, [tmp_path / "jvm"])
    assert found == Java(home, release)


@pytest.mark.parametrize("release", [8, 11, 25, DOES_NOT_RUN])
def test_a_release_that_spark_does_not_run_on_is_passed_over(tmp_path: Path, release: int) -> None:
    unsupported = _install(tmp_path / "unsupported", release)
    supported = _install(tmp_path / "supported", 17)
    environment = {"JAVA_HOME": str(unsupported), "PATH": str(supported / "bin")}
    assert find_java(environment, [tmp_path / "jvm"]) == Java(supported, 17)
    assert find_java({"JAVA_HOME": str(unsupported), "PATH": ""}, [tmp_path / "jvm"]) is None


def test_the_home_of_a_java_on_path_is_where_its_link_leads(tmp_path: Path) -> None:
    home = _install(tmp_path / "jvm" / "java-17-openjdk", 17)
    (tmp_path / "bin").mkdir()
    (tmp_path / "alternatives").symlink_to(home / "bin" / "java")
    (tmp_path / "bin" / "java").symlink_to(tmp_path / "alternatives")
    assert find_java({"PATH": str(tmp_path / "bin")}, []) == Java(home, 17)


def test_installed_packages_are_searched_in_order_of_their_names(tmp_path: Path) -> None:
    for name, release in [("java-11", 11), ("java-21", 21), ("java-25", 25)]:
        _install(tmp_path / "jvm" / name, release)
    (tmp_path / "jvm" / ".java-1.17.0.jinfo").write_text("no folder")
    (tmp_path / "jvm" / "java-12-without-binaries").mkdir()
    found = find_java({"PATH": ""}, [tmp_path / "missing", tmp_path / "jvm"])
    assert found == Java(tmp_path / "jvm" / "java-21", 21)


def test_a_file_that_may_not_be_run_is_no_java(tmp_path: Path, nowhere: tuple[Path]) -> None:
    home = _install(tmp_path / "home", 17)
    (home / "bin" / "java").chmod(0o644)
    assert find_java({"JAVA_HOME": str(home), "PATH": ""}, nowhere) is None


def test_an_environment_without_path_is_searched_nowhere(nowhere: tuple[Path]) -> None:
    assert find_java({}, nowhere) is None


@pytest.mark.parametrize(
    ("manager", "user", "line"),
    [
        ("apt-get", 0, "apt-get update && apt-get install -y openjdk-17-jre-headless"),
        ("apt-get", 1000, "sudo apt-get update && sudo apt-get install -y openjdk-17-jre-headless"),
        ("dnf", 1000, "sudo dnf install -y java-17-openjdk-headless"),
        ("brew", 1000, "brew install openjdk@17"),
        ("", 1000, "see https://adoptium.net for Java 17"),
    ],
)
def test_the_message_ends_with_the_line_to_type(
    tmp_path: Path, nowhere: tuple[Path], monkeypatch: pytest.MonkeyPatch, manager: str, user: int, line: str
) -> None:
    if manager:
        (tmp_path / manager).write_text("#!/bin/sh\n")
        (tmp_path / manager).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(os, "geteuid", lambda: user)
    message = missing_message({"PATH": ""}, nowhere)
    assert message == (
        f"Spark needs Java 17 or 21; found none in JAVA_HOME, PATH and {nowhere[0]}. Install it with:\n  {line}"
    )


def test_the_message_names_what_was_found_instead(tmp_path: Path, nowhere: tuple[Path]) -> None:
    old, new = _install(tmp_path / "old", 8), _install(tmp_path / "jvm" / "new", 25)
    message = missing_message({"JAVA_HOME": str(old), "PATH": ""}, nowhere)
    assert f"found Java 8 at {old}, Java 25 at {new} in JAVA_HOME, PATH" in message


def test_spark_is_handed_the_java_that_was_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = _install(tmp_path / "home", 21)
    monkeypatch.setenv("PATH", f"{home / 'bin'}:{os.environ['PATH']}")
    monkeypatch.setenv("JAVA_HOME", "")
    assert require_java() == Java(home, 21)
    assert os.environ["JAVA_HOME"] == str(home)


def test_make_is_told_by_the_exit_code(tmp_path: Path) -> None:
    home = _install(tmp_path / "home", 17)
    command = [sys.executable, "-m", "booksearch_assets.java"]
    found = subprocess.run(
        command, env={**os.environ, "JAVA_HOME": str(home)}, capture_output=True, text=True
    )
    assert (found.returncode, found.stdout, found.stderr) == (0, "", "")


def test_java_is_looked_for_with_a_bare_interpreter(tmp_path: Path) -> None:
    # Before anything is installed: no site packages.
    home = _install(tmp_path / "home", 17)
    root = Path(__file__).parent.parent
    command = [
        sys.executable,
        "-I",
        "-S",
        "-c",
        f"import sys; sys.path.insert(0, {str(root)!r}); from booksearch_assets.java import main; sys.exit(main([]))",
    ]
    done = subprocess.run(command, env={"JAVA_HOME": str(home), "PATH": ""}, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
