"""Building the package of jobs: one archive with a Python environment, and one entry point.

The archive is a virtual environment as `venv-pack` would leave it, to be unpacked anywhere by
`spark.archives=s3://.../pyspark_dependencies.tar.gz#environment`:

    bin/python, bin/python3, bin/python3.11    links, at last to /usr/bin/python3.11
    pyvenv.cfg                                 home = /usr/bin
    lib/python3.11/site-packages               what docker/emr/requirements.txt asks for, and our modules of a job

It holds no interpreter. A Python that was built elsewhere would need the C library and the folders of its own machine,
so the links lead to the one that EMR Serverless has on every worker, and everything compiled is a wheel for that
Python and for a C library no newer than that of Amazon Linux 2023. `bin/python` finds `pyvenv.cfg` beside its folder by
the place it was started from, so that nothing in the archive knows where it lies. The archive runs wherever
/usr/bin/python3.11 is a Python 3.11 on x86-64 Linux, and nowhere else.

The same content gives the same bytes. Belongs here: the build, which `docker/emr/Dockerfile` runs too, before anything
is installed: standard library and pip only. Does not: what goes in (`content`), uploading (`package_store`).
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import os
import platform
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from booksearch_assets.emr.content import (
    ENTRY_POINT,
    OUR_PACKAGE,
    PYTHON_VERSION,
    PackageContent,
    PackageNotBuildable,
    job_files,
    pip_lines,
)

ARCHIVE = "pyspark_dependencies.tar.gz"
ENTRY_POINT_FILE = "entry_point.py"
MANIFEST = "package.json"
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"
"""Where torch is to be had without CUDA, in case pip's own index has only the other."""

Say = Callable[[str, int, int], None]
"""`say(what, done, total)`, in bytes; a total of 0 where nobody knows it."""

# Wheels for a C library up to 2.34, which is that of Amazon Linux 2023.
_PLATFORMS = ("manylinux2014_x86_64", *(f"manylinux_2_{minor}_x86_64" for minor in range(34, 4, -1)))
_SITE_PACKAGES = f"lib/python{PYTHON_VERSION}/site-packages"
# What no job reads: headers and tests of compiled libraries, and scripts, which begin with the builder's own Python.
# Of torch's own programs, importing it asks for one alone.
_UNNEEDED = (
    "bin",
    "torch/include",
    "torch/share",
    "torch/test",
    "torch/bin/*[tT]est*",
    "torch/bin/protoc*",
    "pyarrow/include",
    "pyarrow/tests",
    "numpy/**/tests",
)
# These say how and where pip installed a package, which is another thing on each machine.
_OF_PIP = ("RECORD", "INSTALLER", "REQUESTED", "direct_url.json")
# Half the time of the usual 6 for a tenth more bytes: every change of a stage packs again.
_COMPRESSION = 3
_LAST_LINES = 15


@dataclass(frozen=True)
class Package:
    """A built package: three files in `folder`, which is named by the hash."""

    folder: Path
    hash: str

    @property
    def archive(self) -> Path:
        return self.folder / ARCHIVE

    @property
    def entry_point(self) -> Path:
        return self.folder / ENTRY_POINT_FILE

    @property
    def manifest(self) -> Path:
        """What the package is, as JSON: its hash, that of our code, and size and SHA-256 of the archive."""
        return self.folder / MANIFEST

    @property
    def is_complete(self) -> bool:
        """Whether all of it is there: the manifest is written last."""
        return self.manifest.is_file()


def silent(what: str, done: int, total: int) -> None:
    """Say nothing."""


def build_package(
    content: PackageContent, into: Path, say: Say = silent, torch_index: str = TORCH_INDEX
) -> Package:
    """Build the package of `content` as `<into>/packages/<hash>/`, or find the one that was built there before.

    Raises `PackageNotBuildable` where this machine cannot, or pip does not find what is asked for.
    """
    package = Package(into / "packages" / content.hash, content.hash)
    if package.is_complete:
        return package
    _require_like_a_worker()
    package.folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=into, prefix=".building-") as scratch:
        environment, built = Path(scratch, "environment"), Path(scratch, "package")
        site = environment / _SITE_PACKAGES
        _install(content, site, Path(scratch, "wheels"), say, torch_index)
        _prune(site)
        _add_our_modules(content, site)
        _link_interpreter(content, environment)
        built.mkdir()
        digest = _pack(environment, built / ARCHIVE, say)
        (built / ENTRY_POINT_FILE).write_text(ENTRY_POINT)
        manifest = {
            "hash": content.hash,
            "code": content.code,
            "interpreter": content.interpreter,
            "archive_bytes": (built / ARCHIVE).stat().st_size,
            "archive_sha256": digest,
        }
        (built / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n")
        shutil.rmtree(package.folder, ignore_errors=True)
        built.rename(package.folder)
    return package


def _require_like_a_worker() -> None:
    """pip judges `; python_version < "3.12"` and the like by the Python that it runs on, whatever platform is asked for."""
    here = (sys.platform, platform.machine(), ".".join(map(str, sys.version_info[:2])))
    if here != ("linux", "x86_64", PYTHON_VERSION):
        raise PackageNotBuildable(
            f"a package is built by Python {PYTHON_VERSION} on x86-64 Linux, as EMR Serverless has it; this is Python "
            f"{here[2]} on {here[0]} {here[1]}. Build it with Docker: docker build -f docker/emr/Dockerfile "
            "--output dist ."
        )


def _install(content: PackageContent, site: Path, wheels: Path, say: Say, torch_index: str) -> None:
    """Install the requirements into a folder, for a worker and not for this machine."""
    target = ["--only-binary", ":all:", "--implementation", "cp", "--python-version", PYTHON_VERSION]
    target += [word for platform_ in _PLATFORMS for word in ("--platform", platform_)]
    target += ["--constraint", str(content.constraints), "--find-links", str(wheels)]
    wheels.mkdir()
    if "torch" in pip_lines(content.requirements):
        # Alone, since the other index would be asked for every package; its build is taken for the newer one.
        other = ["--extra-index-url", torch_index] if torch_index else []
        _pip(["download", *target, *other, "--no-deps", "--dest", str(wheels), "torch"], say)
    requirements = ["--requirement", str(content.requirements)]
    _pip(["install", *target, "--no-compile", "--target", str(site), *requirements], say)
    if (site / "nvidia").exists():
        raise PackageNotBuildable(
            "pip installed a torch with CUDA, gigabytes that no worker has a use for; give the index of the other one "
            f"with --torch-index, such as {TORCH_INDEX}"
        )


def _pip(arguments: list[str], say: Say) -> None:
    command = [
        sys.executable,
        "-m",
        "pip",
        *arguments,
        "--disable-pip-version-check",
        "--progress-bar",
        "off",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    lines = []
    assert process.stdout
    for line in process.stdout:
        lines.append(line.rstrip())
        say(line.strip(), 0, 0)
    if process.wait():
        raise PackageNotBuildable("\n".join([f"pip {arguments[0]} failed:", *lines[-_LAST_LINES:]]))


def _prune(site: Path) -> None:
    for pattern in _UNNEEDED:
        for path in list(site.glob(pattern)):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)
    for name in _OF_PIP:
        for path in list(site.glob(f"*.dist-info/{name}")):
            path.unlink()


def _add_our_modules(content: PackageContent, site: Path) -> None:
    for name, text in job_files(content.source).items():
        path = site / OUR_PACKAGE / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)


def _link_interpreter(content: PackageContent, environment: Path) -> None:
    folder, versioned = environment / "bin", f"python{PYTHON_VERSION}"
    folder.mkdir()
    (folder / versioned).symlink_to(content.interpreter)
    for name in ("python", "python3"):
        (folder / name).symlink_to(versioned)
    home = os.path.dirname(content.interpreter)
    (environment / "pyvenv.cfg").write_text(
        f"home = {home}\ninclude-system-site-packages = false\nversion = {PYTHON_VERSION}\n"
    )


def _pack(folder: Path, archive: Path, say: Say) -> str:
    """Write a folder as a `.tar.gz` of which only the content counts: no times, owners, or order of a disk.

    Returns its SHA-256.
    """
    with archive.open("wb") as file:
        hashing = _Hashing(file)
        with gzip.GzipFile("", "wb", _COMPRESSION, hashing, mtime=0) as zipped:  # type: ignore[arg-type]
            write_tar(folder, zipped, say)  # type: ignore[arg-type]
    return hashing.digest.hexdigest()


def write_tar(folder: Path, file: IO[bytes], say: Say = silent) -> None:
    """Write the files of a folder as an uncompressed tar, sorted, without times and owners."""
    paths = sorted(path for path in folder.rglob("*") if path.is_symlink() or path.is_file())
    total, done = sum(path.lstat().st_size for path in paths), 0
    with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for path in paths:
            entry = tarfile.TarInfo(path.relative_to(folder).as_posix())
            if path.is_symlink():
                entry.type, entry.linkname = tarfile.SYMTYPE, os.readlink(path)
                tar.addfile(entry)
                continue
            status = path.stat()
            entry.size, entry.mode = status.st_size, 0o755 if status.st_mode & 0o100 else 0o644
            with path.open("rb") as content:
                tar.addfile(entry, content)
            done += status.st_size
            say("packing", done, total)


class _Hashing(io.RawIOBase):
    """Passes on what is written, and hashes it."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.digest = file, hashlib.sha256()

    def writable(self) -> bool:
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]
        self.digest.update(data)
        return self._file.write(data)


def main() -> None:
    """The build in Docker, where nothing of the platform is installed but this source."""
    parser = argparse.ArgumentParser(description="Build the package of jobs on EMR Serverless.")
    parser.add_argument("--into", type=Path, default=Path("dist"))
    parser.add_argument("--torch-index", default=TORCH_INDEX)
    chosen = parser.parse_args()
    package = build_package(PackageContent.of_checkout(), chosen.into, _print, chosen.torch_index)
    sys.stdout.write(f"{package.folder}\n")


def _print(what: str, done: int, total: int) -> None:
    if not total:
        sys.stdout.write(f"{what}\n")


if __name__ == "__main__":
    main()
