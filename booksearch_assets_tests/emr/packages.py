"""A small package: our own modules, and one requirement whose wheel is made here."""

from __future__ import annotations

import os
import sys
import zipfile
from pathlib import Path

import pytest

from booksearch_assets.emr.content import PackageContent


def small_content(folder: Path) -> PackageContent:
    """The content of a package that pip can install from `folder` alone."""
    name = "lighthouse-1.0"
    info = f"{name}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-py3-none-any.whl", "w") as wheel:
        wheel.writestr("lighthouse/__init__.py", "LIT = True\n")
        wheel.writestr("lighthouse/tests/test_lamp.py", "")
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: lighthouse\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/entry_points.txt", "[console_scripts]\nlight = lighthouse:LIT\n")
        wheel.writestr(f"{info}/RECORD", "")
    (folder / "requirements.txt").write_text("lighthouse\n")
    (folder / "constraints.txt").write_text("lighthouse==1.0\n")
    # The links of the environment lead to a Python of this machine, as those of a real one to that of EMR.
    interpreter = os.path.realpath(sys.executable)
    return PackageContent(folder / "requirements.txt", folder / "constraints.txt", interpreter=interpreter)


def only_from(folder: Path, patch: pytest.MonkeyPatch) -> None:
    """pip finds packages in a folder and nowhere else, whatever this machine's configuration says."""
    for name, value in {
        "PIP_CONFIG_FILE": os.devnull,
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(folder),
        "PIP_CONSTRAINT": "",
    }.items():
        patch.setenv(name, value)
