"""The training of the sample CLIP: captions that are true, losses that mean what they say, runs that repeat."""

from __future__ import annotations

import json
import math
import random
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from booksearch_assets.clip.bundle import Bundle, write_manifest
from booksearch_assets.clip.encoder import Encoder
from booksearch_assets.clip.preprocess import Preprocessing
from booksearch_assets.sample import clip_training
from booksearch_assets.sample.clip_data import (
    ATTRIBUTES,
    UNSAID,
    augment,
    batches,
    describe,
    held_out_scene,
    labels_of,
    paint_training_covers,
    plural,
    said_by,
    squash,
    training_scene,
)
from booksearch_assets.sample.clip_evaluation import Retrieval, evaluate, ranks_of_own
from booksearch_assets.sample.clip_model import ClipShape, build_model, build_tokenizer, save_bundle
from booksearch_assets.sample.clip_training import (
    Phase,
    Progress,
    TrainingConfig,
    contrastive_loss,
    normalise,
    train,
)
from booksearch_assets.sample.scenes import (
    COLOURS,
    MOTIFS,
    SETTINGS,
    WEATHER,
    Scene,
    is_held_out,
    random_scene,
)

SCENE = Scene("ship", "white", "skull", "above", "at sea", "in the fog", layout=1, jitter=2)
TINY = TrainingConfig(
    covers=96,
    steps=24,
    batch_size=32,
    learning_rate=3e-3,
    probe_covers=12,
    probe_every=12,
    processes=1,
    shape=ClipShape(
        image_size=24,
        image_width=32,
        image_layers=1,
        image_heads=2,
        text_width=32,
        text_layers=1,
        text_heads=2,
        vocabulary=700,
        projection=32,
    ),
)


def _said(caption: str) -> dict[str, str]:
    """The attributes that a caption of SCENE is taken to name, with their words."""
    numbers = zip(ATTRIBUTES, said_by(caption, SCENE), strict=True)
    return {name: ATTRIBUTES[name][number] for name, number in numbers if number != UNSAID}


def test_a_true_caption_says_everything() -> None:
    assert said_by(SCENE.caption, SCENE) == labels_of(SCENE)


@pytest.mark.parametrize(
    ("caption", "said"),
    [
        ("a ship", {"motif": "ship"}),
        ("pale sailing ship", {"motif": "ship", "colour": "white"}),
        ("a boat and a death's head", {"motif": "ship", "companion": "skull"}),
        ("a boat above a skull", {"motif": "ship", "companion": "skull", "relation": "above"}),
        (
            "a boat in the mist over the waves",
            {"motif": "ship", "setting": "at sea", "weather": "in the fog"},
        ),
    ],
)
def test_a_caption_with_parts_left_out_says_only_the_rest(caption: str, said: dict[str, str]) -> None:
    assert _said(caption) == said


@settings(deadline=None)
@given(st.data())
def test_what_a_caption_leaves_out_is_unsaid(data: st.DataObject) -> None:
    """Captions put together here, part by part, so that what they say is known without reading them."""
    scene = random_scene(random.Random(data.draw(st.integers(0, 2**32))))
    said = {"motif": True} | {
        name: data.draw(st.booleans()) for name in ("colour", "companion", "relation", "setting", "weather")
    }
    said["companion"] &= scene.companion is not None
    said["relation"] &= said["companion"]

    def word(vocabulary: dict[str, tuple[str, ...]], value: str) -> str:
        return data.draw(st.sampled_from((value, *vocabulary[value])))

    parts = ["a", *([word(COLOURS, scene.colour)] if said["colour"] else []), word(MOTIFS, scene.motif)]
    if scene.companion and scene.relation and said["companion"]:
        parts += [scene.relation if said["relation"] else "and", "a", word(MOTIFS, scene.companion)]
    parts += [word(SETTINGS, scene.setting)] if said["setting"] else []
    parts += [word(WEATHER, scene.weather)] if said["weather"] else []
    named = {scene.colour, *COLOURS[scene.colour]} & set(" ".join(parts).split())
    assume(said["colour"] or not named)  # "green hills", "black bird": see below
    expected = [
        label if said[name] else UNSAID for name, label in zip(ATTRIBUTES, labels_of(scene), strict=True)
    ]
    assert said_by(" ".join(parts), scene) == expected


@pytest.mark.xfail(
    strict=True,
    reason="the hills' green is taken for the motif's, so such a caption counts as false of ships of other "
    "colours; the shipped weights depend on it, so it can only change with the next training",
)
def test_green_hills_say_nothing_about_the_motif() -> None:
    scene = replace(SCENE, colour="green", setting="in green hills")
    assert said_by("a ship in green hills", scene)[list(ATTRIBUTES).index("colour")] == UNSAID


@settings(deadline=None)
@given(st.integers(0, 10_000))
def test_descriptions_never_contradict_their_scene(number: int) -> None:
    scene = training_scene(0, number)
    caption, said = describe(scene, random.Random(number))
    assert caption.strip()
    assert any(label != UNSAID for label in said)
    assert all(label in (UNSAID, true) for label, true in zip(said, labels_of(scene), strict=True))


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("dragon", "dragons"),
        ("howling wolf", "howling wolves"),
        ("city", "cities"),
        ("key", "keys"),
        ("compass", "compasses"),
        ("pocket watch", "pocket watches"),
        ("moth", "moths"),
        ("skyscrapers", "skyscrapers"),
        ("pot of tea", "pots of tea"),
        ("world in space", "worlds in space"),
    ],
)
def test_plural(word: str, expected: str) -> None:
    assert plural(word) == expected


def test_training_and_evaluation_share_no_combination() -> None:
    assert not any(is_held_out(training_scene(7, number)) for number in range(300))
    assert all(is_held_out(held_out_scene(7, number)) for number in range(300))


def test_painted_covers_repeat_and_differ(tmp_path: Path) -> None:
    counts: list[int] = []
    first = paint_training_covers(tmp_path / "a.npy", 3, 20, 24, 1, counts.append)
    second = paint_training_covers(tmp_path / "b.npy", 3, 20, 24, 1, counts.append)
    assert first.shape == (20, 24, 24, 3) and first.dtype == np.uint8
    assert np.array_equal(first, second)
    assert len(np.unique(first.reshape(20, -1), axis=0)) == 20
    assert counts == [20, 20]


def test_batches_show_every_cover_once_before_any_again() -> None:
    covers = np.broadcast_to(np.arange(12, dtype=np.uint8)[:, None, None, None] * 20, (12, 20, 20, 3))
    labels = [tuple(row) for batch in batches(covers, seed=1, batch_size=4, steps=6) for row in batch.labels]
    expected = sorted(tuple(labels_of(training_scene(1, number))) for number in range(12))
    assert sorted(labels[:12]) == expected and sorted(labels[12:]) == expected
    assert labels[:12] != labels[12:]


def test_augmented_covers_stay_recognisable() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (16, 64, 64, 3), dtype=np.uint8)
    result = augment(pixels, np.random.default_rng(1))
    assert result.shape == pixels.shape and result.dtype == np.uint8
    assert not np.array_equal(result, pixels)
    assert np.abs(result.mean(axis=(1, 2, 3)) - pixels.mean(axis=(1, 2, 3))).max() < 30


def test_a_caption_that_fits_two_covers_is_not_punished_for_finding_both() -> None:
    """Covers 0 and 1 are dragons: "a dragon" may lie between them, "a red dragon" must lie at its own."""
    images = torch.nn.functional.normalize(
        torch.tensor([[1.0, 1.0, 0.0], [1.0, -1.0, 0.0], [0.0, 0.0, 1.0]]), dim=-1
    )
    between = torch.tensor([[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    labels = torch.tensor([[0, 0], [0, 1], [1, 0]])
    vague = torch.tensor([[0, UNSAID], [0, UNSAID], [1, UNSAID]])
    scale = torch.tensor(20.0)
    assert contrastive_loss(between, images, scale, vague, labels) < contrastive_loss(
        images, images, scale, vague, labels
    )
    assert contrastive_loss(between, images, scale, labels, labels) > contrastive_loss(
        images, images, scale, labels, labels
    )


@pytest.mark.parametrize("scale", [1.0, 10.0])
def test_contrastive_loss_of_known_cases(scale: float) -> None:
    own, labels = torch.eye(3), torch.tensor([[0], [1], [2]])
    anything = torch.full((3, 1), UNSAID)
    total = math.exp(scale) + 2
    # Each caption is true of its own cover: plain cross-entropy.
    loss = contrastive_loss(own, own, torch.tensor(scale), labels, labels)
    assert loss.item() == pytest.approx(math.log(total) - scale, abs=1e-5)
    # Each caption at another's cover: the score of its own is 0.
    loss = contrastive_loss(own.roll(1, 0), own, torch.tensor(scale), labels, labels)
    assert loss.item() == pytest.approx(math.log(total), abs=1e-5)
    # A caption that says nothing is true of all: a third of the weight on each.
    loss = contrastive_loss(own, own, torch.tensor(scale), anything, labels)
    assert loss.item() == pytest.approx(math.log(total) - scale / 3, abs=1e-5)


def test_training_sees_the_pixels_that_the_bundle_makes_of_a_cover(tmp_path: Path) -> None:
    """`squash` and `normalise` in training, the preprocessor config afterwards: the same numbers."""
    save_bundle(build_model(TINY.shape, TOKENIZER), TOKENIZER, TINY.shape, tmp_path)
    prepare = Preprocessing.from_config(tmp_path / "preprocessor_config.json")
    noise = np.random.default_rng(5).integers(0, 256, (50, 33, 3), dtype=np.uint8)
    cover = Image.fromarray(noise).resize((100, 150), Image.Resampling.BICUBIC)
    trained = normalise(squash(cover, TINY.shape.image_size)[None].copy())[0]
    np.testing.assert_allclose(prepare(cover), trained.numpy(), atol=1e-5)


def test_a_saved_model_is_a_bundle(tmp_path: Path) -> None:
    torch.manual_seed(0)
    save_bundle(build_model(TINY.shape, TOKENIZER), TOKENIZER, TINY.shape, tmp_path)
    manifest = write_manifest(tmp_path, "test/untrained", "seed-0")
    bundle = Bundle.open(tmp_path)
    assert bundle.dimension == manifest.dimension == TINY.shape.projection
    encoder = Encoder.load(bundle)
    red = Image.new("RGB", (33, 50), "red")
    vectors = encoder.encode_images([red, Image.new("L", (500, 20), 9), red])
    assert vectors.shape == (3, TINY.shape.projection)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(vectors[0], vectors[2], atol=1e-5)
    dragon, dragons, longer, again = encoder.encode_texts(
        ["a red dragon", "a red dragons", "a red dragon by a very long way of words", "A  red DRAGON"]
    )
    np.testing.assert_allclose(dragon, again, atol=1e-5)
    assert np.abs(dragon - dragons).max() > 1e-3 and np.abs(dragon - longer).max() > 1e-3
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == "clip"


@pytest.mark.parametrize("text", ["dragon " * 500, "龍" * 400, "x" * 5000])
def test_a_long_text_is_cut_and_keeps_its_end(text: str) -> None:
    tokens = TOKENIZER(text, truncation=True).input_ids
    assert len(tokens) == TINY.shape.context_length
    assert tokens[0] == TOKENIZER.bos_token_id and tokens[-1] == TOKENIZER.eos_token_id


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=60))
def test_no_text_is_unknown_to_the_tokenizer(text: str) -> None:
    """The unknown token is the end of text, at which the model pools: one inside a text would cut it off."""
    tokens = TOKENIZER(text).input_ids
    assert tokens[0] == TOKENIZER.bos_token_id and tokens[-1] == TOKENIZER.eos_token_id
    if "<|" not in text:
        assert tokens.count(TOKENIZER.eos_token_id) == 1


TOKENIZER = build_tokenizer(
    [describe(training_scene(0, n), random.Random(n))[0] for n in range(500)], TINY.shape
)


def test_a_text_is_pooled_at_its_end_whatever_the_padding() -> None:
    model = build_model(TINY.shape, TOKENIZER).eval()
    assert model.config.text_config.eos_token_id == TOKENIZER.eos_token_id
    alone = model.get_text_features(**TOKENIZER("a dragon", return_tensors="pt")).pooler_output
    padded = TOKENIZER(["a dragon", "a longer caption of a dragon"], padding=True, return_tensors="pt")
    torch.testing.assert_close(model.get_text_features(**padded).pooler_output[:1], alone)


@pytest.mark.slow
def test_training_repeats_and_lowers_the_loss(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        clip_training, "_TOKENIZER_TEXTS", 500
    )  # of 20,000, which take most of such a short run
    seen: list[Progress] = []
    first = train(tmp_path / "a", TINY, seen.append)
    second = train(tmp_path / "b", TINY)
    assert first.losses == second.losses
    weights = [(tmp_path / run / "model.safetensors").read_bytes() for run in "ab"]
    assert weights[0] == weights[1]
    assert np.mean(first.losses[-4:]) < np.mean(first.losses[:4]) - 0.1
    assert first.samples == TINY.steps * TINY.batch_size
    assert [(p.done, p.total) for p in seen if p.phase is Phase.PAINTING] == [(96, 96)]
    assert seen[-1].done == seen[-1].total == first.samples
    assert seen[-1].probe_recall == first.probe_recall


def test_ranks_count_ties_against_the_own_cover() -> None:
    images = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    ranks = ranks_of_own(images, images)
    assert ranks.tolist() == [2, 2, 1]
    assert Retrieval.of_ranks(ranks) == Retrieval(1 / 3, 1.0, 1.0, pytest.approx(2 / 3))


def test_evaluation_refuses_too_few_covers(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="at least 10 covers, got 9"):
        evaluate(tmp_path, covers=9)
