"""An engine is decided once, by one process, and what was measured is not measured again."""

from __future__ import annotations

import io
import shutil
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from booksearch_assets.clip import choosing
from booksearch_assets.clip.bundle import Bundle
from booksearch_assets.clip.choosing import (
    DECISION,
    PROBE_FROM,
    Decision,
    choose_engine,
    decide,
    engine_folder,
    read_decision,
)
from booksearch_assets.clip.encoder import Encoder
from booksearch_assets.clip.engines import REFERENCE, Capabilities, Decode, EngineChoice, EngineName
from booksearch_assets.sample.painter import cover_jpeg
from booksearch_assets.sample.scenes import scene_of


@pytest.fixture(scope="module")
def covers() -> list[bytes]:
    """Painted covers as large as real ones, and what no engine can read."""
    painted = [cover_jpeg(scene_of(n, 0), f"Title {n}", "An Author", height=750) for n in range(24)]
    return [b"", *painted, b"GIF89a"]


@pytest.fixture(scope="module")
def sample_bundle() -> Bundle:
    return Bundle.open(Path(str(resources.files("booksearch_assets") / "sample" / "model")))


class Drawer:
    """Gives pictures, and counts how often it was asked."""

    def __init__(self, contents: Sequence[bytes]) -> None:
        self.contents, self.asked = contents, 0

    def __call__(self, count: int) -> Sequence[bytes]:
        self.asked += 1
        return self.contents


def _jpegs(pictures: list[Image.Image]) -> list[bytes]:
    contents = []
    for picture in pictures:
        stream = io.BytesIO()
        picture.save(stream, "JPEG")
        contents.append(stream.getvalue())
    return contents


def test_engines_keep_the_sample_models_neighbours(
    sample_bundle: Bundle, covers: list[bytes], tmp_path: Path
) -> None:
    said: list[str] = []
    drawer = Drawer(covers)
    chosen = choose_engine("auto", sample_bundle, tmp_path, PROBE_FROM, drawer, said.append)
    decision = Decision.model_validate_json((tmp_path / DECISION).read_bytes())
    assert str(chosen.choice) == decision.choice
    assert decision.pictures == 24
    assert decision.machine == Capabilities.of_this_machine()
    assert decision.bundle_id == sample_bundle.bundle_id
    native = [m for m in decision.measured if EngineChoice.parse(m.choice).decode is Decode.FULL]
    assert native[0].choice == "torch-float32"
    assert len(native) > 1
    assert all(m.keeps_neighbours for m in native), "\n".join(map(str, native))
    assert any(m.choice.endswith("+reduced") for m in decision.measured)
    assert any("images/s" in line for line in said)
    if chosen.choice.engine.is_openvino:
        assert list(tmp_path.glob("openvino-*/model.bin")), "converted before any worker starts"
    # A second run, of another process for all it knows, and of fewer pictures.
    again = choose_engine("auto", sample_bundle, tmp_path, 700, drawer)
    assert again == chosen
    assert drawer.asked == 1


def test_reduced_decode_halves_what_is_decoded_and_keeps_the_direction(
    sample_bundle: Bundle, covers: list[bytes]
) -> None:
    reduced = Encoder.load_for_images(sample_bundle, EngineChoice(EngineName.TORCH_FLOAT32, Decode.REDUCED))
    pictures = [reduced.decode(content) for content in covers[1:9]]
    assert {picture.size for picture in pictures} == {(250, 375)}, "at least twice the 64 pixels of the model"
    full = Encoder.load_for_images(sample_bundle)
    whole = [full.decode(content) for content in covers[1:9]]
    assert {picture.size for picture in whole} == {(500, 750)}
    near = full.encode_images(whole) * reduced.encode_images(pictures)
    assert 0.99 < near.sum(axis=1).min() < 1


def test_few_pictures_cost_no_measurement(clip_bundle: Bundle, tmp_path: Path) -> None:
    drawer = Drawer([])
    chosen = choose_engine("auto", clip_bundle, tmp_path, PROBE_FROM - 1, drawer)
    assert (chosen.choice, drawer.asked) == (REFERENCE, 0)
    assert "less than 5,000" in chosen.why
    assert list(tmp_path.iterdir()) == []


def test_without_openvino_auto_takes_torch_and_says_what_would_be_faster(
    clip_bundle: Bundle, pictures: list[Image.Image], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Capabilities.of_this_machine()
    bare = here.model_copy(update={"openvino": None, "nncf": None, "gpu": None})
    monkeypatch.setattr(Capabilities, "of_this_machine", classmethod(lambda cls: bare))
    contents = _jpegs(pictures[:12])
    chosen = choose_engine("auto", clip_bundle, tmp_path, 10_000, Drawer(contents))
    assert chosen.choice.engine in (EngineName.TORCH_FLOAT32, EngineName.TORCH_BFLOAT16)
    assert "OpenVINO is not installed: pip install 'booksearch_assets[fast]'" in chosen.why
    # What was found without it is not taken for true once it is there.
    assert read_decision(tmp_path, clip_bundle, bare) is not None
    assert read_decision(tmp_path, clip_bundle, here) is None
    too_few = choose_engine("auto", clip_bundle, tmp_path / "other", 10_000, Drawer([*contents[:5], b"x"]))
    assert too_few.choice == REFERENCE
    assert "5 readable pictures are too few" in too_few.why


def test_a_bundle_of_this_deployment_keeps_the_decision_in_its_manifest(
    clip_bundle: Bundle, pictures: list[Image.Image], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = Capabilities.of_this_machine()
    bare = here.model_copy(update={"openvino": None, "nncf": None, "gpu": None})
    other = bare.model_copy(update={"processor": "another"})
    monkeypatch.setattr(Capabilities, "of_this_machine", classmethod(lambda cls: bare))
    bundle = Bundle.open(shutil.copytree(clip_bundle.folder, tmp_path / "models" / "fetched"))
    folder = engine_folder(tmp_path / "engines", bundle)
    decided = decide(bundle, folder, _jpegs(pictures[:12]), lambda message: None)
    monkeypatch.setattr(Capabilities, "of_this_machine", classmethod(lambda cls: other))
    elsewhere = decide(bundle, folder, _jpegs(pictures[:12]), lambda message: None)
    opened = Bundle.open(bundle.folder)
    assert [record["machine"]["processor"] for record in opened.manifest.engines] == [
        bare.processor,
        "another",
    ]
    assert (opened.bundle_id, opened.manifest.files) == (clip_bundle.bundle_id, clip_bundle.manifest.files)
    assert read_decision(folder, bundle, bare) == decided
    assert read_decision(folder, opened, other) == elsewhere
    assert not (folder / DECISION).exists()
    # Decided again on the first machine: one record for each.
    decide(bundle, folder, _jpegs(pictures[:12]), lambda message: None)
    assert len(Bundle.open(bundle.folder).manifest.engines) == 2
    # A bundle that others share is left as it is.
    shared = Bundle.open(clip_bundle.folder)
    decide(shared, engine_folder(tmp_path / "engines", shared), _jpegs(pictures[:12]), lambda message: None)
    assert Bundle.open(clip_bundle.folder).manifest == clip_bundle.manifest
    assert (folder / DECISION).exists()


def test_decision_that_cannot_be_read_is_made_anew(clip_bundle: Bundle, tmp_path: Path) -> None:
    here = Capabilities.of_this_machine()
    (tmp_path / DECISION).write_text('{"schema_version": 0')
    assert read_decision(tmp_path, clip_bundle, here) is None
    assert read_decision(tmp_path / "nowhere", clip_bundle, here) is None


def test_eight_bits_are_used_where_they_are_asked_for_and_say_what_they_cost(
    clip_bundle: Bundle, pictures: list[Image.Image], clip_engines: Path
) -> None:
    drawer = Drawer(_jpegs(pictures))
    chosen = choose_engine("openvino-int8", clip_bundle, clip_engines, 10, drawer)
    assert chosen.choice == EngineChoice(EngineName.OPENVINO_INT8)
    assert "% of the neighbours among 16 pictures" in chosen.why
    again = choose_engine("openvino-int8", clip_bundle, clip_engines, 10, drawer)
    assert (again.choice, drawer.asked) == (chosen.choice, 1)
    assert "made before" in again.why
    vectors = Encoder.load_for_images(clip_bundle, chosen.choice, folder=clip_engines).encode_images(pictures)
    reference = Encoder.load(clip_bundle).encode_images(pictures)
    assert (vectors * reference).sum(axis=1).min() > 0.9
    assert np.abs(vectors - reference).max() > 1e-4, "these are float32's vectors"


def test_a_wish_is_obeyed_without_measuring(clip_bundle: Bundle, clip_engines: Path) -> None:
    for wish in ("torch", "openvino-float32+reduced"):
        chosen = choose_engine(wish, clip_bundle, clip_engines, 10**6, Drawer([]))
        assert f"asks for {wish}" in chosen.why
    assert chosen.choice == EngineChoice(EngineName.OPENVINO_FLOAT32, Decode.REDUCED)


def test_the_measuring_leaves_torchs_threads_alone(
    clip_bundle: Bundle, pictures: list[Image.Image], tmp_path: Path
) -> None:
    import torch

    before = torch.get_num_threads()
    probe = choosing.Probe(clip_bundle, _jpegs(pictures[:12]), tmp_path, lambda message: None)
    measured = probe.measure(REFERENCE)
    assert torch.get_num_threads() == before
    assert measured.overlap == 1
    assert np.isclose(measured.centred_cosine, 1, atol=1e-4)
