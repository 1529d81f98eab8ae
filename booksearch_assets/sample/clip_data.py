"""Training data of the sample CLIP: painted covers, what is said about them, and batches of both.

Holds the labels of a scene, the mix of captions, the painted array on disk and its augmentation.
Belongs here: everything that turns scene numbers into arrays. Does not: vocabulary (`scenes`), pixels (`painter`),
the network (`clip_model`) and the loop (`clip_training`). Imports no torch, so that painting processes start fast.
"""

from __future__ import annotations

import io
import random
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from booksearch_assets.clip.preprocess import Preprocessing
from booksearch_assets.sample.draws import Draws
from booksearch_assets.sample.painter import paint
from booksearch_assets.sample.scenes import (
    COLOURS,
    MOTIFS,
    RELATIONS,
    SETTINGS,
    WEATHER,
    Scene,
    free_caption,
    is_held_out,
    random_scene,
    stable_rng,
)
from booksearch_assets.sample.titles import english_title, person_name

NOTHING = "nothing"
"""The label of an absent companion and of its relation."""

ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "motif": tuple(MOTIFS),
    "colour": tuple(COLOURS),
    "companion": (*MOTIFS, NOTHING),
    "relation": (*RELATIONS, NOTHING),
    "setting": tuple(SETTINGS),
    "weather": tuple(WEATHER),
}
"""The closed sets that a scene chooses from, in the order of a label vector."""

UNSAID = -100
"""The label of an attribute that a caption leaves out: torch's default `ignore_index`."""

COVER_HEIGHT = 500
"""Pixels of a cover as the covers service delivers it (size L)."""

DRAFT_HEIGHT = 144
"""Pixels of most training covers: what the model sees is far smaller still, and painting is several times faster."""

_FULL_SIZE_EVERY = 10
_COVERS_PER_TASK = 500

_TEMPLATES = (
    "a book cover of {}",
    "a book cover with {}",
    "a cover showing {}",
    "a painting of {}",
    "a picture of {}",
    "a photo of {}",
    "an illustration of {}",
    "a drawing of {}",
    "a book about {}",
    "a novel about {}",
    "a story about {}",
    "the tale of {}",
    "{} on the cover",
    "{} on a book cover",
)

_HEADINGS = (
    "{}",
    "{} -- fiction",
    "{}, fiction",
    "fiction, {}",
    "fiction / {}",
    "{} fiction",
    "{} stories",
    "{} novels",
    "{} in literature",
    "{} -- juvenile fiction",
    "novels about {}",
    "books with {}",
)

# What a subject heading or a one-word query says for a phrase of place or weather.
_PLACE_WORDS: dict[str, tuple[str, ...]] = {
    "at sea": ("sea", "ocean", "waves", "the sea"),
    "in a forest": ("forest", "woods", "the forest"),
    "in the mountains": ("mountains", "peaks", "mountain"),
    "in the desert": ("desert", "dunes", "the desert"),
    "in green hills": ("hills", "countryside", "green hills"),
    "on a plain background": ("plain background", "bare page"),
    "on a clear day": ("sunshine", "clear day", "sun"),
    "in the rain": ("rain", "downpour"),
    "in a storm": ("storm", "lightning", "thunderstorm"),
    "in the snow": ("snow", "winter"),
    "in the fog": ("fog", "mist"),
    "at night": ("night", "stars", "moon"),
}


@dataclass(frozen=True)
class Batch:
    """`n` covers with one caption each.

    `pixels` (n, size, size, 3) uint8; `captions` n strings; `said` and `labels` (n, attributes) int64 as in
    `labels_of` and `said_by`.
    """

    pixels: NDArray[np.uint8]
    captions: list[str]
    said: NDArray[np.int64]
    labels: NDArray[np.int64]


def labels_of(scene: Scene) -> list[int]:
    """The scene as one class number for each attribute."""
    return [
        values.index(getattr(scene, name) or NOTHING)  # companion and relation may be absent
        for name, values in ATTRIBUTES.items()
    ]


def said_by(caption: str, scene: Scene) -> list[int]:
    """`labels_of`, with UNSAID for what a caption of this scene leaves out."""
    padded = f" {caption} "

    def says(*phrases: str) -> bool:
        return any(f" {phrase} " in padded for phrase in phrases)

    companions = [
        f"{article} {word}"
        for word in (scene.companion, *MOTIFS.get(scene.companion or "", ()))
        for article in ("a", "an")
    ]
    related = [f"{scene.relation} {companion}" for companion in companions]
    said = {
        "motif": True,
        "colour": says(scene.colour, *COLOURS[scene.colour]),
        "companion": says(*related, *(f"and {companion}" for companion in companions)),
        "relation": says(*related),
        "setting": says(scene.setting, *SETTINGS[scene.setting]),
        "weather": says(scene.weather, *WEATHER[scene.weather]),
    }
    return [label if said[name] else UNSAID for name, label in zip(ATTRIBUTES, labels_of(scene), strict=True)]


def describe(scene: Scene, rng: random.Random) -> tuple[str, list[int]]:
    """One caption out of the training mix, and what it says.

    Forty percent are true captions, as many are free ones (half of them inside a template such as "a painting of"),
    and the rest are single words and subject headings, because that is what people type and what catalogues hold.
    """
    kind = rng.random()
    if kind < 0.4:
        return scene.caption, said_by(scene.caption, scene)
    if kind < 0.8:
        caption = free_caption(scene, rng)
        said = said_by(caption, scene)
        return (rng.choice(_TEMPLATES).format(caption) if rng.random() < 0.5 else caption), said
    return _heading(scene, rng)


def _heading(scene: Scene, rng: random.Random) -> tuple[str, list[int]]:
    kind = rng.random()
    name = "motif" if kind < 0.7 else "setting" if kind < 0.85 else "weather"
    value = getattr(scene, name)
    if name == "motif":
        word = rng.choice((value, value, *MOTIFS[value]))
        word = plural(word) if rng.random() < 0.5 else word
    else:
        word = rng.choice((value, *_PLACE_WORDS[value]))
    said = [
        label if attribute == name else UNSAID
        for attribute, label in zip(ATTRIBUTES, labels_of(scene), strict=True)
    ]
    return rng.choice(_HEADINGS).format(word), said


def plural(phrase: str) -> str:
    """The English plural of a motif or a synonym, by rule: "pot of tea" becomes "pots of tea"."""
    noun, *rest = re.split(r"(?= of | in )", phrase, maxsplit=1)
    if noun.endswith("wolf"):
        noun = f"{noun[:-1]}ves"
    elif re.search(r"[^aeiou]y$", noun):
        noun = f"{noun[:-1]}ies"
    elif noun.endswith(("ss", "x", "ch")):
        noun = f"{noun}es"
    elif not noun.endswith("s"):
        noun = f"{noun}s"
    return "".join([noun, *rest])


def training_scene(seed: int, number: int) -> Scene:
    """Training scene `number`: never a held-out combination."""
    return _scene("clip-training", seed, number, held_out=False)


def held_out_scene(seed: int, number: int) -> Scene:
    """Evaluation scene `number`: a combination of motif, companion and colour that training never shows."""
    return _scene("clip-evaluation", seed, number, held_out=True)


def _scene(purpose: str, seed: int, number: int, held_out: bool) -> Scene:
    rng = stable_rng(purpose, seed, number)
    while is_held_out(scene := random_scene(rng)) is not held_out:
        pass
    return scene


def as_delivered(scene: Scene, draws: Draws, height: int = COVER_HEIGHT, quality: int = 90) -> Image.Image:
    """The cover of a scene after its way through a JPEG file, with a title that does not name the motif."""
    buffer = io.BytesIO()
    painting = paint(scene, english_title(draws), person_name(draws), height=height)
    painting.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer).convert("RGB")


def prepare_held_out_cover(config: Path, seed: int, number: int) -> NDArray[np.float32]:
    """Evaluation cover `number` at full size, as a bundle's `preprocessor_config.json` makes it: (3, size, size)."""
    cover = as_delivered(held_out_scene(seed, number), Draws("clip-evaluation-cover", seed, number))
    return Preprocessing.from_config(config)(cover)


def paint_training_covers(
    path: Path, seed: int, covers: int, size: int, processes: int, on_painted: Callable[[int], None]
) -> NDArray[np.uint8]:
    """Paint covers 0..covers into one memory-mapped `.npy` file, (covers, size, size, 3) uint8.

    One in ten is painted at full size and compressed, the rest small, which is several times faster.
    `on_painted` is told the number of covers painted so far.
    """
    np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=(covers, size, size, 3)).flush()
    starts = range(0, covers, _COVERS_PER_TASK)
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        tasks = [pool.submit(_paint_slice, path, seed, start, size) for start in starts]
        painted = 0
        for task in as_completed(tasks):
            painted += task.result()
            on_painted(painted)
    return np.load(path, mmap_mode="r")


def _paint_slice(path: Path, seed: int, start: int, size: int) -> int:
    target = np.load(path, mmap_mode="r+")[start : start + _COVERS_PER_TASK]
    for offset in range(len(target)):
        draws = Draws("clip-training-cover", seed, start + offset)
        height = COVER_HEIGHT if offset % _FULL_SIZE_EVERY == 0 else DRAFT_HEIGHT
        cover = as_delivered(training_scene(seed, start + offset), draws, height, draws.between(75, 95))
        target[offset] = squash(cover, size)
    return len(target)


def squash(cover: Image.Image, size: int) -> NDArray[np.uint8]:
    """The whole cover as a (size, size, 3) uint8 square, as the shipped preprocessor config resizes it."""
    return np.asarray(cover.resize((size, size), Image.Resampling.BICUBIC))


def batches(covers: NDArray[np.uint8], seed: int, batch_size: int, steps: int) -> Iterator[Batch]:
    """`steps` augmented batches over the painted covers, every cover once before any comes again."""
    scenes = [training_scene(seed, number) for number in range(len(covers))]
    labels = np.array([labels_of(scene) for scene in scenes])
    arrays, words = np.random.default_rng(seed), stable_rng("clip-captions", seed)
    order: NDArray[np.int64] = np.empty(0, dtype=np.int64)
    for _ in range(steps):
        while len(order) < batch_size:
            order = np.concatenate([order, arrays.permutation(len(covers))])
        chosen, order = order[:batch_size], order[batch_size:]
        captions, said = zip(*(describe(scenes[number], words) for number in chosen), strict=True)
        yield Batch(augment(covers[chosen], arrays), list(captions), np.array(said), labels[chosen])


def augment(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Shift, mirror and re-light each cover a little. No caption says left or right, so mirroring keeps them true."""
    count, size = pixels.shape[:2]
    reach = max(1, size // 20)
    padded = np.pad(pixels, ((0, 0), (reach, reach), (reach, reach), (0, 0)), mode="edge")
    shifted = np.empty_like(pixels)
    for row, (top, left) in enumerate(rng.integers(0, 2 * reach + 1, (count, 2))):
        shifted[row] = padded[row, top : top + size, left : left + size]
    mirrored = rng.random(count) < 0.5
    shifted[mirrored] = shifted[mirrored, :, ::-1]
    gain = rng.uniform(0.9, 1.1, (count, 1, 1, 1)).astype(np.float32)
    lift = rng.uniform(-10, 10, (count, 1, 1, 1)).astype(np.float32)
    return np.clip(shifted * gain + lift, 0, 255).astype(np.uint8)
