from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from booksearch_assets.sample import titles
from booksearch_assets.sample.draws import Draws
from booksearch_assets.sample.records import isbns
from booksearch_assets.sample.scenes import MOTIFS, SETTINGS
from booksearch_assets.sample.world import FIRST_COVER, Change, CoverState, Kind, SampleEdition, World

WORLD = World(seed=3, editions=4000)


@pytest.fixture(scope="module")
def editions() -> list[SampleEdition]:
    return [WORLD.edition(index) for index in range(WORLD.size)]


def test_same_in_another_process(editions: list[SampleEdition]) -> None:
    program = (
        "from booksearch_assets.sample.world import World\n"
        "w = World(seed=3, editions=4000)\n"
        "print([repr(w.edition(i)) for i in (0, 17, 3999)], [w.title_of_cover(c) for c in (1, 5, 10**9)])"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=True,
            env={"PYTHONHASHSEED": seed, "PYTHONUTF8": "1"},
        ).stdout
        for seed in ("1", "2")
    }
    here = (
        f"{[repr(editions[i]) for i in (0, 17, 3999)]} {[WORLD.title_of_cover(c) for c in (1, 5, 10**9)]}\n"
    )
    assert answers == {here}


def test_seed_changes_the_world(editions: list[SampleEdition]) -> None:
    other = replace(WORLD, seed=4)
    assert sum(other.edition(i).title == editions[i].title for i in range(500)) < 25


@pytest.mark.parametrize(
    ("low", "high", "fact"),
    [
        pytest.param(0.32, 0.39, lambda e: e.wanted, id="wanted"),
        pytest.param(0.005, 0.03, lambda e: e.doubtful, id="doubtful"),
        pytest.param(0.11, 0.15, lambda e: not e.languages, id="no language"),
        pytest.param(0.001, 0.01, lambda e: len(e.languages) > 1, id="two languages"),
        pytest.param(0.025, 0.055, lambda e: e.orphan, id="orphan"),
        pytest.param(0.87, 0.93, lambda e: e.cover_id, id="cover"),
        pytest.param(0.02, 0.04, lambda e: e.year is None, id="no year"),
        pytest.param(0.01, 0.06, lambda e: e.pages is None, id="no pages"),
        pytest.param(0.1, 0.2, lambda e: e.pages and e.number_of_pages is None, id="pagination only"),
        pytest.param(0.005, 0.03, lambda e: isinstance(e.number_of_pages, str), id="pages as a string"),
        pytest.param(0.07, 0.13, lambda e: e.work.language != "eng", id="foreign"),
        pytest.param(0.01, 0.2, lambda e: not e.title.isascii(), id="title beyond ASCII"),
    ],
)
def test_proportions(
    editions: list[SampleEdition], low: float, high: float, fact: Callable[[SampleEdition], object]
) -> None:
    assert low <= sum(bool(fact(edition)) for edition in editions) / len(editions) <= high


def test_a_quarter_shares_its_work_under_its_own_covers(editions: list[SampleEdition]) -> None:
    members = Counter(edition.work.key for edition in editions)
    sharing = [edition for edition in editions if members[edition.work.key] > 1]
    assert 0.24 <= len(sharing) / len(editions) <= 0.26
    first, second = WORLD.edition(0), WORLD.edition(1)
    assert first.work == second.work
    assert first.title == second.title
    assert first.key != second.key
    shown = Counter(edition.cover_id for edition in editions if edition.cover_id)
    assert 1 < max(shown.values()) <= 2, "a few covers are shown by two editions, never by more"
    assert sum(number > 1 for number in shown.values()) < 0.03 * len(shown)


def test_wanted_editions_hold_up_against_a_strict_reading(editions: list[SampleEdition]) -> None:
    for edition in editions:
        if edition.wanted:
            assert edition.work.kind is Kind.FICTION
            assert "eng" in edition.languages
            assert edition.cover_id
            assert edition.pages is not None
            assert edition.pages > 100
            first_year = re.search(r"\b\d{4}\b", edition.publish_date or "")
            assert first_year
            assert 2017 <= int(first_year[0]) <= 2026
            assert edition.year == int(first_year[0])


def test_titles_name_the_motif_in_a_quarter_of_the_fiction(editions: list[SampleEdition]) -> None:
    fiction = [e for e in editions if e.work.kind is Kind.FICTION and e.work.language == "eng"]
    named = [e for e in fiction if WORLD.scene_of_work(e.work.index).motif in e.title.lower().split()]
    assert 0.21 <= len(named) / len(fiction) <= 0.29


def test_word_lists_name_no_motif() -> None:
    lists = (titles.ADJECTIVES, titles.HEADS, titles.TAILS, titles.PLACES, titles.DOINGS)
    words = {word.lower() for phrases in lists for phrase in phrases for word in phrase.split()}
    assert not words & set(MOTIFS)


def test_every_motif_and_setting_has_a_heading() -> None:
    assert set(titles.HEADINGS) == set(MOTIFS)
    assert set(titles.SETTING_TOPICS) <= set(SETTINGS)


def test_every_cover_id_has_a_title_and_the_edition_it_was_made_for(editions: list[SampleEdition]) -> None:
    for edition in editions[:400]:
        for cover in edition.covers or ():
            if cover and cover > 0:
                title, author = WORLD.title_of_cover(cover)
                assert title == edition.work.title
                assert author
                assert WORLD.edition(WORLD.edition_of_cover(cover)).work == edition.work
    assert all(WORLD.title_of_cover(cover)[0] for cover in (1, 2, FIRST_COVER - 1, 10**12))


def test_covers_are_missing_tiny_or_damaged_at_the_stated_rates() -> None:
    states = Counter(WORLD.cover_state(cover) for cover in range(FIRST_COVER, FIRST_COVER + 20_000))
    assert (
        0.016
        <= sum(not WORLD.cover_exists(c) for c in range(FIRST_COVER, FIRST_COVER + 20_000)) / 20_000
        <= 0.024
    )
    assert 60 <= states[CoverState.TINY] <= 140
    assert 30 <= states[CoverState.DAMAGED] <= 90
    assert all(state in states for state in CoverState)


def test_release_changes_what_it_says_and_nothing_else() -> None:
    before, after = World(seed=1, editions=6000), World(seed=1, editions=6000, release=1)
    assert after.size == 6060
    assert after.date == "2026-02-28"
    assert before.date == "2026-01-31"
    changes = Counter(change for index in range(6000) for _, change in after.history(index))
    changed = sum(number for change, number in changes.items() if change is not Change.DELETED)
    assert 0.007 <= changed / 6000 <= 0.013
    assert 0.0005 <= changes[Change.DELETED] / 6000 <= 0.004
    assert changes[Change.TITLE] > changes[Change.COVER] > 0 < changes[Change.UNWANTED]
    for index in range(6000):
        history = after.history(index)
        if not history:
            assert after.edition(index) == before.edition(index)
        elif after.exists(index):
            old, new = before.edition(index), after.edition(index)
            assert new.revision == old.revision + 1
            assert new.last_modified.startswith("2026-02")
            assert old.work == new.work
            assert (new.title, new.covers, new.pages) != (old.title, old.covers, old.pages)
            if history[0][1] is Change.COVER:
                assert new.cover_id
                assert new.cover_id != old.cover_id
                assert after.title_of_cover(new.cover_id)[0] == old.work.title
        else:
            with pytest.raises(IndexError, match="not in release 1"):
                after.edition(index)
    known = {c for i in range(6000) for c in before.covers(i) or () if c}
    fresh = {after.edition(i).cover_id for i in range(6000, 6060) if after.is_first_of_work(i)} - {None}
    assert fresh
    assert not fresh & known


def test_later_releases_build_on_earlier_ones() -> None:
    first, second = World(editions=3000, release=1), World(editions=3000, release=2)
    for index in range(3000):
        assert second.history(index)[: len(first.history(index))] == first.history(index)


def test_dump_order_is_complete_and_not_sorted() -> None:
    order = [number for run in World(editions=3000).runs() for number in run]
    assert sorted(order) == list(range(3000))
    assert order != sorted(order)


@pytest.mark.parametrize("wrong", [{"editions": 0}, {"release": 12}, {"release": -1}])
def test_impossible_worlds_are_refused(wrong: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1 edition and a release from 0 to 11"):
        World(**wrong)


def test_parameters_make_the_same_world_again() -> None:
    assert World(**json.loads(json.dumps(WORLD.parameters))) == WORLD


def test_isbns_have_valid_check_digits_and_every_combination() -> None:
    combinations: Counter[tuple[str, ...]] = Counter()
    bodies = set()
    for index in range(3000):
        record = isbns(index, Draws("isbn", index))
        combinations[tuple(sorted(record))] += 1
        for (ten,) in [record["isbn_10"]] if "isbn_10" in record else []:
            digits = [10 if d == "X" else int(d) for d in ten.replace("-", "")]
            assert len(digits) == 10
            assert sum(w * d for w, d in zip(range(10, 0, -1), digits, strict=True)) % 11 == 0
            bodies.add(tuple(digits[:9]))
        for (thirteen,) in [record["isbn_13"]] if "isbn_13" in record else []:
            digits = [int(d) for d in thirteen.replace("-", "")]
            assert len(digits) == 13
            assert sum((3 if p % 2 else 1) * d for p, d in enumerate(digits)) % 10 == 0
    assert set(combinations) == {(), ("isbn_10",), ("isbn_13",), ("isbn_10", "isbn_13")}
    assert len(bodies) == combinations["isbn_10",] + combinations["isbn_10", "isbn_13"]


def test_draws_do_not_run_dry_and_keep_their_odds() -> None:
    draws = Draws("long", 1)
    numbers = [draws.below(10) for _ in range(20_000)]
    assert all(1800 <= count <= 2200 for count in Counter(numbers).values())
    assert 5700 <= sum(draws.chance(0.3) for _ in range(20_000)) <= 6300
    picked = Counter(draws.weighted(((0.2, "a"), (0.5, "b"), (0.3, "c"))) for _ in range(20_000))
    assert 3700 <= picked["a"] <= 4300
    assert 9600 <= picked["b"] <= 10_400
