"""The named filter profiles."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from booksearch_assets.openlibrary.profiles import (
    PROFILES,
    FilterProfile,
    FilterReason,
    UnknownProfile,
    profile,
)


def test_an_unknown_profile_is_answered_with_the_names_there_are() -> None:
    with pytest.raises(
        UnknownProfile, match=r"no filter profile 'articel'; choose one of article, article-stated, default"
    ):
        profile("articel")


@pytest.mark.parametrize(
    ("name", "least_pages", "years"),
    [("article", 100, (2010, None)), ("article-stated", 101, (2017, 2026)), ("default", 101, (2017, 2026))],
)
def test_the_limits_of_each_profile(name: str, least_pages: int, years: tuple[int, int | None]) -> None:
    chosen = profile(name)
    assert (chosen.min_pages, chosen.years(dump_year=2026)) == (least_pages, years)


@pytest.mark.parametrize("chosen", PROFILES.values(), ids=PROFILES)
def test_profiles_survive_json_and_every_excluding_rule_is_a_reason(chosen: FilterProfile) -> None:
    assert FilterProfile.from_json(json.loads(json.dumps(chosen.to_json()))) == chosen
    assert {rule.name for rule in chosen.excluding_rules} <= set(FilterReason)


def test_a_profile_has_one_rule_for_years() -> None:
    with pytest.raises(ValueError, match="first_year=2010, last_years=10"):
        replace(profile("article"), last_years=10)
