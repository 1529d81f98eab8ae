"""OpenVINO gives the reference's vectors, is converted once, and reports to nobody."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from booksearch_assets.clip.bundle import Bundle
from booksearch_assets.clip.encoder import Encoder
from booksearch_assets.clip.engines import Capabilities, EngineChoice, EngineName, EngineUnavailable
from booksearch_assets.clip.openvino_engine import convert

FLOAT32 = EngineChoice(EngineName.OPENVINO_FLOAT32)
INT8 = EngineChoice(EngineName.OPENVINO_INT8)


@pytest.mark.parametrize("bundle_of", ["clip_bundle", "siglip_bundle"])
def test_every_engine_that_runs_here_gives_the_references_vectors(
    bundle_of: str, pictures: list[Image.Image], clip_engines: Path, request: pytest.FixtureRequest
) -> None:
    bundle: Bundle = request.getfixturevalue(bundle_of)
    folder = clip_engines if bundle_of == "clip_bundle" else clip_engines.parent / bundle_of
    reference = Encoder.load(bundle).encode_images(pictures)
    tolerance = dict.fromkeys(EngineName, 0.03) | {
        EngineName.TORCH_FLOAT32: 1e-5,
        EngineName.OPENVINO_FLOAT32: 1e-4,
    }
    for engine in (EngineName.TORCH_FLOAT32, *Capabilities.of_this_machine().candidates()):
        encoder = Encoder.load_for_images(bundle, EngineChoice(engine), folder=folder)
        # The last batch is of another size than the others.
        vectors = encoder.encode_images(pictures, batch_size=5)
        np.testing.assert_allclose(vectors, reference, atol=tolerance[engine], err_msg=engine)
        assert encoder.bundle_id == bundle.bundle_id
        with pytest.raises(TypeError, match="was loaded for images"):
            encoder.encode_texts(["a wolf"])


def test_conversion_is_made_once_and_read_by_the_workers(
    clip_bundle: Bundle, pictures: list[Image.Image], clip_engines: Path
) -> None:
    [folder] = clip_engines.iterdir()
    place = folder / "model.xml"
    written = place.stat().st_mtime_ns
    assert convert(clip_bundle, clip_engines) == place
    with_folder = Encoder.load_for_images(clip_bundle, FLOAT32, threads=1, folder=clip_engines)
    assert place.stat().st_mtime_ns == written
    assert list(clip_engines.iterdir()) == [folder], "something half-made is left"
    # A worker that is given no folder converts for itself.
    alone = Encoder.load_for_images(clip_bundle, FLOAT32, threads=1)
    np.testing.assert_allclose(
        alone.encode_images(pictures[:4]), with_folder.encode_images(pictures[:4]), atol=1e-5
    )


def test_eight_bits_are_not_made_by_a_worker(clip_bundle: Bundle, clip_engines: Path) -> None:
    with pytest.raises(EngineUnavailable, match="has no eight-bit model"):
        Encoder.load_for_images(clip_bundle, INT8, folder=clip_engines)


def test_missing_library_is_told_with_what_to_do(
    clip_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(EngineUnavailable, match=r"OpenVINO cannot be loaded .*pip install"):
        Encoder.load_for_images(clip_bundle, FLOAT32)


def test_use_is_not_reported_to_anybody(clip_bundle: Bundle, tmp_path: Path) -> None:
    """OpenVINO and NNCF report each import to Google Analytics where their telemetry package can be imported."""
    program = (
        "import sys\n"
        "from booksearch_assets.clip.openvino_engine import _openvino\n"
        "_openvino(); import openvino.tools.ovc\n"
        "assert not sys.modules.get('openvino_telemetry'), 'telemetry is loaded'\n"
        "print(openvino.tools.ovc.telemetry.__class__.__module__)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=True,
        env={"HOME": str(tmp_path), "PATH": "/usr/bin:/bin"},
    )
    assert "telemetry_stub" in done.stdout
    assert list(tmp_path.iterdir()) == [], "a consent file was written"
