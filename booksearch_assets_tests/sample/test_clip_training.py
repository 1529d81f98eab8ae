"""The training of the sample CLIP: captions that are true, losses that mean what they say, runs that repeat."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

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
    training_scene,
)
from booksearch_assets.sample.clip_evaluation import Retrieval, evaluate, ranks_of_own
from booksearch_assets.sample.clip_model import ClipShape, build_model, build_tokenizer
from booksearch_assets.sample.clip_training import Phase, Progress, TrainingConfig, contrastive_loss, train
from booksearch_assets.sample.scenes import Scene, is_held_out

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


@settings(max_examples=50)
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


def test_training_repeats_and_lowers_the_loss(tmp_path: Path) -> None:
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
