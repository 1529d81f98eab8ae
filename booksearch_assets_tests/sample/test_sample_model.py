"""The shipped bundle: it loads with no network, is small, and finds covers it never saw."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch
from safetensors import safe_open
from transformers import AutoTokenizer, CLIPModel, PreTrainedTokenizerBase

from booksearch_assets.clip.bundle import Bundle
from booksearch_assets.clip.encoder import Encoder
from booksearch_assets.clip.preprocess import Preprocessing
from booksearch_assets.sample.clip_data import as_delivered, held_out_scene, plural
from booksearch_assets.sample.clip_evaluation import encode_pixels, encode_texts, evaluate, ranks_of_own
from booksearch_assets.sample.draws import Draws
from booksearch_assets.sample.scenes import MOTIFS, Scene
from booksearch_assets.settings import PACKAGE

FOLDER = PACKAGE / "sample" / "model"
MAX_WEIGHT_BYTES = 8_000_000

LOAD_WITHOUT_NETWORK = """
import socket, sys
def refuse(*arguments): raise OSError("the network was touched")
socket.socket.connect = refuse
from transformers import AutoTokenizer, CLIPModel, CLIPTokenizerFast
from booksearch_assets.clip.bundle import Bundle
from booksearch_assets.clip.encoder import Encoder
assert Encoder.load(Bundle.open(sys.argv[1])).encode_texts(["a dragon"]).shape == (1, 128)
model, tokenizer = CLIPModel.from_pretrained(sys.argv[1]), AutoTokenizer.from_pretrained(sys.argv[1])
assert CLIPTokenizerFast.from_pretrained(sys.argv[1])("a dragon").input_ids == tokenizer("a dragon").input_ids
print(model.dtype, model.config.text_config.eos_token_id == tokenizer.eos_token_id)
"""


@cache
def _loaded() -> tuple[CLIPModel, PreTrainedTokenizerBase]:
    return CLIPModel.from_pretrained(FOLDER, dtype=torch.float32).eval(), AutoTokenizer.from_pretrained(
        FOLDER
    )


def _texts(*texts: str) -> torch.Tensor:
    return encode_texts(*_loaded(), texts)


@pytest.mark.system
def test_loads_in_a_fresh_process_without_a_network() -> None:
    environment = {**os.environ, "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-c", LOAD_WITHOUT_NETWORK, str(FOLDER)]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.split() == ["torch.float16", "True"]


def test_weights_are_float16_and_small() -> None:
    weights = FOLDER / "model.safetensors"
    assert weights.stat().st_size <= MAX_WEIGHT_BYTES
    with safe_open(weights, "np") as file:
        assert {file.get_slice(name).get_dtype() for name in file.keys()} == {"F16"}  # noqa: SIM118


def test_files_are_those_of_the_manifest() -> None:
    assert Bundle.open(FOLDER).manifest.model_id == "booksearch/sample-clip"


def test_finds_covers_it_never_saw() -> None:
    report = evaluate(FOLDER, covers=200, seed=1)
    assert report.true_captions.recall_at_10 >= 0.97
    assert report.true_captions.recall_at_1 >= 0.7


def test_tells_motifs_apart_where_all_else_is_equal() -> None:
    """The same forty scenes with a lighthouse and with a dragon: each word prefers its own of every pair."""
    model, _ = _loaded()
    prepare = Preprocessing.from_config(FOLDER / "preprocessor_config.json")

    def vectors(motif: str) -> torch.Tensor:
        scenes = [replace(held_out_scene(2, number), motif=motif) for number in range(40)]
        covers = [prepare(as_delivered(scene, Draws("motifs", i), 300)) for i, scene in enumerate(scenes)]
        return encode_pixels(model, torch.from_numpy(np.stack(covers)))

    lighthouses, dragons = vectors("lighthouse"), vectors("dragon")
    for word, own, other in (("lighthouse", lighthouses, dragons), ("dragon", dragons, lighthouses)):
        query = _texts(word)[0]
        assert (own @ query > other @ query).float().mean() >= 0.9


@pytest.mark.parametrize(
    "form",
    [
        str,
        str.upper,
        lambda motif: f"a photo of a {motif}",
        lambda motif: f"a book cover with a {motif}",
        lambda motif: f"{plural(motif).title()} -- Fiction",
        lambda motif: f"Fiction, {plural(motif)}",
    ],
    ids=["bare", "upper case", "photo", "cover", "heading", "inverted heading"],
)
def test_every_way_to_name_a_motif_means_that_motif(form: object) -> None:
    assert callable(form)
    canonical = _texts(*(f"a {motif}" for motif in MOTIFS))
    nearest = (_texts(*(form(motif) for motif in MOTIFS)) @ canonical.T).argmax(dim=1)
    assert (nearest == torch.arange(len(MOTIFS))).float().mean() >= 0.95


def test_synonyms_mean_their_motif() -> None:
    canonical = _texts(*(f"a {motif}" for motif in MOTIFS))
    words = [(word, number) for number, others in enumerate(MOTIFS.values()) for word in others]
    nearest = (_texts(*(word for word, _ in words)) @ canonical.T).argmax(dim=1).tolist()
    missed = [word for (word, number), found in zip(words, nearest, strict=True) if found != number]
    assert len(missed) <= 0.1 * len(words), missed


def test_a_text_has_one_vector_in_any_company() -> None:
    alone = _texts("a red dragon at sea")
    company = _texts(
        "an owl", "a red dragon at sea", "a very much longer caption about a green hourglass at night"
    )
    torch.testing.assert_close(company[1:2], alone, atol=1e-5, rtol=0)
    assert torch.equal(_texts("A Red DRAGON at sea"), alone)


@pytest.mark.parametrize("text", ["", "zyzzyva", "龍の物語", "🐉", "word " * 500, "a\tdragon\n"])
def test_any_text_has_a_unit_vector(text: str) -> None:
    assert _texts(text).norm().item() == pytest.approx(1, abs=1e-5)


@cache
def _library() -> tuple[list[Scene], np.ndarray, Encoder]:
    """Two hundred held-out covers, ten of them with a large lighthouse and ten with a large dragon, and none with a
    small one: a search that knew nothing would find each in one place of twenty."""
    sought = ("lighthouse", "dragon")
    scenes = [held_out_scene(11, number) for number in range(3000)]
    scenes = [scene for scene in scenes if scene.companion not in sought]
    library = [scene for scene in scenes if scene.motif not in sought][:180]
    for motif in sought:
        library += [scene for scene in scenes if scene.motif == motif][:10]
    assert len(library) == 200
    encoder = Encoder.load(Bundle.open(FOLDER))
    covers = [as_delivered(scene, Draws("library", number)) for number, scene in enumerate(library)]
    return library, encoder.encode_images(covers), encoder


def _found(query: str) -> list[str]:
    """The motifs of the ten best covers of the library."""
    library, covers, encoder = _library()
    best = np.argsort(-(covers @ encoder.encode_texts([query])[0]))[:10]
    return [library[number].motif for number in best]


def test_true_captions_find_their_covers_through_the_encoder() -> None:
    library, covers, encoder = _library()
    captions = encoder.encode_texts([scene.caption for scene in library])
    ranks = ranks_of_own(torch.from_numpy(captions), torch.from_numpy(covers))
    assert (ranks <= 10).mean() >= 0.97


@pytest.mark.parametrize(
    "query", ["a lighthouse", "lighthouse", "LIGHTHOUSE", "a beacon", "Lighthouses -- Fiction"]
)
def test_a_lighthouse_ranks_lighthouses_first(query: str) -> None:
    assert _found(query).count("lighthouse") >= 8


@pytest.mark.parametrize(
    "query",
    [
        "a dragon",
        "A DRAGON",
        "a photo of a dragon",
        "a winged dragon on a book cover",
        "Dragons -- Fiction",
        "dragons",
    ],
)
def test_a_dragon_however_said_finds_dragons(query: str) -> None:
    assert _found(query).count("dragon") >= 7


def test_the_model_card_tells_what_was_measured() -> None:
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert card.startswith("---\nlicense: apache-2.0\n")
    assert "recall@10" in card and "held out" in card.lower()
