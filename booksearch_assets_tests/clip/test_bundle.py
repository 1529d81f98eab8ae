"""A bundle is what its manifest says, or it is refused with what to do."""

from __future__ import annotations

import json
import os
import pickle
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from booksearch_assets.clip.bundle import Bundle, BundleError, Manifest, write_manifest

MEND = "booksearch model fetch test/tiny-clip"


def _edit(path: Path, **changes: object) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_manifest_describes_every_other_file(clip_bundle: Bundle) -> None:
    manifest = clip_bundle.manifest
    assert set(manifest.files) == {path.name for path in clip_bundle.folder.iterdir()} - {"manifest.json"}
    assert (
        manifest.files["model.safetensors"].bytes == (clip_bundle.folder / "model.safetensors").stat().st_size
    )
    assert (manifest.model_id, manifest.revision) == ("test/tiny-clip", "0" * 40)
    assert clip_bundle.dimension == 16
    assert re.fullmatch(r"test-tiny-clip-[0-9a-f]{12}", clip_bundle.bundle_id)
    with pytest.raises(ValidationError):
        manifest.revision = "other"  # type: ignore[misc]


def test_bundle_id_follows_the_content_alone(clip_folder: Path, tmp_path: Path) -> None:
    first = Bundle.open(clip_folder).bundle_id
    elsewhere = Path(shutil.copytree(clip_folder, tmp_path / "elsewhere"))
    write_manifest(elsewhere, "test/tiny-clip", "another name of the same commit")
    assert Bundle.open(elsewhere).bundle_id == first
    _edit(elsewhere / "preprocessor_config.json", image_mean=[0.5, 0.5, 0.5])
    write_manifest(elsewhere, "test/tiny-clip", "0" * 40)
    assert Bundle.open(elsewhere).bundle_id != first


def test_bundle_id_depends_on_the_preprocessing_version(clip_bundle: Bundle) -> None:
    other = clip_bundle.manifest.model_copy(update={"preprocessing_version": "another"})
    assert other.bundle_id != clip_bundle.bundle_id


@pytest.mark.parametrize(
    ("model_id", "slug"),
    [
        ("openai/clip-vit-base-patch32", "openai-clip-vit-base-patch32"),
        ("laion/CLIP-ViT-B-32-laion2B-s34B-b79K", "laion-clip-vit-b-32-laion2b-s34b-b79k"),
        ("sample-clip", "sample-clip"),
        ("模型", "model"),
        ("x" * 200, "x" * 64),
    ],
)
def test_bundle_id_is_safe_in_paths_and_names(model_id: str, slug: str, clip_bundle: Bundle) -> None:
    manifest = clip_bundle.manifest.model_copy(update={"model_id": model_id})
    assert manifest.bundle_id.rpartition("-")[0] == slug


def _remove_folder(folder: Path) -> None:
    shutil.rmtree(folder)


def _flip_a_bit(folder: Path) -> None:
    data = bytearray((folder / "model.safetensors").read_bytes())
    data[-1] ^= 1
    (folder / "model.safetensors").write_bytes(data)


def _truncate_manifest(folder: Path) -> None:
    text = (folder / "manifest.json").read_text()
    (folder / "manifest.json").write_text(text[:100])


def _drop_manifest_entry(name: str) -> Callable[[Path], None]:
    def drop(folder: Path) -> None:
        files = json.loads((folder / "manifest.json").read_text())["files"]
        del files[name]
        _edit(folder / "manifest.json", files=files)

    return drop


DAMAGES: list[tuple[str, Callable[[Path], object], str]] = [
    ("missing folder", _remove_folder, "there is no such folder"),
    ("missing manifest", lambda f: (f / "manifest.json").unlink(), "manifest.json is missing"),
    ("cut manifest", _truncate_manifest, "manifest.json is not JSON"),
    ("manifest of a list", lambda f: (f / "manifest.json").write_text("[]"), "schema version None"),
    (
        "later schema",
        lambda f: _edit(f / "manifest.json", schema_version=2),
        "schema version 2, .* version 1",
    ),
    ("wrong field", lambda f: _edit(f / "manifest.json", dimension="wide"), "field dimension"),
    ("unknown field", lambda f: _edit(f / "manifest.json", licence="?"), "field licence"),
    (
        "missing weights",
        lambda f: (f / "model.safetensors").unlink(),
        "model.safetensors is missing, expected",
    ),
    ("missing tokenizer", lambda f: (f / "tokenizer.json").unlink(), "tokenizer.json is missing, expected"),
    ("changed weights", _flip_a_bit, "model.safetensors has changed: expected SHA-256 [0-9a-f]{64}, got"),
    (
        "grown file",
        lambda f: (f / "config.json").write_text((f / "config.json").read_text() + " "),
        r"config.json has changed: expected \d+ bytes, got \d+",
    ),
    ("extra weights", lambda f: (f / "pytorch_model.bin").write_bytes(b"x"), "pytorch_model.bin is not in"),
    ("extra vocabulary", lambda f: (f / "vocab.json").write_bytes(b"{}"), "vocab.json is not in"),
    ("extra folder", lambda f: (f / "onnx").mkdir(), "onnx is a folder"),
    (
        "older preprocessing",
        lambda f: _edit(f / "manifest.json", preprocessing_version="0"),
        "preprocessing version '0', but this program prepares pictures by version '1'",
    ),
    ("other dimension", lambda f: _edit(f / "manifest.json", dimension=17), "vectors of 16 .* says 17"),
    (
        "unnamed weights",
        _drop_manifest_entry("model.safetensors"),
        "model.safetensors is missing, found config",
    ),
    ("unnamed tokenizer", _drop_manifest_entry("tokenizer.json"), "no tokenizer, expected one of"),
]


@pytest.mark.parametrize(("damage", "message"), [d[1:] for d in DAMAGES], ids=[d[0] for d in DAMAGES])
def test_damaged_bundle_is_refused(damage: Callable[[Path], object], message: str, clip_folder: Path) -> None:
    Bundle.open(clip_folder)
    damage(clip_folder)
    with pytest.raises(BundleError, match=message) as caught:
        Bundle.open(clip_folder)
    assert str(clip_folder) in str(caught.value)
    assert "booksearch model fetch" in str(caught.value)


def test_remedy_names_the_model(clip_folder: Path) -> None:
    _flip_a_bit(clip_folder)
    with pytest.raises(BundleError, match=MEND):
        Bundle.open(clip_folder)


def test_unsupported_architecture_is_refused_by_name(clip_folder: Path) -> None:
    _edit(clip_folder / "config.json", model_type="bert")
    with pytest.raises(BundleError, match="unsupported architecture 'bert', expected one of clip, siglip"):
        write_manifest(clip_folder, "test/bert", "1")
    _edit(clip_folder / "config.json", model_type=None)
    with pytest.raises(BundleError, match="unsupported architecture None"):
        write_manifest(clip_folder, "test/none", "1")
    (clip_folder / "config.json").write_text("{}")
    with pytest.raises(BundleError, match="does not say a model_type"):
        write_manifest(clip_folder, "test/empty", "1")


def test_unsupported_preprocessing_is_refused_when_the_bundle_is_made(clip_folder: Path) -> None:
    _edit(clip_folder / "preprocessor_config.json", do_resize=False)
    with pytest.raises(BundleError, match="do_resize is false"):
        write_manifest(clip_folder, "test/tiny-clip", "1")


def test_manifest_of_no_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="there is no such folder"):
        write_manifest(tmp_path / "nowhere", "test/none", "1")
    with pytest.raises(BundleError, match="model.safetensors is missing, found nothing"):
        write_manifest(tmp_path, "test/none", "1")


def test_files_of_the_file_system_are_no_part_of_a_bundle(clip_folder: Path) -> None:
    before = Bundle.open(clip_folder).bundle_id
    (clip_folder / ".DS_Store").write_bytes(b"x")
    assert Bundle.open(clip_folder).bundle_id == before
    assert ".DS_Store" not in write_manifest(clip_folder, "test/tiny-clip", "1").files


def test_size_check_does_not_read_the_files(clip_folder: Path) -> None:
    _flip_a_bit(clip_folder)
    assert Bundle.open(clip_folder, verify="size").dimension == 16
    with (clip_folder / "model.safetensors").open("ab") as file:
        file.write(b"x")
    with pytest.raises(BundleError, match="has changed"):
        Bundle.open(clip_folder, verify="size")


def test_unchanged_file_is_hashed_once(clip_folder: Path) -> None:
    Bundle.open(clip_folder)
    weights = clip_folder / "model.safetensors"
    status = weights.stat()
    with weights.open("r+b") as file:  # the same inode
        file.seek(-1, os.SEEK_END)
        file.write(b"\xaa")
    os.utime(weights, ns=(status.st_atime_ns, status.st_mtime_ns))
    Bundle.open(clip_folder)  # only a second read could tell, and there is none
    os.utime(weights)
    with pytest.raises(BundleError, match="SHA-256"):
        Bundle.open(clip_folder)


def test_bundle_and_its_error_cross_processes(clip_bundle: Bundle, tmp_path: Path) -> None:
    assert pickle.loads(pickle.dumps(clip_bundle)) == clip_bundle
    with pytest.raises(BundleError) as caught:
        Bundle.open(tmp_path / "nowhere")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_manifest_survives_its_file(clip_bundle: Bundle) -> None:
    manifest = clip_bundle.manifest
    assert Manifest.model_validate_json(manifest.model_dump_json()) == manifest
