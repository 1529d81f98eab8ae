"""What the package of jobs is made of, and the hash that it is named by.

Belongs here: which of our modules a job imports, which requirements and versions go with them, and the digest of all
of it. Does not: building (`package`), where packages lie (`package_store`). Standard library only, since the Docker
build runs it before anything is installed.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

OUR_PACKAGE = "booksearch_assets"
SOURCE = Path(__file__).parents[1]
ENTRY_POINT = '''"""The entry point of every job: runs the stage that its environment points to."""

from booksearch_assets.emr.payload import main

main()
'''
EMR_PYTHON = "/usr/bin/python3.11"
"""Where the release emr-spark-8.0.0 has its Python, on driver and executors alike."""
PYTHON_VERSION = "3.11"

# Another number for another arrangement of the same content.
_LAYOUT = 1
_HASH_LENGTH = 16
_ROOTS = ("emr/payload.py", "compute/*.py", "compute/*.json")


class PackageNotBuildable(Exception):
    """A package cannot be made here, or from this."""


@dataclass(frozen=True)
class PackageContent:
    """`requirements` and `constraints` are pip's; `source` is the folder of `booksearch_assets`.

    `interpreter` is the Python of the machines that the package is for, which the environment has links to.
    """

    requirements: Path
    constraints: Path
    source: Path = SOURCE
    interpreter: str = EMR_PYTHON

    @classmethod
    def of_checkout(cls, root: Path = SOURCE.parent) -> PackageContent:
        """The package of this code. Raises `PackageNotBuildable` where it was not installed from a checkout."""
        content = cls(root / "docker" / "emr" / "requirements.txt", root / "constraints.txt")
        for path in (content.requirements, content.constraints):
            if not path.is_file():
                raise PackageNotBuildable(
                    f"{path} is not there: a package is made from a checkout of the repository, installed with "
                    "`pip install -e .`. Elsewhere, set BOOKSEARCH_EMR_PACKAGE to the hash that "
                    "`booksearch emr package` printed there."
                )
        return content

    @cached_property
    def hash(self) -> str:
        """16 hexadecimal digits that change with any requirement, version, or line of code that a job may run."""
        parts = [f"layout {_LAYOUT}", self.interpreter, self.code]
        parts += [line for path in (self.requirements, self.constraints) for line in pip_lines(path)]
        return _digest(parts)

    @cached_property
    def code(self) -> str:
        """The same of our own code alone, which an installation without a checkout knows too."""
        return code_digest(self.source)


def code_digest(source: Path = SOURCE) -> str:
    """16 hexadecimal digits over every file of ours that jobs take with them."""
    files = job_files(source)
    return _digest([ENTRY_POINT, *(f"{hashlib.sha256(files[name]).hexdigest()} {name}" for name in files)])


def job_files(source: Path = SOURCE) -> Mapping[str, bytes]:
    """Our files that a job takes with it, by their path within the package, sorted.

    They are the payload and the stages with their tables, and all that they import, however deep inside a function. A
    change of any other module, such as an asset, leaves the package what it is.
    """
    found: dict[str, bytes] = {}
    waiting = [path for pattern in _ROOTS for path in source.glob(pattern)]
    while waiting:
        path = waiting.pop()
        name = path.relative_to(source).as_posix()
        if name in found:
            continue
        found[name] = path.read_bytes()
        if path.suffix == ".py":
            waiting += _imported(found[name], source)
        waiting += [folder / "__init__.py" for folder in path.parents if folder.is_relative_to(source)]
    return dict(sorted(found.items()))


def _imported(text: bytes, source: Path) -> Iterator[Path]:
    """The files of our modules that a module imports anywhere."""
    for node in ast.walk(ast.parse(text)):
        names: Iterable[str] = ()
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            # `from package import module` names a module too.
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        for name in names:
            package, *parts = name.split(".")
            if package == OUR_PACKAGE:
                place = source.joinpath(*parts)
                yield from (
                    path for path in (place.with_suffix(".py"), place / "__init__.py") if path.is_file()
                )


def pip_lines(path: Path) -> list[str]:
    """The lines that mean something to pip: a better comment makes no other package."""
    stripped = (line.partition("#")[0].strip() for line in path.read_text("utf-8").splitlines())
    return sorted(line for line in stripped if line)


def _digest(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:_HASH_LENGTH]
