"""The cost model on made-up builds: what is fixed is told from what grows, and predicted at other sizes."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from booksearch_assets.compute.calibrations import (
    Encoder,
    cost_model,
    keep_model,
    kept_model,
    shipped_model,
)
from booksearch_assets.compute.cost_model import Build, CostModel, Driver, Line, Measurement, Stage
from booksearch_assets.compute.rates import default_rate, seconds_per_gflop
from booksearch_assets.tables.lake import Lake

FIXED, EACH = 10.0, 0.02
MIB = 2**20
VIT_B_32 = Encoder("openai-clip-vit-base-patch32-0123456789ab", 8.82, 1560 * MIB)


def made_up_build(editions: int) -> Build:
    """Every stage takes FIXED seconds and EACH second of a unit; covers are two of five editions."""
    covers = editions * 2 // 5
    units = {Driver.EDITIONS: editions, Driver.COVERS: covers}
    measured = tuple(
        Measurement(
            stage=stage,
            units=units[stage.grows_with],
            seconds=FIXED + EACH * units[stage.grows_with],
            cpu_seconds=2 * (FIXED + EACH * units[stage.grows_with]),
            peak_bytes=500 * MIB + 1000 * units[stage.grows_with],
            stored_bytes=3000 * units[stage.grows_with],
        )
        for stage in Stage
    )
    return Build(editions, covers, 1300 * editions, measured)


def made_up_model(*sizes: int, kind: str = "a-bundle", cores: int = 2) -> CostModel:
    return CostModel(tuple(map(made_up_build, sizes)), cores, kind, "made up")


def test_what_two_builds_took_predicts_four_and_sixteen_times_their_size() -> None:
    model = made_up_model(500, 2000)
    for editions in (8000, 32_000):
        truth = made_up_build(editions)
        for cost in model.predict(editions, truth.covers):
            measured = truth.of(cost.stage)
            assert cost.units == measured.units
            assert cost.seconds == pytest.approx(measured.seconds)
            assert cost.stored_bytes == pytest.approx(measured.stored_bytes)
    assert (model.covers_per_edition, model.text_per_edition, model.largest) == (0.4, 1300, 2000)


def test_the_dumps_stages_are_drawn_through_a_larger_build_of_their_own() -> None:
    small = [made_up_build(2000), made_up_build(8000)]
    # A JVM that warms up takes as long for both, and half a second more by chance.
    warming = [with_seconds(build, Stage.EDITIONS, 40 + n / 2) for n, build in enumerate(small)]
    large = made_up_build(96_000)
    of_dump = tuple(m for m in large.measurements if m.stage.of_dump)
    dump = with_seconds(replace(large, measurements=of_dump), Stage.EDITIONS, 46.0)
    assert not dump.is_whole
    model = CostModel((*warming, dump), 2, "a-bundle", "made up")
    assert model.line(Stage.EDITIONS, "seconds").at(128_000) == pytest.approx(48.0, rel=0.02)
    assert CostModel(tuple(warming), 2, "", "").line(Stage.EDITIONS, "seconds").at(128_000) > 50
    assert model.line(Stage.COVER_IMAGES, "seconds") == made_up_model(2000, 8000).line(
        Stage.COVER_IMAGES, "seconds"
    )
    assert model.largest == 8000
    assert CostModel.from_json(json.loads(json.dumps(model.to_json()))) == model
    with pytest.raises(ValueError, match="cover_images was no part of the build of 96,000 editions"):
        dump.of(Stage.COVER_IMAGES)
    with pytest.raises(ValueError, match=r"whole builds of two sizes.*got 8,000"):
        CostModel((small[1], dump), 2, "", "")


def test_memory_that_differs_by_chance_is_flat_and_what_a_larger_dump_takes_is_kept() -> None:
    def with_peaks(build: Build, peaks: dict[Stage, int]) -> Build:
        changed = (replace(m, peak_bytes=peaks.get(m.stage, 1000 * MIB)) for m in build.measurements)
        return replace(build, measurements=tuple(changed))

    small = with_peaks(made_up_build(2000), {Stage.SEARCH_QUALITY: 2000 * MIB})
    # Three in a hundred more by chance; and a fifth more questions, of which there are no more in a larger build.
    larger = with_peaks(
        made_up_build(8000), {Stage.COVER_EMBEDDINGS: 1030 * MIB, Stage.SEARCH_QUALITY: 2400 * MIB}
    )
    model = CostModel((small, larger), 2, "", "")
    peaks = {cost.stage: cost.peak_bytes for cost in model.predict(128_000, 48_000)}
    assert peaks[Stage.COVER_EMBEDDINGS] == 1015 * MIB
    assert peaks[Stage.SEARCH_QUALITY] == 2400 * MIB
    large = made_up_build(96_000)
    of_dump = tuple(m for m in large.measurements if m.stage.of_dump)
    dump = with_peaks(replace(large, measurements=of_dump), {Stage.COVER_URLS: 1500 * MIB})
    peaks = {
        cost.stage: cost.peak_bytes
        for cost in CostModel((small, larger, dump), 2, "", "").predict(96_000, 48_000)
    }
    assert peaks[Stage.COVER_URLS] == pytest.approx(1500 * MIB, rel=0.02)
    kept = peaks[Stage.COVER_URLS] - 1000 * MIB
    assert peaks[Stage.COVER_EMBEDDINGS] == pytest.approx(1015 * MIB + kept)
    assert peaks[Stage.SEARCH_QUALITY] == pytest.approx(2400 * MIB + kept)


def with_seconds(build: Build, stage: Stage, seconds: float) -> Build:
    changed = (replace(m, seconds=seconds) if m.stage is stage else m for m in build.measurements)
    return replace(build, measurements=tuple(changed))


def test_more_cores_shorten_what_grows_on_spark_and_nothing_else() -> None:
    here = {cost.stage: cost.seconds for cost in made_up_model(500, 2000).predict(10_000, 4000)}
    there = {cost.stage: cost.seconds for cost in made_up_model(500, 2000).predict(10_000, 4000, cores=8)}
    assert {stage for stage in Stage if there[stage] < here[stage]} == {s for s in Stage if s.on_spark}
    assert there[Stage.EDITIONS] == pytest.approx(FIXED + EACH * 10_000 / 4)
    assert there[Stage.COVER_IMAGES] == here[Stage.COVER_IMAGES]


@settings(max_examples=40)
@given(
    st.dictionaries(st.integers(1, 10**6), st.floats(0, 1e6), min_size=2, max_size=5),
    st.integers(0, 10**8),
)
def test_no_measurements_predict_less_than_nothing_or_less_for_more(
    points: dict[int, float], units: int
) -> None:
    line = Line.through(list(points.items()))
    assert line.fixed >= 0 and line.each >= 0 and math.isfinite(line.at(units))


def test_noise_around_a_line_moves_it_little() -> None:
    noisy = [(1000, 31.5), (1000, 28.8), (4000, 87.0), (4000, 94.0)]
    assert Line.through(noisy).at(16_000) == pytest.approx(FIXED + EACH * 16_000, rel=0.06)


def test_one_size_is_not_enough() -> None:
    with pytest.raises(ValueError, match=r"two sizes.*2,000, 2,000"):
        made_up_model(2000, 2000)
    with pytest.raises(ValueError, match="two sizes at least"):
        Line.through([(5, 1.0), (5, 2.0)])


def test_a_calibration_is_kept_for_its_model_and_no_other(tmp_path: Path) -> None:
    lake = Lake(str(tmp_path))
    model = made_up_model(500, 2000, kind=VIT_B_32.kind)
    keep_model(lake, model)
    assert cost_model(lake, VIT_B_32) == model
    assert kept_model(lake, "another") is None
    assert lake.tables() == []
    lake.write_bytes(f"_rates/local/graph/{VIT_B_32.kind}.json", json.dumps({"builds": [{}]}).encode())
    assert cost_model(lake, VIT_B_32) == shipped_model(VIT_B_32)


def test_the_shipped_calibration_is_reckoned_for_a_larger_model() -> None:
    small = Encoder("a-bundle", 0.369, 381 * MIB)
    before, after = shipped_model(small), shipped_model(VIT_B_32)
    slower = after.line(Stage.COVER_EMBEDDINGS, "cpu_seconds").each
    faster = before.line(Stage.COVER_EMBEDDINGS, "cpu_seconds").each
    assert slower - faster == pytest.approx((8.82 - 0.369) * seconds_per_gflop(), rel=0.01)
    peak = [model.line(Stage.COVER_EMBEDDINGS, "peak_bytes").at(10_000) for model in (before, after)]
    assert peak[1] - peak[0] == pytest.approx(2 * (1560 - 381) * MIB, rel=0.01)
    others = [stage for stage in Stage if stage is not Stage.COVER_EMBEDDINGS]
    assert all(before.line(stage, "seconds") == after.line(stage, "seconds") for stage in others)
    assert "8.82 GFLOP" in after.source


def test_the_default_rate_of_embedding_goes_with_the_arithmetic_of_the_model() -> None:
    measured, small = default_rate("image_embeddings"), default_rate("image_embeddings", 0.369)
    assert default_rate("image_embeddings", 8.82) == measured
    # A fifth of a minute of covers for the sample model, not a minute.
    assert 0.005 < small.core_seconds < 0.015 < measured.core_seconds
    assert small.fixed_seconds == measured.fixed_seconds
    assert "reckoned for 0.369 GFLOP" in small.source
    assert default_rate("editions", 5.0) == default_rate("editions")
