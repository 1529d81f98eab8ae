"""A model bundle: the folder of files that turns pictures and words into vectors, and its manifest.

What belongs here: the layout of a bundle, its identity, and the proof that its files are the ones it
was made of. What does not: getting the files (``fetch``) and running the model (``encoder``).

A bundle is one flat folder::

    model.safetensors          the weights, one file
    config.json                the architecture
    preprocessor_config.json   how a picture becomes pixels
    tokenizer.json, ...        how a text becomes tokens
    manifest.json              model, revision, size and SHA-256 of every other file; what runs it best

Files whose name starts with a dot belong to the file system (``.DS_Store``, ``.nfs...``), no loader
reads them, and they are no part of a bundle.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from booksearch_assets.clip.preprocess import PREPROCESSING_VERSION, Preprocessing

MANIFEST = "manifest.json"
WEIGHTS = "model.safetensors"
CONFIG = "config.json"
PREPROCESSOR = "preprocessor_config.json"
TOKENIZERS = ("tokenizer.json", "vocab.json", "spiece.model")
"""Vocabularies that Hugging Face tokenizers load from; a bundle has at least one of them."""

SCHEMA_VERSION = 1
_SLUG_LENGTH = 64
_HASH_LENGTH = 12


class BundleError(Exception):
    """A folder is not the bundle that its manifest describes, or not a bundle that can be run."""

    def __init__(self, where: Path, problem: str, remedy: str) -> None:
        self.where = where
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"model bundle {where}: {problem}. {remedy}")

    def __reduce__(self) -> tuple[type[BundleError], tuple[Path, str, str]]:
        # Spark workers send exceptions to the driver by pickle, which would call us with the message alone.
        return type(self), (self.where, self.problem, self.remedy)


class Architecture(StrEnum):
    """The dual encoders that can be run, by ``model_type`` in ``config.json``."""

    CLIP = "clip"
    SIGLIP = "siglip"

    def dimension(self, config: Mapping[str, Any]) -> int:
        """Length of the vectors, from ``config.json``, with the defaults of Hugging Face's config classes."""
        match self:
            case Architecture.CLIP:
                return int(config.get("projection_dim", 512))
            case Architecture.SIGLIP:
                # SigLIP has no projection: the vision tower's width is the width of the shared space.
                return int(config.get("vision_config", {}).get("hidden_size", 768))


class FileRecord(BaseModel):
    """What a file of a bundle must be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    bytes: int = Field(ge=0)


class Manifest(BaseModel):
    """Where a bundle's files came from and what they must be."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_version: int = SCHEMA_VERSION
    model_id: str = Field(min_length=1)
    revision: str = Field(min_length=1)
    preprocessing_version: str
    dimension: int = Field(gt=0)
    files: dict[str, FileRecord]
    created: datetime
    engines: tuple[dict[str, Any], ...] = ()
    """What was decided to run the bundle with, a record for each kind of machine (``choosing.Decision``)."""

    @property
    def bundle_id(self) -> str:
        """Name of the vector space, e.g. ``sample-clip-1a2b3c4d5e6f``.

        A slug of the model id and 12 hexadecimal digits over the file hashes and the preprocessing
        version; not over `engines`, which run the same model. Two bundles with the same id give the same
        vectors, and only those may share a collection.
        """
        digest = hashlib.sha256(f"preprocessing {self.preprocessing_version}\n".encode())
        for name, record in sorted(self.files.items()):
            digest.update(f"{record.sha256} {name}\n".encode())
        slug = re.sub(r"[^a-z0-9]+", "-", self.model_id.lower()).strip("-")[:_SLUG_LENGTH].rstrip("-")
        return f"{slug or 'model'}-{digest.hexdigest()[:_HASH_LENGTH]}"


@dataclass(frozen=True)
class Bundle:
    """A verified bundle. Made by ``Bundle.open``; pass it on rather than the folder's path."""

    folder: Path
    manifest: Manifest
    architecture: Architecture

    @property
    def bundle_id(self) -> str:
        """See ``Manifest.bundle_id``."""
        return self.manifest.bundle_id

    @property
    def dimension(self) -> int:
        """Length of the vectors that the bundle's model gives."""
        return self.manifest.dimension

    def recorded_engines(self) -> tuple[dict[str, Any], ...]:
        """What its manifest says by now of engines: another process may have decided since it was opened."""
        return _read_manifest(self.folder).engines

    @classmethod
    def open(cls, folder: str | Path, verify: Literal["full", "size"] = "full") -> Bundle:
        """Open a bundle and prove that its files are those of its manifest.

        ``full`` hashes every file, once per process for an unchanged file. ``size`` compares names and
        sizes only: for a folder that was verified a moment ago, such as one unpacked beside a Spark worker.

        Raises ``BundleError`` for a missing folder, manifest or file, a changed file, a file that the
        manifest does not name, an unsupported architecture, and an unknown schema or preprocessing version.
        """
        folder = Path(folder)
        manifest = _read_manifest(folder)
        remedy = _remedy(manifest.model_id)
        _require_layout(folder, manifest.files, remedy)
        for name, record in manifest.files.items():
            _verify_file(folder / name, record, verify, remedy)
        for path in _bundle_files(folder, remedy):
            if path.name not in manifest.files:
                # A loader would prefer some of these to the files that were hashed.
                problem = f"{path.name} is not in {MANIFEST}, which names {', '.join(sorted(manifest.files))}"
                raise BundleError(folder, problem, f"Remove the file. If it should be there: {remedy}")
        if manifest.preprocessing_version != PREPROCESSING_VERSION:
            problem = (
                f"{MANIFEST} has preprocessing version {manifest.preprocessing_version!r}, "
                f"but this program prepares pictures by version {PREPROCESSING_VERSION!r}"
            )
            raise BundleError(folder, problem, remedy)
        architecture, dimension = _read_architecture(folder, remedy)
        if dimension != manifest.dimension:
            problem = f"{CONFIG} gives vectors of {dimension} numbers, {MANIFEST} says {manifest.dimension}"
            raise BundleError(folder, problem, remedy)
        return cls(folder=folder, manifest=manifest, architecture=architecture)


def find_bundle(bundle_id: str, folders: Iterable[str | Path]) -> Bundle | None:
    """The bundle with this id among `folders` and the folders in them, verified, or None.

    Only manifests are read of the others. Raises ``BundleError`` if its files are not those of its manifest.
    """
    for folder in map(Path, folders):
        for path in (folder / MANIFEST, *sorted(folder.glob(f"*/{MANIFEST}"))):
            try:
                found = _read_manifest(path.parent).bundle_id == bundle_id
            except BundleError:
                # Another folder that happens to be here, or a bundle of another release, is not the one.
                continue
            if found:
                return Bundle.open(path.parent)
    return None


def write_manifest(folder: str | Path, model_id: str, revision: str) -> Manifest:
    """Describe the files of ``folder`` in its ``manifest.json``, replacing the one that is there.

    ``revision`` is the commit of the model's repository, or whatever names these weights for a model
    that has none. Raises ``BundleError`` if the files do not make a bundle that can be run.
    """
    folder = Path(folder)
    remedy = _remedy(model_id)
    if not folder.is_dir():
        raise BundleError(folder, "there is no such folder", remedy)
    files = {path.name: _describe(path) for path in _bundle_files(folder, remedy)}
    _require_layout(folder, files, remedy)
    _, dimension = _read_architecture(folder, remedy)
    try:
        Preprocessing.from_config(folder / PREPROCESSOR)
    except ValueError as error:
        raise BundleError(
            folder, str(error), "Choose a model that prepares pictures as CLIP does."
        ) from error
    manifest = Manifest(
        model_id=model_id,
        revision=revision,
        preprocessing_version=PREPROCESSING_VERSION,
        dimension=dimension,
        files=files,
        created=datetime.now(UTC).replace(microsecond=0),
    )
    _write_manifest(folder, manifest)
    return manifest


def record_engine(folder: Path, found: Mapping[str, Any]) -> None:
    """Keep in the manifest of the bundle in `folder` what was decided, in the place of what was on an equal ``machine``.

    Raises ``OSError`` for a bundle that cannot be written to.
    """
    manifest = _read_manifest(folder)
    others = (kept for kept in manifest.engines if kept.get("machine") != found["machine"])
    _write_manifest(folder, manifest.model_copy(update={"engines": (*others, dict(found))}))


def _write_manifest(folder: Path, manifest: Manifest) -> None:
    """Whole or not at all, since others may be reading it."""
    content = manifest.model_dump(mode="json", exclude=None if manifest.engines else {"engines"})
    unfinished = folder / f".{MANIFEST}-{os.getpid()}"
    unfinished.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    unfinished.replace(folder / MANIFEST)


def _remedy(model_id: str = "MODEL_ID") -> str:
    return f"Make it again with `booksearch model fetch {model_id}`."


def _read_manifest(folder: Path) -> Manifest:
    if not folder.is_dir():
        raise BundleError(folder, "there is no such folder", _remedy())
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise BundleError(folder, f"{MANIFEST} is missing", _remedy()) from None
    except ValueError as error:
        raise BundleError(folder, f"{MANIFEST} is not JSON ({error})", _remedy()) from error
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version != SCHEMA_VERSION:
        problem = f"{MANIFEST} has schema version {version!r}, this program reads version {SCHEMA_VERSION}"
        raise BundleError(folder, problem, _remedy())
    try:
        return Manifest.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        field = ".".join(str(part) for part in first["loc"])
        raise BundleError(folder, f"{MANIFEST}: field {field}: {first['msg']}", _remedy()) from error


def _bundle_files(folder: Path, remedy: str) -> list[Path]:
    """The files that a bundle consists of: every one but the manifest and those of the file system."""
    paths = sorted(path for path in folder.iterdir() if path.name != MANIFEST and path.name[0] != ".")
    for path in paths:
        if not path.is_file():
            problem = f"{path.name} is a folder, expected files only"
            raise BundleError(folder, problem, f"Remove it. If it should be there: {remedy}")
    return paths


def _require_layout(folder: Path, names: Iterable[str], remedy: str) -> None:
    present = set(names)
    for name in (WEIGHTS, CONFIG, PREPROCESSOR):
        if name not in present:
            raise BundleError(folder, f"{name} is missing, found {_listed(present)}", remedy)
    if present.isdisjoint(TOKENIZERS):
        problem = f"no tokenizer, expected one of {', '.join(TOKENIZERS)}, found {_listed(present)}"
        raise BundleError(folder, problem, remedy)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(sorted(names)) or "nothing"


def _verify_file(path: Path, expected: FileRecord, verify: Literal["full", "size"], remedy: str) -> None:
    if not path.is_file():
        problem = f"{path.name} is missing, expected a file of {expected.bytes} bytes"
        raise BundleError(path.parent, problem, remedy)
    size = path.stat().st_size
    if size != expected.bytes:
        problem = f"{path.name} has changed: expected {expected.bytes} bytes, got {size}"
        raise BundleError(path.parent, problem, remedy)
    if verify == "full" and (got := _describe(path).sha256) != expected.sha256:
        problem = f"{path.name} has changed: expected SHA-256 {expected.sha256}, got {got}"
        raise BundleError(path.parent, problem, remedy)


def _describe(path: Path) -> FileRecord:
    status = path.stat()
    sha256 = _sha256(path.resolve(), status.st_size, status.st_mtime_ns, status.st_ino)
    return FileRecord(sha256=sha256, bytes=status.st_size)


@functools.lru_cache(maxsize=256)
def _sha256(path: Path, size: int, mtime_ns: int, inode: int) -> str:
    """Hash of a file; what else changes when a file is rewritten is part of the cache's key."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _read_architecture(folder: Path, remedy: str) -> tuple[Architecture, int]:
    """The architecture and the vectors' length that ``config.json`` declares."""
    try:
        config = json.loads((folder / CONFIG).read_bytes())
        model_type = config["model_type"]
    except (ValueError, KeyError, TypeError) as error:
        problem = f"{CONFIG} does not say a model_type ({type(error).__name__}: {error})"
        raise BundleError(folder, problem, remedy) from error
    try:
        architecture = Architecture(model_type)
    except ValueError:
        problem = f"unsupported architecture {model_type!r}, expected one of {', '.join(Architecture)}"
        raise BundleError(folder, problem, "Choose another model for `booksearch model fetch`.") from None
    return architecture, architecture.dimension(config)
