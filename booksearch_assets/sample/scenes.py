"""Scenes: what a sample cover shows, and the captions that say it.

Holds the closed vocabulary (motifs, colours, settings, weather), the pure function from a cover id to its
scene, and captions. A scene has a known true caption, which is what lets search quality be measured exactly.
Belongs here: words and choices. Does not: pixels (`painter`), books and dumps (`world`), training (`clip_training`).
"""

from __future__ import annotations

import hashlib
import random
from dataclasses import dataclass

# Each entry: canonical word -> other words a reader may type. Captions used for measuring say the canonical word.
MOTIFS: dict[str, tuple[str, ...]] = {
    "dragon": ("winged dragon",),
    "castle": ("fortress",),
    "ship": ("sailing ship", "boat"),
    "lighthouse": ("beacon",),
    "wolf": ("howling wolf",),
    "rose": ("flower",),
    "skull": ("death's head",),
    "rocket": ("spaceship",),
    "planet": ("ringed planet", "world in space"),
    "crown": ("royal crown",),
    "sword": ("blade",),
    "candle": ("burning candle",),
    "city": ("skyline", "skyscrapers"),
    "train": ("locomotive", "steam train"),
    "tree": ("old tree",),
    "house": ("cottage",),
    "cat": ("sitting cat",),
    "owl": ("night owl",),
    "raven": ("crow", "black bird"),
    "horse": ("stallion",),
    "whale": ("great whale",),
    "butterfly": ("moth",),
    "key": ("old key",),
    "book": ("open book",),
    "clock": ("pocket watch",),
    "hourglass": ("sandglass",),
    "bridge": ("arched bridge",),
    "balloon": ("hot air balloon",),
    "airplane": ("plane", "aircraft"),
    "car": ("automobile",),
    "bicycle": ("bike",),
    "umbrella": ("parasol",),
    "lantern": ("lamp",),
    "anchor": ("ship's anchor",),
    "compass": ("compass rose",),
    "mask": ("carnival mask",),
    "heart": ("love heart",),
    "eye": ("staring eye",),
    "spider": ("black spider",),
    "snake": ("serpent",),
    "mushroom": ("toadstool",),
    "teapot": ("pot of tea",),
    "violin": ("fiddle",),
    "revolver": ("gun", "pistol"),
    "ring": ("gold ring",),
    "feather": ("quill",),
    "apple": ("fruit",),
    "robot": ("android",),
    "ghost": ("phantom", "spectre"),
    "door": ("closed door",),
}

COLOURS: dict[str, tuple[str, ...]] = {
    "red": ("crimson", "scarlet"),
    "orange": ("amber",),
    "yellow": ("golden",),
    "green": ("emerald",),
    "teal": ("turquoise",),
    "blue": ("navy",),
    "purple": ("violet",),
    "pink": ("rose-coloured",),
    "white": ("pale",),
    "black": ("dark",),
}

SETTINGS: dict[str, tuple[str, ...]] = {
    "at sea": ("on the ocean", "over the waves"),
    "in a forest": ("in the woods", "among trees"),
    "in the mountains": ("among the peaks",),
    "in the desert": ("on the dunes",),
    "in green hills": ("in the countryside",),
    "on a plain background": ("on a bare page",),
}

WEATHER: dict[str, tuple[str, ...]] = {
    "on a clear day": ("in the sun", "in sunshine"),
    "in the rain": ("in a downpour",),
    "in a storm": ("in lightning", "in a thunderstorm"),
    "in the snow": ("in winter", "in falling snow"),
    "in the fog": ("in the mist",),
    "at night": ("under the stars", "under the moon"),
}

RELATIONS = ("above", "beside", "below")


@dataclass(frozen=True)
class Scene:
    """What one cover shows. `layout` and `jitter` change the picture and never the caption.

    `motif` is large and has `colour`; `companion`, smaller, stands in `relation` to it ("X above Y": X is the
    motif). `companion` and `relation` are both None on about a third of the covers.
    """

    motif: str
    colour: str
    companion: str | None
    relation: str | None
    setting: str
    weather: str
    layout: int
    jitter: int

    @property
    def caption(self) -> str:
        """The true caption: every fact of the scene once, in canonical words."""
        return " ".join(
            [
                with_article(f"{self.colour} {self.motif}"),
                *self._companion_words(),
                self.setting,
                self.weather,
            ]
        )

    def _companion_words(self) -> list[str]:
        return [f"{self.relation} {with_article(self.companion)}"] if self.companion and self.relation else []


LAYOUTS = 6


def stable_rng(*parts: object) -> random.Random:
    """A generator that depends on `parts` alone: the same on every machine, process and Python version."""
    digest = hashlib.blake2b("|".join(map(str, parts)).encode(), digest_size=8).digest()
    return random.Random(int.from_bytes(digest, "big"))


def scene_of(cover_id: int, seed: int = 0) -> Scene:
    """The scene of a cover id in the world of `seed`. Defined for every positive id, so nothing is stored."""
    return random_scene(stable_rng("scene", seed, cover_id))


def random_scene(rng: random.Random) -> Scene:
    motif = rng.choice(list(MOTIFS))
    companion = rng.choice([m for m in MOTIFS if m != motif]) if rng.random() < 0.65 else None
    return Scene(
        motif=motif,
        colour=rng.choice(list(COLOURS)),
        companion=companion,
        relation=rng.choice(RELATIONS) if companion else None,
        setting=rng.choice(list(SETTINGS)),
        weather=rng.choice(list(WEATHER)),
        layout=rng.randrange(LAYOUTS),
        jitter=rng.getrandbits(31),
    )


def is_held_out(scene: Scene) -> bool:
    """Whether the scene's combination is kept from training: one in ten of all (motif, companion, colour)."""
    return stable_rng("held-out", scene.motif, scene.companion, scene.colour).random() < 0.1


def free_caption(scene: Scene, rng: random.Random) -> str:
    """A caption as a person might type it: other words, and parts left out. Never says what is not there."""

    def say(vocabulary: dict[str, tuple[str, ...]], word: str) -> str:
        return rng.choice((word, word, *vocabulary[word]))

    subject = say(MOTIFS, scene.motif)
    if rng.random() < 0.7:
        subject = f"{say(COLOURS, scene.colour)} {subject}"
    words = [with_article(subject) if rng.random() < 0.8 else subject]
    if scene.companion and rng.random() < 0.75:
        companion = with_article(say(MOTIFS, scene.companion))
        words.append(f"{scene.relation} {companion}" if rng.random() < 0.8 else f"and {companion}")
    tail = [say(SETTINGS, scene.setting)] * (rng.random() < 0.65) + [say(WEATHER, scene.weather)] * (
        rng.random() < 0.65
    )
    rng.shuffle(tail)
    return " ".join(words + tail)


def with_article(noun: str | None) -> str:
    """The noun with "a" or "an" before it."""
    return f"{'an' if noun and noun[0] in 'aeiou' else 'a'} {noun}"
