"""What the process cannot be made to show: a model without a direction for one picture, and where bundles are looked for."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from booksearch_assets.clip.bundle import Bundle, BundleError
from booksearch_assets.clip.encoder import Encoder
from booksearch_assets.sagemaker.handler import JSON, JSON_LINES, Handler, Refused
from booksearch_assets.sagemaker.server import find_bundle_folder
from booksearch_assets.settings import PACKAGE

MODEL = PACKAGE / "sample" / "model"


class ContrastEngine:
    """Every vector is as long as its picture has contrast: of one colour, it has no direction."""

    def __init__(self, dimension: int) -> None:
        self._dimension = dimension

    def encode_pixels(self, pixels: np.ndarray) -> np.ndarray:
        contrast = pixels.std(axis=(2, 3)).sum(axis=1).round(3)
        return np.repeat(contrast[:, np.newaxis], self._dimension, axis=1).astype(np.float32)

    def encode_tokens(self, input_ids: np.ndarray, attention_mask: np.ndarray | None) -> np.ndarray:
        raise AssertionError("no texts here")


@pytest.fixture(scope="module")
def handler() -> Handler:
    bundle = Bundle.open(MODEL)
    return Handler(Encoder(bundle, ContrastEngine(bundle.dimension)))


def png(*colours: str) -> str:
    """Stripes in base64."""
    image = Image.new("RGB", (8 * len(colours), 8))
    for column, colour in enumerate(colours):
        image.paste(colour, (8 * column, 0, 8 * column + 8, 8))
    stream = io.BytesIO()
    image.save(stream, "PNG")
    return base64.b64encode(stream.getvalue()).decode()


def test_a_picture_without_a_direction_spoils_no_other_row(handler: Handler) -> None:
    pictures = {"stripes": png("red", "blue"), "red": png("red"), "more": png("white", "black")}
    lines = [json.dumps({"key": key, "image": picture}) for key, picture in pictures.items()]
    answer = handler.answer("\n".join(lines).encode(), JSON_LINES)
    rows = {row["key"]: row for row in map(json.loads, answer.body.splitlines())}
    assert "of length 0.0" in rows["red"]["error"]
    for key in ("stripes", "more"):
        assert np.linalg.norm(rows[key]["vector"]) == pytest.approx(1, abs=1e-5)


def test_a_picture_without_a_direction_is_no_defect(handler: Handler) -> None:
    body = json.dumps({"images": [png("red", "blue"), png("red")]}).encode()
    with pytest.raises(Refused, match="input 1 of 2: .* of length 0.0") as refused:
        handler.answer(body, JSON)
    assert refused.value.status == 422


def test_a_bundle_is_found_with_or_without_a_folder_around_it(tmp_path: Path) -> None:
    (tmp_path / "nested" / "bundle").mkdir(parents=True)
    (tmp_path / "nested" / "bundle" / "manifest.json").touch()
    assert find_bundle_folder(tmp_path / "nested") == tmp_path / "nested" / "bundle"
    assert find_bundle_folder(tmp_path / "nested" / "bundle") == tmp_path / "nested" / "bundle"
    (tmp_path / "nested" / "manifest.json").touch()
    with pytest.raises(
        BundleError, match=r"2 files manifest.json .*expected one\. Pack the files of one bundle"
    ):
        find_bundle_folder(tmp_path / "nested")
