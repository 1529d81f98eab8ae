"""A filter profile applied to editions: for each the first reason against it, or the rule that calls it fiction.

Works on whole Arrow columns, in any process.

Belongs here: the tests, in the order in which they count. Does not: what a profile asks for (`profiles`), which words
speak for fiction (`subjects`), files and counts (`compute.filtered_fiction`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from booksearch_assets.openlibrary.profiles import FilterProfile, FilterReason
from booksearch_assets.openlibrary.subjects import BOUNDARY, SubjectRule

OUTCOME = pa.schema(
    [("year", pa.int32()), ("pages", pa.int32()), ("fiction_rule", pa.string()), ("reason", pa.string())]
)
"""What an edition is found to be: `reason` is null where it is kept, and `fiction_rule` is not null then."""

_NOTHING = -1
_DOTTED_I, _DOT_ABOVE = "\u0130", "\u0307"


def judge(editions: pa.Table, profile: FilterProfile, dump_year: int) -> pa.Table:
    """OUTCOME for each row of `editions`, a table with the columns of EDITIONS that `columns_of` names.

    `year` and `pages` are read as the profile says; `reason` is the first `FilterReason` that applies. Words are looked
    for only where something is said in the profile's language.
    """
    languages = editions["languages"].combine_chunks()
    headings = [editions[name].combine_chunks() for name in profile.subject_columns]
    languages_named = pc.list_value_length(languages).to_numpy(zero_copy_only=False)
    heading_count = sum(pc.list_value_length(column).to_numpy(zero_copy_only=False) for column in headings)
    year, pages = editions[profile.year_column], editions[profile.pages_column]
    first_year, last_year = profile.years(dump_year)

    reasons = _FirstThatApplies(len(editions))
    reasons.test(FilterReason.NO_LANGUAGE, languages_named == 0)
    reasons.test(FilterReason.NOT_ENGLISH, ~_lists_with(languages, profile.language))
    reasons.test(FilterReason.NO_SUBJECTS, heading_count == 0)
    heard = reasons.untouched()
    text = _searchable([column.take(pa.array(heard)) for column in headings])
    rules = _FirstThatApplies(len(editions))
    for rule in profile.excluding_rules:
        reasons.test(FilterReason(rule.name), _scattered(_fires(rule, text), heard, len(editions)))
    for rule in profile.fiction_rules:
        rules.test(rule.name, _scattered(_fires(rule, text), heard, len(editions)))
    reasons.test(FilterReason.NOT_FICTION, rules.is_untouched)
    reasons.test(FilterReason.NO_PAGES, _mask(pages.is_null()))
    reasons.test(FilterReason.TOO_SHORT, _mask(pc.less(pages, profile.min_pages)))
    reasons.test(FilterReason.NO_YEAR, _mask(year.is_null()))
    reasons.test(FilterReason.TOO_OLD, _mask(pc.less(year, first_year)))
    if last_year is not None:
        reasons.test(FilterReason.IN_THE_FUTURE, _mask(pc.greater(year, last_year)))
    return pa.table([year, pages, rules.names(), reasons.names()], OUTCOME)


def columns_of(profile: FilterProfile) -> list[str]:
    """The columns of EDITIONS that `judge` reads."""
    return ["languages", *profile.subject_columns, profile.year_column, profile.pages_column]


def united_subjects(editions: pa.Table) -> pa.Array:
    """The work's and the edition's subjects, in that order, without repeats."""
    lists = [editions[name].combine_chunks() for name in ("work_subjects", "edition_subjects")]
    texts = pa.concat_arrays([column.flatten() for column in lists])
    rows = np.concatenate([pc.list_parent_indices(column).to_numpy() for column in lists])
    coded = texts.dictionary_encode(null_encoding="encode")
    _, first = np.unique(rows * len(coded.dictionary) + coded.indices.to_numpy(), return_index=True)
    first.sort()
    first = first[np.argsort(rows[first], kind="stable")]
    ends = np.cumsum(np.bincount(rows[first], minlength=len(editions)))
    return pa.ListArray.from_arrays(pa.array([0, *ends], pa.int32()), texts.take(pa.array(first)))


class _FirstThatApplies:
    """The first of several named tests that says yes, row by row."""

    def __init__(self, rows: int) -> None:
        self._found = np.full(rows, _NOTHING)
        self._names: list[str] = []

    def test(self, name: str, applies: np.ndarray) -> None:
        self._found[self.is_untouched & applies] = len(self._names)
        self._names.append(str(name))

    @property
    def is_untouched(self) -> np.ndarray:
        return self._found == _NOTHING

    def untouched(self) -> np.ndarray:
        """The numbers of the rows that no test has said yes to."""
        return np.flatnonzero(self.is_untouched)

    def names(self) -> pa.Array:
        return pa.array(self._names, pa.string()).take(pa.array(self._found, mask=self.is_untouched))


def _lists_with(lists: pa.ListArray, value: str) -> np.ndarray:
    """Whether each list holds the value."""
    found = np.zeros(len(lists), bool)
    found[pc.list_parent_indices(lists).to_numpy()[_mask(pc.equal(lists.flatten(), value))]] = True
    return found


def _searchable(headings: Iterable[pa.ListArray]) -> pa.Array:
    """The headings of each row as one text, a BOUNDARY around each: lower case, plain apostrophes, no full stop at the end."""
    joined = (pc.binary_join(column, BOUNDARY) for column in headings)
    text = pc.binary_join_element_wise("", *joined, "", BOUNDARY)
    # Its own lower case, a dot above an i, is two characters, which Arrow does not make of one.
    text = pc.utf8_lower(pc.replace_substring(text, _DOTTED_I, f"i{_DOT_ABOVE}"))
    plain = pc.replace_substring(text, "\u2019", "'")
    return pc.replace_substring(plain, f".{BOUNDARY}", BOUNDARY)


def _fires(rule: SubjectRule, text: pa.Array) -> np.ndarray:
    """Whether a text holds any of the rule's phrases."""
    return _mask(pc.match_substring_regex(text, "|".join(map(re.escape, rule.needles()))))


def _scattered(found: np.ndarray, rows: np.ndarray, size: int) -> np.ndarray:
    whole = np.zeros(size, bool)
    whole[rows] = found
    return whole


def _mask(found: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Yes or no of each row; null says neither, and counts for no, as in SQL."""
    return np.asarray(pc.fill_null(found, False))
