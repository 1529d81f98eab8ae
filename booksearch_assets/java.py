"""Java, which Spark needs: finding it, and saying how to install it.

Belongs here: the check that every command that starts Spark makes first, before anything slow.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SUPPORTED = (17, 21)
"""The Java releases that Spark 4.0 runs on (https://spark.apache.org/docs/4.0.2/)."""

PLACES = (
    Path("/usr/lib/jvm"),  # Debian, Fedora and their kin
    Path("/opt/homebrew/opt"),  # Homebrew, which puts a versioned openjdk on no PATH
    Path("/usr/local/opt"),  # Homebrew on an Intel Mac
)
"""Folders that hold a home for each installed Java."""


class JavaMissing(Exception):
    """No Java that Spark runs on; the message is what to type."""


@dataclass(frozen=True)
class Java:
    """A Java runtime; `home` is what JAVA_HOME must be for Spark to use it."""

    home: Path
    release: int


def find_java(environment: Mapping[str, str] = os.environ, places: Sequence[Path] = PLACES) -> Java | None:
    """The first supported Java of JAVA_HOME, PATH, and the places where packages put them."""
    found = _installed(environment, places)
    return next((java for java in found if java.release in SUPPORTED), None)


def _installed(environment: Mapping[str, str], places: Sequence[Path]) -> Iterator[Java]:
    """Every Java that runs, of any release, in the order in which they are tried."""
    on_path = shutil.which("java", path=environment.get("PATH", ""))
    homes = [Path(environment["JAVA_HOME"])] if environment.get("JAVA_HOME") else []
    homes += [Path(on_path).resolve().parent.parent] if on_path else []
    homes += [home for place in places for home in sorted(place.glob("*"))]
    for home in dict.fromkeys(homes):
        release = _release(home / "bin" / "java")
        if release is not None:
            yield Java(home, release)


def require_java() -> Java:
    """A supported Java, with JAVA_HOME set for Spark. Raises `JavaMissing` with the line that installs one."""
    java = find_java()
    if java is None:
        raise JavaMissing(missing_message())
    os.environ["JAVA_HOME"] = str(java.home)
    return java


def missing_message(environment: Mapping[str, str] = os.environ, places: Sequence[Path] = PLACES) -> str:
    wanted = " or ".join(map(str, SUPPORTED))
    found = [f"Java {java.release} at {java.home}" for java in _installed(environment, places)]
    searched = f"JAVA_HOME, PATH and {places[0]}"
    return (
        f"Spark needs Java {wanted}; found {', '.join(found) or 'none'} in {searched}. "
        f"Install it with:\n  {install_line()}"
    )


def install_line() -> str:
    """The command that installs Java on this machine."""
    if shutil.which("apt-get"):
        sudo = "" if os.geteuid() == 0 else "sudo "
        return f"{sudo}apt-get update && {sudo}apt-get install -y openjdk-17-jre-headless"
    if shutil.which("dnf"):
        return "sudo dnf install -y java-17-openjdk-headless"
    if shutil.which("brew"):
        return "brew install openjdk@17"
    return "see https://adoptium.net for Java 17"


def _release(java: Path) -> int | None:
    """The feature release of a java binary, or None where it is not one that runs."""
    if not os.access(java, os.X_OK):
        return None
    try:
        answer = subprocess.run([str(java), "-version"], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return None
    found = re.search(r'version "(?:1\.)?(\d+)', answer.stderr)
    return int(found[1]) if found else None


def main(arguments: list[str]) -> int:
    """Called by make before anything is installed: find Java, or install it where this is root on Debian."""
    if find_java():
        return 0
    # No click here: this runs with a bare interpreter.
    if "--install" in arguments and os.geteuid() == 0 and shutil.which("apt-get"):
        sys.stdout.write(f"no Java 17 or 21 found; installing it: {install_line()}\n")
        sys.stdout.flush()
        subprocess.run(install_line(), shell=True)
        if find_java():
            return 0
    sys.stderr.write(missing_message() + "\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
