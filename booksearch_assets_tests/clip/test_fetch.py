"""Bundles from a hub on the loopback and from folders: whole, or not at all."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

import numpy as np
import pytest
from PIL import Image

from booksearch_assets.clip.bundle import Bundle, BundleError
from booksearch_assets.clip.encoder import Encoder
from booksearch_assets.clip.fetch import FetchError, fetch_model, import_model

MODEL_ID = "test/tiny-clip"
COMMIT = "c0ffee" + "0" * 34


@dataclass
class Hub:
    """As much of the Hugging Face hub as its client needs for one public model, at one commit."""

    folder: Path
    endpoint: str = ""
    requests: list[str] = field(default_factory=list)
    cut_file: str | None = None
    """A file of which only the first half is sent."""


class _HubHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, hub: Hub, *arguments: object) -> None:
        self._hub = hub
        super().__init__(*arguments)  # type: ignore[arg-type]

    def log_message(self, format: str, *arguments: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self._hub.requests.append(f"{self.command} {path}")
        api = f"/api/models/{MODEL_ID}"
        if path in (api, f"{api}/revision/main", f"{api}/revision/{COMMIT}"):
            names = [file.name for file in sorted(self._hub.folder.iterdir())]
            siblings = [{"rfilename": name} for name in names]
            self._send_json({"id": MODEL_ID, "modelId": MODEL_ID, "sha": COMMIT, "siblings": siblings})
        elif path.startswith(f"{api}/revision/"):
            self._send_json({"error": "Revision not found"}, status=404, code="RevisionNotFound")
        elif path.startswith(f"{api}/tree/{COMMIT}"):
            self._send_json([self._tree_entry(file) for file in sorted(self._hub.folder.iterdir())])
        elif path.startswith(prefix := f"/{MODEL_ID}/resolve/{COMMIT}/"):
            self._send_file(self._hub.folder / path.removeprefix(prefix))
        else:
            self._send_json({"error": "Repository not found"}, status=404, code="RepoNotFound")

    @staticmethod
    def _tree_entry(file: Path) -> dict[str, object]:
        digest = hashlib.sha1(file.read_bytes()).hexdigest()
        return {"type": "file", "path": file.name, "size": file.stat().st_size, "oid": digest}

    def _send_json(self, content: object, status: int = 200, code: str | None = None) -> None:
        headers = {"Content-Type": "application/json"}
        if code is not None:
            headers["X-Error-Code"] = code
        self._send(json.dumps(content).encode(), headers, status)

    def _send_file(self, file: Path) -> None:
        body = file.read_bytes()
        etag = f'"{hashlib.sha1(body).hexdigest()}"'
        if file.name == self._hub.cut_file and self.command == "GET":
            body = body[: len(body) // 2]
        self._send(body, {"ETag": etag, "X-Repo-Commit": COMMIT})

    def _send(self, body: bytes, headers: dict[str, str], status: int = 200) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


@pytest.fixture
def repository(clip_bundle: Bundle, tmp_path: Path) -> Path:
    """The model as its author publishes it: no manifest, and files that a bundle has no use for."""
    folder = Path(shutil.copytree(clip_bundle.folder, tmp_path / "repository"))
    (folder / "manifest.json").unlink()
    (folder / "README.md").write_text("# A model\n")
    (folder / "tf_model.h5").write_bytes(b"x" * 100)
    (folder / "pytorch_model.bin").write_bytes(b"x" * 100)
    return folder


@pytest.fixture
def hub(repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    hub = Hub(repository)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_HubHandler, hub))
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("HF_ENDPOINT", hub.endpoint)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub-cache"))
    yield hub
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def closed_port(monkeypatch: pytest.MonkeyPatch) -> str:
    """An endpoint that refuses connections."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{probe.getsockname()[1]}"
    monkeypatch.setenv("HF_ENDPOINT", endpoint)
    return endpoint


def _left_behind(destination: Path) -> list[str]:
    return [path.name for path in destination.parent.iterdir() if path != destination]


def test_fetched_bundle_is_the_model_at_its_commit(
    hub: Hub, clip_bundle: Bundle, pictures: list[Image.Image], tmp_path: Path
) -> None:
    bundle = fetch_model(MODEL_ID, tmp_path / "models" / "tiny")
    assert bundle.folder == tmp_path / "models" / "tiny"
    assert bundle.manifest.revision == COMMIT, "the branch's name would not say which weights these are"
    assert bundle.bundle_id == clip_bundle.bundle_id
    assert {path.name for path in bundle.folder.iterdir()} == {
        path.name for path in clip_bundle.folder.iterdir()
    }
    assert not any(path.is_symlink() for path in bundle.folder.iterdir())
    assert _left_behind(bundle.folder) == []
    np.testing.assert_array_equal(
        Encoder.load(bundle).encode_images(pictures[:3]),
        Encoder.load(clip_bundle).encode_images(pictures[:3]),
    )


def test_unwanted_files_are_not_downloaded(hub: Hub, tmp_path: Path) -> None:
    fetch_model(MODEL_ID, tmp_path / "tiny")
    asked = " ".join(hub.requests)
    assert "model.safetensors" in asked
    assert not any(name in asked for name in ("tf_model.h5", "pytorch_model.bin", "README.md"))


def test_whole_bundle_is_not_fetched_again(hub: Hub, tmp_path: Path) -> None:
    first = fetch_model(MODEL_ID, tmp_path / "tiny")
    hub.requests.clear()
    assert fetch_model(MODEL_ID, tmp_path / "tiny") == first
    assert fetch_model(MODEL_ID, tmp_path / "tiny", revision=COMMIT) == first
    assert hub.requests == []
    fetch_model(MODEL_ID, tmp_path / "tiny", revision="main")
    assert hub.requests, "a branch may have moved on"


def test_damaged_bundle_is_replaced(hub: Hub, tmp_path: Path) -> None:
    first = fetch_model(MODEL_ID, tmp_path / "models" / "tiny")
    (first.folder / "model.safetensors").write_bytes(b"damaged")
    (first.folder / "config.json").unlink()
    assert fetch_model(MODEL_ID, first.folder).bundle_id == first.bundle_id
    assert _left_behind(first.folder) == []


def test_pickled_weights_become_safetensors(
    hub: Hub, clip_bundle: Bundle, pictures: list[Image.Image], tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import load_file

    torch.save(load_file(hub.folder / "model.safetensors"), hub.folder / "pytorch_model.bin")
    (hub.folder / "model.safetensors").unlink()
    bundle = fetch_model(MODEL_ID, tmp_path / "tiny")
    assert "pytorch_model.bin" not in bundle.manifest.files
    np.testing.assert_array_equal(
        Encoder.load(bundle).encode_images(pictures[:3]),
        Encoder.load(clip_bundle).encode_images(pictures[:3]),
    )


class _MakesFolder:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self._folder),)


def test_pickle_that_runs_code_is_refused(hub: Hub, tmp_path: Path) -> None:
    import torch

    torch.save({"weight": _MakesFolder(tmp_path / "made")}, hub.folder / "pytorch_model.bin")
    (hub.folder / "model.safetensors").unlink()
    with pytest.raises(FetchError, match="not a plain table of tensors"):
        fetch_model(MODEL_ID, tmp_path / "tiny")
    assert not (tmp_path / "made").exists(), "the pickle's code was run"
    assert not (tmp_path / "tiny").exists()


def test_unreachable_hub_says_what_to_do(closed_port: str, tmp_path: Path) -> None:
    with pytest.raises(FetchError) as caught:
        fetch_model(MODEL_ID, tmp_path / "models" / "tiny")
    message = str(caught.value)
    for part in (MODEL_ID, closed_port, "revision main", "booksearch model import FOLDER", "HF_ENDPOINT"):
        assert part in message
    assert list((tmp_path / "models").iterdir()) == []


def test_failed_fetch_leaves_the_old_bundle(clip_folder: Path, closed_port: str) -> None:
    before = Bundle.open(clip_folder)
    with pytest.raises(FetchError):
        fetch_model(MODEL_ID, clip_folder, revision="another")
    assert Bundle.open(clip_folder) == before
    assert _left_behind(clip_folder) == []


def test_download_that_breaks_off_leaves_nothing(hub: Hub, tmp_path: Path) -> None:
    hub.cut_file = "config.json"
    with pytest.raises(FetchError, match="could not download"):
        fetch_model(MODEL_ID, tmp_path / "models" / "tiny")
    assert list((tmp_path / "models").iterdir()) == []


def test_unknown_model_and_revision_are_told_apart(hub: Hub, tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="no model test/nowhere"):
        fetch_model("test/nowhere", tmp_path / "tiny")
    with pytest.raises(FetchError, match="has test/tiny-clip, but no revision 'v9'"):
        fetch_model(MODEL_ID, tmp_path / "tiny", revision="v9")
    with pytest.raises(FetchError, match="not a model's name"):
        fetch_model("a/b/c", tmp_path / "tiny")


def test_model_without_whole_weights_is_refused(hub: Hub, tmp_path: Path) -> None:
    (hub.folder / "model.safetensors").rename(hub.folder / "model-00001-of-00002.safetensors")
    (hub.folder / "pytorch_model.bin").unlink()
    with pytest.raises(FetchError, match="has no model.safetensors, found .*model-00001-of-00002"):
        fetch_model(MODEL_ID, tmp_path / "tiny")


def test_model_of_another_architecture_is_refused(hub: Hub, tmp_path: Path) -> None:
    (hub.folder / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(BundleError, match="unsupported architecture 'bert'"):
        fetch_model(MODEL_ID, tmp_path / "tiny")
    assert not (tmp_path / "tiny").exists()


def test_imported_folder_makes_the_same_bundle(repository: Path, clip_bundle: Bundle, tmp_path: Path) -> None:
    files = sorted(path.name for path in repository.iterdir())
    bundle = import_model(repository, tmp_path / "models" / "tiny", MODEL_ID, "copied by hand")
    assert bundle.bundle_id == clip_bundle.bundle_id
    assert bundle.manifest.revision == "copied by hand"
    assert sorted(path.name for path in repository.iterdir()) == files


def test_import_of_what_is_no_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FetchError, match="there is no folder"):
        import_model(tmp_path / "nowhere", tmp_path / "tiny", MODEL_ID, "1")
    (tmp_path / "empty").mkdir()
    with pytest.raises(BundleError, match="model.safetensors is missing, found nothing"):
        import_model(tmp_path / "empty", tmp_path / "tiny", MODEL_ID, "1")
    with pytest.raises(FetchError, match="both the source and the destination"):
        import_model(tmp_path / "empty", tmp_path / "empty", MODEL_ID, "1")
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_folder_of_something_else_is_never_replaced(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("Dear ...")
    with pytest.raises(FetchError, match="holds dear.txt, which is no part of a bundle"):
        import_model(repository, tmp_path / "letters", MODEL_ID, "1")
    with pytest.raises(FetchError, match="is a file"):
        import_model(repository, tmp_path / "letters" / "dear.txt", MODEL_ID, "1")
    assert (tmp_path / "letters" / "dear.txt").read_text() == "Dear ..."


def test_destination_that_cannot_be_written_is_named(repository: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(FetchError, match=r"cannot write the bundle .*file/tiny"):
        import_model(repository, tmp_path / "file" / "tiny", MODEL_ID, "1")
