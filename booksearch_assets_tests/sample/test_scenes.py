"""Scenes and their captions: the same everywhere, and true."""

from __future__ import annotations

import random
import re
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from itertools import chain

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from booksearch_assets.sample.scenes import (
    COLOURS,
    LAYOUTS,
    MOTIFS,
    RELATIONS,
    SETTINGS,
    WEATHER,
    Scene,
    free_caption,
    is_held_out,
    random_scene,
    scene_of,
    stable_rng,
)

VOCABULARIES = (MOTIFS, COLOURS, SETTINGS, WEATHER)
SCENES = [scene_of(cover_id) for cover_id in range(1, 3001)]

seeds = st.integers(0, 2**32)


def phrases(vocabulary: dict[str, tuple[str, ...]], word: str) -> tuple[str, ...]:
    return (word, *vocabulary[word])


def either(options: tuple[str, ...]) -> str:
    return "(?:" + "|".join(re.escape(option) for option in options) + ")"


def truths(scene: Scene) -> re.Pattern[str]:
    """Every caption that may be said of the scene, as a grammar: nothing else matches."""
    colour, motif = either(phrases(COLOURS, scene.colour)), either(phrases(MOTIFS, scene.motif))
    words = f"(?:an? )?(?:{colour} )?{motif}"
    if scene.companion and scene.relation:
        companion = either(phrases(MOTIFS, scene.companion))
        words += f"(?: (?:{scene.relation}|and) an? {companion})?"
    place = f" {either(phrases(SETTINGS, scene.setting))}"
    weather = f" {either(phrases(WEATHER, scene.weather))}"
    return re.compile(f"{words}(?:{place})?(?:{weather})?|{words}{weather}{place}")


def test_there_are_fifty_motifs_and_no_word_means_two_things() -> None:
    assert len(MOTIFS) == 50
    said = Counter(
        phrase for vocabulary in VOCABULARIES for word in vocabulary for phrase in phrases(vocabulary, word)
    )
    assert [phrase for phrase, times in said.items() if times > 1] == []


def test_same_in_another_process() -> None:
    program = (
        "from booksearch_assets.sample.scenes import *\n"
        "for i in (1, 17, 10**9):\n"
        "    s = scene_of(i, 5)\n"
        "    print(s, s.caption, free_caption(s, stable_rng('words', i)), is_held_out(s), sep='; ')"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": hash_seed, "PYTHONUTF8": "1"},
        ).stdout
        for hash_seed in ("1", "2")
    }
    here = "".join(
        f"{s}; {s.caption}; {free_caption(s, stable_rng('words', i))}; {is_held_out(s)}\n"
        for i in (1, 17, 10**9)
        for s in [scene_of(i, 5)]
    )
    assert answers == {here}


def test_scenes_stay_what_they_were_when_the_model_was_trained() -> None:
    assert scene_of(1).caption == "a blue spider below a skull at sea on a clear day"
    assert scene_of(2).caption == "a green compass beside a rocket at sea at night"
    assert scene_of(2, seed=1).caption == "a black revolver at sea at night"


def test_seed_and_cover_id_change_the_scene() -> None:
    assert len({scene_of(cover_id).jitter for cover_id in range(1, 501)}) == 500
    assert sum(scene_of(cover_id, 1).motif == scene_of(cover_id, 2).motif for cover_id in range(1, 501)) < 40


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("motif", tuple(MOTIFS)),
        ("companion", (*MOTIFS, None)),
        ("colour", tuple(COLOURS)),
        ("setting", tuple(SETTINGS)),
        ("weather", tuple(WEATHER)),
        ("relation", (*RELATIONS, None)),
        ("layout", tuple(range(LAYOUTS))),
    ],
)
def test_every_choice_is_made_and_no_other(name: str, values: tuple[object, ...]) -> None:
    counts = Counter(getattr(scene, name) for scene in SCENES)
    assert set(counts) == set(values)
    evenly = [counts[value] for value in values if value is not None]
    assert max(evenly) < 2.5 * min(evenly)


def test_a_third_of_the_covers_shows_one_thing() -> None:
    alone = sum(scene.companion is None for scene in SCENES) / len(SCENES)
    assert 0.31 < alone < 0.39


@settings(deadline=None)
@given(seeds)
def test_companion_and_relation_come_together_and_differ_from_the_motif(seed: int) -> None:
    scene = random_scene(random.Random(seed))
    assert (scene.companion is None) == (scene.relation is None)
    assert scene.companion != scene.motif


@settings(deadline=None)
@given(seeds)
def test_caption_says_every_fact_once_in_canonical_words(seed: int) -> None:
    scene = random_scene(random.Random(seed))
    subject = re.escape(f"{scene.colour} {scene.motif}")
    beside = f" {scene.relation} an? {scene.companion}" if scene.companion else ""
    assert re.fullmatch(f"an? {subject}{beside} {scene.setting} {scene.weather}", scene.caption)
    assert re.search(r"\ba [aeiou]|\ban [^aeiou]|None", scene.caption) is None


def test_captions_are_made_of_a_closed_vocabulary() -> None:
    closed = {
        word for phrase in ("a", "an", "and", *RELATIONS, *chain(*VOCABULARIES)) for word in phrase.split()
    }
    open_words = {
        word
        for vocabulary in VOCABULARIES
        for canonical in vocabulary
        for phrase in vocabulary[canonical]
        for word in phrase.split()
    }
    for scene in SCENES:
        assert set(scene.caption.split()) <= closed
        assert set(free_caption(scene, stable_rng(scene.jitter)).split()) <= closed | open_words


@pytest.mark.parametrize("part", ["layout", "jitter"])
def test_what_only_changes_the_picture_changes_no_caption(part: str) -> None:
    scene = SCENES[0]
    other = replace(scene, **{part: getattr(scene, part) + 1})
    assert other.caption == scene.caption
    assert is_held_out(other) == is_held_out(scene)


@settings(deadline=None)
@given(seeds, seeds)
def test_free_caption_says_nothing_that_is_not_there(scene_seed: int, word_seed: int) -> None:
    scene = random_scene(random.Random(scene_seed))
    caption = free_caption(scene, random.Random(word_seed))
    assert truths(scene).fullmatch(caption), (scene, caption)


def test_the_grammar_of_truths_refuses_what_is_not_there() -> None:
    scene = Scene("owl", "red", "key", "above", "at sea", "at night", 0, 0)
    assert truths(scene).fullmatch("a crimson owl and a key under the moon on the ocean")
    for falsehood in (
        "a blue owl",
        "a red owl below a key",
        "a red owl above a ring",
        "a red owl in the desert",
        "a red owl at night in the snow",
        "a key above an owl",
    ):
        assert truths(scene).fullmatch(falsehood) is None, falsehood


@pytest.mark.xfail(
    strict=True,
    reason="a spider of any colour may be called 'black spider', a raven 'black bird'; the shipped model was "
    "trained on these synonyms, so they can only change with its next training",
)
def test_no_synonym_of_a_motif_names_a_colour() -> None:
    colours = {phrase for colour in COLOURS for phrase in phrases(COLOURS, colour)}
    assert [s for synonyms in MOTIFS.values() for s in synonyms if colours & set(s.split())] == []


def test_free_captions_leave_out_reorder_and_reword() -> None:
    scene = Scene("ship", "blue", "ring", "above", "in a forest", "in the rain", 0, 0)
    said = {free_caption(scene, random.Random(seed)) for seed in range(400)}
    assert len(said) > 150
    for fragment in ("boat", "navy", "and a", "above a", "in the woods", "in a downpour"):
        assert any(fragment in caption for caption in said), fragment
    for fact in ("blue|navy", "ring", "forest|woods|trees", "rain|downpour"):
        share = sum(re.search(fact, caption) is not None for caption in said) / len(said)
        assert 0.4 < share < 0.98, (fact, share)


def test_one_combination_in_ten_is_held_out() -> None:
    combinations = [
        Scene(motif, colour, companion, "above" if companion else None, "at sea", "at night", 0, 0)
        for motif in MOTIFS
        for companion in (None, *MOTIFS)
        if companion != motif
        for colour in COLOURS
    ]
    assert 0.085 < sum(map(is_held_out, combinations[::6])) / len(combinations[::6]) < 0.115
    assert 0.08 < sum(map(is_held_out, SCENES)) / len(SCENES) < 0.12


@settings(deadline=None)
@given(seeds, st.sampled_from(list(SETTINGS)), st.sampled_from(list(WEATHER)), st.sampled_from(RELATIONS))
def test_a_held_out_combination_is_held_out_wherever_it_stands(
    seed: int, setting: str, weather: str, relation: str
) -> None:
    scene = random_scene(random.Random(seed))
    moved = replace(scene, setting=setting, weather=weather, relation=relation if scene.companion else None)
    assert is_held_out(moved) == is_held_out(scene)
