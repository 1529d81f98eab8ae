"""Java, which Spark needs: finding it, and saying how to install it.

Belongs here: the check that every command that starts Spark makes first, before anything slow.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

SUPPORTED = (17, 21)
"""The Java releases that Spark 4.0 runs on (https://spark.apache.org/docs/4.0.2/)."""


class JavaMissing(Exception):
    """No Java that Spark runs on; the message is what to type."""


@dataclass(frozen=True)
class Java:
    """A Java runtime; `home` is what JAVA_HOME must be for Spark to use it."""

    home: Path
    release: int


def find_java(environment: Mapping[str, str] = os.environ, places: Path = Path("/usr/lib/jvm")) -> Java | None:
    """The first supported Java of JAVA_HOME, PATH, and the places where Debian puts them."""
    on_path = shutil.which("java", path=environment.get("PATH"))
    candidates = [Path(environment["JAVA_HOME"])] if environment.get("JAVA_HOME") else []
    candidates += [Path(on_path).resolve().parent.parent] if on_path else []
    candidates += sorted(places.glob("*")) if places.is_dir() else []
    for home in candidates:
        release = _release(home / "bin" / "java")
        if release in SUPPORTED:
            return Java(home, release)
    return None


def require_java() -> Java:
    """A supported Java, with JAVA_HOME set for Spark. Raises `JavaMissing` with the line that installs one."""
    java = find_java()
    if java is None:
        raise JavaMissing(missing_message())
    os.environ["JAVA_HOME"] = str(java.home)
    return java


def missing_message() -> str:
    wanted = " or ".join(map(str, SUPPORTED))
    return f"Spark needs Java {wanted} and found neither in JAVA_HOME, on PATH nor under /usr/lib/jvm. Install it with:\n  {install_line()}"


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
    found = re.search(r'version "(\d+)', answer.stderr)
    return int(found[1]) if found else None


def main(arguments: list[str]) -> int:
    """Called by make before anything is installed: find Java, or install it where this is root on Debian."""
    if find_java():
        return 0
    can_install = "--install" in arguments and os.geteuid() == 0 and shutil.which("apt-get")
    if not can_install:
        print(missing_message(), file=sys.stderr)
        return 1
    print(f"no Java 17 or 21 found; installing it: {install_line()}")
    subprocess.run(install_line(), shell=True, check=True)
    if not find_java():
        print(f"Java is still not found after: {install_line()}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
