"""Making a bundle: once, from the Hugging Face hub or from a folder, and never half.

What belongs here: getting a model's files and putting them in place in one step. What does not: what a
bundle is (``bundle``). Nothing else in the package talks to a model hub.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from booksearch_assets.clip.bundle import (
    CONFIG,
    MANIFEST,
    PREPROCESSOR,
    TOKENIZERS,
    WEIGHTS,
    Bundle,
    BundleError,
    write_manifest,
)

PICKLED_WEIGHTS = "pytorch_model.bin"
"""What models published before safetensors have. It is read as data only, and never kept in a bundle."""

BUNDLE_FILES = (
    CONFIG,
    PREPROCESSOR,
    WEIGHTS,
    *TOKENIZERS,
    "tokenizer_config.json",
    "tokenizer.model",
    "merges.txt",
    "special_tokens_map.json",
    "added_tokens.json",
)
"""The files of a model's repository that its vectors depend on; all others are left out."""

_TIMEOUT_SECONDS = 20.0


class FetchError(Exception):
    """A bundle could not be made; nothing was left behind, and an existing bundle is as it was."""


def fetch_model(model_id: str, destination: str | Path, revision: str | None = None) -> Bundle:
    """Download a model from the hub (``HF_ENDPOINT``, by default huggingface.co) and make its bundle.

    ``revision`` is a branch, tag or commit, by default the repository's main branch; the manifest holds the
    commit that it stood for. A whole bundle of the same model that is already at ``destination`` is returned
    without a look at the network, unless another revision is asked for; a damaged one is replaced.

    Raises ``FetchError`` if the hub cannot be reached or has no such model or revision, or if ``destination``
    holds anything else; ``BundleError`` if the model is not one that can be run.
    """
    destination = Path(destination)
    existing = _existing_bundle(destination, model_id, revision)
    if existing is not None:
        return existing
    with _in_place_of(destination) as folder:
        commit = _download(model_id, revision, folder)
        _convert_pickled_weights(folder)
        write_manifest(folder, model_id, commit)
    return Bundle.open(destination)


def import_model(source_folder: str | Path, destination: str | Path, model_id: str, revision: str) -> Bundle:
    """Make a bundle from a folder with a model's files, for a machine that cannot reach the hub.

    Any folder that ``save_pretrained``, ``git clone`` or the hub's own cache made will do; it is only read.
    Raises ``FetchError`` and ``BundleError`` as ``fetch_model`` does.
    """
    source, destination = Path(source_folder), Path(destination)
    if not source.is_dir():
        raise FetchError(f"cannot import {model_id}: there is no folder {source}")
    if source.resolve() == destination.resolve():
        raise FetchError(f"cannot import {model_id}: {source} is both the source and the destination")
    with _in_place_of(destination) as folder:
        present = {path.name for path in source.iterdir() if path.is_file()}
        for name in _wanted(present):
            shutil.copyfile(source / name, folder / name)
        _convert_pickled_weights(folder)
        write_manifest(folder, model_id, revision)
    return Bundle.open(destination)


def _wanted(present: Collection[str]) -> list[str]:
    """Which of a repository's files to take: the pickled weights only where there are no others."""
    weights = WEIGHTS if WEIGHTS in present else PICKLED_WEIGHTS
    return sorted(name for name in present if name in {*BUNDLE_FILES, weights})


def _existing_bundle(destination: Path, model_id: str, revision: str | None) -> Bundle | None:
    try:
        bundle = Bundle.open(destination)
    except BundleError:
        return None
    manifest = bundle.manifest
    is_wanted = manifest.model_id == model_id and revision in (None, manifest.revision)
    return bundle if is_wanted else None


@contextmanager
def _in_place_of(destination: Path) -> Iterator[Path]:
    """An empty folder that becomes ``destination`` in one rename if the block succeeds, and else is removed."""
    _require_replaceable(destination)
    try:
        destination.parent.mkdir(parents=True, exist_ok=True)
        workshop = Path(tempfile.mkdtemp(prefix=f".{destination.name}-", dir=destination.parent))
    except OSError as error:
        message = f"cannot write the bundle {destination}: {error}. Choose a folder that can be written"
        raise FetchError(message) from error
    try:
        # A folder inside, because mkdtemp's own is closed to every other user.
        folder = workshop / "bundle"
        folder.mkdir()
        yield folder
        if destination.exists():
            destination.rename(workshop / "replaced")
        folder.rename(destination)
    finally:
        shutil.rmtree(workshop, ignore_errors=True)


def _require_replaceable(destination: Path) -> None:
    """Refuse to replace anything but a bundle, whole or damaged: a mistyped path must not cost a folder."""
    if not destination.exists():
        return
    if not destination.is_dir():
        raise FetchError(f"{destination} is a file, expected the path of a new folder or of a bundle")
    known = {*BUNDLE_FILES, MANIFEST}
    foreign = [path.name for path in destination.iterdir() if path.name not in known and path.name[0] != "."]
    if foreign:
        message = f"{destination} holds {foreign[0]}, which is no part of a bundle, so it is not replaced"
        raise FetchError(f"{message}. Choose another folder, or remove this one")


def _download(model_id: str, revision: str | None, folder: Path) -> str:
    """Fill ``folder`` with the wanted files of one commit; returns the commit."""
    from huggingface_hub import HfApi, constants, errors, snapshot_download

    # The library reads the variable when it is imported, which may have been before it was set.
    hub = (os.environ.get("HF_ENDPOINT") or constants.ENDPOINT).rstrip("/")
    wish = f"{model_id} at revision {revision or 'main'}"
    try:
        info = HfApi(endpoint=hub).model_info(model_id, revision=revision, timeout=_TIMEOUT_SECONDS)
        present = {sibling.rfilename for sibling in info.siblings or ()}
        if WEIGHTS not in present and PICKLED_WEIGHTS not in present:
            found = ", ".join(sorted(present)) or "nothing"
            raise FetchError(f"{wish} has no {WEIGHTS}, found {found}. Weights in several files are not read")
        if info.sha is None:
            raise FetchError(f"{hub} did not say which commit {wish} is")
        snapshot_download(
            model_id,
            revision=info.sha,
            allow_patterns=_wanted(present),
            local_dir=folder,
            endpoint=hub,
            etag_timeout=_TIMEOUT_SECONDS,
        )
    except FetchError:
        raise
    except errors.HFValidationError as error:
        raise FetchError(f"{model_id!r} is not a model's name, expected OWNER/NAME: {error}") from error
    except errors.RevisionNotFoundError as error:
        raise FetchError(f"{hub} has {model_id}, but no revision {revision!r}") from error
    except errors.RepositoryNotFoundError as error:
        message = f"{hub} has no model {model_id} that it shows us. Check the name"
        raise FetchError(f"{message}; a private or gated model needs HF_TOKEN: {error}") from error
    except (
        Exception
    ) as error:  # The hub's client passes on what its transport raises; that changes by release.
        raise FetchError(_unreachable(hub, wish, model_id, error)) from error
    shutil.rmtree(folder / ".cache", ignore_errors=True)  # the client's own notes
    return info.sha


def _unreachable(hub: str, wish: str, model_id: str, error: Exception) -> str:
    return (
        f"could not download {wish} from {hub}: {type(error).__name__}: {error}. "
        "Where the hub cannot be reached, download the model's files on another machine "
        f"(`hf download {model_id} --local-dir FOLDER`), copy FOLDER here, and run "
        "`booksearch model import FOLDER`. A mirror of the hub is named by HF_ENDPOINT"
    )


def _convert_pickled_weights(folder: Path) -> None:
    """Replace ``pytorch_model.bin``, where that is all there is, by the same tensors as safetensors."""
    pickled = folder / PICKLED_WEIGHTS
    if not pickled.exists():
        return
    import torch
    from safetensors.torch import save_file

    try:
        # weights_only: a pickle can run any code, this reads tensors and refuses everything else.
        tensors = torch.load(pickled, map_location="cpu", weights_only=True)
        contiguous = {name: tensor.contiguous() for name, tensor in tensors.items()}
        save_file(contiguous, folder / WEIGHTS, metadata={"format": "pt"})
    except Exception as error:
        message = f"{PICKLED_WEIGHTS} is not a plain table of tensors: {error}"
        raise FetchError(f"{message}. Choose a revision that has {WEIGHTS}") from error
    pickled.unlink()
