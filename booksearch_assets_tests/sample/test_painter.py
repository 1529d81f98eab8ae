"""Covers: the same everywhere, true to their captions, and lettered in any words."""

from __future__ import annotations

import colorsys
import hashlib
import io
import os
import subprocess
import sys
from dataclasses import replace
from functools import cache
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from booksearch_assets.sample import scenes, typography
from booksearch_assets.sample.draws import Draws
from booksearch_assets.sample.motifs import drawing_of
from booksearch_assets.sample.painter import COLOUR_VALUES, cover_jpeg, paint
from booksearch_assets.sample.scenes import COLOURS, MOTIFS, RELATIONS, SETTINGS, WEATHER, Scene, scene_of
from booksearch_assets.sample.titles import FOREIGN, NATIVE_NAMES, foreign_title
from booksearch_assets.sample.typography import LAYOUTS

DRAFT = 144
ALONE = Scene("dragon", "red", None, None, "on a plain background", "on a clear day", 0, 11)
PAIR = replace(ALONE, companion="key", relation="above")
LAYOUT_NUMBERS = range(len(LAYOUTS))

# Degrees on the colour circle between which people say the word.
HUES = {
    "red": (-15, 14),
    "orange": (15, 40),
    "yellow": (41, 65),
    "green": (90, 155),
    "teal": (165, 195),
    "blue": (205, 245),
    "purple": (255, 295),
    "pink": (310, 344),
}


def pixels(
    scene: Scene, title: str = "", author: str = "", height: int = DRAFT, text: bool = False
) -> NDArray[np.int16]:
    return np.asarray(paint(scene, title, author, height, text), np.int16)


def differing(a: NDArray[np.int16], b: NDArray[np.int16], by: int = 24) -> NDArray[np.bool_]:
    """Where two covers differ by more than `by` in a channel, (height, width)."""
    return np.abs(a - b).max(axis=2) > by


def coloured_area(scene: Scene, height: int = DRAFT) -> NDArray[np.bool_]:
    """Where the cover shows the colour of the scene's motif: what changes when nothing else does."""
    return _area_of_any_colour(replace(scene, colour="red"), height)


@cache
def _area_of_any_colour(scene: Scene, height: int) -> NDArray[np.bool_]:
    red, blue = (pixels(replace(scene, colour=colour), height=height) for colour in ("red", "blue"))
    return differing(red, blue)


def companion_area(scene: Scene, height: int = DRAFT) -> NDArray[np.bool_]:
    with_it = pixels(scene, height=height)
    others = [
        pixels(replace(scene, companion=other), height=height) for other in ("sword", "planet", "heart")
    ]
    return np.logical_or.reduce([differing(with_it, other) for other in others])


def extent(area: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of what is True, the last two excluded."""
    rows, columns = np.flatnonzero(area.any(axis=1)), np.flatnonzero(area.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def middle(area: NDArray[np.bool_]) -> tuple[float, float]:
    left, top, right, bottom = extent(area)
    return (left + right) / 2, (top + bottom) / 2


def test_same_bytes_twice_and_in_another_process() -> None:
    program = (
        "import hashlib, sys\n"
        "from booksearch_assets.sample.painter import cover_jpeg\n"
        "from booksearch_assets.sample.scenes import scene_of\n"
        "for i in map(int, sys.argv[1:]):\n"
        "    print(hashlib.sha256(cover_jpeg(scene_of(i), 'Die Straße 冬', 'Zoë O\\'Brien', 200)).hexdigest())"
    )
    numbers = list(range(1, 9))

    def elsewhere(hash_seed: str, order: list[int]) -> dict[int, str]:
        answer = subprocess.run(
            [sys.executable, "-c", program, *map(str, order)],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
        )
        return dict(zip(order, answer.stdout.split(), strict=True))

    here = {
        number: hashlib.sha256(cover_jpeg(scene_of(number), "Die Straße 冬", "Zoë O'Brien", 200)).hexdigest()
        for number in numbers
    }
    assert len(set(here.values())) == len(numbers)
    assert elsewhere("1", numbers) == here
    assert elsewhere("2", numbers[::-1]) == here


def test_painting_leaves_nothing_behind_for_the_next_cover() -> None:
    first = pixels(ALONE, "A title", "A name", text=True)
    for number in range(1, 12):
        paint(scene_of(number), "Another title", "Another name", DRAFT)
    assert (pixels(ALONE, "A title", "A name", text=True) == first).all()


def test_every_word_of_the_captions_can_be_painted() -> None:
    assert set(COLOUR_VALUES) == set(COLOURS)
    assert len(LAYOUTS) == scenes.LAYOUTS
    for motif in MOTIFS:
        drawing = drawing_of(motif)
        assert drawing.points.min() > -0.05 and drawing.points.max() < 1.05, motif
        assert drawing.ends[-1] == len(drawing.points) and len(drawing.ends) == len(drawing.tones), motif


def test_a_word_without_a_drawing_is_refused() -> None:
    with pytest.raises(KeyError, match="unicorn"):
        drawing_of("unicorn")


def test_motifs_are_pairwise_different() -> None:
    bare = np.asarray([pixels(replace(ALONE, motif=motif)) for motif in MOTIFS])
    for (a, cover_a), (b, cover_b) in combinations(zip(MOTIFS, bare, strict=True), 2):
        assert differing(cover_a, cover_b).mean() > 0.02, (a, b)


def test_every_motif_is_large_in_its_colour() -> None:
    for motif in MOTIFS:
        area = coloured_area(replace(ALONE, motif=motif))
        left, top, right, bottom = extent(area)
        assert area.mean() > 0.02, motif
        assert max(right - left, bottom - top) > 0.2 * DRAFT, motif


@pytest.mark.parametrize("colour", list(COLOURS))
def test_the_motif_has_the_colour_that_the_caption_names(colour: str) -> None:
    for number, motif in enumerate(MOTIFS):
        scene = replace(ALONE, motif=motif, colour=colour, jitter=number)
        red, green, blue = np.median(pixels(scene)[coloured_area(scene)], axis=0) / 255
        hue, saturation, value = colorsys.rgb_to_hsv(red, green, blue)
        match colour:
            case "white":
                assert saturation < 0.1 and value > 0.75, motif
            case "black":
                assert value < 0.35, motif
            case _:
                low, high = HUES[colour]
                degrees = hue * 360 - (360 if hue * 360 > 345 else 0)
                assert saturation > 0.35 and low <= degrees <= high, (motif, degrees, saturation)


@pytest.mark.parametrize("jitter", range(6))
def test_no_jitter_turns_a_colour_into_another(jitter: int) -> None:
    for number, colour in enumerate(HUES):
        scene = replace(ALONE, motif="heart", colour=colour, jitter=1000 * jitter + number)
        shade = np.median(pixels(scene)[coloured_area(scene)], axis=0)
        distance = {name: np.abs(shade - value).sum() for name, value in COLOUR_VALUES.items()}
        assert min(distance, key=distance.__getitem__) == colour


def test_only_the_motif_has_a_colour() -> None:
    """The companion is grey, so that a caption's colour belongs to one thing."""
    for companion in MOTIFS:
        scene = replace(PAIR, motif="heart" if companion != "heart" else "apple", companion=companion)
        stone = pixels(scene)[companion_area(scene) & ~coloured_area(scene)]
        assert np.median(stone.max(axis=1) - stone.min(axis=1)) < 40, companion


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("colour", tuple(COLOURS)),
        ("setting", tuple(SETTINGS)),
        ("weather", tuple(WEATHER)),
        ("relation", RELATIONS),
        ("layout", tuple(LAYOUT_NUMBERS)),
        ("companion", tuple(motif for motif in MOTIFS if motif != PAIR.motif)[:12]),
        ("jitter", (1, 2, 3)),
    ],
)
def test_every_choice_shows(name: str, values: tuple[object, ...]) -> None:
    covers = {value: pixels(replace(PAIR, **{name: value}), "Title", "Name", text=True) for value in values}
    for a, b in combinations(values, 2):
        assert differing(covers[a], covers[b]).mean() > 0.005, (a, b)


@pytest.mark.parametrize("setting", list(SETTINGS))
def test_every_weather_shows_in_every_setting(setting: str) -> None:
    covers = {weather: pixels(replace(ALONE, setting=setting, weather=weather)) for weather in WEATHER}
    for a, b in combinations(WEATHER, 2):
        assert np.abs(covers[a] - covers[b]).mean() > 6, (a, b)


@pytest.mark.parametrize("weather", list(WEATHER))
def test_every_setting_shows_in_every_weather(weather: str) -> None:
    covers = {setting: pixels(replace(ALONE, setting=setting, weather=weather)) for setting in SETTINGS}
    for a, b in combinations(SETTINGS, 2):
        assert np.abs(covers[a] - covers[b]).mean() > 2, (a, b)


@pytest.mark.parametrize("layout", LAYOUT_NUMBERS)
@pytest.mark.parametrize("relation", RELATIONS)
def test_the_motif_stands_where_the_caption_says(relation: str, layout: int) -> None:
    for jitter in range(4):
        scene = replace(
            PAIR, motif="apple", companion="skull", relation=relation, layout=layout, jitter=jitter
        )
        (x, y), (other_x, other_y) = middle(coloured_area(scene)), middle(companion_area(scene))
        across, down = other_x - x, other_y - y
        match relation:
            case "above":
                assert down > 2 * abs(across)
            case "below":
                assert -down > 2 * abs(across)
            case "beside":
                assert abs(across) > 2 * abs(down)


@pytest.mark.parametrize("layout", LAYOUT_NUMBERS)
@pytest.mark.parametrize("relation", [None, *RELATIONS])
def test_the_motif_is_larger_than_its_companion_and_keeps_clear_of_the_lettering(
    relation: str | None, layout: int
) -> None:
    height, width = 240, 160
    for jitter in range(3):
        scene = replace(
            ALONE,
            motif="clock",
            companion="heart" if relation else None,
            relation=relation,
            layout=layout,
            jitter=jitter,
        )
        area = coloured_area(scene, height)
        left, top, right, bottom = extent(area)
        stage = LAYOUTS[layout].stage.on(width, height)
        slack = 0.03 * height  # a turned motif reaches a little over its square
        assert left >= stage[0] - slack and right <= stage[2] + slack
        assert top >= stage[1] - slack and bottom <= stage[3] + slack
        lettered = pixels(scene, "The Long Winter of Glass", "Zoë O'Brien", height, text=True)
        hidden = differing(lettered, pixels(scene, height=height)) & area
        assert hidden.sum() <= 0.01 * area.sum()
        if relation:
            other = extent(companion_area(scene, height))
            assert other[3] - other[1] < 0.8 * (bottom - top)


TITLES = {
    "empty": "",
    "blank": " \u3000\t",
    "long": "The Extraordinary and Entirely True " * 40,
    "one long word": "Donaudampfschifffahrtselektrizitätenhauptbetriebswerk" * 6,
    "newline and tab": "One\nTwo\tThree\r\nFour",
    "controls": "null \x00 bell \x07 escape \x1b[0m bidi \u202e zero width \u200b",
    "lone surrogate": "broken \ud800 half",
    "Chinese, Japanese, Korean": "冬の庭 故乡的河流 겨울의 정원",
    "right to left": "ظل الشتاء צל החורף",
    "Devanagari": "सर्दी की छाया",
    "combining": "Z\u0351\u036b\u0343a\u030al\u0321go" + "\u0301" * 200,
    "emoji": "🐉🏰 family 👩‍👩‍👧‍👦 flag 🇳🇴",
    "beyond the first plane": "𝔗𝔥𝔢 𐍈 \U0010fffd",
}


@pytest.mark.parametrize("title", TITLES.values(), ids=TITLES.keys())
@pytest.mark.parametrize("layout", LAYOUT_NUMBERS)
def test_any_title_is_set_and_stays_in_its_place(title: str, layout: int) -> None:
    height = 240
    scene = replace(ALONE, layout=layout)
    blank = pixels(scene, "", "", height, text=True)
    for words, box in (((title, ""), LAYOUTS[layout].title), (("", title), LAYOUTS[layout].author)):
        changed = differing(pixels(scene, *words, height, text=True), blank)
        if not changed.any():
            assert not title.strip(), "nothing was set"
            continue
        left, top, right, bottom = extent(changed)
        place = box.on(160, height)
        assert left >= place[0] - 4 and right <= place[2] + 4
        assert top >= place[1] - 4 and bottom <= place[3] + 4


@settings(deadline=None, max_examples=60)
@given(st.text(st.characters(), max_size=120), st.text(st.characters(), max_size=60), st.integers(1, 10**9))
def test_no_words_stop_the_painter(title: str, author: str, cover_id: int) -> None:
    assert paint(scene_of(cover_id), title, author, 96).size == (64, 96)


def test_white_space_and_what_cannot_be_printed_do_not_matter() -> None:
    plain = pixels(ALONE, "One Two", "A B", text=True)
    assert (pixels(ALONE, " One\n\tTwo\x00\u200b ", "A\u00a0\nB", text=True) == plain).all()


def test_titles_show() -> None:
    covers = [
        pixels(replace(ALONE, layout=layout), title, "", 240, text=True)
        for layout in LAYOUT_NUMBERS
        for title in ("The Winter of Glass", "The Summer of Glass")
    ]
    for winter, summer in zip(covers[::2], covers[1::2], strict=True):
        assert differing(winter, summer).sum() > 50


def test_a_long_title_is_set_smaller_and_not_cut_while_there_is_room() -> None:
    size, lines = typography._fit("Waiting", "DejaVuSans", 300, 100, 40)
    assert (size, lines) == (40, ["Waiting"])
    title = " ".join(["Remembering the Border"] * 5)
    smaller, lines = typography._fit(title, "DejaVuSans", 300, 100, 40)
    assert smaller < 40 and " ".join(lines) == title
    assert len(lines) * smaller <= 100


@pytest.mark.parametrize("height", [64, 65, 97, 128, 199, 333, 501, 599, 600])
def test_any_height(height: int) -> None:
    for layout in LAYOUT_NUMBERS:
        scene = replace(scene_of(height + layout), layout=layout)
        cover = paint(scene, "The Map of Salt", "Jun Tanaka", height)
        assert cover.mode == "RGB"
        assert cover.size == (round(height * 2 / 3), height)
        assert np.asarray(cover).std() > 15


def test_a_draft_shows_what_the_full_size_shows() -> None:
    for cover_id in (3, 30, 300, 3000):
        scene = scene_of(cover_id)
        large = paint(scene, "", "", 500, text=False).resize((32, 48), Image.Resampling.BOX)
        small = paint(scene, "", "", DRAFT, text=False).resize((32, 48), Image.Resampling.BOX)
        assert np.abs(np.asarray(large, np.int16) - np.asarray(small, np.int16)).mean() < 10


def test_jpeg_is_the_painting_at_500_pixels() -> None:
    scene = scene_of(42)
    data = cover_jpeg(scene, "The Map of Salt", "Jun Tanaka")
    cover = Image.open(io.BytesIO(data))
    cover.load()
    assert (cover.format, cover.mode, cover.size) == ("JPEG", "RGB", (333, 500))
    assert 8_000 < len(data) < 200_000
    painting = np.asarray(paint(scene, "The Map of Salt", "Jun Tanaka"), np.int16)
    assert np.abs(np.asarray(cover, np.int16) - painting).mean() < 5
    assert len(cover_jpeg(scene, "The Map of Salt", "Jun Tanaka", quality=40)) < len(data)


def test_no_script_of_the_sample_world_is_left_out() -> None:
    """Han, kana, Hangul and Devanagari stand as empty boxes: no font that comes with matplotlib has them."""
    for language in FOREIGN:
        title = foreign_title(language, Draws("a title of", language))
        assert differing(pixels(ALONE, title, text=True), pixels(ALONE, text=True)).any(), language
    for name in NATIVE_NAMES:
        assert differing(pixels(ALONE, "", name, text=True), pixels(ALONE, text=True)).any(), name
