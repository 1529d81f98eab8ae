"""`booksearch model engines` shows what runs here, measures it when asked, and remembers."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from booksearch_assets.cli import main
from booksearch_assets.doctor import examine_engine
from booksearch_assets.settings import Settings


def test_engines_are_shown_measured_and_remembered(
    clip_folder: Path, clip_engines: Path, pictures: list[Image.Image], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:  # fmt: skip
    monkeypatch.setenv("BOOKSEARCH_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("BOOKSEARCH_MODEL", str(clip_folder))
    monkeypatch.delenv("BOOKSEARCH_ENGINE", raising=False)
    before = CliRunner().invoke(main, ["model", "engines"])
    assert before.exit_code == 0, before.output
    assert "torch-float32      runs here" in before.output
    assert "not measured yet" in before.output
    (tmp_path / "pictures").mkdir()
    for number, picture in enumerate(pictures[:20]):
        picture.save(tmp_path / "pictures" / f"{number:02d}.jpg")
    asked = ["model", "engines", "--measure", "--pictures", str(tmp_path / "pictures"), "--json"]
    measured = CliRunner().invoke(main, asked)
    assert measured.exit_code == 0, measured.output
    decision = json.loads(measured.stdout)
    assert decision["pictures"] == 20
    assert decision["measured"][0]["choice"] == "torch-float32"
    after = CliRunner().invoke(main, ["model", "engines"])
    assert f"auto: {decision['why']}" in after.output
    finding = examine_engine(Settings.from_environment())
    assert finding.well and decision["why"] in finding.found
    # What cannot run is an error that says so, here and in the doctor's list.
    monkeypatch.setenv("BOOKSEARCH_ENGINE", "torch-float16")
    finding = examine_engine(Settings.from_environment())
    refused = CliRunner().invoke(main, ["model", "engines"])
    if not Path("/dev/nvidiactl").exists():
        assert not finding.well and "no GPU" in finding.found
        assert refused.exit_code == 1 and "no GPU" in refused.output
